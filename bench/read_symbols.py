"""How fast are all imported and exported symbols read: the core, depwalk's Image, LIEF and pefile, side by side.

    python bench/read_symbols.py [--rounds N] [--json FILE] [DIR...]

DIR holds PE files (default: what `ci/run.py` has unpacked, as for scan.py). Every reader reads the same files in turn,
round by round, from a warm cache; pefile, which is slow, reads whole directories only once. Seconds are of processor
time, where the system counts it finely enough, so that other work does not count. All readers must find the same number
of symbols: exit status 1 if they do not.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import common
import lief
import pefile

sys.path.insert(0, str(common.ROOT))

from depwalk import core, image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BIG_FILES = (
    "tensorflow-2.0.0-cp37-win_amd64/tensorflow_core/python/_pywrap_tensorflow_internal.pyd",
    "panda3d-1.10.16-cp311-win_amd64/panda3d/core.cp311-win_amd64.pyd",
)
CORE, IMAGE, LIEF_PARSE, LIEF, PEFILE = "core", "Image", "LIEF, parsing alone", "LIEF", "pefile"
AIMS = {LIEF: 10, PEFILE: 100}  # how many times faster the core is to be
EXPORT, IMPORT, DELAY_IMPORT = 0, 1, 13
NO_LIMIT = 2**31
COUNTS_FINELY = time.get_clock_info("process_time").resolution <= 1e-6
CLOCK_NAME, clock = ("processor time", time.process_time) if COUNTS_FINELY else ("elapsed time", time.perf_counter)


class Counts(NamedTuple):
    """Symbols found."""

    imports: int
    exports: int


# ---- the readers: each reads one file to the last symbol


class Core:
    """The core through its C API: arrays made beforehand, no Python object for a symbol."""

    def __init__(self, paths: Sequence[str]) -> None:
        files = [core.File(path) for path in paths]
        dlls, symbols, names, addresses = (max(column) for column in zip(*map(_capacities, files)))
        new = core.ffi.new
        self.image, self.os_error = new("dw_image *"), new("uint32_t *")
        self.dlls, self.symbols = new("dw_import[]", dlls), new("dw_symbol[]", symbols)
        self.names, self.addresses = new("dw_export_name[]", names), new("dw_export_address[]", addresses)
        self.import_room = (self.dlls, dlls, self.symbols, symbols)
        self.name_count, self.address_count = names, addresses

    def __call__(self, path: str) -> Counts:
        lib, file = core.lib, self.image
        native = path if sys.platform == "win32" else os.fsencode(path)
        if lib.dw_open(file, native, self.os_error) != lib.DW_OK:
            raise OSError(self.os_error[0], "dw_open failed", path)
        imported = lib.dw_imports(file, core.IMPORT, *self.import_room)
        delayed = lib.dw_imports(file, core.DELAY_IMPORT, *self.import_room)
        names = lib.dw_export_names(file, self.names, self.name_count)
        lib.dw_export_addresses(file, self.addresses, self.address_count)
        lib.dw_close(file)
        return Counts(imported.symbols + delayed.symbols, names)


def _capacities(file: core.File) -> tuple[int, int, int, int]:
    null, lib = core.ffi.NULL, core.lib
    both = [lib.dw_imports(file.facts, kind, null, 0, null, 0) for kind in (core.IMPORT, core.DELAY_IMPORT)]
    exports = file.export_info
    dlls, symbols = max(found.dlls for found in both), max(found.symbols for found in both)
    return dlls, symbols, exports.name_count, exports.address_count


def read_with_image(path: str) -> Counts:
    """depwalk's own Image, every symbol a Python object."""
    file = image.read(path)
    symbols = [file.symbols(imported) for imported in file.imports]
    return Counts(sum(map(len, symbols)), sum(export.name is not None for export in file.exports))


def parse_with_lief(path: str) -> Any:
    """LIEF without what is not asked for: signatures, resources and relocations."""
    config = lief.PE.ParserConfig()
    config.parse_signature = config.parse_rsrc = config.parse_reloc = False
    return lief.PE.parse(path, config)


def only_parse_with_lief(path: str) -> None:
    """What LIEF does before the first name is asked for."""
    parse_with_lief(path)


def read_with_lief(path: str) -> Counts:
    """LIEF, the name of every entry asked for."""
    binary = parse_with_lief(path)
    tables = [*binary.imports, *binary.delay_imports]
    imported = [(entry.name, entry.hint) for table in tables for entry in table.entries]
    exports = binary.get_export()
    exported = [(entry.name, entry.ordinal) for entry in exports.entries] if exports else []
    return Counts(len(imported), sum(bool(name) for name, _ in exported))


def read_with_pefile(path: str) -> Counts:
    """pefile, only the three directories in question."""
    pe = pefile.PE(path, fast_load=True, max_symbol_exports=NO_LIMIT, max_repeated_symbol=NO_LIMIT)
    pe.parse_data_directories([EXPORT, IMPORT, DELAY_IMPORT])
    tables = [*getattr(pe, "DIRECTORY_ENTRY_IMPORT", []), *getattr(pe, "DIRECTORY_ENTRY_DELAY_IMPORT", [])]
    exports = getattr(pe, "DIRECTORY_ENTRY_EXPORT", None)
    exported = sum(symbol.name is not None for symbol in exports.symbols) if exports else 0
    pe.__data__.close()  # PE.close() also collects all garbage of the process, a cost that is not reading
    return Counts(sum(len(table.imports) for table in tables), exported)


