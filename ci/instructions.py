"""Instructions: what the core's decoder makes of the code of real DLLs, beside iced-x86, one by one.

Both decoders begin where code is known to begin and walk on over the same bytes. Where they part, ours begins anew at
iced's next instruction, and the difference counts once. Code is what the exception directory lists, and what iced
itself reaches from exports, the entry point and pointers in data that the loader relocates: OpenBLAS's kernels are
listed nowhere, and an x86-32 DLL lists nothing. pefile says where all that lies. What iced takes for no instruction
(data in the middle of functions) is counted apart.

What a file was compiled by is told by what the compilers left in it (`compiler_of`); "unknown" if that says nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import struct
import sys
import time
from collections import Counter, deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pefile
from iced_x86 import Code, Decoder, FlowControl, Instruction

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "unit"))

import fetch
import iced_oracle

from depwalk import core, isa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LENGTHS, SETS = 99.99, 99.9  # per cent that must be equal
ENOUGH = 20_000_000  # instructions
SUFFIXES = (".dll", ".pyd", ".so")
LONGEST = 15  # bytes of an instruction
_PER_INSTRUCTION = 4.3  # bytes, on an average: how much is skipped with --most
_PART = 8 << 20  # bytes of code for one job


# ---- which compiler ----------------------------------------------------------------------------------------------

# What Intel's compilers made and many link: MKL, IPP, OpenMP.
_INTEL = (b"Intel(R) Math Kernel Library", b"ippicv", b"Intel(R) OMP")


def compiler_of(name: str, data: bytes) -> str:
    """What a file was compiled by.

    Microsoft's linker counts in its Rich header what each build of its compilers made, and what others made.
    """
    new = struct.unpack_from("<I", data, 0x3C)[0]
    machine, linker = struct.unpack_from("<H", data, new + 4)[0], data[new + 26]
    bits = "" if machine == 0x8664 else ", 32 bits"
    made = _rich(data[:new])
    if "openblas" in name.lower():
        return "OpenBLAS: assembly, GCC, gfortran"
    if b"/rustc/" in data:
        return "Rust"
    if made is None:
        if linker == 2:  # GNU ld is 2.x
            return f"GCC and gfortran{bits}" if b"gfortran" in data else f"GCC{bits}"
        return f"clang{bits}" if linker == 14 else "unknown"  # LLVM's linker calls itself 14.0
    own, others = made
    if others <= own:
        return f"MSVC {linker}{bits}"
    return "Intel and MSVC" if any(mark in data for mark in _INTEL) else "unknown"


def _rich(head: bytes) -> tuple[int, int] | None:
    """Objects by compilers of the linker's own build, and by others' compilers; None if Microsoft's did not link it."""
    end = head.rfind(b"Rich")
    if end < 0:
        return None
    (key,) = struct.unpack_from("<I", head, end + 4)
    entries = []
    for at in range(end - 8, 0x40, -8):
        product, count = (word ^ key for word in struct.unpack_from("<II", head, at))
        if product == int.from_bytes(b"DanS", "little"):
            break
        entries.append((product >> 16, product & 0xFFFF, count))
    build = entries[0][1]  # the linker is the last that had a hand in it
    own = sum(count for _, number, count in entries if number == build)
    return own, sum(count for product, _, count in entries if product == 0)


# ---- where code is -----------------------------------------------------------------------------------------------

_ENDS = {FlowControl.UNCONDITIONAL_BRANCH, FlowControl.INDIRECT_BRANCH, FlowControl.RETURN}
_ENDS |= {FlowControl.EXCEPTION, FlowControl.INTERRUPT}
_LEADS = {FlowControl.UNCONDITIONAL_BRANCH, FlowControl.CONDITIONAL_BRANCH, FlowControl.CALL}


class Piece(NamedTuple):
    """Code from one RVA to another."""

    begin: int
    end: int


@dataclass
class Section:
    """A section with code. `taken` has a byte for each of its bytes that is in a piece."""

    rva: int
    code: bytes
    taken: bytearray


