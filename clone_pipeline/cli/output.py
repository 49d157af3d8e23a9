"""Tables and texts for a person. Results go to stdout, everything else to stderr."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

stdout = Console(highlight=False)
stderr = Console(stderr=True, highlight=False)

_NUMBERS = (int, float)


def print_table(title: str, records: Iterable[Mapping[str, Any]]) -> None:
    """Records as a table; a line that says so where there are none."""
    rows = list(records)
    if not rows:
        stdout.print(f"{title}: none")
        return
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in rows[0]:
        numeric = all(isinstance(row[column], _NUMBERS) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(_text(row.get(column)) for column in rows[0]))
    stdout.print(table)


def print_plan(plan: Mapping[str, Any]) -> None:
    """A plan, as one reads it before saying yes."""
    source, target = plan["source"], plan["target"]
    stdout.print(
        f"[bold]{source['namespace_name']}[/] ({source['namespace_id']}, "
        f"{source['organization_id']})  ->  [bold]{target['namespace_name']}[/] "
        f"({target['namespace_id']}, {target['organization_id']})"
    )
    if target["replaces_generation"] is not None:
        stdout.print(f"Replaces generation {target['replaces_generation']} of that namespace.")
    for plural, names in target["not_in_the_source"].items():
        stdout.print(f"In the target and not in the source: {plural} {', '.join(names)}")
    print_table("Resources", [plan["counts"]])
    print_table("Ids", plan["id_map"])
    print_table("References", [plan["reference_counts"]] if plan["reference_counts"] else [])
    print_references(plan["references"])
    stdout.print(f"Lane: {plan['lane']} ({plan['lane_reason']})")
    stdout.print(f"Proof: {plan['equality']}", soft_wrap=True)
    stdout.print(f"Disk: about {_size(plan['bytes']['disk_needed'])}")
    print_warnings(plan["warnings"])


def print_references(references: Sequence[Mapping[str, Any]]) -> None:
    """The ones that a person should look at: everything but what was simply rewritten or kept."""
    columns = ("outcome", "resource", "resource_id", "path", "target", "old", "reason")
    shown = [
        {column: reference[column] for column in columns}
        for reference in references
        if reference["outcome"] in ("cleared", "unresolved", "mentioned")
    ]
    print_table("Not rewritten", shown)


def print_summary(response: Mapping[str, Any], report: Mapping[str, Any]) -> None:
    """The outcome of a clone."""
    namespace = response["namespace"]
    stdout.print(
        f"[bold green]ready[/]  [bold]{namespace['namespace_name']}[/] "
        f"({namespace['namespace_id']}), a clone of {response['source_namespace_id']}"
    )
    print_table("Cloned", [response["cloned_resources"]])
    print_table("Steps", report["steps"])
    stdout.print(
        f"Proven: {report['proven']}.  {report['seconds_in_all']:.1f} s in all"
        + (f", {report['points_per_second']} points/s." if report["points_per_second"] else ".")
    )
    print_warnings(report["warnings"])


def print_warnings(warnings: Iterable[str]) -> None:
    for warning in warnings:
        stdout.print(f"[yellow]![/] {warning}", soft_wrap=True)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
