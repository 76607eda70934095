"""Reads loader snaps: what the Windows loader writes to a debugger about its work if FLG_SHOW_LDR_SNAPS (2) is set.

A line is `pid:tid @ tick - Function - SEVERITY: text`, in hexadecimal but for the tick. The texts, and where they are
from; depwalk has not yet seen them on a real Windows:

* Windows 8.1 to 11: 'Unable to load DLL: "x", Parent Module: "y", Status: 0x..' (lopezruiz.net, "Tracing LoadLibrary").
  The parent "(null)" stands for a call of LoadLibrary.
* 8.1 to 11: 'Procedure "p" could not be located in DLL at base 0x..', then 'Locating export "p" for DLL "y" failed with
  status: 0x..', y being the importer or, for GetProcAddress, "Unknown" (Windows on Devices, "Diagnosing a failing
  application"; the article "Debugging Run-time Windows DLL problems").
* 8.1 to 11: 'Calling init routine .. for DLL "x"' (the same article), 'Init routine .. for DLL "x" failed during
  DLL_PROCESS_ATTACH' (public reports on a sandboxed node.exe), and three of which only the format strings of ntdll were
  found, in public decompilations: 'Init routine .. of DLL "x" raised an exception ..', 'DLL "x" does not contain an
  export table', x being the exporter, and 'Locating export at ordinal n for DLL "y" failed with status: 0x..'.
* 7: 'DLL "y" imports "x"', 'Loading "x" from the import table of DLL "y" failed with status 0x..', where x may come out
  as question marks (Stack Overflow, "LoadLibrary fails with error code 193").
* 7: 'Procedure "p" could not be located in DLL "x"' (Autodesk's developer blog, on AutoCAD OEM).
* 7: 'LdrpFindOrMapDll - ENTER: DLL name: x', 'LdrpFindOrMapDll - RETURN: Status: 0x..' (Microsoft, KB 2843034).

The system sends at most 512 bytes a call (Microsoft's page on DbgPrint): the end of a line with long paths is missing.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

NOT_FOUND, NOT_LOADED = "not-found", "not-loaded"
MISSING_PROCEDURE, NO_EXPORT_TABLE = "missing-procedure", "no-export-table"
INIT_FAILED, INIT_CALLED = "init-failed", "init-called"

_MOST_LINES = 1_000_000  # a load of a large application writes some 10,000
_MOST_SNAPS = 10_000
_MOST_REMEMBERED = 1_000
_LONGEST = 2048  # characters of a line

_STATUS_DLL_NOT_FOUND = 0xC0000135
_NOBODY = {"(null)", "Unknown"}  # in the place of a parent

_LINE = re.compile(
    r"(?:\b([0-9a-f]{1,8}:[0-9a-f]{1,8}) @ \d{1,20} - )?\b(\w{1,64}) - (?:ERROR|WARNING|INFO|ENTER|RETURN): (.*)"
)
# Groups are named after the fields of a Snap. The quote that closes a name, and all after it, may be cut off.
_MODULE, _PARENT, _PROCEDURE = (rf'"(?P<{name}>[^"]*)"?' for name in ("module", "parent", "procedure"))
_STATUS, _ADDRESS = r"0x(?P<status>[0-9a-f]{1,8})", "(?:0x)?[0-9A-Fa-f]+"
_IMPORTS = re.compile(f"DLL {_PARENT} imports {_MODULE}")
_IMPORTER = f"(?: for DLL {_PARENT}(?: failed with status: {_STATUS})?)?"
_TEXTS = [
    (kind, re.compile(pattern))
    for kind, pattern in (
        (NOT_LOADED, f"Unable to load DLL: {_MODULE}(?:, Parent Module: {_PARENT}(?:, Status: {_STATUS})?)?"),
        (NOT_LOADED, f"Loading {_MODULE} from the import table of DLL {_PARENT}(?: failed with status {_STATUS})?"),
        (
            MISSING_PROCEDURE,
            f"Procedure {_PROCEDURE} could not be located in DLL at base 0x(?P<base>[0-9A-Fa-f]{{1,16}})",
        ),
        (MISSING_PROCEDURE, f"Procedure {_PROCEDURE} could not be located in DLL {_MODULE}"),
        (MISSING_PROCEDURE, f"Locating export {_PROCEDURE}{_IMPORTER}"),
        (MISSING_PROCEDURE, rf"Locating export at ordinal (?P<ordinal>\d{{1,5}}){_IMPORTER}"),
        (NO_EXPORT_TABLE, f"DLL {_MODULE} does not contain an export table"),
        (INIT_FAILED, f"Init routine {_ADDRESS} for DLL {_MODULE} failed during DLL_PROCESS_ATTACH"),
        (
            INIT_FAILED,
            f"Init routine {_ADDRESS} of DLL {_MODULE} raised an exception (?:0x)?(?P<status>[0-9A-Fa-f]{{1,8}})",
        ),
        (INIT_CALLED, f"Calling init routine {_ADDRESS} for DLL {_MODULE}"),
    )
]


class Snap(NamedTuple):
    """One thing that the loader said.

    `module` is the DLL in question as the loader names it, base name or path, "" where it does not; `parent` the module
    whose imports it worked on, "" where a call asked (GetProcAddress often asks for what a program does not need).
    `procedure` is a name or "#77". `base` is the address of the module that lacks it. `status` is an NTSTATUS, or the
    code of an exception.
    """

    kind: str
    module: str = ""
    parent: str = ""
    procedure: str = ""
    base: int | None = None
    status: int | None = None


def parse(lines: Iterable[str]) -> tuple[Snap, ...]:
    """What the loader said, in its order. What is not understood is skipped: no line is an error."""
    reader = _Reader()
    for line in islice(lines, _MOST_LINES):
        match = _LINE.search(line[:_LONGEST])
        if match:
            reader.read(match[1] or "", match[2], match[3].rstrip())
        if len(reader.found) == _MOST_SNAPS:
            break
    return tuple(reader.found)


def is_snap(line: str) -> bool:
    """Whether a line that a debugger got is the loader's, and not that of a program."""
    return _LINE.search(line[:_LONGEST]) is not None


