"""Installation: what RECORD lists against what is on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from installed import install, row

from depwalk import installation

if TYPE_CHECKING:
    from pathlib import Path

    from depwalk.installation import Installation

EXT, DEP = "demo/_ext.pyd", "demo.libs/dep.dll"
FILES = {EXT: b"extension", DEP: b"library", "demo/__init__.py": b"", "demo/tool.exe": b"program"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "Lib" / "site-packages"


def of(site: Path, *names: str, hashed: bool = False) -> tuple[Installation, ...]:
    return installation.of_files([str(site / name) for name in names or (EXT,)], hashed=hashed)


def facts(found: Installation) -> tuple[object, ...]:
    return found.absent, found.changed, found.extra, found.others


def test_a_distribution_that_is_as_it_was_installed_has_nothing_to_tell(site: Path) -> None:
    install(site, FILES)
    (found,) = of(site, EXT, DEP, hashed=True)
    assert str(found.distribution) == "demo 1.0"
    assert found.site == str(site)
    assert facts(found) == ((), (), (), ())


@pytest.mark.parametrize("name", [DEP, "demo/tool.exe"])
def test_a_listed_file_that_is_gone_is_absent(name: str, site: Path) -> None:
    install(site, FILES)
    (site / name).unlink()
    (found,) = of(site)
    assert found.absent == (str(site.joinpath(*name.split("/"))),)


def test_a_file_of_another_size_is_changed_whether_asked_about_or_not(site: Path) -> None:
    install(site, FILES)
    (site / DEP).write_bytes(b"longer than before")
    (found,) = of(site)
    assert found.changed == ((str(site / "demo.libs" / "dep.dll"), "it has 18 bytes, and its package's RECORD says 7"),)


@pytest.mark.parametrize(("hashed", "told"), [(True, 1), (False, 0)])
def test_a_file_of_the_same_size_is_only_compared_when_asked(hashed: bool, told: int, site: Path) -> None:
    install(site, FILES)
    (site / EXT).write_bytes(b"extensioN")
    (found,) = of(site, hashed=hashed)
    assert len(found.changed) == told


def test_only_files_asked_about_are_read(site: Path) -> None:
    install(site, FILES)
    (site / DEP).write_bytes(b"librarY")
    (found,) = of(site, EXT, hashed=True)
    assert found.changed == ()


def test_a_file_among_those_of_a_distribution_that_no_record_lists_is_extra(site: Path) -> None:
    install(site, {**FILES, "demo/old.dll": b"old"}, unlisted=["demo/old.dll"])
    (found,) = of(site, "demo/old.dll", EXT)
    assert found.extra == (str(site / "demo" / "old.dll"),)


def test_a_second_version_in_the_same_place_is_told_and_records_that_disagree_are_not_compared(site: Path) -> None:
    install(site, FILES)
    install(site, {}, named="Demo-0.9", rows=[row("demo/gone.dll", b""), row(EXT, b"older")])
    (found,) = of(site)
    assert [str(other) for other in found.others] in (["Demo 0.9"], ["demo 1.0"])
    assert (found.absent, found.changed) == ((), ())


def test_each_distribution_is_told_once(site: Path) -> None:
    install(site, FILES)
    install(site, {"more/_ext.pyd": b""}, named="more-2.0")
    found = of(site, EXT, DEP, "more/_ext.pyd")
    assert [str(one.distribution) for one in found] == ["demo 1.0", "more 2.0"]


def test_a_library_outside_of_the_site_is_looked_for_where_the_scheme_puts_it(site: Path) -> None:
    install(site, {EXT: b"", "../../Library/bin/mkl.dll": b"mkl"})
    assert of(site)[0].absent == ()
    library = site.parent.parent / "Library" / "bin" / "mkl.dll"
    library.unlink()
    assert of(site)[0].absent == (str(library),)


def test_near_miss_a_directory_that_pip_was_told_has_libraries_below_it(site: Path) -> None:
    install(site, {EXT: b"", "Library/bin/mkl.dll": b"mkl"}, unlisted=["Library/bin/mkl.dll"])
    (site / "demo-1.0.dist-info" / "RECORD").write_text(
        "\n".join([row(EXT, b""), row("../../Library/bin/mkl.dll", b"mkl"), ""])
    )
    assert of(site)[0].absent == ()


NEAR_MISSES = {
    "a compiled .pyc that was not kept": ["demo/__pycache__/__init__.cpython-311.pyc,,"],
    "a source file that was removed": ["demo/gone.py,sha256=abc,12"],
    "a launcher that pip makes elsewhere": ["../../Scripts/demo.exe,sha256=abc,12"],
    "a row without hash and size": ["demo/tool.exe,,"],
    "an unpacked wheel": ["demo-1.0.data/platlib/demo/_more.pyd,sha256=abc,12"],
    "a name with a comma": ['"demo/a,b.txt",sha256=abc,12'],
}


@pytest.mark.parametrize("rows", NEAR_MISSES.values(), ids=NEAR_MISSES)
def test_near_miss_rows_of_a_healthy_installation_are_neither_absent_nor_changed(rows: list[str], site: Path) -> None:
    install(site, FILES, unlisted=["demo/tool.exe"], rows=rows)
    assert facts(of(site, hashed=True)[0]) == ((), (), (), ())


def test_near_miss_what_conda_installed_is_not_compared(site: Path) -> None:
    install(site, FILES, installer="conda")
    (site / DEP).unlink()
    assert of(site)[0].absent == ()


def test_near_miss_a_file_of_another_distribution_in_the_same_directory_is_not_extra(site: Path) -> None:
    install(site, {"Qt/core.dll": b"core"}, named="Qt_Essentials-6.0")
    install(site, {"Qt/web.dll": b"web"}, named="Qt_Addons-6.0")
    assert [one.extra for one in of(site, "Qt/core.dll", "Qt/web.dll")] == [(), ()]


def test_near_miss_an_editable_installation_owns_no_file_outside_of_its_record(site: Path, tmp_path: Path) -> None:
    install(site, {"demo.pth": str(tmp_path).encode()}, origin="file:///src/demo")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "_ext.pyd").touch()
    assert installation.of_files([str(tmp_path / "src" / "_ext.pyd")], hashed=True) == ()


def test_near_miss_a_leftover_folder_of_pip_is_no_second_version(site: Path) -> None:
    install(site, FILES)
    install(site, {}, named="~emo-0.9")
    (site / "demo-0.8.dist-info").mkdir()  # empty: nothing in it can be of use
    assert of(site)[0].others == ()


def test_near_miss_names_that_only_begin_alike_are_two_distributions(site: Path) -> None:
    install(site, FILES)
    install(site, {}, named="demo_extra-1.0")
    assert of(site)[0].others == ()


def test_near_miss_a_file_at_the_top_of_a_site_is_nobodys_leftover(site: Path) -> None:
    install(site, {"_demo.pyd": b""})
    (site / "_other.pyd").touch()
    assert of(site, "_other.pyd") == ()


def test_near_miss_the_interpreter_is_no_leftover_of_a_package_with_scripts(site: Path) -> None:
    install(site, {EXT: b""}, rows=["../../Scripts/demo.exe,,", "../../demo.txt,,"])
    (site.parent.parent / "python311.dll").touch()
    assert installation.of_files([str(site.parent.parent / "python311.dll")], hashed=False) == ()


def test_a_file_in_no_site_belongs_to_no_installation(tmp_path: Path) -> None:
    (tmp_path / "lonely.dll").touch()
    assert installation.of_files([str(tmp_path / "lonely.dll")], hashed=True) == ()