class Program:
    """The code of one file."""

    def __init__(self, path: str) -> None:
        self._pe = pefile.PE(path, fast_load=True)
        self.bits = 64 if self._pe.FILE_HEADER.Machine == 0x8664 else 32
        self.sections = [
            Section(one.VirtualAddress, one.get_data(), bytearray(one.SizeOfRawData))
            for one in self._pe.sections
            if one.Characteristics & 0x20000000
        ]

    def at(self, piece: Piece) -> bytes:
        """The bytes of a piece."""
        section = self._section(piece.begin)
        assert section is not None
        return section.code[piece.begin - section.rva : piece.end - section.rva]

    @cached_property
    def listed(self) -> list[Piece]:
        """Functions of the exception directory of x64, in its order."""
        directory = self._directory("IMAGE_DIRECTORY_ENTRY_EXCEPTION") if self.bits == 64 else b""
        found, last = [], 0
        for begin, end, _ in struct.iter_unpack("<3I", directory[: len(directory) // 12 * 12]):
            section = self._section(begin)
            if section and last <= begin < end <= section.rva + len(section.code):
                found.append(Piece(begin, end))
                last = end
        return found

    def reached(self, every: int = 1) -> list[Piece]:
        """Code that nothing lists, as iced reads it from where something else than code points to it.

        With `every`, from one such place in so many, and as much of the code.
        """
        for begin, end in self.listed:
            section = self._section(begin)
            assert section is not None
            section.taken[begin - section.rva : end - section.rva] = b"\1" * (end - begin)
        pieces, pending = [], deque([*self._starts()][::every])
        left = sum(len(section.code) for section in self.sections) // every
        while pending and left > 0:
            begin = pending.popleft()
            section = self._section(begin)
            if section and not section.taken[begin - section.rva]:
                end, targets = self._walk(section, begin)
                section.taken[begin - section.rva : end - section.rva] = b"\1" * (end - begin)
                pieces.append(Piece(begin, end))
                pending += targets
                left -= end - begin
        return pieces

    def _walk(self, section: Section, begin: int) -> tuple[int, list[int]]:
        """Where code ends that runs on, and where its jumps and calls lead to. What is no instruction ends it, too."""
        decoder = Decoder(self.bits, section.code, ip=begin)
        decoder.position = begin - section.rva
        targets, taken = [], section.taken
        for found in decoder:
            flow = _flow(found.code)
            if flow in _LEADS:
                targets.append(found.near_branch_target)
            if flow in _ENDS or found.code == Code.INVALID:
                break
            if decoder.position < len(taken) and taken[decoder.position]:
                break
        return section.rva + decoder.position, targets

    def _starts(self) -> Iterator[int]:
        yield self._pe.OPTIONAL_HEADER.AddressOfEntryPoint
        yield from self._exports()
        yield from self._pointers()

    def _exports(self) -> Iterator[int]:
        directory = self._directory("IMAGE_DIRECTORY_ENTRY_EXPORT")
        if len(directory) >= 40:
            count, addresses = struct.unpack_from("<I4xI", directory, 20)
            for (rva,) in struct.iter_unpack("<I", self._pe.get_data(addresses, 4 * count)):
                yield rva

    def _pointers(self) -> Iterator[int]:
        """What addresses in data point to. Those in code may be of tables."""
        relocations = self._directory("IMAGE_DIRECTORY_ENTRY_BASERELOC")
        kind, layout = (10, "<Q") if self.bits == 64 else (3, "<I")
        data = [
            (one.VirtualAddress, one.get_data()) for one in self._pe.sections if not self._section(one.VirtualAddress)
        ]
        at = 0
        while at + 8 <= len(relocations):
            page, size = struct.unpack_from("<II", relocations, at)
            entries = struct.iter_unpack("<H", relocations[at + 8 : at + max(size, 8)])
            offsets = [entry & 0xFFF for (entry,) in entries if entry >> 12 == kind]
            for rva, content in ((rva, content) for rva, content in data if rva <= page < rva + len(content)):
                for offset in offsets:
                    where = page + offset - rva
                    if where + struct.calcsize(layout) <= len(content):
                        yield struct.unpack_from(layout, content, where)[0] - self._pe.OPTIONAL_HEADER.ImageBase
            at += max(size, 8)

    def _section(self, rva: int) -> Section | None:
        return next((one for one in self.sections if one.rva <= rva < one.rva + len(one.code)), None)

    def _directory(self, name: str) -> bytes:
        found = self._pe.OPTIONAL_HEADER.DATA_DIRECTORY[pefile.DIRECTORY_ENTRY[name]]
        return bytes(self._pe.get_data(found.VirtualAddress, found.Size)) if found.VirtualAddress else b""


@cache
def _flow(code: int) -> int:
    found = Instruction()
    found.code = code
    return found.flow_control


# ---- the comparison ----------------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """What the decoders say differently of instructions of one kind."""

    instruction: str  # iced's words and opcode
    ours: str
    iced: str


@dataclass
class Tally:
    """What was compared. An instruction whose length differs is not counted among those with equal sets."""

    bytes: int = 0
    instructions: int = 0  # that iced takes for instructions
    lengths: int = 0  # of them, of equal length
    sets: int = 0  # ... and of equal instruction sets
    invalid: int = 0  # that iced takes for none
    differences: Counter[Difference] = field(default_factory=Counter)
    examples: dict[Difference, str] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Count what another one has counted."""
        self.bytes += other.bytes
        self.instructions += other.instructions
        self.lengths += other.lengths
        self.sets += other.sets
        self.invalid += other.invalid
        self.differences += other.differences
        self.examples = {**other.examples, **self.examples}

    def differ(self, difference: Difference, count: int, example: str) -> None:
        """Count a difference."""
        self.differences[difference] += count
        self.examples.setdefault(difference, example)


class Ours:
    """Our decoder over one range of bytes: row, length and encoding by offset."""

    _room = core.ffi.new("dw_instruction[]", 1 << 16)

    def __init__(self, code: bytes, bits: int) -> None:
        capacity = len(code)
        if capacity > len(Ours._room):
            Ours._room = core.ffi.new("dw_instruction[]", capacity)
        count = core.lib.dw_instructions(core.ffi.from_buffer(code), capacity, bits, Ours._room, capacity)
        words = memoryview(core.ffi.buffer(Ours._room, count * core.ffi.sizeof("dw_instruction"))).cast("B")
        self.rows = words.cast("H")[4::8].tolist()
        self.lengths = words[10::16].tolist()
        self.encodings = words[11::16].tolist()

    @cached_property
    def by_offset(self) -> dict[int, tuple[int, int, int]]:
        """Row, encoding and length of each instruction."""
        offset, found = 0, {}
        for row, length, encoding in zip(self.rows, self.lengths, self.encodings):
            found[offset] = row, encoding, length
            offset += length
        return found


Key = tuple[int, int, int]  # iced's code, our row, our encoding: all that decides whether the sets are equal


class Comparison:
    """The comparison of pieces of one file. Instructions of a kind are judged once, at the end."""

    def __init__(self, path: str, bits: int) -> None:
        self.tally = Tally()
        self._path, self._bits = path, bits
        self._keys: Counter[Key] = Counter()
        self._first: dict[Key, tuple[int, bytes]] = {}  # RVA and bytes

    def compare(self, code: bytes, rva: int) -> None:
        """Both decoders over the bytes of a piece."""
        theirs = list(Decoder(self._bits, code))
        codes, lengths = [one.code for one in theirs], [one.len for one in theirs]
        ours = Ours(code, self._bits)
        self.tally.bytes += len(code)
        if lengths != ours.lengths or Code.INVALID in codes:
            self._compare_each(code, rva, theirs, ours)
            return
        keys = [*zip(codes, ours.rows, ours.encodings)]
        self._keys.update(keys)
        if len(self._keys) == len(self._first):
            return
        for key in {*keys} - self._first.keys():
            at = sum(lengths[: keys.index(key)])
            self._first[key] = rva + at, code[at : at + LONGEST]

    def close(self) -> Tally:
        """Judge what was met."""
        for (code, row, encoding), count in self._keys.items():
            rva, example = self._first[code, row, encoding]
            found = Decoder(self._bits, example).decode()
            theirs = frozenset({isa.BASE}) if iced_oracle.is_hint(found) else iced_oracle.needs(found)
            needs = self._needs(example)
            self.tally.instructions += count
            self.tally.lengths += count
            if needs == theirs:
                self.tally.sets += count
            else:
                self._differ(_name(found), _words(needs), _words(theirs), rva, count)
        return self.tally

    def _compare_each(self, code: bytes, rva: int, theirs: Sequence[Instruction], ours: Ours) -> None:
        at = 0
        for found in theirs:
            row, encoding, length = ours.by_offset.get(at) or self._one(code[at : at + LONGEST])
            example = code[at : at + LONGEST]
            if found.code == Code.INVALID:
                self.tally.invalid += 1
                if row != core.lib.DW_NO_ROW:
                    self._differ(_class(example, self._bits), "an instruction", "none", rva + at)
            elif length == found.len:
                self._keys[found.code, row, encoding] += 1
                self._first.setdefault((found.code, row, encoding), (rva + at, example))
            else:
                self.tally.instructions += 1
                said = f"{_words(self._needs(example))}, {length} bytes"
                theirs_said = f"{_words(iced_oracle.needs(found))}, {found.len} bytes"
                self._differ(_name(found), said, theirs_said, rva + at)
            at += found.len

    def _one(self, code: bytes) -> tuple[int, int, int]:
        return Ours(code, self._bits).by_offset[0]

    def _needs(self, code: bytes) -> frozenset[str] | None:
        found = isa.instruction(code, self._bits)
        return found and frozenset(found.needs)

    def _differ(self, instruction: str, ours: str, theirs: str, rva: int, count: int = 1) -> None:
        self.tally.differ(Difference(instruction, ours, theirs), count, f"{os.path.basename(self._path)}+{rva:X}")


def _name(found: Instruction) -> str:
    opcode = found.op_code()
    return f"{opcode.instruction_string} ({opcode.op_code_string})"


def _words(needs: Iterable[str] | None) -> str:
    return "unknown" if needs is None else " ".join(sorted(needs)) or "left out"


_CLASSES = {
    0x0F: "3DNow! with an unused last byte (0F 0F)",
    0xD5: "REX2 (D5)",
    0x62: "EVEX (62) with what it does not take",
    **dict.fromkeys((0xC4, 0xC5), "VEX (C4, C5) with an operand that it does not take"),
    **dict.fromkeys(range(0xD8, 0xE0), "x87 with an unused second byte (D8 to DF)"),
}
_PREFIXES = {0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65}


def _class(code: bytes, bits: int) -> str:
    """What it looks like that iced takes for no instruction."""
    prefixes = _PREFIXES | ({*range(0x40, 0x50)} if bits == 64 else set())
    at = next((index for index, byte in enumerate(code) if byte not in prefixes), 0)
    if 0xF0 in code[:at]:
        return "LOCK (F0) before what does not take it"
    known = code[at] in _CLASSES and (code[at] != 0x0F or code[at : at + 2] == b"\x0f\x0f")
    return _CLASSES[code[at]] if known else code[at : at + 2].hex(" ").upper()


# ---- files and jobs ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A share of one file's code: of what is listed, or, if `part` is None, of what is not. One piece in `every`."""

    path: str
    part: int | None
    parts: int
    every: int


def run(job: Job) -> Tally:
    """Compare a share of a file."""
    program = _program(job.path)
    listed = program.listed[:: job.every]
    pieces = program.reached(job.every) if job.part is None else listed[job.part :: job.parts]
    comparison = Comparison(job.path, program.bits)
    for piece in pieces:
        comparison.compare(program.at(piece), piece.begin)
    return comparison.close()


@lru_cache(maxsize=1)
def _program(path: str) -> Program:
    return Program(path)


@dataclass(frozen=True)
class Source:
    """A file with code of x86."""

    path: str
    compiler: str
    size: int  # bytes of executable sections


def sources(places: Iterable[str]) -> Iterator[Source]:
    """The x86 DLLs and extensions in directories, and the given files, each content once."""
    seen = set()
    for path in (path for place in places for path in _files(place)):
        data = Path(path).read_bytes()
        digest = hashlib.sha256(data).digest()
        if data[:2] != b"MZ" or digest in seen:
            continue
        seen.add(digest)
        pe = pefile.PE(data=data, fast_load=True)
        size = sum(one.SizeOfRawData for one in pe.sections if one.Characteristics & 0x20000000)
        if size and pe.FILE_HEADER.Machine in (0x8664, 0x14C):
            yield Source(path, compiler_of(os.path.basename(path), data), size)


def _files(place: str) -> list[str]:
    if not os.path.isdir(place):
        return [place]
    return sorted(
        os.path.join(folder, name)
        for folder, _, names in os.walk(place)
        for name in names
        if name.lower().endswith(SUFFIXES)
    )


def jobs_of(source: Source, every: int) -> Iterator[Job]:
    """The shares of a file."""
    parts = max(1, source.size // _PART)
    yield Job(source.path, None, 1, every)
    yield from (Job(source.path, part, parts, every) for part in range(parts))


def compare(found: Sequence[Source], most: int | None, processes: int) -> dict[str, Tally]:
    """Compare files, by compiler. With `most`, about so many instructions, of each compiler the same number."""
    sizes: Counter[str] = Counter()
    for source in found:
        sizes[source.compiler] += source.size
    share = (most or sys.maxsize) * _PER_INSTRUCTION / len(sizes)
    work = [
        (source.compiler, job)
        for source in sorted(found, key=lambda source: -source.size)
        for job in jobs_of(source, max(1, -(-sizes[source.compiler] // max(1, int(share)))))
    ]
    tallies: dict[str, Tally] = {name: Tally() for name in sizes}
    for (compiler, _), tally in zip(work, _run_all([job for _, job in work], processes)):
        tallies[compiler].add(tally)
    return tallies


def _run_all(jobs: Sequence[Job], processes: int) -> Iterator[Tally]:
    if processes == 1:
        yield from map(run, jobs)
    else:
        with ProcessPoolExecutor(processes) as pool:
            yield from pool.map(run, jobs)


# ---- the report --------------------------------------------------------------------------------------------------


def per_cent(part: int, whole: int) -> str:
    """Rounded down: 100 means all."""
    return f"{int(part / whole * 1e6) / 1e4:.4f}" if part != whole else "100"


def spaced(number: int) -> str:
    """With spaces between thousands."""
    return f"{number:,}".replace(",", " ")


def table(tallies: dict[str, Tally], found: Sequence[Source]) -> Iterator[str]:
    """What was compared, by compiler and in all."""
    files = Counter(source.compiler for source in found)
    yield "| compiler | files | MB | instructions | lengths equal, % | sets equal, % | no instruction |"
    yield "|---|---|---|---|---|---|---|"
    for name, tally in [*sorted(tallies.items(), key=lambda item: -item[1].instructions), ("all", total(tallies))]:
        number = files[name] if name in files else len(found)
        count = max(tally.instructions, 1)
        yield (
            f"| {name} | {number} | {tally.bytes / 1e6:.1f} | {spaced(tally.instructions)} |"
            f" {per_cent(tally.lengths, count)} | {per_cent(tally.sets, count)} | {tally.invalid} |"
        )


def differences(tally: Tally) -> Iterator[str]:
    """Every class of difference."""
    yield "| instruction | here | iced-x86 | count | for example |"
    yield "|---|---|---|---|---|"
    for one, count in tally.differences.most_common():
        yield f"| {one.instruction} | {one.ours} | {one.iced} | {count} | {tally.examples[one]} |"


def total(tallies: dict[str, Tally]) -> Tally:
    """All together."""
    whole = Tally()
    for tally in tallies.values():
        whole.add(tally)
    return whole


def main() -> int:
    """Exit status 0 if both decoders agree well enough over enough instructions."""
    parser = argparse.ArgumentParser(description="Compare the core's decoder with iced-x86 over real DLLs.")
    parser.add_argument("file", nargs="*", help="DLLs, or directories (default: all that the bed is made of)")
    parser.add_argument("--most", metavar="N", type=int, help="about so many instructions, spread over the compilers")
    parser.add_argument("--jobs", metavar="N", type=int, default=min(os.cpu_count() or 1, 2), help="processes")
    options = parser.parse_args()
    started = time.perf_counter()
    everything = [*(fetch.CACHE / site for site in fetch.SITES), fetch.PATIENTS, fetch.JUDGED, fetch.COMPILED]
    found = list(sources(options.file or map(str, everything)))
    if not found:
        parser.error("there are no x86 DLLs")
    tallies = compare(found, options.most, options.jobs)
    whole = total(tallies)
    print("\n".join([*table(tallies, found), "", *differences(whole), ""]))
    lengths, sets = (100 * number / max(whole.instructions, 1) for number in (whole.lengths, whole.sets))
    print(f"{whole.instructions} instructions: lengths {lengths:.4f} % equal, sets {sets:.4f} %")
    print(f"{time.perf_counter() - started:.0f} s")
    enough = whole.instructions >= ENOUGH or options.most is not None
    return int(not (enough and lengths >= LENGTHS and sets >= SETS))


if __name__ == "__main__":
    sys.exit(main())
