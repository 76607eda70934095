"""The cffi binding of the core: the only module that talks to C.

Nothing here interprets an answer. A struct comes back as a tuple or as its cdata, a file's names as bytes.
"""

from __future__ import annotations

import itertools
import os
import struct
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from depwalk._binding import ffi

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
LIBRARY = Path(__file__).with_name(f"_core{SUFFIX}")
lib: Any = ffi.dlopen(str(LIBRARY))
_numbers = itertools.count()
_unset: Any = ffi.new_allocator(should_clear_after_alloc=False)  # for what the core fills


ARCHITECTURES = ("x64", "x86", "arm64")


def library_for(architecture: str, own: str) -> Path | None:
    """The core that a process of an architecture can load; None if this installation has none. `own` is this one's."""
    if architecture == own:
        return LIBRARY
    path = LIBRARY.with_name(f"_core-{architecture}{SUFFIX}")
    return path if path.is_file() else None


_WIDE = 2  # bytes in a UTF-16 unit
_MOST_FUNCTIONS = 1 << 18  # that code run at load is taken to have
_LONG_PATH = 240  # characters; some Windows functions stop at 248, most at 260

IMPORT: int = lib.DW_DIRECTORY_IMPORT
DELAY_IMPORT: int = lib.DW_DIRECTORY_DELAY_IMPORT

# The structs of depwalk.h that come in arrays, as struct formats.
_IMPORT = struct.Struct("=6I")
_SYMBOL = struct.Struct("=IIHH")
_EXPORT_NAME = struct.Struct("=III")
_EXPORT_ADDRESS = struct.Struct("=III")
_BINDING = struct.Struct("=5I")
_RESOURCE = struct.Struct("=4I")
_TEXT = struct.Struct("=II")
_INSTRUCTION = struct.Struct("=QHBB4x")
_ISA_USE = struct.Struct("=QII")
_NEED = struct.Struct("=8I")
_EVENT = struct.Struct("=3Q8I16s")  # dw_event up to its text


class CoreError(Exception):
    """The core could not open a file: `status` is DW_EMPTY, DW_NOT_PE, ...; `os_error` the system's code or 0."""

    def __init__(self, status: int, os_error: int) -> None:
        super().__init__(status, os_error)
        self.status = status
        self.os_error = os_error


class Dll(NamedTuple):
    """One imported DLL: its name and where its symbols lie among those of the directory."""

    name: bytes
    first: int
    symbols: int
    skipped: bool
    bound: bool


class Binding(NamedTuple):
    """An import that an export does not simply satisfy: `result` is DW_UNRESOLVED, DW_FORWARDED or DW_NO_EXPORTS."""

    symbol: int
    result: int
    rva: int
    forwarder: bytes


class Event(NamedTuple):
    """Something that happened in a process: a dw_event. `kind` is one of the constants below."""

    kind: int
    process: int
    base: int
    address: int
    target: int
    code: int
    first_chance: bool
    access: int
    bytes: bytes
    text: str
    thread: int = 0


PROCESS: int = lib.DW_EVENT_PROCESS
MODULE: int = lib.DW_EVENT_MODULE
UNMAPPED: int = lib.DW_EVENT_UNMAPPED
EXCEPTION: int = lib.DW_EVENT_EXCEPTION
OUTPUT: int = lib.DW_EVENT_OUTPUT
EXIT: int = lib.DW_EVENT_EXIT


def _close(facts: Any, library: Any = lib) -> None:
    """Close a file. It keeps the library: Python, when it ends, may let go of that before the last file is closed."""
    library.dw_close(facts)


