"""The leaves of a processor as text that can be mailed: what `cpuid -r` prints, and a line for XCR0.

Read are also plain output of `cpuid -r` and the listings of AIDA64 and InstLatx64. Any text gives leaves or one
sentence; of several processors the first counts.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

Leaf = tuple[int, int]
"""(leaf, subleaf): EAX and ECX of a CPUID."""
Registers = tuple[int, int, int, int]
"""EAX, EBX, ECX, EDX of its answer."""

_LARGEST = 1 << 20  # bytes; of all leaves of a processor with hundreds of threads
_FORMS = "the output of `depwalk cpu --dump` or `cpuid -r`, or a listing of AIDA64 or InstLatx64"
_HEX, _NUMBER = r"([0-9a-f]{8})", r"([0-9a-f]{1,8})"
_CPUID_R = re.compile(rf"0x{_HEX} 0x{_NUMBER}: eax=0x{_HEX} ebx=0x{_HEX} ecx=0x{_HEX} edx=0x{_HEX}")
_AIDA64 = re.compile(rf"cpuid {_HEX}:? {_HEX}-{_HEX}-{_HEX}-{_HEX}(?: \[sl {_NUMBER}\])?(?: .*)?")
_XCR0 = re.compile(r"xcr0: 0x([0-9a-f]{1,16})")
_LIKE_A_LEAF = re.compile(r"0x[0-9a-f]+ 0x|cpuid [0-9a-f]{8}|xcr0:")
_NEXT_CPU = re.compile(r"cpu [1-9]\d*:|.*logical cpu #[1-9]|cpuid registers \(cpu #[2-9]")

_RANGES = (0x0, 0x40000000, 0x80000000)
_MOST_LEAVES = 0x100  # of a range
_MOST_SUBLEAVES = 64
# Leaves that have subleaves (SDM vol. 2, CPUID; APM vol. 3, appendix E). One that is empty is the last, except in 0xD.
_WITH_SUBLEAVES = {
    *(0x4, 0x7, 0xB, 0xD, 0xF, 0x10, 0x12, 0x14, 0x17, 0x18, 0x1B, 0x1D, 0x1E, 0x1F, 0x20, 0x23, 0x24, 0x27, 0x28),
    *(0x8000001D, 0x80000020, 0x80000026),
}
_XSAVE = 0xD


def write(leaves: Mapping[Leaf, Registers], xcr0: int | None, comments: Sequence[str]) -> str:
    """A dump; `comments` are lines for its head."""
    lines = [*(f"# {comment}" for comment in comments), "CPU 0:"]
    for (leaf, subleaf), (eax, ebx, ecx, edx) in sorted(leaves.items()):
        lines.append(
            f"   0x{leaf:08x} 0x{subleaf:02x}: eax=0x{eax:08x} ebx=0x{ebx:08x} ecx=0x{ecx:08x} edx=0x{edx:08x}"
        )
    if xcr0 is not None:
        lines.append(f"   xcr0: 0x{xcr0:016x}")
    return "".join(f"{line}\n" for line in lines)


def read(path: str | os.PathLike[str]) -> tuple[dict[Leaf, Registers], int | None]:
    """Leaves and XCR0, None if that is not in it. Raises ValueError with a sentence for a person."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise ValueError(f"{path}: larger than {_LARGEST >> 20} MB; a dump of a processor is {_FORMS}")
    try:
        return parse(decoded(data))
    except ValueError as error:
        raise ValueError(f"{path}{error}") from None


def parse(text: str) -> tuple[dict[Leaf, Registers], int | None]:
    """Leaves and XCR0 of a text. Raises ValueError with what follows a path in a sentence."""
    leaves: dict[Leaf, Registers] = {}
    xcr0 = None
    for number, written in enumerate(text.splitlines(), 1):
        line = " ".join(written.lower().split())
        if leaves and _NEXT_CPU.match(line):
            break
        found = _CPUID_R.fullmatch(line)
        listed = _AIDA64.fullmatch(line)
        state = _XCR0.fullmatch(line)
        if found:
            leaf, subleaf, *registers = (int(value, 16) for value in found.groups())
        elif listed:
            leaf, *registers, subleaf = (int(value or "0", 16) for value in listed.groups())
        elif state:
            xcr0 = int(state[1], 16)
            continue
        elif _LIKE_A_LEAF.match(line):
            raise ValueError(f", line {number}: not a whole leaf; dump the processor again, or take the line out")
        else:
            continue  # headings, comments, and what listings say beside it
        eax, ebx, ecx, edx = registers
        leaves.setdefault((leaf, subleaf), (eax, ebx, ecx, edx))
    if (0, 0) not in leaves or (1, 0) not in leaves:
        raise ValueError(f": CPUID leaves 0 and 1 are not in it; a dump of a processor is {_FORMS}")
    return leaves, xcr0


def every_leaf(cpuid: Callable[[int, int], Registers | None]) -> dict[Leaf, Registers] | None:
    """All that a processor answers; None if it is no x86."""
    leaves: dict[Leaf, Registers] = {}
    for first in _RANGES:
        answer = cpuid(first, 0)
        if answer is None:
            return None
        if first <= answer[0] or not first:  # else the range is not there, and this another leaf's answer
            last = min(answer[0], first + _MOST_LEAVES - 1)
            for leaf in range(first, last + 1):
                leaves.update(_subleaves(cpuid, leaf))
    return leaves


def _subleaves(cpuid: Callable[[int, int], Registers | None], leaf: int) -> Iterator[tuple[Leaf, Registers]]:
    for subleaf in range(_MOST_SUBLEAVES if leaf in _WITH_SUBLEAVES else 1):
        answer = cpuid(leaf, subleaf) or (0, 0, 0, 0)
        eax, ebx, _, edx = answer  # ECX of a topology leaf repeats the number that was asked for
        is_empty = not (eax or ebx or (edx and leaf not in (0xB, 0x1F, 0x80000026)))
        if subleaf == 0 or not is_empty:
            yield (leaf, subleaf), answer
        elif leaf != _XSAVE:
            return


def decoded(data: bytes) -> str:
    """The text of a file: > in Windows PowerShell writes UTF-16. What cannot be decoded is replaced."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")
