"""Archive: a wheel that is read inside its zip, whatever it was made to be."""

from __future__ import annotations

import io
import os
import tracemalloc
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import hostile_wheels
import pytest
from hostile_wheels import DEFLATED, EXTENSION, HOSTILE, INFO, PE, STORED, WHOLE, Part, healthy, zipped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from depwalk import archive
from depwalk.archive import Archive, Member, UnreadableArchive
from depwalk.archive import zipped as format_of_zip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BINARIES = (".dll", ".pyd", ".exe")
MIB = 1 << 20


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Where a wheel is to be written."""
    return tmp_path / "evil-1.0-cp311-cp311-win_amd64.whl"


@contextmanager
def opened(path: Path, *more: Part, **how: str) -> Iterator[Archive]:
    """A healthy wheel with more members."""
    path.write_bytes(zipped(healthy(*more, **how)))  # type: ignore[arg-type]
    with Archive(str(path)) as found:
        yield found


@contextmanager
def little_memory(most: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def said(path: Path) -> list[str]:
    """All that is said about a wheel when its binaries are read."""
    try:
        with Archive(str(path)) as found:
            texts = [*found.problems, *(member.refused for member in found.members.values())]
            for member in found.members.values():
                if not member.refused and member.name.lower().endswith(BINARIES):
                    try:
                        found.content(member.name)
                    except OSError as error:
                        texts.append(error.strerror)
            return texts
    except UnreadableArchive as error:
        return [str(error)]


# Healthy wheels


def test_a_healthy_wheel_has_no_problems(wheel: Path) -> None:
    with opened(wheel) as found:
        assert found.problems == ()
        assert not any(member.refused for member in found.members.values())


def test_a_wheel_that_zipfile_wrote_has_no_problems(wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("evil/", "")
        for part in healthy():
            file.writestr(part.raw.decode(), part.data)
    with Archive(str(wheel)) as found:
        assert found.problems == ()
        assert found.read(EXTENSION) == PE


def test_a_wheel_written_to_a_pipe_has_its_sizes_behind_the_data(wheel: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

        def seek(self, *_: int) -> int:
            raise OSError

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as file:
        for part in healthy():
            file.writestr(part.raw.decode(), part.data)
    wheel.write_bytes(pipe.getvalue())
    with Archive(str(wheel)) as found:
        assert found.problems == ()
        assert found.read(EXTENSION) == PE


def test_zip64_headers_that_nobody_needs_are_read(wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "w") as file:
        for part in healthy():
            with file.open(part.raw.decode(), "w", force_zip64=True) as member:
                member.write(part.data)
    with Archive(str(wheel)) as found:
        assert found.problems == ()
        assert found.read(EXTENSION) == PE


def test_a_zip64_end_record_is_read(wheel: Path) -> None:
    wheel.write_bytes(zipped(healthy(), end64={}))
    with Archive(str(wheel)) as found:
        assert found.problems == ()


def test_a_comment_of_64_kib_is_no_problem(wheel: Path) -> None:
    wheel.write_bytes(zipped(healthy(), comment=b"c" * 0xFFFF))
    with Archive(str(wheel)) as found:
        assert found.problems == ()


def test_members_of_an_archive_behind_a_program_are_read(wheel: Path) -> None:
    wheel.write_bytes(zipped(healthy(), prefix=PE))
    with Archive(str(wheel)) as found:
        assert found.read(EXTENSION) == PE


def test_members_are_where_they_would_be_installed(wheel: Path) -> None:
    data = "evil-1.0.data"
    moving = [Part(f"{data}/{scheme}/evil/{scheme}.dll", PE) for scheme in ("purelib", "platlib", "scripts", "data")]
    with opened(wheel, *moving) as found:
        names = {member.name for member in found.members.values()}
        assert names >= {"evil/purelib.dll", "evil/platlib.dll"}
        assert names >= {f"{data}/scripts/evil/scripts.dll", f"{data}/data/evil/data.dll"}
        assert found.problems == ()


def test_names_are_normalised_as_pip_does(wheel: Path) -> None:
    with opened(wheel, Part("./evil//x.dll", PE)) as found:
        assert found.members["evil/x.dll"].name == "evil/x.dll"


@pytest.mark.parametrize(
    "name", ["auxiliary.dll", "console.dll", "com.dll", "evil/com10.dll", ".libs/x.dll", "a b.dll"]
)
def test_a_name_that_only_looks_odd_is_a_name(name: str, wheel: Path) -> None:
    with opened(wheel, Part(name, PE)) as found:
        assert found.members[name] == Member(name, len(PE), "")
        assert found.problems == ()


def test_a_name_is_found_in_any_case(wheel: Path) -> None:
    with opened(wheel, Part("Evil/Größe.DLL", PE)) as found:
        assert found.read("eVIL/GRÖßE.dll") == PE
        assert found.members["evil/größe.dll"].name == "Evil/Größe.DLL"


def test_directories_list_what_is_in_them(wheel: Path) -> None:
    with opened(wheel, Part("evil/Sub/Deep/X.dll", PE), Part("Evil/other.dll", PE)) as found:
        assert found.directories[""] == {"evil": "evil", INFO: INFO}
        assert found.directories["evil"].keys() == {"__init__.py", EXTENSION[5:], "sub", "other.dll"}
        assert found.directories["evil/sub"] == {"deep": "Deep"}
        assert found.directories["evil/sub/deep"] == {"x.dll": "X.dll"}


def test_an_entry_for_a_directory_is_no_member(wheel: Path) -> None:
    with opened(wheel, Part("empty/")) as found:
        assert "empty" not in found.directories
        assert found.problems == ()


@pytest.mark.parametrize("method", [STORED, DEFLATED])
@pytest.mark.parametrize("data", [b"", b"x", os.urandom(3 * MIB), bytes(3 * MIB)], ids=["0", "1", "random", "zeros"])
def test_content_is_what_was_packed(method: int, data: bytes, wheel: Path) -> None:
    with opened(wheel, Part("evil/x.dll", data, method)) as found:
        assert found.read("evil/x.dll") == data
        assert found.content("evil/x.dll") == data


@pytest.mark.parametrize("method", [STORED, DEFLATED])
@pytest.mark.parametrize("most", [0, 1, 1000, 2 * MIB, 4 * MIB])
def test_reading_ends_where_it_is_told_to(method: int, most: int, wheel: Path) -> None:
    data = os.urandom(3 * MIB)
    with opened(wheel, Part("evil/x.dll", data, method)) as found:
        assert found.read("evil/x.dll", most) == data[:most]


def test_a_wheel_in_a_wheel_is_a_file(wheel: Path) -> None:
    with opened(wheel, Part("evil/inner.whl", WHOLE)) as found:
        assert found.members["evil/inner.whl"].refused == ""
        assert found.problems == ()


def test_a_hash_in_record_is_not_compared(wheel: Path) -> None:
    record = hostile_wheels.record_of(healthy()).replace(",,", ",sha256=wrong,")
    with opened(wheel, record=record) as found:
        assert found.problems == ()


def test_a_dll_that_shrinks_to_a_fiftieth_is_no_bomb(wheel: Path) -> None:
    data = b"".join(os.urandom(64) + bytes(6000) for _ in range(3000))
    with opened(wheel, Part("evil/x.dll", data)) as found:
        assert found.members["evil/x.dll"].refused == ""


# Which of several counts


def test_of_two_members_with_one_name_the_last_is_read(wheel: Path) -> None:
    with opened(wheel, Part("evil/x.dll", b"first"), Part("evil/x.dll", PE)) as found:
        assert found.read("evil/x.dll") == PE
    with zipfile.ZipFile(wheel) as file:
        assert file.read("evil/x.dll") == PE


def test_of_names_that_differ_in_case_the_last_is_installed(wheel: Path) -> None:
    with opened(wheel, Part("evil/x.dll", b"first"), Part("Evil/X.DLL", PE)) as found:
        assert found.read("evil/x.dll") == PE
        assert found.members["evil/x.dll"].name == "Evil/X.DLL"


@pytest.mark.parametrize("order", [1, -1])
def test_a_member_of_the_data_directory_is_installed_last(order: int, wheel: Path) -> None:
    parts = [Part("evil-1.0.data/platlib/evil/x.dll", PE), Part("evil/x.dll", b"first")]
    with opened(wheel, *parts[::order]) as found:
        assert found.read("evil/x.dll") == PE


# Hostile wheels


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind != "100,000 members"])
def test_what_is_wrong_with_a_wheel_is_said(kind: str, wheel: Path, scratch: Path) -> None:
    make, word = HOSTILE[kind]
    make(wheel)
    with little_memory(32 * MIB):
        texts = said(wheel)
    assert any(word in text for text in texts), texts
    assert all(text.isprintable() for text in texts)
    assert not any(str(wheel) in text for text in texts)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind != "100,000 members"])
def test_a_binary_is_read_right_or_not_at_all(kind: str, wheel: Path) -> None:
    HOSTILE[kind][0](wheel)
    try:
        with Archive(str(wheel)) as found:
            assert found.read(EXTENSION) == PE
    except (UnreadableArchive, OSError):
        pass


@pytest.mark.parametrize(
    "kind", ["a parent directory in a name", "a device", "a zip bomb", "a member of 4 GiB", "no WHEEL"]
)
def test_what_is_in_order_beside_something_hostile_is_read(kind: str, wheel: Path) -> None:
    HOSTILE[kind][0](wheel)
    with Archive(str(wheel)) as found:
        assert found.read(EXTENSION) == PE


def test_100_000_members_are_read(wheel: Path) -> None:
    make, word = HOSTILE["100,000 members"]
    make(wheel)
    with Archive(str(wheel)) as found:
        assert len(found.members) == 100_001
        assert any(word in text for text in found.problems)
        assert found.read(EXTENSION) == PE


def test_a_member_takes_a_kilobyte_of_memory(wheel: Path) -> None:
    wheel.write_bytes(hostile_wheels.tiny(10_000))
    with little_memory(10 * MIB), Archive(str(wheel)) as found:
        assert len(found.members) == 10_001


def test_more_members_than_a_wheel_has_are_not_counted_to_the_end(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(format_of_zip, "MOST_ENTRIES", 3)
    wheel.write_bytes(zipped(healthy(), end={"count": 3}))
    with pytest.raises(UnreadableArchive, match="more than 3 members"):
        Archive(str(wheel))


def test_a_directory_of_20_mib_is_not_read(wheel: Path) -> None:
    wheel.write_bytes(bytes(20 * MIB) + zipped([], end={"size": 20 * MIB}))
    with little_memory(MIB), pytest.raises(UnreadableArchive, match="more than are read"):
        Archive(str(wheel))


def test_a_bomb_is_not_unpacked(wheel: Path) -> None:
    HOSTILE["a zip bomb"][0](wheel)
    with little_memory(MIB), Archive(str(wheel)) as found, pytest.raises(OSError, match="bomb"):
        found.content("evil/bomb.dll")


def test_a_size_that_is_too_small_ends_the_unpacking(wheel: Path) -> None:
    lie = {"size": 1000}
    wheel.write_bytes(zipped([Part("evil/x.dll", bytes(20 * MIB), central=lie, local=lie)]))
    with Archive(str(wheel)) as found, little_memory(MIB), pytest.raises(OSError, match="more than the 1,000 bytes"):
        found.content("evil/x.dll")


@pytest.mark.parametrize("cut", range(0, len(WHOLE), 199))
def test_a_wheel_cut_off_anywhere_is_unreadable(cut: int, wheel: Path) -> None:
    wheel.write_bytes(WHOLE[:cut])
    with pytest.raises(UnreadableArchive):
        Archive(str(wheel))


def test_a_wheel_that_shrinks_while_it_is_open_is_damaged(wheel: Path) -> None:
    with opened(wheel, Part("evil/x.dll", os.urandom(MIB))) as found:
        os.truncate(wheel, MIB // 2)
        with pytest.raises(OSError, match="ends within"):
            found.read("evil/x.dll")


def test_few_names_stand_for_many(wheel: Path) -> None:
    with opened(wheel, *(Part(f"evil/{number}:.dll", PE) for number in range(1000))) as found:
        (problem,) = found.problems
        assert problem.endswith("evil/4:.dll and 995 more")


@pytest.mark.parametrize("header", ["central", "local"])
def test_a_binary_whose_headers_differ_is_refused_before_it_is_read(header: str, wheel: Path) -> None:
    with opened(wheel, Part("evil/x.dll", PE, **{header: {"crc": 7}})) as found:  # type: ignore[arg-type]
        assert "another CRC" in found.members["evil/x.dll"].refused


def test_another_file_whose_headers_differ_is_refused_when_it_is_read(wheel: Path) -> None:
    with opened(wheel, Part("evil/x.py", PE, local={"method": STORED})) as found:
        assert found.members["evil/x.py"].refused == ""
        with pytest.raises(OSError, match="another compression method"):
            found.read("evil/x.py")


# What opening and reading cost


def test_opening_reads_only_the_headers_of_binaries(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    read = format_of_zip._at
    monkeypatch.setattr(format_of_zip, "_at", lambda *where: reads.append(where) or read(*where))
    with opened(wheel, *(Part(f"evil/{number}.py") for number in range(100))):
        assert len(reads) <= 4  # the end, the zip64 locator, the directory, and the extension


def test_a_member_is_unpacked_once(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = []
    unpack = format_of_zip.unpacked
    monkeypatch.setattr(format_of_zip, "unpacked", lambda *what: unpacked.append(what) or unpack(*what))
    with opened(wheel) as found:
        assert found.content(EXTENSION) is found.content(EXTENSION.upper())
        assert found.read(EXTENSION, 10) == PE[:10]
        assert len(unpacked) == 1


def test_contents_above_the_budget_lie_in_files_until_the_end(
    wheel: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MEMORY", 4000)
    large = os.urandom(5000)
    with opened(wheel, Part("evil/large.dll", large), Part("evil/small.dll", b"small")) as found:
        path = found.content("evil/large.dll")
        assert isinstance(path, str)
        with open(path, "rb") as file:
            assert file.read() == large
        assert found.content("evil/large.dll") == path
        assert found.read("evil/large.dll", 10) == large[:10]
        assert found.content("evil/small.dll") == b"small"
    assert list(scratch.iterdir()) == []


def test_the_budget_is_that_of_all_contents(wheel: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MEMORY", 2 * len(PE))
    with opened(wheel, *(Part(f"evil/{number}.dll", PE) for number in range(4))) as found:
        assert [type(found.content(f"evil/{number}.dll")) for number in range(4)] == [bytes, bytes, str, str]


def test_nothing_is_left_of_a_large_member_that_is_damaged(
    wheel: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MEMORY", 0)
    lie = {"crc": 1}
    with opened(wheel, Part("evil/x.dll", PE, central=lie, local=lie)) as found:
        with pytest.raises(OSError, match="CRC"):
            found.content("evil/x.dll")
        assert [path for path in scratch.rglob("*") if path.is_file()] == []


def test_temporary_files_go_with_an_archive_that_nobody_closed(
    wheel: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MEMORY", 0)
    wheel.write_bytes(WHOLE)
    found = Archive(str(wheel))
    found.content(EXTENSION)
    found._file.close()
    del found
    assert list(scratch.iterdir()) == []


def test_no_more_is_unpacked_than_an_archive_may_hold(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_UNPACKED", len(PE) + 10)
    with opened(wheel) as found:
        assert found.read(EXTENSION) == PE
        with pytest.raises(OSError, match="have been unpacked"):
            found.read(EXTENSION)


# What is not there


def test_a_file_that_is_not_there_is_said_so(wheel: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Archive(str(wheel))


def test_a_directory_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(UnreadableArchive, match="no file"):
        Archive(str(tmp_path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe has no name here")
def test_a_pipe_is_not_waited_for(wheel: Path) -> None:
    os.mkfifo(wheel)
    with pytest.raises(UnreadableArchive, match="no file"):
        Archive(str(wheel))


def test_a_member_that_is_not_there_is_said_so(wheel: Path) -> None:
    with opened(wheel) as found, pytest.raises(FileNotFoundError, match="no such member"):
        found.read("evil/none.dll")


def test_a_closed_archive_reads_nothing(wheel: Path) -> None:
    with opened(wheel) as found:
        found.content(EXTENSION)
    found.close()
    with pytest.raises(OSError, match="closed"):
        found.content(EXTENSION)


def test_a_file_that_is_refused_is_closed(wheel: Path) -> None:
    wheel.write_bytes(b"no archive at all")
    with pytest.raises(UnreadableArchive):
        Archive(str(wheel))
    wheel.unlink()  # an open file would leave a ResourceWarning, which is an error here


# Whatever the bytes


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flips=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=6),
    cut=st.one_of(st.none(), st.integers(0, len(WHOLE))),
    more=st.binary(max_size=40),
)
def test_any_bytes_give_an_answer(flips: list[tuple[int, int]], cut: int | None, more: bytes, tmp_path: Path) -> None:
    data = bytearray(WHOLE)
    for at, value in flips:
        data[at] = value
    path = tmp_path / "any.whl"
    path.write_bytes(data[:cut] + more)
    with little_memory(8 * MIB):
        said(path)


FIELDS = st.dictionaries(
    st.sampled_from(["flags", "method", "crc", "packed", "size", "offset"]),
    st.sampled_from([0, 1, 7, 8, 0x800, 0x7FFF, 0xFFFF]),
    max_size=3,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(central=FIELDS, local=FIELDS)
def test_any_headers_give_the_content_or_an_error(
    central: dict[str, int], local: dict[str, int], tmp_path: Path
) -> None:
    path = tmp_path / "any.whl"
    path.write_bytes(zipped(healthy(extension=Part(EXTENSION, PE, central=central, local=local))))
    try:
        with Archive(str(path)) as found:
            read = found.read(EXTENSION)
    except (UnreadableArchive, OSError):
        return
    with zipfile.ZipFile(path) as file:
        assert file.read(EXTENSION) == read


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contents=st.dictionaries(
        st.text("abcXYZäß.-_/ 漢", min_size=1, max_size=20), st.binary(max_size=3000), min_size=1, max_size=8
    ),
    method=st.sampled_from([STORED, DEFLATED]),
)
def test_what_is_read_is_what_zipfile_reads(contents: dict[str, bytes], method: int, tmp_path: Path) -> None:
    path = tmp_path / "any.whl"
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in contents.items():
            file.writestr(name, data)
    with Archive(str(path)) as found, zipfile.ZipFile(path) as file:
        for member in found.members.values():
            if member.name in contents:
                assert found.read(member.name) == file.read(member.name)
