"""How fast is the code of an image read: the core, the decoder iced-x86 and binutils' objdump, side by side.

    python bench/scan_code.py [--rounds N] [--json FILE] [FILE...]

FILE is by default what `ci/run.py` has unpacked, below the directories that DEPWALK_PATIENTS, DEPWALK_JUDGED and
DEPWALK_SITE name. The readers take turns, round by round, from a warm cache. Seconds are of processor time, so that
other work does not count. iced-x86 is called through its Python binding, and what that costs is in its numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import common
import pefile
from iced_x86 import Decoder, Instruction

sys.path.insert(0, str(common.ROOT))

from depwalk import core, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FILES = (
    ("DEPWALK_PATIENTS", "tensorflow-2.0.0-cp37-win_amd64/tensorflow_core/python/_pywrap_tensorflow_internal.pyd"),
    ("DEPWALK_SITE", "numpy.libs/libopenblas64_*.dll"),
    ("DEPWALK_PATIENTS", "panda3d-1.10.16-cp311-win_amd64/deploy_libs/libcrypto-3.dll"),
    ("DEPWALK_JUDGED", "torch-2.4.0-cp311-win_amd64/torch/lib/torch_cpu.dll"),
    ("DEPWALK_PATIENTS", "panda3d-1.10.16-cp311-win32/panda3d/libpanda.dll"),
)
CONTAINED, ITERATED, REUSED, OBJDUMP = "contained", "iced-x86", "iced-x86, decode_out", "objdump -d"
AIM_SPEED, AIM_SECONDS = 200.0, 0.5  # MB/s of code for each file; seconds for the first


@dataclass
class Row:
    """One file and what reading its code took: seconds by reader, and the MB of code that the reader read."""

    path: str
    name: str
    bits: int
    code: bytes  # of its executable sections
    text: int  # bytes of .text
    seconds: dict[str, list[float]] = field(default_factory=dict)
    read: dict[str, float] = field(default_factory=dict)
    instructions: dict[str, int] = field(default_factory=dict)

    def measure(self, name: str, reader: Callable[[Row], tuple[int, int]]) -> None:
        begin = clock()
        size, instructions = reader(self)
        self.seconds.setdefault(name, []).append(clock() - begin)
        self.read[name] = size / 1e6
        self.instructions[name] = instructions

    def speed(self, name: str) -> float:
        """MB/s, by the median."""
        return self.read[name] / median(self.seconds[name])


def clock() -> float:
    """Seconds of processor time of this process and of the children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def row_of(path: str) -> Row:
    pe = pefile.PE(path, fast_load=True)
    sections = [one for one in pe.sections if one.Characteristics & 0x20000000]
    text = sum(one.SizeOfRawData for one in sections if one.Name.rstrip(b"\0") == b".text")
    bits = 64 if pe.FILE_HEADER.Machine == 0x8664 else 32
    return Row(path, Path(path).name, bits, b"".join(one.get_data() for one in sections), text)


# ---- the readers: each returns bytes read and instructions found


def contained(row: Row) -> tuple[int, int]:
    """What depwalk does: the functions that are listed, then all that these, exports and pointers lead to."""
    rows = [one for key in tables.table("isa.toml")["rows"].values() for one in key]
    contents, _ = core.File(row.path).contained(len({one["is"] for one in rows}) + 1)
    return contents.code, contents.instructions


def iterate(row: Row) -> tuple[int, int]:
    """iced's decoder over the sections, from their first byte to their last, an object for each instruction."""
    return len(row.code), sum(1 for _ in Decoder(row.bits, row.code))


def reuse(row: Row) -> tuple[int, int]:
    """The same into one object."""
    decoder, found, count = Decoder(row.bits, row.code), Instruction(), 0
    while decoder.can_decode:
        decoder.decode_out(found)
        count += 1
    return len(row.code), count


def disassemble(row: Row) -> tuple[int, int]:
    """objdump, which also writes what it reads."""
    subprocess.run(["objdump", "-d", "-j", ".text", row.path], stdout=subprocess.DEVNULL, check=True)
    return row.text, 0


def reads_pe() -> bool:
    """Whether there is an objdump that knows the files of Windows."""
    if shutil.which("objdump") is None:
        return False
    return "pei-x86-64" in subprocess.run(["objdump", "-i"], capture_output=True, text=True, check=True).stdout


def measure(rows: Sequence[Row], rounds: int, *, with_objdump: bool) -> None:
    """Round by round, so that a slow minute of the machine hits them all; objdump, which is slow, only once."""
    readers = {CONTAINED: contained, ITERATED: iterate, REUSED: reuse}
    for number in range(rounds + 1):
        print(f"round {number} of {rounds} ...", file=sys.stderr, flush=True)
        for row in rows:
            for name, reader in readers.items():
                if number:
                    row.measure(name, reader)
                elif name == CONTAINED:  # the first one brings the file into the cache
                    contained(row)
    for row in rows if with_objdump else ():
        print(f"objdump: {row.name} ...", file=sys.stderr, flush=True)
        row.measure(OBJDUMP, disassemble)


# ---- reporting


def lines_of(row: Row) -> Iterator[str]:
    yield f"{row.name}: {row.instructions[CONTAINED]} instructions, {row.bits} bits"
    yield f"  {'':<22}{'MB':>8}{'best s':>9}{'median s':>10}{'MB/s':>8}{'contained is':>14}"
    for name, seconds in row.seconds.items():
        times = row.speed(CONTAINED) / row.speed(name)
        yield (
            f"  {name:<22}{row.read[name]:>8.1f}{min(seconds):>9.3f}{median(seconds):>10.3f}"
            f"{row.speed(name):>8.1f}{times:>8.1f} times"
        )
    best = row.read[CONTAINED] / min(row.seconds[CONTAINED])
    yield f"  aim, {AIM_SPEED:.0f} MB/s: {'reached' if best >= AIM_SPEED else 'missed'} ({best:.0f} at best)"


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    keep = ("name", "bits", "seconds", "read", "instructions")
    return {"machine": common.machine(), "rows": [{key: getattr(row, key) for key in keep} for row in rows]}


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the reading of all code.")
    parser.add_argument("file", nargs="*")
    parser.add_argument("--rounds", metavar="N", type=int, default=7)
    parser.add_argument("--json", metavar="FILE", help="write all measurements there")
    options = parser.parse_args()
    places = [(Path(os.environ[variable]), name) for variable, name in FILES if variable in os.environ]
    paths = options.file or [str(path) for place, name in places for path in sorted(place.glob(name))]
    if not paths:
        parser.error("no files: give FILE or set DEPWALK_PATIENTS, DEPWALK_JUDGED and DEPWALK_SITE")
    rows = [row_of(path) for path in paths]
    with_objdump = reads_pe()
    measure(rows, max(options.rounds, 1), with_objdump=with_objdump)
    print(f"{common.machine()}\n{max(options.rounds, 1)} rounds, processor time, warm cache\n")
    print("\n\n".join("\n".join(lines_of(row)) for row in rows))
    print("" if with_objdump else "\nthere is no objdump that reads pei-x86-64")
    seconds = min(rows[0].seconds[CONTAINED])
    reached = "reached" if seconds < AIM_SECONDS else "missed"
    print(f"aim, {rows[0].name} in less than {AIM_SECONDS} s: {reached} ({seconds:.3f} s at best)")
    if options.json:
        Path(options.json).write_text(json.dumps(as_json(rows), indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
