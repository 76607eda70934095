"""The text report as a person sees it, kept in tests/unit/snapshots: at three widths, in UTF-8 and code page 437.

After a change that is meant:  DEPWALK_WRITE_SNAPSHOTS=1 python -m pytest tests/unit/test_text_snapshots.py
Then read what git shows as changed.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from targets import target

from depwalk import result
from depwalk.cli.terminal import Terminal
from depwalk.report import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import MakePE

    from depwalk.result import Result

SNAPSHOTS = Path(__file__).with_name("snapshots")
WRITES = bool(os.environ.get("DEPWALK_WRITE_SNAPSHOTS"))


def healthy(make_pe: MakePE) -> Path:
    make_pe("lib/deeper.dll", exports=["f"])
    make_pe("lib/dep.dll", imports={"deeper.dll": ["f"], "user32.dll": ["f"]}, exports=["f"])
    return make_pe("lib/healthy.pyd", imports={"dep.dll": ["f"], "kernel32.dll": ["f"], "python311.dll": ["f"]})


def without_runtime(make_pe: MakePE) -> Path:
    crt = "api-ms-win-crt-heap-l1-1-0.dll"
    return make_pe("lib/needs_cpp.pyd", imports={"MSVCP140.dll": ["f"], crt: ["f"], "VCRUNTIME140.dll": ["f"]})


def deep(make_pe: MakePE) -> Path:
    """One DLL is missing far down, and several ways lead to it."""
    make_pe("lib/bottom.dll", imports={"gone_for_good.dll": ["f"]}, exports=["f"])
    make_pe("lib/fine.dll", imports={"finer.dll": ["f"]}, exports=["f"])
    make_pe("lib/finer.dll", exports=["f"])
    make_pe("lib/middle.dll", imports={"bottom.dll": ["f"], "fine.dll": ["f"], "ws2_32.dll": ["f"]}, exports=["f"])
    make_pe("lib/other.dll", imports={"middle.dll": ["f"]}, exports=["f"])
    return make_pe(
        "lib/deep.pyd",
        imports={"middle.dll": ["f"], "other.dll": ["f"], "fine.dll": ["f"], "kernel32.dll": ["f"]},
        delay={"later.dll": ["f"]},
    )


def foreign(make_pe: MakePE) -> Path:
    """Names that a code page of Windows cannot show."""
    make_pe("größe/данные/data.dll", machine="x86", exports=["f"])
    return make_pe("größe/данные/日本語.pyd", imports={"data.dll": ["f"], "kernel32.dll": ["f"]})


CASES: dict[str, Callable[[MakePE], Path]] = {
    "healthy": healthy,
    "without_runtime": without_runtime,
    "deep": deep,
    "foreign": foreign,
}


def moved(found: Result, folder: Path) -> Result:
    """A result as if its files lay in /app, in 12 ms: what a snapshot has must not depend on the machine."""
    path_in_folder = re.compile(re.escape(str(folder)) + r"[^;,\n]*")

    def plain(text: str) -> str:
        return path_in_folder.sub(lambda at: "/app" + at[0][len(str(folder)) :].replace(os.sep, "/"), text)

    def changed(value: Any) -> Any:
        return plain(value) if isinstance(value, str) else value

    modules = tuple(
        module._replace(path=module.path and plain(module.path), reason=plain(module.reason))
        for module in found.graph.modules
    )
    findings = tuple(
        finding._replace(
            message=plain(finding.message),
            evidence=tuple(map(plain, finding.evidence)),
            remedy=finding.remedy and finding.remedy._replace(command=plain(finding.remedy.command)),
        )
        for finding in found.findings
    )
    graph = replace(found.graph, modules=modules)
    return replace(found, path=plain(found.path), findings=findings, graph=graph, elapsed_ms=12.0)


class Screen(io.TextIOWrapper):
    """A terminal with an encoding of its own."""

    def isatty(self) -> bool:
        return True


def printed(found: Result, columns: int, encoding: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> str:
    """What a plain terminal of that width and encoding gets to see."""
    screen = Screen(io.BytesIO(), encoding=encoding, newline="\n")
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal(None)
    terminal.show(text.render(found, width=columns, glyphs=terminal.glyphs, **options))
    screen.flush()
    raw = screen.buffer.getvalue()  # type: ignore[attr-defined]  # it is a BytesIO
    return str(raw.decode(encoding))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("encoding", ["utf-8", "cp437"])
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_report_is_as_it_was(
    name: str, columns: int, encoding: str, make_pe: MakePE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = moved(result.diagnose(CASES[name](make_pe), lambda _: target(), load=False), tmp_path)
    page = printed(found, columns, encoding, monkeypatch)
    snapshot = SNAPSHOTS / f"{name}-{columns}-{encoding}.txt"
    if WRITES:
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(page, "utf-8", newline="\n")
    assert page == snapshot.read_text("utf-8")


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp850", "cp1252", "cp932", "utf-8"])
def test_no_code_page_is_too_small_for_it(
    encoding: str, make_pe: MakePE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = moved(result.diagnose(foreign(make_pe), lambda _: target(), load=False), tmp_path)
    page = printed(found, 80, encoding, monkeypatch, verbose=True, everything=True)
    assert "does NOT load" in page
    assert "\\u65e5\\u672c" in page or "日本" in page
