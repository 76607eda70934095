"""Scan of what nobody should have made: each wheel and file gets clear rows, in bounded memory, and nothing is left."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hostile_wheels import HOSTILE, healthy, zipped
from pe_maker import pe
from scanned import EXT, by_file, lay, make_wheel, rows_of, said

import depwalk

if TYPE_CHECKING:
    from depwalk.bulk.rows import Row

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the files are read as elsewhere; tests/loader asks on Windows"
)

HOME = str(Path(depwalk.__file__).parent.parent)
MEMORY = 300  # MiB
STATUSES = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every hostile wheel, each in a directory of its own."""
    folder, found = tmp_path_factory.mktemp("hostile"), {}
    for number, (kind, (write, _)) in enumerate(HOSTILE.items()):
        found[kind] = folder / str(number) / "evil-1.0-cp311-cp311-win_amd64.whl"
        found[kind].parent.mkdir()
        write(found[kind])
    return found


MEASURED = """
import sys
from depwalk.cli import main
status = main(sys.argv[2:])
memory = 0
if sys.platform.startswith("linux"):  # what getrusage says of a child may be what its parent took
    with open("/proc/self/status") as file:
        memory = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) // 1024
elif sys.platform != "win32":
    import resource
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (20 if sys.platform == "darwin" else 10)
with open(sys.argv[1], "w") as file:
    file.write(str(memory))
sys.exit(status)
"""


