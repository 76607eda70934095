"""What of a scan counts: findings that are ignored or known already, and which make it fail."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from depwalk import choices, tables, wheel
from depwalk.bulk.rows import JUDGED_WITH
from depwalk.bulk.wheels import distribution_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depwalk.bulk.rows import Row
    from depwalk.finding import Finding

Outcome = Literal["loads", "fails", "unknown", "accepted", "unreadable", "part", "passed over"]
Entry = tuple[str, str, str]  # file, code and module of a finding that is known

SCHEMA = "depwalk-baseline/1"
UNREADABLE = "unreadable"
_DLLS = (".dll", ".pyd", ".exe", ".drv", ".ocx", ".cpl")


class UnknownCode(ValueError):  # noqa: N818  (as FileNotFound)
    """A word that is no code of a finding; the text is a sentence for a person."""


@dataclass
class Policy:
    """`ignored` and `fail_on` are codes and names in lower case; `known` are the findings of a baseline.

    `used` notes what of both was met.
    """

    ignored: frozenset[str] = frozenset()
    fail_on: frozenset[str] = frozenset()
    known: frozenset[Entry] = frozenset()
    used: set[str | Entry] = field(default_factory=set)

    def outcome(self, row: Row) -> Outcome:
        """What a row comes to."""
        if row.verdict is None:
            return self._of_unjudged(row)
        accepted = [finding for finding in row.findings if self.accepts(row, finding)]  # all of them: see `used`
        decided = deciding(row)
        return "accepted" if decided and all(finding in accepted for finding in decided) else row.verdict

    def _of_unjudged(self, row: Row) -> Outcome:
        if not row.unreadable:
            return "part" if row.reason.startswith(JUDGED_WITH) else "passed over"
        words = {UNREADABLE, wheel.normalised(row.file.distribution), os.path.basename(row.file.path).lower()}
        found = words & self.ignored
        self.used |= found
        return "accepted" if found else "unreadable"

    def accepts(self, row: Row, finding: Finding) -> bool:
        """Whether a finding is ignored, or known already."""
        found: set[str | Entry] = {*self._words_for(row, finding)}
        if self.known and (entry := entry_of(row, finding)) in self.known:
            found.add(entry)
        self.used |= found
        return bool(found)

    def entries(self, row: Row) -> set[Entry]:
        """What a baseline has to have, so that a row counts no more; what is ignored needs none."""
        return {entry_of(row, finding) for finding in deciding(row) if not self._words_for(row, finding)}

    def _words_for(self, row: Row, finding: Finding) -> frozenset[str]:
        if not self.ignored:
            return self.ignored
        return self.ignored & {finding.code, finding.module.lower(), wheel.normalised(row.file.distribution)}

    def status(self, row: Row, outcome: Outcome) -> int:
        """The exit status that a row asks for."""
        if self.fail_on:
            codes = {finding.code for finding in row.findings if not self.accepts(row, finding)}
            if codes & self.fail_on:
                return choices.FAILS
            return choices.USAGE if outcome == "unreadable" else choices.LOADS
        return {"fails": choices.FAILS, "unknown": choices.UNKNOWN, "unreadable": choices.USAGE}.get(
            outcome, choices.LOADS
        )

    @property
    def unused(self) -> list[str]:
        """What was to be ignored, or is known, and was not met."""
        entries = (f"{code} of {module} in {file}" for file, code, module in self.known - self.used)
        return sorted({*(self.ignored - self.used), *entries})


def words(given: Iterable[str]) -> frozenset[str]:
    """What --ignore takes: codes, names of DLLs and of distributions, separated by commas."""
    found = (word.strip().lower() for text in given for word in text.split(","))
    return frozenset(
        word if word.endswith(_DLLS) or word in codes() else wheel.normalised(word) for word in found if word
    )


def codes_in(given: Iterable[str]) -> frozenset[str]:
    """What --fail-on takes: codes of findings, separated by commas. Raises UnknownCode."""
    found = frozenset(word.strip().lower() for text in given for word in text.split(",") if word.strip())
    for word in sorted(found - codes()):
        near = choices.nearest(word, codes())
        meant = f": did you mean {near}?" if near else ";"
        raise UnknownCode(f"unknown finding {word!r} (--fail-on){meant} docs/findings has the list")
    return found


def codes() -> frozenset[str]:
    """The codes of all findings."""
    schema = json.loads(tables.path("schema.json").read_text("utf-8"))
    return frozenset(schema["properties"]["findings"]["items"]["properties"]["code"]["enum"])


def deciding(row: Row) -> list[Finding]:
    """The findings for which a file does not load, or may not."""
    if row.verdict == "loads":
        return []
    errors = [finding for finding in row.findings if finding.severity == "error"]
    return errors or [finding for finding in row.findings if finding.severity == "warning"]


def entry_of(row: Row, finding: Finding) -> Entry:
    """A finding as a baseline has it: the version of a distribution, and where it is installed, do not count."""
    unit = row.file.unit
    name = os.path.relpath(row.file.path, unit.path).replace(os.sep, "/")
    if unit.kind == "wheel":
        distribution = wheel.normalised(distribution_of(unit.path)[0])
        top, slash, rest = name.partition("/")
        name = f"{distribution}/data/{rest}" if slash and top.endswith(".data") else f"{distribution}/{name}"
    return name.lower(), finding.code, finding.module.lower()


def read_baseline(path: str) -> frozenset[Entry]:
    """The findings that a file lists. Raises ValueError with a sentence for a person."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        if content["schema"] != SCHEMA:
            raise ValueError(f"{path}: it is of another version, {content['schema']!r} (--baseline)")
        return frozenset((row["file"], row["code"], row["module"]) for row in content["known"])
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror} (--baseline)") from None
    except (KeyError, TypeError, RecursionError, json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError(f"{path}: no baseline that depwalk wrote (--baseline)") from None


def written_baseline(entries: Iterable[Entry]) -> str:
    """The content of a baseline."""
    rows = [{"file": file, "code": code, "module": module} for file, code, module in sorted(set(entries))]
    return json.dumps({"schema": SCHEMA, "known": rows}, indent=1, ensure_ascii=False) + "\n"