class File:
    """One open PE file. `facts` is its dw_image, which stays readable as long as this object lives."""

    def __init__(self, path: str | os.PathLike[str] | None, data: bytes | None = None) -> None:
        """Open `path`, or parse `data`. Raises CoreError."""
        self.facts: Any = ffi.new("dw_image *")
        os_error = ffi.new("uint32_t *")
        if data is not None:
            self._keep = ffi.from_buffer(data)
            status = lib.dw_parse(self.facts, self._keep, len(data))
        else:
            status = lib.dw_open(self.facts, _native_path(os.fspath(path or "")), os_error)
        if status != lib.DW_OK:
            raise CoreError(status, os_error[0])
        self.facts = ffi.gc(self.facts, _close)
        self.content: Any = ffi.buffer(self.facts.data, self.facts.size)
        self._symbols: dict[int, Any] = {}  # by directory: the dw_symbol array
        self.asked: dict[Any, Any] = {}  # answers of those above that take time, by question
        self.number = next(_numbers)  # stands for this file in questions to others, which shall not keep it mapped

    def defects(self) -> list[tuple[int, int, int]]:
        """(kind, file offset, RVA) of everything found wrong so far."""
        found = self.facts.defects
        return [(found[i].kind, found[i].offset, found[i].rva) for i in range(self.facts.defect_count)]

    def imports(self, directory: int) -> list[Dll]:
        """Imported DLLs of a directory (IMPORT or DELAY_IMPORT)."""
        dll_room, symbol_room = 64, 4096
        while True:
            dlls = _unset("dw_import[]", dll_room)
            symbols = _unset("dw_symbol[]", symbol_room)
            counts = lib.dw_imports(self.facts, directory, dlls, dll_room, symbols, symbol_room)
            if counts.dlls <= dll_room and counts.symbols <= symbol_room:
                break
            dll_room, symbol_room = max(counts.dlls, 1), max(counts.symbols, 1)
        kept = _unset("dw_symbol[]", counts.symbols)  # what was made for the largest is too much for most
        ffi.memmove(kept, symbols, counts.symbols * _SYMBOL.size)
        self._symbols[directory] = kept
        return [
            Dll(self._text(offset, length), first, count, bool(skipped), bool(bound))
            for offset, length, first, count, skipped, bound in _rows(_IMPORT, dlls, counts.dlls)
        ]

    def symbols(self, directory: int, first: int, count: int) -> Iterator[tuple[bytes, int, int]]:
        """(name, hint, ordinal) of imported symbols; the name is empty for an import by ordinal."""
        array = self._symbols[directory]
        for offset, length, hint, ordinal in _rows(_SYMBOL, array + first, count):
            yield self._text(offset, length), hint, ordinal

    def match(self, directory: int, first: int, count: int, exporter: File) -> list[Binding]:
        """Imports that the exporter lacks or forwards."""
        array = self._symbols[directory]
        room = 256
        while True:
            bindings = ffi.new("dw_binding[]", room)
            found = lib.dw_match(self.facts, array + first, count, exporter.facts, bindings, room)
            if found <= room:
                break
            room = found
        texts: dict[int, bytes] = {}  # by offset: many imports may meet one forwarder
        matched = []
        for offset, length, symbol, result, rva in _rows(_BINDING, bindings, found):
            if offset not in texts:
                texts[offset] = exporter._text(offset, length)
            matched.append(Binding(symbol, result, rva, texts[offset]))
        return matched

    def lookup(self, name: bytes, ordinal: int) -> Binding:
        """One export, by name or, if that is empty, by ordinal."""
        found = lib.dw_lookup(self.facts, name, len(name), 0xFFFFFFFF, ordinal)
        return Binding(0, found.result, found.rva, self._text(found.forwarder.offset, found.forwarder.length))

    @cached_property
    def export_info(self) -> Any:
        """The dw_export_info: base, counts, the name the file was linked as."""
        return lib.dw_exports(self.facts)

    def export_dll_name(self) -> bytes:
        """The name in the export directory; empty if there is none."""
        return self._text(self.export_info.dll_name.offset, self.export_info.dll_name.length)

    def export_names(self) -> list[tuple[bytes, int]]:
        """(name, index into the addresses) of every named export, in the table's order."""
        room = max(self.export_info.name_count, 1)
        names = ffi.new("dw_export_name[]", room)
        count = lib.dw_export_names(self.facts, names, room)
        content = self.content
        rows = _rows(_EXPORT_NAME, names, count)
        return [(content[offset : offset + length], index) for offset, length, index in rows]

    def export_addresses(self) -> list[tuple[int, bytes]]:
        """(RVA, forwarder) of every ordinal from the base on; RVA 0 is an unused one."""
        room = max(self.export_info.address_count, 1)
        addresses = ffi.new("dw_export_address[]", room)
        count = lib.dw_export_addresses(self.facts, addresses, room)
        content = self.content
        return [
            (rva, content[offset : offset + length]) for rva, offset, length in _rows(_EXPORT_ADDRESS, addresses, count)
        ]

    def bound_imports(self) -> list[bytes]:
        """Names in the bound-import directory."""
        count = lib.dw_bound_imports(self.facts, ffi.NULL, 0)
        names = ffi.new("dw_text[]", max(count, 1))
        lib.dw_bound_imports(self.facts, names, count)
        return [self._text(offset, length) for offset, length in _rows(_TEXT, names, count)]

    def resources(self, kind: int) -> list[tuple[int, int, int, int]]:
        """(id, language, file offset, size in bytes) of every resource of a type."""
        count = lib.dw_resources(self.facts, kind, ffi.NULL, 0)
        found = ffi.new("dw_resource[]", max(count, 1))
        lib.dw_resources(self.facts, kind, found, count)
        return list(_rows(_RESOURCE, found, count))

    def sections(self) -> list[tuple[bytes, int, int]]:
        """(name, file offset, size in the file in bytes) of every section."""
        count = lib.dw_sections(self.facts, ffi.NULL, 0)
        found = ffi.new("dw_section[]", max(count, 1))
        lib.dw_sections(self.facts, found, count)
        return [(bytes(found[i].name), found[i].offset, found[i].raw_size) for i in range(count)]

    def dll_names(self, section: int, most: int) -> list[bytes]:
        """The texts of a section, by its number, that are names of DLLs: `most` of them, in ASCII or UTF-16."""
        found = ffi.new("dw_text[]", most)
        count = lib.dw_dll_names(self.facts, section, found, most)
        return [self._text(offset, length) for offset, length in _rows(_TEXT, found, min(count, most))]

    def contained(self, sets: int) -> tuple[Any, list[Use]]:
        """Its dw_contents, and the use of each of the first `sets` instruction sets of data/isa.toml."""
        uses = ffi.new("dw_isa_use[]", sets)
        room = ffi.new("uint8_t[]", lib.dw_contained_room(self.facts))
        contents = lib.dw_contained(self.facts, room, uses, sets)
        return contents, [Use(*row) for row in _rows(_ISA_USE, uses, sets)]

    def at(self, rva: int, size: int) -> bytes:
        """The bytes of the file behind an RVA, at most `size`; fewer where its section ends, none where nothing is."""
        offset = lib.dw_offset(self.facts, rva)
        return bytes(self.content[offset : offset + size]) if offset else b""

    def reached(self, *, from_exports: bool) -> tuple[Any, list[Need]]:
        """Its dw_reach, and what the code that runs at load, or is exported, needs, in the order in which it is met."""
        functions, needs = max(2048, self.facts.size >> 12), 4096
        while True:
            found = ffi.new("dw_need[]", needs)
            room = ffi.new("uint8_t[]", lib.dw_reached_room(self.facts, functions))
            reach = lib.dw_reached(self.facts, from_exports, room, functions, found, needs)
            if reach.needs <= needs and not (reach.incomplete and functions < _MOST_FUNCTIONS):
                break
            functions = functions * 8 if reach.incomplete else functions
            needs = max(reach.needs, needs)
        return reach, [Need(*row) for row in _rows(_NEED, found, min(reach.needs, needs))]

    def check(self) -> None:
        """Walk every directory once, so that `defects` is complete."""
        lib.dw_export_names(self.facts, ffi.NULL, 0)
        lib.dw_export_addresses(self.facts, ffi.NULL, 0)
        lib.dw_bound_imports(self.facts, ffi.NULL, 0)
        for kind in (16, 24):
            lib.dw_resources(self.facts, kind, ffi.NULL, 0)

    def _text(self, offset: int, length: int) -> bytes:
        text: bytes = self.content[offset : offset + length]
        return text