def scanned_elsewhere(*arguments: object, scratch: Path) -> tuple[int, list[dict[str, object]], int]:
    """The exit status, the rows and the memory, in MiB (0: not known), of a scan in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": HOME, "TMPDIR": str(scratch), "TMP": str(scratch), "TEMP": str(scratch)}
    output, memory = scratch.parent / "rows.jsonl", scratch.parent / "memory"
    command = [sys.executable, "-c", MEASURED, memory, "scan", *arguments, "--format", "json", "-o", output]
    ran = subprocess.run(list(map(str, command)), stderr=subprocess.PIPE, env=environment, timeout=120, check=False)
    assert ran.stderr == b""
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    return ran.returncode, rows, int(memory.read_text("ascii"))


def is_clear(row: Row) -> bool:
    """Whether a row has a verdict, with a reason for a bad one, or says why it has none."""
    return bool(row.reason if row.verdict is None else row.verdict == "loads" or row.findings)


# ---- wheels


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_wheel_is_told(kind: str, hostile: dict[str, Path], scratch: Path) -> None:
    rows, word = rows_of(hostile[kind]), HOSTILE[kind][1]
    assert [row for row in rows if not is_clear(row)] == []
    assert any(word in row.reason for row in rows), [row.reason[:500] for row in rows]
    assert list(scratch.iterdir()) == []


def test_a_directory_of_hostile_wheels_is_scanned_to_its_end_in_bounded_memory(
    hostile: dict[str, Path], scratch: Path
) -> None:
    folder = hostile["an empty file"].parent.parent
    status, rows, memory = scanned_elsewhere(folder, "--jobs", "1", scratch=scratch)
    assert status in STATUSES
    assert {row["target"]["unit"]["path"] for row in rows} == set(map(str, hostile.values()))  # type: ignore[index]
    assert memory < MEMORY
    assert list(scratch.iterdir()) == []


def test_a_healthy_wheel_beside_hostile_ones_is_judged(tmp_path: Path) -> None:
    for number, kind in enumerate(["a zip bomb", "no end record", "a wrong CRC", "a device"]):
        HOSTILE[kind][0](tmp_path / f"evil-{number}-cp311-cp311-win_amd64.whl")
    make_wheel(tmp_path, {f"demo/{EXT}": pe()})
    assert by_file(rows_of(tmp_path))[f"demo/{EXT}"].verdict == "loads"


def test_a_wheel_that_requires_hostile_ones_is_judged(tmp_path: Path) -> None:
    for kind in ("a zip bomb", "no end record", "members that quote each other", "encrypted"):
        (tmp_path / kind).mkdir()
        HOSTILE[kind][0](tmp_path / kind / "evil-1.0-cp311-cp311-win_amd64.whl")
    make_wheel(tmp_path, {f"demo/{EXT}": pe(imports={"x.dll": ["f"]})}, requires=["evil"])
    assert by_file(rows_of(tmp_path))[f"demo/{EXT}"].verdict == "fails"


@pytest.mark.parametrize(
    "metadata",
    [
        b"\xff\xfe\0\0" * 1000,
        b"Requires-Dist: demo\n" * 20_000,
        b"Requires-Dist:\n" * 20_000,
        b"Requires-Dist: " + b"a" * 1_000_000,
        b"Requires-Dist: " + b" " * 500_000 + b"!",
        b"",
    ],
    ids=["no text", "itself many times", "nothing many times", "a name of a megabyte", "blanks", "empty"],
)
def test_metadata_that_say_nonsense_require_nothing(metadata: bytes, tmp_path: Path) -> None:
    make_wheel(tmp_path, {f"demo/{EXT}": pe(imports={"x.dll": ["f"]}), "demo-1.dist-info/METADATA": metadata})
    make_wheel(tmp_path, {"other/x.dll": pe(exports=["f"])}, name="other")
    assert by_file(rows_of(tmp_path))[f"demo/{EXT}"].verdict == "fails"


@pytest.mark.parametrize(
    "name", ["evil.whl", "-----.whl", "a-1.whl", "a-1-cp311-cp311-win_amd64.WHL", "\u4f9d-1-py3-none-any.whl", " .whl"]
)
def test_a_wheel_is_read_whatever_its_name(name: str, tmp_path: Path) -> None:
    make_wheel(tmp_path, {f"demo/{EXT}": pe()}).rename(tmp_path / name)
    assert [row.verdict for row in rows_of(tmp_path)] == ["loads"]


@pytest.mark.parametrize(
    "record",
    [
        "x/" * 20_000 + "x.dll,,\n",
        "".join(f"{number}/" + "x/" * 500 + "x.dll,,\n" for number in range(1000)),
        "a.dll,,\n" * 4_000_000,
    ],
    ids=["a name with many levels", "many names with many levels", "32 megabytes"],
)
@pytest.mark.parametrize("packed", [True, False], ids=["in a wheel", "installed"])
def test_a_record_takes_bounded_memory(packed: bool, record: str, tmp_path: Path) -> None:
    parts = healthy(record=record)
    if packed:
        (tmp_path / "evil-1.0-cp311-cp311-win_amd64.whl").write_bytes(zipped(parts))
    else:
        lay(tmp_path, {part.raw.decode(): part.data for part in parts})
    del parts
    tracemalloc.start()
    try:
        rows = rows_of(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 150 << 20
    finally:
        tracemalloc.stop()
    assert [row.verdict for row in rows if row.file.kind == "extension"] == ["loads"]


# ---- files


def test_circular_forwarders_come_to_an_end(tmp_path: Path) -> None:
    lay(tmp_path, {EXT: pe(imports={"a.dll": ["f"]}), "a.dll": pe(exports=["f=b.f"]), "b.dll": pe(exports=["f=a.f"])})
    row = by_file(rows_of(tmp_path))[EXT]
    assert is_clear(row)
    assert row.verdict == "fails"


def test_circular_imports_are_no_fault(tmp_path: Path) -> None:
    needs = {
        name: pe(exports=["f"], imports={other: ["f"]}) for name, other in (("a.dll", "b.dll"), ("b.dll", "a.dll"))
    }
    lay(tmp_path, {EXT: pe(imports={"a.dll": ["f"], EXT: []}), **needs})
    assert by_file(rows_of(tmp_path))[EXT].verdict == "loads"


def test_a_chain_of_dlls_has_a_row_for_each(tmp_path: Path) -> None:
    chain = {f"d{n}.dll": pe(exports=["f"], imports={f"d{n + 1}.dll": ["f"]}) for n in range(300)}
    lay(tmp_path, {EXT: pe(imports={"d0.dll": ["f"]}), **chain})
    rows = by_file(rows_of(tmp_path))
    assert (len(rows), rows[EXT].verdict, said(rows[EXT])) == (301, "fails", [("missing-dll", "d300.dll")])


def test_forwarders_in_a_row_come_to_an_end(tmp_path: Path) -> None:
    chain = {f"d{n}.dll": pe(exports=[f"f=d{n + 1}.f"]) for n in range(300)}
    lay(tmp_path, {EXT: pe(imports={"d0.dll": ["f"]}), **chain})
    assert is_clear(by_file(rows_of(tmp_path))[EXT])


@pytest.mark.parametrize(
    "name", ["..\\..\\x.dll", "C:\\x.dll", "\x1b[2J.dll", "", ".", "x" * 3000, "\xe9\xfc.dll", "a/b.dll"]
)
def test_any_name_may_be_imported(name: str, tmp_path: Path) -> None:
    lay(tmp_path, {EXT: pe(imports={name: ["f"]})})
    (row,) = rows_of(tmp_path)
    assert is_clear(row)


def test_a_file_cut_off_anywhere_has_one_clear_row(tmp_path: Path) -> None:
    whole = pe(imports={"dep.dll": ["f"], "kernel32.dll": ["Sleep"]}, exports=["f", "g=dep.g"], version=(1, 2, 3, 4))
    lay(tmp_path, {f"{size}.pyd": whole[:size] for size in range(0, len(whole), 40)})
    lay(tmp_path, {"dep.dll": pe(exports=["f", "g"])})
    rows = [row for row in rows_of(tmp_path) if row.file.kind == "extension"]
    assert len(rows) == len(range(0, len(whole), 40))
    assert [row.file.path for row in rows if not is_clear(row)] == []


def test_files_with_damage_anywhere_have_clear_rows(tmp_path: Path) -> None:
    whole = pe(imports={"dep.dll": ["f"]}, exports=["f", "g=dep.g"], delay={"dep.dll": ["g"]}, manifests={2: b"<a/>"})
    chosen, files = random.Random(1), {}
    for number in range(150):
        damaged = bytearray(whole)
        for _ in range(chosen.choice([1, 3, 30])):
            damaged[chosen.randrange(60, len(whole))] = chosen.choice([0, 1, 0x7F, 0x80, 0xFF])
        files[f"{number}.pyd"] = bytes(damaged)
    lay(tmp_path, {**files, "dep.dll": pe(exports=["f", "g"])})
    rows = [row for row in rows_of(tmp_path) if row.file.kind == "extension"]
    assert len(rows) == len(files)
    assert [row.file.path for row in rows if not is_clear(row)] == []


@pytest.mark.parametrize(
    "source", ["while True: pass", "\0", "(" * 5000, "x = " + "-" * 100_000 + "1", "import demo\nfrom demo import *"]
)
def test_source_that_cannot_be_followed_leaves_the_row_clear(source: str, tmp_path: Path) -> None:
    lay(tmp_path, {"demo/__init__.py": source, f"demo/{EXT}": pe(imports={"x.dll": ["f"]})})
    lay(tmp_path, {"demo/lib/x.dll": pe(exports=["f"])})
    assert by_file(rows_of(tmp_path))[f"demo/{EXT}"].verdict == "fails"
