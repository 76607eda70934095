"""What is scanned in tests: directories and wheels of given contents; and the rows of a scan in this process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hostile_wheels import Part, zipped
from installed import row as record_line

from depwalk import bulk
from depwalk.bulk import Scan
from depwalk.target.choose import Choice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from depwalk.bulk.rows import Case, Row

TAG = "cp311-cp311-win_amd64"
EXT = "_ext.cp311-win_amd64.pyd"
HERE = "import os\nhere = os.path.dirname(__file__)\n"
ADDS_LIB = HERE + "os.add_dll_directory(os.path.join(here, 'lib'))\n"

Content = "bytes | str"
Said = tuple[str, str]  # code and module of a finding


def lay(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    """Write files, and return the directory."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def make_wheel(
    folder: Path,
    files: Mapping[str, bytes | str],
    *,
    name: str = "demo",
    version: str = "1.0",
    tag: str = TAG,
    requires: Iterable[str] = (),
) -> Path:
    """A wheel that has nothing odd about it."""
    contents = {path: content.encode() if isinstance(content, str) else content for path, content in files.items()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    path.write_bytes(
        zipped([Part(member, content) for member, content in installed(contents, name, version, tag, requires).items()])
    )
    return path


def installed(
    files: Mapping[str, bytes], name: str, version: str, tag: str, requires: Iterable[str] = ()
) -> dict[str, bytes]:
    """With the metadata of a distribution."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
    whole = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: maker 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
    }
    lines = [*(record_line(path, content) for path, content in whole.items()), f"{info}/RECORD,,"]
    return {**whole, f"{info}/RECORD": "\n".join([*lines, ""]).encode()}


def scan_of(
    *paths: object,
    windows: Sequence[str] = ("11",),
    also_without_runtime: bool = False,
    options: Mapping[str, Any] | None = None,
    **choice: Any,
) -> Scan:
    """A scan in this process. `choice` are the fields of Choice, `options` those of Scan."""
    cases = bulk.cases(Choice(**choice), windows, live=False, also_without_runtime=also_without_runtime)
    return Scan.of([os.fspath(path) for path in paths], cases, **{"jobs": 1, **(options or {})})  # type: ignore[call-overload]


def rows_of(*paths: object, **how: Any) -> list[Row]:
    """The rows of such a scan."""
    return list(scan_of(*paths, **how).rows())


def by_file(rows: Iterable[Row]) -> dict[str, Row]:
    """Rows of one case, each by its place in its unit; those of the unit itself by its base name."""
    found = {}
    for row in rows:
        name = os.path.relpath(row.file.path, row.file.unit.path).replace(os.sep, "/")
        found[os.path.basename(row.file.path) if name == "." else name] = row
    return found


def verdicts(*paths: object, **how: Any) -> dict[str, str]:
    """What is said of each file: its verdict, or why there is none."""
    return {name: row.verdict or row.reason for name, row in by_file(rows_of(*paths, **how)).items()}


def said(row: Row) -> list[Said]:
    """Code and module of each finding."""
    return [(finding.code, finding.module) for finding in row.findings]


def by_case(rows: Iterable[Row]) -> dict[Case, str | None]:
    """The verdicts on one file."""
    return {row.case: row.verdict for row in rows}
