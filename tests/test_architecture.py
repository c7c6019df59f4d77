"""The dependencies between packages at run time: the modules that an import actually loads."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("textual", "rich", "pydantic", "pyudev")

PROBE = """
import sys
{code}
found = sorted(name for name in {forbidden!r} if name in sys.modules)
print(" ".join(found))
"""


def imported(code: str, forbidden: tuple[str, ...]) -> str:
    """Which of the forbidden modules are loaded after running the code in a fresh interpreter."""
    result = subprocess.run(
        [sys.executable, "-c", PROBE.format(code=code, forbidden=forbidden)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.splitlines()[-1]


def modules(room: str) -> list[str]:
    """Every module of a package."""
    paths = sorted((ROOT / "iommutui" / room).rglob("*.py"))
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]


def test_the_probe_sees_imports() -> None:
    assert imported("import pydantic", HEAVY) == "pydantic"


@pytest.mark.parametrize("room", ["core"])
def test_core_imports_only_the_standard_library(room: str) -> None:
    code = "\n".join(f"import {name}" for name in modules(room))
    forbidden = (*HEAVY, "iommutui.sources", "iommutui.apply", "iommutui.tui", "iommutui.cli")
    assert imported(code, forbidden) == ""


@pytest.mark.parametrize("room", ["sources", "apply", "cli"])
def test_heavy_libraries_are_imported_only_when_needed(room: str) -> None:
    """Only snapshots and names from udev need a library, which is imported on use."""
    needing = {"iommutui.sources.snapshot": "pydantic"}
    code = "\n".join(f"import {name}" for name in modules(room) if name not in needing)
    assert imported(code, HEAVY) == ""


@pytest.mark.parametrize("command", [["list"], ["list", "--json"], ["why", "17"], ["preview", "09:00.0=vfio-pci"]])
def test_reading_a_recorded_tree_needs_no_heavy_library(command: list[str], tmp_path: Path) -> None:
    from tests.bench.trees import make_tree

    tree = make_tree(tmp_path / "sysfs", 512)
    argv = [*command, "--from", str(tree)]
    code = f"from iommutui.cli import main\nmain({argv!r})"
    light = ("dataclasses", "json") if sys.version_info < (3, 14) else ("json",)  # argparse imports dataclasses there
    assert imported(code, (*HEAVY, *(light if command == ["list"] else ()))) == ""


ENGINE = ("iommutui.core.plan.planner", "iommutui.core.engine")
OTHER_MODELS = tuple(f"iommutui.core.models.{name}" for name in ("drafts", "vfio_group"))


@pytest.mark.parametrize("words", [[], ["viable:no"], ["--model", "dma-owner"]])
def test_a_plain_listing_imports_only_what_it_needs(words: list[str], tmp_path: Path) -> None:
    """Each of these modules would take some of the few milliseconds that the budget against ``lspci`` leaves."""
    from tests.bench.trees import make_tree

    tree = make_tree(tmp_path / "sysfs", 8)
    code = f"from iommutui.cli import main\nmain({['list', *words, '--from', str(tree)]!r})"
    forbidden = ("tomllib", "iommutui.core.hazards", "iommutui.core.uses")
    assert imported(code, (*HEAVY, *ENGINE, *OTHER_MODELS, *forbidden)) == ""


def test_a_plain_listing_compiles_nothing(tmp_path: Path) -> None:
    """A field type given as a string is compiled, and the first ``compile`` of a process takes a millisecond."""
    from tests.bench.trees import make_tree

    tree = make_tree(tmp_path / "sysfs", 8)
    code = f"""
import builtins
real = builtins.compile
compiled = []
def compile(source, filename, *rest, **named):
    compiled.extend([source] if filename == "<string>" else [])
    return real(source, filename, *rest, **named)
builtins.compile = compile
from iommutui.cli import main
main(['list', '--from', {str(tree)!r}])
assert compiled == [], compiled
"""
    imported(code, ())


def test_the_screen_opens_without_the_modules_of_listings_and_applies() -> None:
    """These modules are slow to import, and the first frame does not need them."""
    code = "import iommutui.tui.app"
    assert imported(code, ("pydantic", "pyudev", "argparse", "iommutui.sources.sysfs", "iommutui.apply")) == ""


def test_only_apply_opens_a_file_of_the_system_for_writing() -> None:
    """Only apply, snapshots, the screen's saved state and the trace open files for writing."""
    writers = ("O_WRONLY", "O_RDWR", ', "w"', ", 'w'", '"wb"', '"ab"', "write_text", "write_bytes")
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "iommutui").rglob("*.py")
        for line in path.read_text().splitlines()
        if any(word in line for word in writers) and "/dev/null" not in line and "devnull" not in line
    }
    assert {name for name in found if not name.startswith("iommutui/apply/")} == {
        "iommutui/debug.py",
        "iommutui/sources/snapshot.py",
        "iommutui/tui/store.py",
    }


TUI = sorted((ROOT / "iommutui" / "tui").rglob("*.py"))


def test_no_file_of_the_screen_grows_past_350_lines() -> None:
    assert [path.name for path in TUI if len(path.read_text().splitlines()) > 350] == []


def private_names(source: str) -> set[str]:
    """The names with a leading underscore that a module takes from elsewhere than itself and its own ``self``."""
    tree = ast.parse(source)
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            used |= {*(node.module or "").split("."), *(alias.name for alias in node.names)}
    public = {"_replace", "_asdict", "_fields"}  # documented methods of named tuples
    return {name for name in used - own - public if name.startswith("_") and not name.startswith("__")}


def overridden(source: str) -> set[str]:
    """The private names in a module's classes that Textual or Rich also use."""
    import textual.app
    import textual.screen
    import textual.widgets

    classes = (textual.app.App, textual.screen.ModalScreen, textual.scroll_view.ScrollView, textual.widgets.Input)
    theirs = {name for cls in classes for name in dir(cls) if name.startswith("_") and not name.startswith("__")}
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.bases:
            for part in ast.walk(node):
                name = part.name if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) else None
                if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "self":
                    name = part.attr
                if name in theirs:
                    found.add(name)
    return found


def test_the_screen_uses_no_private_name_of_textual_or_rich() -> None:
    assert private_names("from textual._x import y\nself.app._compositor") == {"_x", "_compositor"}
    assert overridden("class A(Screen):\n    def _size_updated(self): ...") == {"_size_updated"}
    for path in TUI:
        assert private_names(path.read_text()) == set(), path.name
        assert overridden(path.read_text()) == set(), path.name


def imports_of(name: str, known: set[str]) -> set[str]:
    """The project's modules that a module imports, anywhere in it, including imports for type checkers only."""
    path = ROOT / Path(*name.split("."))
    found: set[str] = set()
    for node in ast.walk(ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {each if each in known else node.module for each in inner}
    return (found & known) - {name}


def test_no_module_imports_itself_through_others() -> None:
    """Imports inside functions and for type checkers count too: a deferred circle is still a circle."""
    known = {name for room in ("core", "sources", "apply", "export", "tui", "cli") for name in modules(room)}
    graph = {name: imports_of(name, known) for name in known}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_an_import_circle_would_be_found() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
