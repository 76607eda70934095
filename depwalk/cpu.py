"""What this processor is, from the raw answers of the core."""

from __future__ import annotations

import struct

from depwalk import core

_BRAND = 0x80000002  # and the two leaves after it


def brand() -> str | None:
    """The brand string of an x86 processor, such as "AMD EPYC 7763"; None if it has none or is no x86."""
    highest = core.cpuid(0x80000000)
    if highest is None or highest[0] < _BRAND + 2:
        return None
    leaves = [core.cpuid(_BRAND + index) or (0, 0, 0, 0) for index in range(3)]
    text = b"".join(struct.pack("<4I", *leaf) for leaf in leaves)
    return text.partition(b"\0")[0].decode("latin-1").strip() or None
