"""Makes check_table.h, what dw_check knows, of depwalk.h and depwalk/data: python csrc/check_table.py FILE."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "depwalk" / "data"
ARCHITECTURES = ("x64", "x86", "arm64")  # a bit each, from the lowest on
REGISTERS = ("eax", "ebx", "ecx", "edx")
NONE = 255  # no feature
# Findings that share a family with others, since an installer does the same for them.
FAMILIES = {"blocked-by-policy": "access-denied", "blocked-by-antivirus": "access-denied"}


def read(name: str) -> dict[str, Any]:
    """A table of the package."""
    with (DATA / name).open("rb") as file:
        return tomllib.load(file)


def quoted(text: str) -> str:
    """A string of C. Raises UnicodeEncodeError if it is not ASCII."""
    return json.dumps(text.encode("ascii").decode())


def array(declaration: str, rows: Sequence[str], size: str = "") -> str:
    """A table of C, and how many rows it has."""
    counted = f"enum {{\n    {size} = {len(rows)}\n}};\n" if size else ""
    return f"{counted}static const {declaration}[{len(rows)}] = {{\n    " + ",\n    ".join(rows) + "\n};"


def mask(names: Iterable[str]) -> int:
    """The architectures of a list, a bit each."""
    return sum(1 << ARCHITECTURES.index(name) for name in names)


def families() -> dict[str, int]:
    """The families of the header, by the names of their findings."""
    found = re.findall(r"\bDW_FAMILY_(\w+) = (\d+)", (HERE / "depwalk.h").read_text("ascii"))
    return {name.lower().replace("_", "-"): int(number) for name, number in found}


def family_tables() -> list[str]:
    """The names of the families; which codes prove one, and what each code says."""
    known = families()
    rows = [f"{{{number}, {quoted(name)}}}" for name, number in known.items()]
    codes = []
    source = read("codes.toml")
    for kind in ("win32", "exception"):
        for number, row in source[kind].items():
            finding = FAMILIES.get(row.get("finding", ""), row.get("finding", ""))
            codes.append((int(number, 0), known.get(finding, known["other"]), row["text"]))
    written = [f"{{0x{code:08X}u, {family}, {quoted(text)}}}" for code, family, text in codes]
    return [
        array("check_family check_families", rows, "CHECK_FAMILIES"),
        array("check_code check_codes", written, "CHECK_CODES"),
    ]


def runtime_tables() -> list[str]:
    """Microsoft's runtimes: the packages, and which has a DLL for which architectures."""
    source = read("runtimes.toml")
    packages, dlls = [], []
    for number, row in enumerate(source["runtime"]):
        packages.append(f"{{{quoted(row['name'])}, {quoted(row['short'])}, {quoted(row['url'])}, {quoted(row['id'])}}}")
        everywhere = row.get("made_for", ARCHITECTURES)
        for pattern in row["dlls"]:
            made_for = mask(row.get("architectures", {}).get(pattern, everywhere))
            dlls.append(f"{{{quoted(pattern)}, {number}, {made_for}}}")
    unsupplied = [(dll, row["what"]) for row in source["unsupplied"] for dll in row["dlls"]]
    return [
        array("check_package check_packages", packages),
        array("check_runtime_dll check_runtime_dlls", dlls, "CHECK_RUNTIME_DLLS"),
        array(
            "char *const check_debug_dlls", [quoted(dll) for dll in source["developers"]["dlls"]], "CHECK_DEBUG_DLLS"
        ),
        array(
            "check_unsupplied check_unsupplied_dlls",
            [f"{{{quoted(dll)}, {quoted(what)}}}" for dll, what in unsupplied],
            "CHECK_UNSUPPLIED_DLLS",
        ),
    ]


def cpu_tables() -> list[str]:
    """What the processor reports, the levels, and what each set of the decoder needs."""
    source = read("cpu.toml")
    states = {name: sum(1 << bit for bit in bits) for name, bits in source["state"].items()}
    names = list(source["feature"])
    features = []
    for name, row in source["feature"].items():
        place = f"0x{row['leaf']:X}u, {row.get('subleaf', 0)}, {REGISTERS.index(row['register'])}, {row['bit']}"
        state = f"0x{states.get(row.get('state', ''), 0):X}u"
        features.append(f"{{{quoted(name)}, {quoted(row['label'])}, {place}, {state}}}")
    levels = [[names.index(one) for one in level] for level in source["level"].values()]
    rows = [row for rows in read("isa.toml")["rows"].values() for row in rows]
    sets = [*dict.fromkeys(row["is"] for row in rows), "apx"]  # as in isa_table.py
    needs = [[NONE if one == "base" else names.index(one) for one in each.split()] for each in sets]
    return [
        f"enum {{\n    CHECK_NO_FEATURE = {NONE}\n}};",
        array("check_feature check_features", features, "CHECK_FEATURES"),
        indices("check_levels", levels, "CHECK_LEVELS"),
        indices("check_sets", needs, "CHECK_SETS"),
    ]


def indices(name: str, lists: list[list[int]], size: str) -> str:
    """Lists of features, all filled up to the longest and one more."""
    width = 1 + max(map(len, lists))
    rows = ["{" + ", ".join(map(str, each + [NONE] * (width - len(each)))) + "}" for each in lists]
    sizes = f"enum {{\n    {size} = {len(lists)},\n    {size}_WIDTH = {width}\n}};\n"
    return sizes + f"static const uint8_t {name}[{size}][{size}_WIDTH] = {{\n    " + ",\n    ".join(rows) + "\n};"


def main(target: str) -> None:
    """Write the header."""
    parts = ["/* Made by csrc/check_table.py of depwalk.h and depwalk/data. */"]
    parts += [*family_tables(), *runtime_tables(), *cpu_tables()]
    with open(target, "w", encoding="ascii", newline="\n") as file:
        file.write("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
