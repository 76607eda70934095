"""The findings as SARIF 2.1.0, which code-scanning tools show by file.

Section numbers are those of the standard, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0" of OASIS.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from depwalk import __version__, choices, tables
from depwalk.bulk import policy
from depwalk.report.lines import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depwalk.bulk.rows import Row
    from depwalk.bulk.summary import Summary
    from depwalk.finding import Finding
    from depwalk.result import Result

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
BASE = "SRCROOT"
_FIRST_LINE = {"startLine": 1}  # a DLL has no lines, but GitHub's code scanning shows nothing without one
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~!])")


def render(results: Sequence[Result], *, base: str, status: int, unread: Sequence[str] = ()) -> str:
    """One document on several results.

    `base` is the directory that locations are relative to, as an absolute path; `status` is the exit status, and
    `unread` says in a sentence each what could not be judged.
    """
    run = _Run(base)
    for result in results:
        subject = _of_result(result, base)
        run.artifact(subject)
        for finding in result.findings:
            key = (subject.key, finding.code, finding.module.lower())
            run.result(subject, finding, key)
    run.notifications += [_notification(sentence) for sentence in unread]
    return run.document(status, whole=status != choices.USAGE)


def render_scan(summary: Summary, rows: Iterable[Row], *, base: str, status: int, finished: bool = True) -> str:
    """One document on all rows of a scan, which nobody interrupted if it is `finished`; the others as in `render`."""
    run = _Run(base)
    for row in sorted(rows, key=lambda row: (row.file.path, row.case.label)):
        subject = _of_row(row)
        run.artifact(subject)
        for finding in row.findings:
            key = (*policy.entry_of(row, finding), *_whose(row, base))
            run.result(subject, finding, key, accepted=summary.policy.accepts(row, finding))
        if summary.policy.outcome(row) == "unreadable":
            run.notifications.append(_notification(f"{subject.path}: {row.reason}", run.location(subject)))
    if not finished:
        run.notifications.append(_notification("The scan was interrupted: there are no results of other files."))
    return run.document(status, whole=finished and status != choices.USAGE)


class _Subject(NamedTuple):
    """What a result is about. `key` tells it from others wherever it lies; `member` is its path in a wheel."""

    path: str  # empty for what is no file
    key: str
    facts: dict[str, Any]  # that hold for all of its results
    size: int | None = None  # bytes, of the file at `path`
    member: str = ""
    case: str = ""


def _of_result(result: Result, base: str) -> _Subject:
    image = result.graph.root.image
    facts = {"verdict": result.verdict, "basis": result.basis, "windows": result.target.windows.name}
    if result.imported_as:
        facts["import"] = result.imported_as
    if image is None:
        return _Subject("", result.name, facts)
    uri, inside = uri_of(result.path, base)
    return _Subject(result.path, uri if inside else result.name, facts, image.size)


def _of_row(row: Row) -> _Subject:
    file = row.file
    facts = {"verdict": row.verdict, "basis": row.basis, "windows": row.case.windows, "case": row.case.label}
    if file.unit.kind != "wheel" or file.kind == "wheel":
        return _Subject(file.path, "", facts, file.size, case=row.case.label)
    member = os.path.relpath(file.path, file.unit.path).replace(os.sep, "/")
    return _Subject(file.unit.path, "", facts, file.unit.size or None, member, row.case.label)


def _whose(row: Row, base: str) -> tuple[str, str, str]:
    """What tells rows of equal names apart. The file name of a wheel does not: it has the version in it."""
    uri, inside = uri_of(row.file.unit.path, base)
    return uri if inside and row.file.unit.kind != "wheel" else "", row.file.architecture, row.case.label


@dataclass
class _Run:
    """One run (3.14), as its results come."""

    base: str
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)  # by URI
    results: list[dict[str, Any]] = field(default_factory=list)
    notifications: list[dict[str, Any]] = field(default_factory=list)
    _met: Counter[str] = field(default_factory=Counter)  # fingerprints
    _numbers: dict[str, int] = field(default_factory=dict)  # of artifacts, by URI

    def artifact(self, subject: _Subject) -> None:
        """Note a file that was looked at (3.24)."""
        if not subject.path:
            return
        place = self._place(subject.path)
        if place["uri"] not in self.artifacts:
            self._numbers[place["uri"]] = len(self.artifacts)
            length = {} if subject.size is None else {"length": subject.size}
            self.artifacts[place["uri"]] = {"location": place, **length, "roles": ["analysisTarget"]}

    def location(self, subject: _Subject) -> dict[str, Any]:
        """Where a result is (3.28): in a file, or in a wheel and there in a member."""
        found: dict[str, Any] = {}
        if subject.path:
            place = self._place(subject.path)
            place["index"] = self._numbers[place["uri"]]
            found["physicalLocation"] = {"artifactLocation": place, "region": _FIRST_LINE}
        if subject.member or not subject.path:
            name = subject.member or subject.key
            found["logicalLocations"] = [
                {"name": name.rpartition("/")[2], "fullyQualifiedName": name, "kind": "module"}
            ]
        return found

    def result(self, subject: _Subject, finding: Finding, key: Sequence[str], *, accepted: bool = False) -> None:
        """Note a finding (3.27). `key` are the words that stay the same from run to run."""
        text, markdown = _told(subject, finding)
        fingerprint = hashlib.sha256("\0".join(key).encode("utf-8", "backslashreplace")).hexdigest()[:32]
        self._met[fingerprint] += 1
        told = f"{fingerprint}:{self._met[fingerprint]}"
        remedy = finding.remedy
        properties = {
            "module": finding.module,
            "needed_by": finding.needed_by or None,
            "proof": finding.proof,
            "evidence": [*finding.evidence],
            "also": [*finding.also],
            "command": remedy.command if remedy and remedy.command else None,
            "url": remedy.url if remedy and remedy.url else None,
            **subject.facts,
        }
        self.results.append(
            {
                "ruleId": finding.code,
                "ruleIndex": sorted(_rules()).index(finding.code),
                "level": finding.severity,
                "message": {"text": text, "markdown": markdown},
                "locations": [self.location(subject)],
                # The second name is the one that GitHub's code scanning tells results apart by.
                "partialFingerprints": {"depwalk/v1": told, "primaryLocationLineHash": told},
                **({"suppressions": [{"kind": "external", "status": "accepted"}]} if accepted else {}),
                "properties": {name: value for name, value in properties.items() if value},
            }
        )

    def _place(self, path: str) -> dict[str, Any]:
        uri, inside = uri_of(path, self.base)
        return {"uri": uri, "uriBaseId": BASE} if inside else {"uri": uri}

    def document(self, status: int, *, whole: bool) -> str:
        """The log (3.13)."""
        invocation = {
            "executionSuccessful": whole,
            "exitCode": status,
            "exitCodeDescription": choices.STATUSES[status],
            **({"toolExecutionNotifications": self.notifications} if self.notifications else {}),
        }
        rules = _rules()
        run = {
            "tool": {
                "driver": {
                    "name": "depwalk",
                    "version": __version__,
                    "rules": [_rule(code, rules[code]) for code in sorted(rules)],
                }
            },
            "invocations": [invocation],
            "originalUriBaseIds": {
                BASE: {
                    "uri": _file_uri(self.base, os.path).rstrip("/") + "/",
                    "description": {"text": "The directory in which depwalk ran."},
                }
            },
            "artifacts": [*self.artifacts.values()],
            "results": self.results,
            "columnKind": "unicodeCodePoints",
        }
        log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
        return json.dumps(log, ensure_ascii=False, indent=1) + "\n"


def uri_of(path: str, base: str, paths: Any = os.path) -> tuple[str, bool]:
    """A path as a URI, and whether that is relative to `base`: for a file below it. `paths` is os.path or as it."""
    whole = paths.normpath(paths.join(base, path))
    if paths.sep == "\\" and whole.startswith("\\\\?\\"):
        whole = whole[4:] if whole[4:8].upper() != "UNC\\" else "\\" + whole[7:]
    try:
        inside = paths.relpath(whole, base)
    except ValueError:  # on another drive
        inside = paths.pardir
    parts = inside.split(paths.sep)
    if parts[0] != paths.pardir:
        return "/".join(map(_encoded, parts)), True
    return _file_uri(whole, paths), False


def _file_uri(whole: str, paths: Any) -> str:
    drive, rest = paths.splitdrive(whole)
    end = "/".join(map(_encoded, rest.split(paths.sep)))
    if drive.startswith("\\\\"):
        return f"file:{'/'.join(map(_encoded, drive.split(paths.sep)))}{end}"
    return f"file:///{drive}{end}" if drive else f"file://{end}"


def _encoded(part: str) -> str:
    return quote(os.fsencode(part), safe="")


def _told(subject: _Subject, finding: Finding) -> tuple[str, str]:
    """What a finding says to a person, as plain text and as Markdown (3.11)."""
    where = f"{subject.member}: " if subject.member else ""
    case = [f"This is so on Windows {subject.case}."] if subject.case else []
    facts = [where + finding.message, *case]
    text = [*facts, *(f"- {fact}" for fact in finding.evidence)]
    markdown = [*map(_escaped, facts), *(f"- {_escaped(fact)}" for fact in finding.evidence)]
    remedy = finding.remedy
    if remedy is not None:
        text += [f"What to do: {remedy.text}", *filter(None, (remedy.command, remedy.url))]
        markdown += ["", f"**What to do:** {_escaped(remedy.text)}"]
        markdown += ["", "~~~", shown(remedy.command), "~~~"] if remedy.command else []
        markdown += ["", f"<{remedy.url}>"] if remedy.url else []
    return _placed("\n".join(map(_plain, text))), _placed("\n".join(markdown))


def _plain(text: str) -> str:
    return shown(text).replace("](", "] (")  # that would be a link (3.11.6), and names come from files


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", shown(text))


def _placed(text: str) -> str:
    """Braces stand for what is filled in, so they are written twice (3.11.5)."""
    return text.replace("{", "{{").replace("}", "}}")


def _notification(sentence: str, location: dict[str, Any] | None = None) -> dict[str, Any]:
    """What kept depwalk from judging something (3.58)."""
    told = {"level": "error", "message": {"text": _placed(_plain(sentence))}}
    return {**told, "locations": [location]} if location else told


@cache
def _rules() -> dict[str, dict[str, str]]:
    """What every finding means: written from docs/findings by ci/rules.py."""
    found: dict[str, dict[str, str]] = json.loads(tables.path("findings.json").read_text("utf-8"))
    return found


def _rule(code: str, page: dict[str, str]) -> dict[str, Any]:
    """A kind of finding (3.49)."""
    return {
        "id": code,
        "shortDescription": {"text": page["what"].partition(". ")[0].rstrip(".:") + "."},
        "fullDescription": {"text": page["what"]},
        "help": {
            "text": f"{page['what']}\n\nWhat to do: {page['remedy']}",
            "markdown": f"{page['what']}\n\n## What to do\n\n{page['remedy']}",
        },
    }
