"""Installed distributions for tests, and the evidence around a file of one."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from targets import target

from depwalk import diagnosis, graph, image, installation, wheel
from depwalk.diagnosis import Evidence
from depwalk.target import python

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from depwalk.diagnosis import Finding
    from depwalk.loader import LoadTrace
    from depwalk.target import Target


def row(name: str, content: bytes) -> str:
    """A line of RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}"


def install(
    site: Path,
    files: Mapping[str, bytes],
    *,
    named: str = "demo-1.0",
    tags: Iterable[str] = ("cp311-cp311-win_amd64",),
    installer: str = "pip",
    origin: str = "",
    unlisted: Collection[str] = (),
    rows: Iterable[str] = (),
) -> Path:
    """A distribution whose RECORD lists its files as they are, and what `rows` say; its metadata directory."""
    for name, content in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(content)
    folder = site / f"{named}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    listed = [row(name, content) for name, content in files.items() if name not in unlisted]
    (folder / "RECORD").write_text("\n".join([*listed, *rows, ""]), encoding="utf-8")
    about = ["Wheel-Version: 1.0", "Generator: maker 1.0", *(f"Tag: {tag}" for tag in tags)]
    (folder / "WHEEL").write_text("\n".join(about), encoding="utf-8")
    (folder / "INSTALLER").write_text(f"{installer}\n", encoding="utf-8")
    if origin:
        (folder / "direct_url.json").write_text(json.dumps({"url": origin, "dir_info": {}}), encoding="utf-8")
    return folder


def evidence(path: Path, place: Target | None = None, load: LoadTrace | None = None, **facts: Any) -> Evidence:
    """What is known of a file and of the installations that own files of its tree."""
    place = place or target()
    file = image.read(path)
    walked = graph.walk(str(path), file, place)
    files = [module.path for module in walked.modules if module.path and module.status != "system"]
    around = installation.of_files(files, hashed=load is not None and not load.loaded)
    owner = wheel.distribution_of(str(path))
    return Evidence(walked, place, python.built_for(file), owner, load, installations=around, **facts)


def findings(path: Path, place: Target | None = None, load: LoadTrace | None = None, **facts: Any) -> list[Finding]:
    """In the order of a report."""
    return list(diagnosis.diagnose(evidence(path, place, load, **facts)))


def said(found: Iterable[Finding]) -> list[tuple[str, str, str]]:
    """Severity, code and module of each."""
    return [(finding.severity, finding.code, finding.module) for finding in found]
