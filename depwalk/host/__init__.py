"""The host: what the machine itself tells beside its files, if it is the one that would load them.

Nothing here is asked before a question needs it, and nothing needs an administrator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from depwalk.host.events import Events
    from depwalk.host.memory import Commit
    from depwalk.host.origin import Origin
    from depwalk.host.redistributables import Redistributable


class Host(NamedTuple):
    """Each is None where it was not asked, or gave no answer."""

    administrator: bool | None = None  # whether the user can act as one
    redistributables: tuple[Redistributable, ...] | None = None  # installed, by the registry
    commit: Commit | None = None  # the memory that programs can still ask for
    events: Events | None = None  # of the event logs, about the files in question
    origins: tuple[Origin, ...] = ()  # files that are marked as coming from the internet
