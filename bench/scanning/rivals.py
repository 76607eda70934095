"""Other ways to go through the same files, each in a process of its own: WAY LIST [PROCESSES].

LIST is a file with a path on each line. Nothing is printed but how many files were read.
"""

from __future__ import annotations

import sys

KIB = 1024
EXPORT, IMPORT, DELAY_IMPORT = 0, 1, 13
FIRST, LIEF, LIEF_MINIMAL, PEFILE = "first-4-KiB", "lief", "lief-minimal", "pefile"


def first(path: str) -> bool:
    with open(path, "rb") as file:
        return bool(file.read(4 * KIB))


def with_lief(path: str) -> bool:
    """As whoever calls lief.PE.parse gets it."""
    import lief

    return lief.PE.parse(path) is not None


def with_lief_minimal(path: str) -> bool:
    """LIEF without what is not asked for: signatures, resources and relocations."""
    import lief

    config = lief.PE.ParserConfig()
    config.parse_signature = config.parse_rsrc = config.parse_reloc = False
    return lief.PE.parse(path, config) is not None


def with_pefile(path: str) -> bool:
    """pefile, only the three directories in question."""
    import pefile

    try:
        pe = pefile.PE(path, fast_load=True)
    except pefile.PEFormatError:
        return False
    pe.parse_data_directories([EXPORT, IMPORT, DELAY_IMPORT])
    pe.__data__.close()  # PE.close() also collects all garbage of the process, a cost that is not reading
    return True


WAYS = {FIRST: first, LIEF: with_lief, LIEF_MINIMAL: with_lief_minimal, PEFILE: with_pefile}


def main() -> None:
    with open(sys.argv[2], encoding="utf-8") as listed:
        way, paths = WAYS[sys.argv[1]], listed.read().splitlines()
    processes = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    if sys.argv[1].startswith("lief"):
        import lief

        lief.logging.disable()
    if processes > 1:
        import multiprocessing

        with multiprocessing.Pool(processes) as pool:  # large files are few: small chunks share them best
            print(sum(pool.imap_unordered(way, paths, chunksize=4)))
    else:
        print(sum(map(way, paths)))


if __name__ == "__main__":
    main()
