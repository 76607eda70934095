"""Where a member of a wheel would be installed, or why its name cannot be installed on Windows."""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST_NAME = 1024  # characters; installers stop at 260 unless Windows is told otherwise
LONGEST_PART = 255  # characters between slashes: NTFS has no longer names

OUTSIDE = "names that lead out of the installation directory"
CONTROL = "names with control characters"
BACKSLASH = "names with a backslash, which is a separator only on Windows"
FORBIDDEN = "names with characters that Windows does not allow"
TRIMMED = "names with a dot or a space at the end, which Windows drops"
RESERVED = "names that Windows reserves for devices"
TOO_LONG = f"names too long to be installed (over {LONGEST_NAME:,} characters, or {LONGEST_PART} between slashes)"
EMPTY = "names that are empty"

_SCHEMES = ("purelib", "platlib")  # of NAME.data: site-packages, twice
_SITE = "lib/site-packages/"  # of NAME.data/data, which is the prefix of the environment
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FORBIDDEN = re.compile(r"[:<>\"|?*]")
_SPECIAL = re.compile(r"[\x00-\x1f\x7f\\:<>\"|?*]")  # whatever the two above and a backslash match
_DEVICE = re.compile(
    r"/(?:con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³]|conin\$|conout\$) *[.:/]", re.IGNORECASE
)  # in a name between two slashes


class Place(NamedTuple):
    """`name` is relative to site-packages; `written` is as RECORD would have it; `fault` is why there is no place."""

    name: str
    written: str
    fault: str = ""


def placed(written: str) -> Place:
    """Where a member goes. What NAME.data has for site-packages moves there; pip normalises what it is told."""
    if len(written) > LONGEST_NAME:
        return Place("", written, TOO_LONG)
    if _needs_care(written):
        if written[:1] == "/" or _DRIVE.match(written):
            return Place("", written, OUTSIDE)
        parts = [part for part in written.split("/") if part not in ("", ".")]
        if fault := _fault(parts):
            return Place("", written, fault)
        written = "/".join(parts)
    first, _, rest = written.partition("/")
    if first.endswith(".data"):
        scheme, _, moved = rest.partition("/")
        if scheme in _SCHEMES and moved:
            return Place(moved, written)
        if scheme == "data" and moved.lower().startswith(_SITE) and len(moved) > len(_SITE):
            return Place(moved[len(_SITE) :], written)
    return Place(written, written)


def _needs_care(name: str) -> bool:
    """Whether a name can have a fault, or something to normalise; most have neither, and there are many."""
    around = f"/{name}/"
    odd = "//" in around or "./" in around or " /" in around or len(name) > LONGEST_PART
    return odd or bool(_SPECIAL.search(name) or _DEVICE.search(around))


def _fault(parts: list[str]) -> str:
    whole = "/".join(parts)
    found = {
        EMPTY: not whole,
        CONTROL: _CONTROL.search(whole),
        OUTSIDE: ".." in re.split(r"[/\\]", whole),
        BACKSLASH: "\\" in whole,
        FORBIDDEN: _FORBIDDEN.search(whole),
        TOO_LONG: any(len(part) > LONGEST_PART for part in parts),
        RESERVED: _DEVICE.search(f"/{whole}/"),
        TRIMMED: any(part[-1] in ". " for part in parts),
    }
    return next((fault for fault, is_so in found.items() if is_so), "")