def _rows(layout: struct.Struct, array: Any, count: int) -> Iterator[Any]:
    return layout.iter_unpack(ffi.buffer(array, count * layout.size)) if count else iter(())


def _native_path(path: str) -> str | bytes:
    return extended_path(path) if sys.platform == "win32" else os.fsencode(path)


def extended_path(path: str) -> str:
    """A path that Windows takes at any length; elsewhere the path itself."""
    if sys.platform != "win32" or len(path) < _LONG_PATH or path.startswith("\\\\?\\"):
        return path
    full = os.path.abspath(path)
    return "\\\\?\\UNC\\" + full[2:] if full.startswith("\\\\") else "\\\\?\\" + full


class Instruction(NamedTuple):
    """An instruction: `row` is the number of a row of data/isa.toml, None if none fits."""

    offset: int
    row: int | None
    length: int
    encoding: int


class Use(NamedTuple):
    """How much an instruction set is used: instructions, functions, and the RVA of the first instruction."""

    instructions: int
    functions: int
    first: int


class Need(NamedTuple):
    """A dw_need: addresses as RVAs, the kind of its root, the number of a set, and whether its function is mixed."""

    rva: int
    function: int
    caller: int
    root: int
    kind: int
    set: int
    certain: int
    mixed: int


def instructions(code: bytes, bits: int) -> list[Instruction]:
    """The instructions of code of 32 or 64 bits, one after the other."""
    room = len(code)
    found = ffi.new("dw_instruction[]", max(room, 1))
    count = lib.dw_instructions(ffi.from_buffer(code), room, bits, found, room)
    return [
        Instruction(offset, None if row == lib.DW_NO_ROW else row, length, encoding)
        for offset, row, length, encoding in _rows(_INSTRUCTION, found, count)
    ]


def cpuid(leaf: int, subleaf: int = 0) -> tuple[int, int, int, int] | None:
    """EAX, EBX, ECX, EDX, or None where the processor is no x86."""
    registers = ffi.new("uint32_t[4]")
    return tuple(registers) if lib.dw_cpuid(leaf, subleaf, registers) == lib.DW_OK else None


