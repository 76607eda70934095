"""Every PE file of real wheels, read by depwalk, by LIEF and by pefile: all three say the same.

Where an oracle is known to answer differently, its answer is predicted, not passed over: a prediction that is wrong
for one symbol of one file fails, and so does one that is no longer needed.
"""

from __future__ import annotations

import os
from collections import Counter
from itertools import zip_longest
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import ordlookup
import pytest
from oracles import Header, Imported, Lief, Oracle, Pefile

from depwalk import image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from depwalk.image import Export, Image, Kind

    Answers = dict[type[Oracle], Oracle]

# wheel -> how many PE files it holds, by suffix (253 in the first two, and three DLLs named .so)
WHEELS = {
    "tensorflow-2.0.0-cp37-win_amd64": {".pyd": 3, ".so": 3},
    "panda3d-1.10.16-cp311-win_amd64": {".exe": 155, ".dll": 61, ".pyd": 34},
    "panda3d-1.10.16-cp311-win32": {".exe": 131, ".dll": 60, ".pyd": 34},
}
KINDS: tuple[Kind, ...] = ("import", "delay")
MANIFEST_IDS = (1, 2, 3)
DIFFERENCES_SHOWN = 5


def is_pe(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"MZ"


def pe_files(wheel: str) -> list[Path]:
    directory = Path(os.environ.get("DEPWALK_PATIENTS", "")) / wheel
    return sorted(path for path in directory.rglob("*") if path.is_file() and is_pe(path))


HAS_PATIENTS = bool(os.environ.get("DEPWALK_PATIENTS"))
FILES = [(wheel, path) for wheel in WHEELS for path in pe_files(wheel)] if HAS_PATIENTS else []
EACH_FILE = [pytest.param(path, id=f"{wheel}/{path.name}") for wheel, path in FILES]


def need_patients() -> None:
    if not FILES:
        reason = "DEPWALK_PATIENTS does not name the unpacked wheels (ci/run.py downloads them)"
        pytest.fail(reason, pytrace=False) if os.environ.get("CI") == "true" else pytest.skip(reason)


@pytest.fixture(scope="module", params=EACH_FILE or [pytest.param(None, id="none")])
def path(request: pytest.FixtureRequest) -> Path:
    need_patients()
    file: Path = request.param
    return file


@pytest.fixture(scope="module")
def ours(path: Path) -> Image:
    return image.read(path)


@pytest.fixture(scope="module")
def answers(path: Path) -> Answers:
    return {Lief: Lief(path), Pefile: Pefile(path)}


each_oracle = pytest.mark.parametrize("oracle", [Lief, Pefile])


def imports(file: Image, kind: Kind) -> list[Imported]:
    rows = []
    for imported in file.imports:
        if imported.kind == kind:
            symbols = file.symbols(imported)
            rows += [Imported(imported.dll, s.name, s.hint, s.ordinal if s.name is None else None) for s in symbols]
            rows += [] if symbols else [Imported(imported.dll, None, 0, None)]
    return rows


def assert_same(ours: Sequence[object], theirs: Sequence[object]) -> None:
    """Shows the first few differences: tables of 60 000 symbols are too long for pytest to explain."""
    __tracebackhide__ = True
    if ours != theirs:
        rows = enumerate(zip_longest(ours, theirs))
        shown = [f"  {n}: depwalk {a}\n  {n}: oracle  {b}" for n, (a, b) in rows if a != b][:DIFFERENCES_SHOWN]
        pytest.fail("\n".join([f"{len(ours)} rows and {len(theirs)} differ:", *shown]), pytrace=False)


# ---- known differences: what an oracle says instead of what the file holds


def as_told_by_pefile(row: Imported) -> Imported:
    """pefile gives ordinals of WS2_32, WSOCK32 and OLEAUT32 names from a table of its own."""
    name = None if row.ordinal is None else ordlookup.ordLookup(row.dll.lower().encode(), row.ordinal)
    return row._replace(name=name.decode()) if name else row


def as_told_by_lief(exports: Sequence[Export]) -> list[Export]:
    """LIEF lists exports by ordinal, and takes the forwarder of one that has no name for its name."""
    told = [e._replace(name=e.forwarder, forwarder=None) if e.name is None else e for e in exports]
    return sorted(told, key=attrgetter("ordinal"))


def test_pefile_still_names_ordinals() -> None:
    need_patients()
    (file,) = (path for wheel, path in FILES if path.name == "_socket.pyd" and wheel.endswith("win_amd64"))
    told = [row for row in Pefile(file).imports("import") if row.dll == "WS2_32.dll" and row.ordinal]
    assert told
    assert all(row.name for row in told)


def test_lief_still_lists_exports_by_ordinal() -> None:
    need_patients()
    (file,) = (path for wheel, path in FILES if path.name == "tk86t.dll" and wheel.endswith("win32"))
    told = Lief(file).exports()
    assert told == as_told_by_lief(told)
    assert told != list(image.read(file).exports)


# ---- the files


@pytest.mark.parametrize("wheel", WHEELS)
def test_every_pe_file_of_the_wheel_is_compared(wheel: str) -> None:
    need_patients()
    assert Counter(path.suffix for path in pe_files(wheel)) == WHEELS[wheel]


def test_nothing_is_wrong_with_the_file(ours: Image) -> None:
    assert ours.defects == ()


@each_oracle
def test_header_facts_agree(ours: Image, answers: Answers, oracle: type[Oracle]) -> None:
    assert Header(*(getattr(ours, fact) for fact in Header._fields)) == answers[oracle].header()


@each_oracle
def test_imported_dlls_and_symbols_agree_in_order(ours: Image, answers: Answers, oracle: type[Oracle]) -> None:
    for kind in KINDS:
        rows = imports(ours, kind)
        expected = [as_told_by_pefile(row) for row in rows] if oracle is Pefile else rows
        assert_same(expected, answers[oracle].imports(kind))


@each_oracle
def test_exports_agree_in_order(ours: Image, answers: Answers, oracle: type[Oracle]) -> None:
    expected = as_told_by_lief(ours.exports) if oracle is Lief else list(ours.exports)
    assert_same(expected, answers[oracle].exports())
    assert ours.export_dll_name == answers[oracle].export_dll_name()


def test_file_version_and_manifests_agree(ours: Image, answers: Answers) -> None:
    pefile = answers[Pefile]
    assert isinstance(pefile, Pefile)
    assert ours.version == pefile.version()
    assert [ours.manifest(i) for i in MANIFEST_IDS] == [pefile.manifest(i) for i in MANIFEST_IDS]


# ---- that there was something to compare


def test_the_wheels_hold_every_kind_of_entry() -> None:
    need_patients()
    seen: Counter[str] = Counter()
    for file in (image.read(path) for _, path in FILES):
        seen["delay import"] += len(imports(file, "delay"))
        seen["import by ordinal"] += sum(row.ordinal is not None for row in imports(file, "import"))
        seen["forwarded export"] += sum(export.forwarder is not None for export in file.exports)
        seen["version"] += file.version is not None
        seen["manifest"] += file.manifest(2) is not None
        seen["32-bit"] += file.architecture == "x86"
        seen["program"] += not file.is_dll
    assert all(seen.values()), seen


@each_oracle
@pytest.mark.parametrize("machine", ["x86", "x64"])
def test_exports_without_a_name_agree(make_pe: Callable[..., Path], oracle: type[Oracle], machine: str) -> None:
    """No wheel here has any: a made file stands in, with gaps, a first ordinal that is not 1, and forwarders."""
    exports = ["b@10", "@12", "a@20", "@14=other.#7", "c@15=other.function"]
    file = make_pe("made.dll", machine=machine, exports=exports, export_base=10)
    ours = image.read(file).exports
    assert sorted(export.ordinal for export in ours if export.name is None) == [12, 14]
    assert_same(as_told_by_lief(ours) if oracle is Lief else list(ours), oracle(file).exports())
