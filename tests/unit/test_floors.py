"""The floors of the house: a room imports only rooms below it, and only some rooms touch the outside."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import depwalk

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUSE = Path(depwalk.__file__).parent

# From the top down. A room that is not here yet has no floor: put it where it belongs.
FLOORS = (
    "__main__",
    "__init__",
    "hook",
    "cli",
    "report",
    "bulk",
    "result",
    "gather",
    "diagnosis",
    "finding",
    "host",
    "loader",
    "gpu",
    "graph",
    "side_by_side",
    "search",
    "target",
    "runtimes",
    "suppliers",
    "snaps",
    "package",
    "isa",
    "image",
    "cpu",
    "installation",
    "wheel",
    "files",
    "archive",
    "core",
    "_binding",
    "tables",
    "choices",
    "inside",
)
ALONE = "inside"  # runs in the Python that is being diagnosed, where there is no depwalk
INHERITED = HOUSE / "loader" / "processes.py"  # hands the environment on to the child
READS_LOGS = HOUSE / "host" / "events.py"  # asks wevtutil.exe, a program of Windows: no foreign code
OWN_WORKERS = HOUSE / "bulk" / "work.py"  # shares a scan among processes that run this program's own functions
SOURCES = sorted(path for path in HOUSE.rglob("*.py") if path.name != "_binding.py")
EVERY_SOURCE = pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(HOUSE)) for path in SOURCES])


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].replace(".py", "")


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text("utf-8"))))


def imports(path: Path) -> Iterator[str]:
    """Every module that a source imports, also inside of functions and for types only: "depwalk.cli.check"."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(path: Path) -> set[str]:
    """The rooms that a source imports from; a plain name of the package itself, such as __version__, is none."""
    parts = [name.split(".") for name in imports(path) if name.startswith("depwalk.")]
    return {names[1] for names in parts if names[1] in FLOORS or (HOUSE / names[1]).is_dir()}


def names(path: Path) -> set[str]:
    """Names that a source uses, such as print or os.environ."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
    return found


@EVERY_SOURCE
def test_every_room_has_a_floor(path: Path) -> None:
    assert room_of(path) in FLOORS


@EVERY_SOURCE
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    room = room_of(path)
    if room == ALONE:
        assert rooms(path) == set()
        return
    allowed = {room, *FLOORS[FLOORS.index(room) + 1 :]}
    assert rooms(path) - allowed == set()


@EVERY_SOURCE
def test_only_core_touches_cffi(path: Path) -> None:
    if room_of(path) != "core":
        assert {
            name for name in imports(path) if name.startswith(("cffi", "_cffi_backend", "depwalk._binding"))
        } == set()


@EVERY_SOURCE
def test_only_the_command_line_reads_the_environment_prints_and_exits(path: Path) -> None:
    outside = {"print", "input", "exit", "quit"}
    outside |= {"os.environ", "os.environb", "os.getenv", "os.getcwd", "os._exit", "os.chdir"}
    outside |= {"sys.argv", "sys.exit", "sys.stdout", "sys.stderr", "sys.stdin"}
    if path == INHERITED:
        outside -= {"os.environ"}
    if room_of(path) == "hook":  # it stands where the interpreter prints its traceback
        outside -= {"sys.stderr"}
    if room_of(path) not in ("__main__", "cli", ALONE):
        assert names(path) & outside == set()


@EVERY_SOURCE
def test_only_the_loader_starts_processes(path: Path) -> None:
    if room_of(path) != "loader":
        used = {name.partition(".")[0] for name in imports(path)}
        pools = {name for name in {*imports(path), *names(path)} if name.endswith("ProcessPoolExecutor")}
        if path != READS_LOGS:
            assert "subprocess" not in used
        if path != OWN_WORKERS:
            assert ("multiprocessing" in used, pools) == (False, set())
        assert {"os.system", "os.popen", "os.startfile", "eval", "exec"} & names(path) == set()


@EVERY_SOURCE
def test_nothing_uses_a_network(path: Path) -> None:
    outside = {"asyncio", "ftplib", "http", "poplib", "requests", "smtplib", "socket", "socketserver", "ssl", "urllib"}
    used = set(imports(path)) - {"urllib.parse", "urllib.parse.quote"}  # it only spells addresses
    assert {name.partition(".")[0] for name in used} & outside == set()


@EVERY_SOURCE
def test_rich_is_imported_where_a_person_reads(path: Path) -> None:
    if path != HOUSE / "cli" / "terminal.py":
        assert "rich" not in {name.partition(".")[0] for name in imports(path)}


def test_the_floors_name_no_room_twice() -> None:
    assert len(FLOORS) == len(set(FLOORS))
