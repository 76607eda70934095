"""What the user of this process may do."""

from __future__ import annotations

from depwalk import core

_LIMITED = 3  # TokenElevationTypeLimited: an administrator whose programs start without those rights


def is_administrator() -> bool | None:
    """Whether the user can act as administrator, also if this process was not started as one; None off Windows."""
    found = core.elevation()
    if found is None:
        return None
    kind, elevated = found
    return elevated or kind == _LIMITED
