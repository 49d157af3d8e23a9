"""What may import what: the doors need the core, the core needs no door, and nothing goes round."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import clone_pipeline

PACKAGE = Path(clone_pipeline.__file__).parent
ROOT = PACKAGE.parent

FORBIDDEN = {"dagster", "click", "rich", "fastapi", "clone_pipeline.settings"}


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it, and what it takes out of them."""
    for module, name in imported_names(path):
        yield module
        yield name


def imported_names(path: Path) -> Iterator[tuple[str, str]]:
    """Each import as the module and the whole name, which may be that of a module too; relative
    ones by their whole name."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            yield from ((module, f"{module}.{alias.name}") for alias in node.names)


def graph(of: Callable[[str], str]) -> dict[str, set[str]]:
    """What every module needs, or every group of modules that `of` gives one name."""
    paths = [path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts]
    modules = {name_of(path) for path in paths}
    found: dict[str, set[str]] = {of(name): set() for name in modules}
    for path in paths:
        one = of(name_of(path))
        for module, name in imported_names(path):
            there = name if name in modules else module
            if there in modules and of(there) != one:
                found[one].add(of(there))
    return found


def name_of(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def room_of(module: str) -> str:
    """The folder below `core/` or the package, or the module itself where it stands in none."""
    parts = module.split(".")
    return ".".join(parts[: 3 if parts[1:2] == ["core"] else 2])


def test_no_module_needs_another_in_a_circle() -> None:
    # Also an import that waits for a call, or for a type checker, is one.
    assert list(TopologicalSorter(graph(str)).static_order())


def test_no_room_needs_another_in_a_circle() -> None:
    assert list(TopologicalSorter(graph(room_of)).static_order())


def test_the_vector_store_knows_nothing_of_clones() -> None:
    """What does stands in `points/`."""
    base = {"depth", "difference", "errors", "private", "references", "text", "words"}
    needed = graph(room_of)["clone_pipeline.core.vectors"]
    assert needed <= {f"clone_pipeline.core.{name}" for name in base}


def test_the_core_knows_nothing_of_its_doors() -> None:
    seen = set()
    for path in sorted((PACKAGE / "core").rglob("*.py")):
        for module in imported(path):
            parts = module.split(".")
            above = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
            assert not above & FORBIDDEN, f"{path} imports {module}"
            if parts[0] == "clone_pipeline":
                assert parts[1:2] in ([], ["core"]), f"{path} imports {module}"
            seen.add(parts[0])
    assert "sqlalchemy" in seen


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    # Others only hand it on to their child processes.
    assert readers <= {"settings.py", "launch.py", "api/supervise.py"}


def test_looking_at_the_help_does_not_take_dagster() -> None:
    """It takes a second to import."""
    modules = set(imported(PACKAGE / "cli" / "clones.py"))
    assert "clone_pipeline.launch" in modules
    top = {
        name
        for path in [*(PACKAGE / "cli").glob("*.py"), PACKAGE / "deployment.py"]
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None) or node.names[0].name]
    }
    assert not {name for name in top if name.split(".")[0] == "dagster"}
    assert "clone_pipeline.launch" not in top
