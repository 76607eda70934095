"""What the event logs say of some files in the minutes of a load."""

from __future__ import annotations

import ntpath
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from depwalk import core, tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from xml.etree.ElementTree import Element

_MOST = 200  # events of one log that are looked at, the newest first
_LONGEST = 10.0  # seconds that one log may take
_NO_SUCH_LOG = 15007  # ERROR_EVT_CHANNEL_NOT_FOUND: a component that is not installed logs nothing
_NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)
CRASH = "Application Error"
_INTERPRETERS = ("python.exe", "pythonw.exe")  # their crashes name the module at fault, which may be one of Windows

_EVENT = re.compile(r"<Event\b.*?</Event>", re.DOTALL)
_PATH = re.compile(r"(?:\\\\\?\\|\\Device\\[^\\]+|[A-Z]:|%[A-Z0-9]+%)\\[^|;<>\"]+", re.IGNORECASE | re.ASCII)
_VOLUME = re.compile(r"\\\\\?\\[A-Z]:|\\\\\?\\|\\Device\\[^\\]+|[A-Z]:|%[A-Z0-9]+%", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Event:
    """One event that names one of the files asked about."""

    log: str  # channel
    provider: str
    id: int
    time: str  # UTC, as the log has it
    data: tuple[tuple[str, str], ...]  # its fields, by name where they have one

    @property
    def when(self) -> str:
        """The time for a person, to the second."""
        date, _, clock = self.time.partition("T")
        return f"{date} {clock[:8]} UTC" if clock else date

    def field(self, *names: str) -> str:
        """The first field of one of these names that is not empty, else "": Windows versions spell them differently."""
        wanted = [name.replace(" ", "").lower() for name in names]
        return next((value for name, value in self.data if name.replace(" ", "").lower() in wanted and value), "")

    def is_about(self, path: str) -> bool:
        """Whether it names this very file, and not another one of its name."""
        own = _without_volume(path)
        return any(own == told or (is_end and own.endswith(told)) for told, is_end in self._told())

    def _told(self) -> Iterator[tuple[str, bool]]:
        """Paths in its fields without their volume, and whether each is only the end of one, behind a variable."""
        for _, value in self.data:
            for found in _PATH.findall(value):
                yield _without_volume(found), found.startswith("%") and not found.upper().startswith("%OSDRIVE%")


class Events(NamedTuple):
    """What was found, and the logs that could not be read."""

    found: tuple[Event, ...] = ()
    unread: tuple[str, ...] = ()

    def about(self, path: str, *identifiers: int) -> list[Event]:
        """Events of these ids that name a file, the newest first."""
        return [event for event in self.found if event.id in identifiers and event.is_about(path)]


def read(names: Collection[str], minutes: int) -> Events | None:
    """Events of the last `minutes` that name one of these files, and crashes of Python; None off Windows."""
    if sys.platform != "win32":
        return None
    return ask([_wevtutil()], names, minutes)


def ask(program: Sequence[str], names: Collection[str], minutes: int) -> Events:
    """The same by a program that takes the arguments of wevtutil.exe."""
    found: list[Event] = []
    unread = []
    for log in tables.table("events.toml")["log"]:
        answer = _answer([*program, *arguments(log, minutes)])
        if answer is None:
            unread.append(log["name"])
        else:
            found += (event for event in parse(answer) if _names_one(event, names))
    return Events(tuple(found), tuple(unread))


def arguments(log: dict[str, Any], minutes: int) -> list[str]:
    """What wevtutil.exe is asked of one log: XML, never text, which is in the language of the user."""
    kinds = [
        f"(Provider[@Name='{provider}'] and ({' or '.join(f'EventID={number}' for number in numbers)}))"
        for provider, numbers in log["events"].items()
    ]
    recent = f"TimeCreated[timediff(@SystemTime) <= {minutes * 60_000}]"
    query = f"*[System[({' or '.join(kinds)}) and {recent}]]"
    return ["qe", log["name"], f"/q:{query}", "/f:xml", f"/c:{_MOST}", "/rd:true", "/uni:true"]


def parse(text: str) -> Iterator[Event]:
    """The events in what wevtutil.exe prints: one element after the other, without a root."""
    from xml.etree import ElementTree as ET  # only where events are read

    for found in _EVENT.findall(text):
        try:
            event = ET.fromstring(found)  # noqa: S314  (no document type: an entity is not even looked up)
        except ET.ParseError:
            continue
        yield _event(event)


def _event(event: Element) -> Event:
    system: dict[str, Element] = {}
    data = []
    for part in event:
        if _tag(part) == "System":
            system = {_tag(child): child for child in part}
        elif _tag(part) in ("EventData", "UserData"):
            leaves = [leaf for leaf in part.iter() if leaf is not part and not len(leaf)]
            data += [(leaf.get("Name") or _tag(leaf), (leaf.text or "").strip()) for leaf in leaves]
    number = system["EventID"].text if "EventID" in system else ""
    return Event(
        log=(system["Channel"].text or "") if "Channel" in system else "",
        provider=system["Provider"].get("Name", "") if "Provider" in system else "",
        id=int(number) if number and number.isdigit() else 0,
        time=system["TimeCreated"].get("SystemTime", "") if "TimeCreated" in system else "",
        data=tuple(data),
    )


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _names_one(event: Event, names: Iterable[str]) -> bool:
    values = [value.lower() for _, value in event.data]
    if event.provider == CRASH and values and values[0] in _INTERPRETERS:
        return True
    return any(
        re.search(rf"(^|[\\/:]){re.escape(name.lower())}($|[^\w.-])", value) for name in names for value in values
    )


def _without_volume(path: str) -> str:
    volume = _VOLUME.match(path)
    return ntpath.normcase(path[volume.end() if volume else 0 :])


def _answer(command: Sequence[str]) -> str | None:
    """What a program prints; None if it fails, or takes too long."""
    try:
        ran = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_LONGEST,
            creationflags=_NO_WINDOW,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if ran.returncode == _NO_SUCH_LOG:
        return ""
    return ran.stdout.decode("utf-16-le", "replace") if ran.returncode == 0 else None


def _wevtutil() -> str:
    """By its full path, beside the kernel32.dll of this process: PATH is not asked."""
    kernel = next(path for path in core.modules() if ntpath.basename(path).lower() == "kernel32.dll")
    return ntpath.join(ntpath.dirname(kernel), "wevtutil.exe")
