"""Events as Windows logs them, about a file of a test."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from depwalk.host import events
from depwalk.host.events import Events

if TYPE_CHECKING:
    from depwalk.host.events import Event

SAMPLES = Path(__file__).parents[1] / "cases" / "events"
_FILES = re.compile(r"(%OSDRIVE%|\\Device\\HarddiskVolume3|C:)\\site\\[^;|<]+?\.(?:pyd|dll)", re.IGNORECASE)


def sample(name: str, path: os.PathLike[str] | str | None = None) -> tuple[Event, ...]:
    """The events of a sample; with a path, about that file in place of the one in the sample."""
    found = tuple(events.parse((SAMPLES / f"{name}.xml").read_text("utf-8")))
    return found if path is None else tuple(_about(event, os.fspath(path)) for event in found)


def logged(name: str, path: os.PathLike[str] | str | None = None) -> Events:
    """What was read if a sample is all that the logs hold."""
    return Events(sample(name, path))


def _about(event: Event, path: str) -> Event:
    tail = path.replace("/", "\\").partition(":")[2] or path.replace("/", "\\")
    return replace(
        event,
        data=tuple((name, _FILES.sub(lambda found: found.group(1) + tail, value)) for name, value in event.data),
    )