def raise_limits_of_pefile() -> None:
    """Without this it cuts names at 512 bytes and stops after 8192 symbols."""
    pefile.MAX_IMPORT_SYMBOLS = NO_LIMIT
    pefile.MAX_DLL_LENGTH = pefile.MAX_IMPORT_NAME_LENGTH = pefile.MAX_SYMBOL_NAME_LENGTH = 4096


# ---- measuring


@dataclass
class Row:
    """One set of files and what reading it took."""

    name: str
    paths: list[str]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)

    def measure(self, name: str, read: Callable[[str], Counts | None]) -> None:
        gc.collect()
        begin = clock()
        counts = [read(path) for path in self.paths]
        self.seconds.setdefault(name, []).append(clock() - begin)
        found = [count for count in counts if count is not None]
        if found:
            self.counts[name] = Counts(*map(sum, zip(*found)))

    def times_faster(self, name: str, other: str) -> float:
        return median(self.seconds[other]) / median(self.seconds[name])

    def agrees(self) -> bool:
        return len(set(self.counts.values())) == 1


def rows_of(directories: Sequence[Path]) -> list[Row]:
    paths = [path for directory in directories for path in common.pe_files(directory)]
    big = [directory / name for directory in directories for name in BIG_FILES]
    ones = [Row(f"{path.name} ({path.stat().st_size / 1e6:.0f} MB)", [str(path)]) for path in big if path.is_file()]
    return [Row(f"all {len(paths)} PE files", paths), *ones] if paths else []


def measure(rows: Sequence[Row], rounds: int) -> None:
    """Every reader on every row, round by round, so that a slow minute of the machine hits them all."""
    common.progress("warming the cache")
    common.warm(rows[0].paths)
    readers: dict[str, Callable[[str], Counts | None]] = {
        CORE: Core(rows[0].paths),
        IMAGE: read_with_image,
        LIEF_PARSE: only_parse_with_lief,
        LIEF: read_with_lief,
    }
    for number in range(1, rounds + 1):
        common.progress(f"round {number} of {rounds}")
        for row in rows:
            for name, read in readers.items():
                row.measure(name, read)
            if len(row.paths) == 1:
                row.measure(PEFILE, read_with_pefile)
    common.progress(f"pefile, once: {rows[0].name}")
    rows[0].measure(PEFILE, read_with_pefile)


# ---- reporting


def lines_of(row: Row) -> Iterator[str]:
    counts = row.counts[CORE]
    yield f"{row.name}: {counts.imports} imported and {counts.exports} exported names"
    yield f"  {'':<22}{'best s':>10}{'median s':>10}{'vs LIEF':>10}{'vs pefile':>11}"
    for name, seconds in row.seconds.items():
        ratios = f"{row.times_faster(name, LIEF):>9.1f}x{row.times_faster(name, PEFILE):>10.1f}x"
        yield f"  {name:<22}{min(seconds):>10.4f}{median(seconds):>10.4f}{ratios}"
    for other, aim in AIMS.items():
        faster = row.times_faster(CORE, other)
        yield f"  aim, core {aim}x faster than {other}: {'reached' if faster >= aim else 'not reached'} ({faster:.1f}x)"
    if not row.agrees():
        yield f"  THE READERS DISAGREE: {row.counts}"


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "machine": common.machine(),
        "clock": CLOCK_NAME,
        "versions": {"lief": lief.__version__, "pefile": pefile.__version__},
        "rows": [
            {
                "name": row.name,
                "files": len(row.paths),
                "counts": {name: counts._asdict() for name, counts in row.counts.items()},
                "seconds": row.seconds,
                "core_times_faster": {other: row.times_faster(CORE, other) for other in AIMS},
                "aims": AIMS,
            }
            for row in rows
        ],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the reading of all symbols.")
    parser.add_argument("directory", metavar="DIR", nargs="*", type=Path, default=common.sets())
    parser.add_argument("--rounds", metavar="N", type=int, default=7)
    parser.add_argument("--json", metavar="FILE", help="write all measurements there")
    options = parser.parse_args()
    rows = rows_of(options.directory)
    if not rows:
        parser.error("no PE files: give DIR, or let ci/run.py unpack its wheels")
    lief.logging.disable()
    raise_limits_of_pefile()
    measure(rows, max(options.rounds, 1))
    print(f"{common.machine()}, LIEF {lief.__version__}, pefile {pefile.__version__}")
    print(
        f"{max(options.rounds, 1)} rounds (pefile on all files: 1), {CLOCK_NAME}, warm cache; ratios are of medians\n"
    )
    print("\n\n".join("\n".join(lines_of(row)) for row in rows))
    if options.json:
        Path(options.json).write_text(json.dumps(as_json(rows), indent=2) + "\n", "utf-8")
    return 0 if all(row.agrees() for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
