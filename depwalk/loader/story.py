"""Story: what was seen of one child process, in plain values."""

from __future__ import annotations

import ntpath
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from depwalk import core

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_MODULES = 20_000
FIRST_RAISED, LAST_RAISED = 64, 192  # exceptions that are kept of many
MOST_OUTPUT = 65_536  # lines; loader snaps are some 10,000 for a large tree
_BREAKPOINTS = (0x80000003, 0x4000001F)  # native, and that of a 32-bit process
_ACCESS = {0: "read", 1: "write", 8: "execute"}
_ACCESS_VIOLATION = 0xC0000005


class Mapped(NamedTuple):
    """A file that was mapped as an image; `at_ms` counts from the start of the child."""

    path: str
    base: int
    at_ms: float
    process: int = 0


class Raised(NamedTuple):
    """An exception; `module` and `rva` say where, None if it lies in no image."""

    code: int
    address: int
    module: str | None
    rva: int | None
    first_chance: bool
    access: str = ""  # of an access violation: read, write or execute
    target: int = 0  # the address of that
    code_bytes: bytes = b""  # at the address
    at_ms: float = 0.0
    process: int = 0
    thread: int = 0

    @property
    def place(self) -> str:
        """Module and offset, as a debugger writes it."""
        if self.module is None or self.rva is None:
            return f"0x{self.address:X}"
        return f"{ntpath.basename(self.module)}+0x{self.rva:X}"


class Story(NamedTuple):
    """Everything that the debug API, or the process itself, told of a child."""

    modules: tuple[Mapped, ...] = ()  # in the order in which they were mapped
    raised: tuple[Raised, ...] = ()
    output: tuple[str, ...] = ()  # OutputDebugString
    exits: tuple[tuple[int, int], ...] = ()  # (process, status) of every process that ended


@dataclass
class Teller:
    """Makes a story of events, as they come."""

    modules: list[Mapped] = field(default_factory=list)
    raised: list[Raised] = field(default_factory=list)
    later: deque[Raised] = field(default_factory=lambda: deque(maxlen=LAST_RAISED))
    output: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_OUTPUT))
    exits: list[tuple[int, int]] = field(default_factory=list)
    running: set[int] = field(default_factory=set)
    _images: dict[tuple[int, int], str] = field(default_factory=dict)
    _begun: set[tuple[int, int]] = field(default_factory=set)

    def take(self, event: core.Event, at_ms: float) -> bool:
        """Note an event; whether it is one that the debugger itself has to handle."""
        if event.kind in (core.PROCESS, core.MODULE):
            if event.kind == core.PROCESS:
                self.running.add(event.process)
            path = plain_path(event.text)
            self._images[event.process, event.base] = path
            if len(self.modules) < MOST_MODULES:
                self.modules.append(Mapped(path, event.base, at_ms, event.process))
        elif event.kind == core.UNMAPPED:
            self._images.pop((event.process, event.base), None)
        elif event.kind == core.OUTPUT:
            self.output.append(event.text)
        elif event.kind == core.EXIT:
            self.running.discard(event.process)
            self.exits.append((event.process, event.code))
        elif event.kind == core.EXCEPTION:
            if self._is_first_breakpoint(event):
                return True
            room = self.raised if len(self.raised) < FIRST_RAISED else self.later
            room.append(raised(event, self._images.get((event.process, event.base)), at_ms))
        return False

    def _is_first_breakpoint(self, event: core.Event) -> bool:
        """Every debugged process begins with one; a 32-bit one under a 64-bit Windows with two."""
        if event.code not in _BREAKPOINTS or (event.process, event.code) in self._begun:
            return False
        self._begun.add((event.process, event.code))
        return True

    def story(self) -> Story:
        """What was noted so far."""
        return Story(tuple(self.modules), (*self.raised, *self.later), tuple(self.output), tuple(self.exits))


def raised(event: core.Event, module: str | None, at_ms: float) -> Raised:
    """An exception event in plain values."""
    return Raised(
        event.code,
        event.address,
        module,
        event.address - event.base if module and event.base else None,
        event.first_chance,
        _ACCESS.get(event.access, "") if event.code == _ACCESS_VIOLATION else "",
        event.target,
        event.bytes,
        at_ms,
        event.process,
        event.thread,
    )


def watched(data: bytes) -> Story:
    """The story that a process wrote of itself (dw_watch)."""
    events: Iterable[core.Event] = core.events(data)
    return Story(raised=tuple(raised(event, plain_path(event.text) or None, 0.0) for event in events))


def plain_path(path: str) -> str:
    r"""A path without the prefix \\?\ that the system writes before it."""
    if path.startswith("\\\\?\\UNC\\"):
        return "\\\\" + path[8:]
    return path.removeprefix("\\\\?\\")