class _Reader:
    """What was found, and what earlier lines of a thread say of later ones."""

    def __init__(self) -> None:
        self.found: list[Snap] = []
        self._looking: dict[str, str] = {}  # by thread: the DLL that it is looking for
        self._imports: dict[tuple[str, str], str] = {}  # by thread and importer: the import that it has come to
        self._missing: dict[str, int] = {}  # by thread: the index of a procedure of which the next line tells more

    def read(self, thread: str, function: str, text: str) -> None:
        """Take one line in."""
        if function == "LdrpFindOrMapDll":
            self._look(thread, text)
            return
        imports = _IMPORTS.match(text)
        if imports:
            _remember(self._imports, (thread, imports["parent"]), imports["module"])
            return
        snap = _said(text)
        if snap is None:
            return
        if snap.kind == MISSING_PROCEDURE and self._repeats(thread, snap):
            return
        if snap.module and not snap.module.strip("?"):
            snap = snap._replace(module=self._imports.get((thread, snap.parent), ""))
        self.found.append(snap)

    def _look(self, thread: str, text: str) -> None:
        """Windows 7 does not name a top-level DLL that it does not find, but when it begins and ends to look for it."""
        if text.startswith("DLL name: "):
            _remember(self._looking, thread, text[len("DLL name: ") :].partition(" DLL path: ")[0])
        elif text == f"Status: {_STATUS_DLL_NOT_FOUND:#x}" and thread in self._looking:
            self.found.append(Snap(NOT_FOUND, self._looking.pop(thread), status=_STATUS_DLL_NOT_FOUND))

    def _repeats(self, thread: str, snap: Snap) -> bool:
        """Whether a procedure is the one just said to be missing; then its importer and the status go there."""
        index = self._missing.pop(thread, None)
        if snap.base is not None:
            _remember(self._missing, thread, len(self.found))
        elif index is not None and self.found[index].procedure == snap.procedure:
            self.found[index] = self.found[index]._replace(parent=snap.parent, status=snap.status)
            return True
        return False


def _said(text: str) -> Snap | None:
    for kind, pattern in _TEXTS:
        match = pattern.match(text)
        if match:
            said = {name: value for name, value in match.groupdict().items() if value}
            parent, ordinal = said.get("parent", ""), said.get("ordinal")
            base, status = (int(said[name], 16) if name in said else None for name in ("base", "status"))
            return Snap(
                NOT_FOUND if kind == NOT_LOADED and status == _STATUS_DLL_NOT_FOUND else kind,
                said.get("module", ""),
                "" if parent in _NOBODY else parent,
                f"#{ordinal}" if ordinal else said.get("procedure", ""),
                base,
                status,
            )
    return None


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _remember(memory: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    if len(memory) >= _MOST_REMEMBERED:
        memory.clear()
    memory[key] = value
