"""What a scan costs: `python -m depwalk scan`, beside LIEF, pefile and delvewheel, on real files.

    python bench/scan.py [b c d e f g] [--environment] [--dir DIR]... [--rounds N] [--json FILE]
                         [--write docs/performance.md]

    b  the whole command, beside others that only parse, or only open, the same files
    c  the second scan into the same database
    d  peak memory of the scan and its workers (Linux)
    e  what a file costs, from 100 to 10,000 files; draws docs/pictures/scan-cost.svg with --write
    f  delvewheel show, wheel by wheel, and what it says differently
    g  where the time goes (not on Windows)

All of them without a name. What reading alone costs is in read_symbols.py. DIR is by default what `ci/run.py test` has
unpacked, with --environment what `ci/run.py environment` has installed: its tables have a place of their own. Every
command is a new process; the files are in the system's cache; commands take turns, round by round.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import common
import scanning

sys.path.insert(0, str(common.ROOT))

PARTS = {
    "b": "whole",
    "c": "again",
    "d": "memory",
    "e": "growth",
    "f": "beside_delvewheel",
    "g": "stages",
}
SOFTWARE = {"LIEF": "lief", "pefile": "pefile"}
PICTURE = common.ROOT / "docs" / "pictures" / "scan-cost.svg"


def setting_of(options: argparse.Namespace, scratch: Path) -> scanning.Setting:
    from depwalk.bulk import work
    from depwalk.bulk.collect import collect

    usual = [common.ENVIRONMENT] if options.environment else common.sets()
    directories = options.dir or [str(path) for path in usual]
    files = [file.path for listed in collect(directories) for file in listed.files]
    wheels = sorted(Path(options.wheels).glob("*.whl")) if options.wheels else _usual_wheels()
    return scanning.Setting(
        directories,
        files,
        work.usual_count(len(files)),
        max(options.rounds, 1),
        scratch,
        common.environment(str(scratch / "bytecode")),
        Path(options.site),
        wheels[: options.most_wheels],
        sorted(options.sizes),
        PICTURE if options.write else None,
        scanning.MATRIX if options.matrix else scanning.CASE,
    )


def _usual_wheels() -> list[Path]:
    """Those of the wheelhouse of the test bed, else all that it has downloaded."""
    found = (sorted((common.CACHE / name).glob("*.whl")) for name in ("wheelhouse", "downloads"))
    return next((wheels for wheels in found if wheels), [])


def heading(part: scanning.Part) -> str:
    """Where and with what it was measured."""
    from depwalk import __version__

    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=common.ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = ""
    own = f"depwalk {__version__}" + (f" at {commit}" if commit else "")
    return ", ".join([common.machine(), own, common.versions(SOFTWARE), *part.software])


def write(page: Path, key: str, part: scanning.Part) -> None:
    """Put the tables into the page."""
    content = "\n\n".join([*(table.markdown() for table in part.tables), f"*{heading(part)}.*"])
    page.write_text(common.replaced(page.read_text("utf-8"), key, content), "utf-8")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="What a scan costs.")
    parser.add_argument("parts", metavar="PART", nargs="*", help="b, c, d, e, f or g (default: all)")
    parser.add_argument("--environment", action="store_true", help="scan a whole, large environment")
    parser.add_argument("--dir", metavar="DIR", action="append", help="scan this (repeatable)")
    parser.add_argument("--rounds", metavar="N", type=int, default=5)
    parser.add_argument("--scratch", metavar="DIR", help="where environments are made (default: the system's)")
    parser.add_argument("--site", metavar="DIR", default=os.environ.get("DEPWALK_SITE") or str(common.CACHE / "site"))
    parser.add_argument("--sizes", metavar="N", type=int, nargs="+", default=[100, 300, 1000, 3000, 10000])
    parser.add_argument("--wheels", metavar="DIR", help="the wheels of f and d (default: those of the test bed)")
    parser.add_argument("--most-wheels", metavar="N", type=int, help="no more of them")
    parser.add_argument("--matrix", action="store_true", help="profile (g) ten cases instead of one")
    parser.add_argument("--json", metavar="FILE", help="write all measurements there")
    parser.add_argument("--write", metavar="PAGE", type=Path, help="put the tables into this page")
    return parser


def main() -> int:
    parser = _arguments()
    options = parser.parse_args()
    if set(options.parts) - set(PARTS):
        parser.error(f"the parts are {', '.join(PARTS)}")
    measured = {}
    with tempfile.TemporaryDirectory(dir=options.scratch, prefix="depwalk-bench-") as scratch:
        setting = setting_of(options, Path(scratch))
        if not setting.files:
            parser.error("no files: give --dir DIR, or let ci/run.py unpack its wheels")
        common.progress(f"warming the cache: {len(setting.files)} files")
        common.warm(setting.files)
        for key in sorted(set(options.parts or PARTS)):
            part = importlib.import_module(f"scanning.{PARTS[key]}").measure(setting)
            measured[key] = {"heading": heading(part), **part.data}
            print(f"{key}: {heading(part)}\n")
            print(
                "\n\n".join(table.text() for table in part.tables) or part.data.get("skipped", ""),
                end="\n\n",
                flush=True,
            )
            if options.write and part.tables:
                write(options.write, f"{key}-environment" if options.environment else key, part)
            if options.json:
                Path(options.json).write_text(json.dumps(measured, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
