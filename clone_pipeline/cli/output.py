"""Tables and texts for a person. Results go to stdout, everything else to stderr."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clone_pipeline.core.outputs import Published
from clone_pipeline.core.plan.listed import listed, outcome, whose
from clone_pipeline.core.references import ACTS, LEFT_BEHIND, PRESERVED
from clone_pipeline.core.report import LISTED, size

# Names come from data: without `markup` and `emoji` a bracket or a colon in one is only that.
stdout = Console(highlight=False, markup=False, emoji=False)
stderr = Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(*parts: str | tuple[str, str]) -> None:
    """One line of parts, each a text or (text, style); never broken by us, so it can be grepped."""
    shown = (
        _printable(part) if isinstance(part, str) else (_printable(part[0]), part[1])
        for part in parts
    )
    stdout.print(Text.assemble(*shown), soft_wrap=True)


def print_table(title: str, records: Iterable[Mapping[str, Any]]) -> None:
    """Records as a table; where the terminal is too narrow, one after the other instead.

    Nothing is ever cut off. What is not a terminal has no width.
    """
    rows = list(records)
    if not rows:
        say(f"{title}: none")
        return
    table = _table(title, rows)
    needed = stdout.measure(table, options=stdout.options.update(max_width=10_000)).maximum
    if not stdout.is_terminal:
        Console(width=needed, highlight=False, markup=False, emoji=False).print(table)
    elif needed <= stdout.width:
        stdout.print(table)
    else:
        say((title, "bold"))
        for row in rows:
            print_record(row)


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    for column in rows[0]:
        values = [row[column] for row in rows if row.get(column) is not None]
        numeric = bool(values) and all(isinstance(value, int | float) for value in values)
        table.add_column(_label(column), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(Text(_printable(_text(row.get(column)))) for column in rows[0]))
    return table


def print_record(record: Mapping[str, Any]) -> None:
    """The first value, then the others that there are below it, as `name: value`."""
    (_, heading), *rest = record.items()
    say((_text(heading), "bold"))
    shown = [(_label(key), _text(value)) for key, value in rest if value not in (None, "")]
    width = max((len(label) for label, _ in shown), default=0)
    for label, value in shown:
        say(f"  {label + ':':<{width + 1}} {value}")


def counted(counts: Mapping[str, int]) -> str:
    """`2 buckets, 1 taxonomy, 482 objects`."""
    return ", ".join(f"{count:,} {_noun(name, count)}" for name, count in counts.items())


def what_there_is(counts: Mapping[str, int]) -> str:
    """The same without what there is none of; where there is nothing at all, `0 points`."""
    return counted({name: count for name, count in counts.items() if count} or {"points": 0})


def _placed(party: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """A namespace, with its environment where the other one is in another."""
    apart = party["environment"] != other["environment"]
    return f"{party['environment']}:{party['namespace_name']}" if apart else party["namespace_name"]


def print_plan(plan: Mapping[str, Any]) -> None:
    """A plan, as one reads it before saying yes."""
    source, target = plan["source"], plan["target"]
    say(
        (_placed(source, target), "bold"),
        f" ({source['namespace_id']}, {source['organization_id']})  ->  ",
        (_placed(target, source), "bold"),
        f" ({target['namespace_id']}, {target['organization_id']})",
    )
    if target["replaces_generation"] is not None:
        say(f"Replaces generation {target['replaces_generation']} of that namespace.")
    for plural, names in target["not_in_the_source"].items():
        say(f"In the target and not in the source: {plural} {', '.join(names)}")
    say(f"Copies: {what_there_is(plan['counts'])}")
    print_table("Ids", plan["id_map"][:LISTED])
    _print_left_out(len(plan["id_map"]) - LISTED)
    print_references(plan["reference_counts"], plan["references"])
    if any(plan["secrets"].values()):
        say(
            f"Secrets: {plan['secrets']['copied']:,} copied, {plan['secrets']['cleared']:,} cleared"
        )
    if plan["counts"]["points"]:
        say(f"Lane: {plan['lane']} ({plan['lane_reason']})")
        say(f"Points: {plan['transport']}, in {counted({'slices': plan['slices']})}")
        say(f"Proof: {plan['equality']}")
    if (files := plan["files"]) is not None:
        about = f"about {files['files']:,} ({size(files['bytes'])})"
        say(f"Files: {about}, {files['way']}, to {files['into']}")
    say(f"Disk: about {size(plan['bytes']['disk_needed'])}")
    print_warnings(plan["warnings"])


def print_references(counts: Mapping[str, int], references: Sequence[Mapping[str, Any]]) -> None:
    """How many there are, and a line each for everything but what is simply rewritten or kept with
    its id. What acts again comes first, all of it."""
    lines = listed(references)
    how_many = {name: f"{count:,} {name}" for name, count in counts.items()}
    settings = sum(
        one["outcome"] == "cleared" and one["reason"] in (ACTS, LEFT_BEHIND) for one in references
    )
    if settings:  # they are listed with the references, but refer to nothing
        how_many["cleared"] += f" ({counted({'settings': settings})})"
    if again := len(lines.again):
        acts = "acts" if again == 1 else "act"
        how_many["kept"] += f" ({counted({'settings': again})} that {acts} again)"
    say(f"References: {', '.join(how_many.values()) or 'none'}")
    for one in lines.first(LISTED):
        old = f" -> {one['old']}" if one["old"] else ""
        say(
            (f"  {outcome(one):<10}", "yellow"),
            f" {whose(one)}: {one['path']}{old}",
            (f" ({one['reason']})", "dim"),
        )
    _print_left_out(lines.left_out(LISTED))
    if lines.preserved:
        stay = "stays as it is" if lines.preserved == 1 else "stay as they are"
        what = counted({"references": lines.preserved})
        say(("  kept      ", "yellow"), f" {what}, which {stay}", (f" ({PRESERVED})", "dim"))


def print_summary(
    response: Mapping[str, Any],
    published: Published,
    warnings: Sequence[str],
    *,
    restored: bool,
    replaced: int | None,
) -> None:
    """The outcome of a clone, or of a restore; `replaced` is the generation whose place it took."""
    namespace = response["namespace"]
    say(
        ("ready", "bold green"),
        "  ",
        (namespace["namespace_name"], "bold"),
        f" ({namespace['namespace_id']}), {'restored from' if restored else 'a clone of'} "
        f"{response['source_namespace_id']}",
        ""
        if replaced is None or published.unchanged
        else f", in the place of generation {replaced}",
    )
    if published.unchanged:
        say(f"Unchanged: nothing was published; {published.why_nothing()}.")
    say(f"Cloned: {what_there_is(response['cloned_resources'])}")
    if published.changes is not None:
        changes = ", ".join(f"{count:,} {what}" for what, count in published.changes.items())
        before = "generation" if published.backup_policy is None else "backup"
        say(f"Points since the {before} before: {changes}")
    print_table("Steps", published.steps)
    at = published.read_at
    when = f", at {at:%Y-%m-%d %H:%M} UTC" if at else ""
    say(f"Proven: {published.proven}{when}.  {_times(published)}")
    print_warnings(warnings)


def _times(published: Published) -> str:
    """How long it took. What earlier runs took, and the pauses between them, is not in it."""
    seconds = f"{published.seconds_in_all:.1f} s"
    runs = published.runs
    in_all = f"{seconds} in all" if runs == 1 else f"{seconds} in the last of {runs} runs"
    rate = published.points_per_second
    points = published.points_in_this_run
    copied = f"; {points:,} points copied at {rate:,} points/s" if rate else ""
    return f"{in_all}{copied}."


def print_warnings(warnings: Iterable[str]) -> None:
    for warning in warnings:
        say(("!", "yellow"), f" {warning}")


def _print_left_out(count: int) -> None:
    if count > 0:
        say(f"  ... and {count:,} more; --json shows all.")


def _label(column: str) -> str:
    return column.replace("_", " ")


def _noun(plural: str, count: int) -> str:
    if count != 1:
        return plural
    for ending, one in (("ies", "y"), ("shes", "sh"), ("s", "")):
        if plural.endswith(ending):
            return plural.removesuffix(ending) + one
    return plural


def _printable(text: str) -> str:
    """A name must not move the cursor, or hold what cannot be encoded."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