def xgetbv(index: int = 0) -> int | None:
    """An extended control register; ask only if CPUID reports OSXSAVE. None where the processor is no x86."""
    value = ffi.new("uint64_t *")
    return int(value[0]) if lib.dw_xgetbv(index, value) == lib.DW_OK else None


def api_set_map() -> bytes:
    """The API-set map of this process; empty off Windows."""
    pointer = ffi.new("uint8_t **")
    size = ffi.new("uint32_t *")
    return bytes(ffi.buffer(pointer[0], size[0])) if lib.dw_api_set_map(pointer, size) == lib.DW_OK else b""


def known_dlls() -> list[str]:
    """Names in the KnownDLLs directory of this process's architecture; empty off Windows and where there is none."""
    room = lib.dw_known_dlls(ffi.NULL, 0)
    names = ffi.new("dw_char[]", max(room, 1))
    lib.dw_known_dlls(names, room)
    return [name for name in ffi.unpack(names, room).split("\0") if name] if room else []


def commit() -> tuple[int, int] | None:
    """Bytes that Windows can promise in all, and that this process can still ask for; None off Windows."""
    limit, available, code = ffi.new("uint64_t *"), ffi.new("uint64_t *"), ffi.new("uint32_t *")
    return (int(limit[0]), int(available[0])) if lib.dw_commit(limit, available, code) == lib.DW_OK else None


def elevation() -> tuple[int, bool] | None:
    """TOKEN_ELEVATION_TYPE of this process, and whether it has an administrator's rights; None off Windows."""
    kind, elevated = ffi.new("uint32_t *"), ffi.new("uint32_t *")
    return (int(kind[0]), bool(elevated[0])) if lib.dw_elevation(kind, elevated) == lib.DW_OK else None


class Guard:
    """A job that ends a child process with this one, or on close. Raises OSError if Windows refuses."""

    def __init__(self, process_handle: int) -> None:
        job, code = ffi.new("void **"), ffi.new("uint32_t *")
        if lib.dw_guard(ffi.cast("void *", process_handle), job, code) != lib.DW_OK:
            raise OSError(code[0], "AssignProcessToJobObject failed")
        self._job = job[0]

    def close(self) -> None:
        """End the processes in the job."""
        lib.dw_unguard(self._job)


class Debugger:
    """Events of the processes that this thread started with one of Windows's DEBUG_... creation flags.

    Both methods raise OSError with Windows's code, and must be called by that thread.
    """

    def __init__(self) -> None:
        self._event = ffi.new("dw_event *")
        self._code = ffi.new("uint32_t *")

    def wait(self, milliseconds: int) -> Event | None:
        """The next event; its process stands still until `go_on`. None if there was none in the time given."""
        status = lib.dw_debug_wait(self._event, milliseconds, self._code)
        if status == lib.DW_TIMED_OUT:
            return None
        self._check(status, "WaitForDebugEvent")
        size = _EVENT.size + self._event.text_length * _WIDE
        return next(iter(events(bytes(ffi.buffer(self._event, size)))))

    def go_on(self, *, handled: bool) -> None:
        """Let the process of the last event run; an exception that is not handled is left to it."""
        self._check(lib.dw_debug_continue(self._event, handled, self._code), "ContinueDebugEvent")

    def show_snaps(self, process: int) -> None:
        """Let the loader of a process that has just begun tell what it does."""
        self._check(lib.dw_debug_snaps(process, self._code), "WriteProcessMemory")

    def _check(self, status: int, function: str) -> None:
        if status != lib.DW_OK:
            raise OSError(self._code[0], f"{function} failed")


def events(data: bytes) -> Iterator[Event]:
    """The events that dw_watch wrote to a file; one that was cut is left out."""
    at = 0
    while at + _EVENT.size <= len(data):
        base, address, target, kind, process, thread, code, first, access, count, length, code_bytes = (
            _EVENT.unpack_from(data, at)
        )
        at += _EVENT.size
        if at + length * _WIDE > len(data):
            return
        text = data[at : at + length * _WIDE].decode("utf-16-le", "replace")
        at += length * _WIDE
        yield Event(kind, process, base, address, target, code, bool(first), access, code_bytes[:count], text, thread)


def modules() -> list[str]:
    """Paths of the modules of this process in load order; empty off Windows."""
    room = lib.dw_modules(ffi.NULL, 0)
    handles = ffi.new("void *[]", max(room, 1))
    count = min(lib.dw_modules(handles, room), room)
    name = ffi.new("dw_char[]", lib.DW_MAX_NAME)
    paths = []
    for index in range(count):
        length = lib.dw_module_path(handles[index], name, lib.DW_MAX_NAME)
        if length:
            paths.append(str(ffi.unpack(name, length)))
    return paths
