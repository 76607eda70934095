"""What a scan comes to, for a person: the numbers, every root cause with its remedy, then the distributions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from depwalk.bulk.rows import NOT_FOR, NOTHING_IN_IT
from depwalk.report.lines import Line, shown, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depwalk.bulk.policy import Outcome
    from depwalk.bulk.rows import Case, File
    from depwalk.bulk.summary import Cause, Summary

_FEW = 8  # names in one line
_SOME = 10  # lines of one list; --all shows the rest
_WORDS: dict[Outcome, str] = {
    "loads": "load",
    "fails": "do NOT load",
    "unknown": "may or may not",
    "accepted": "accepted",
}
_STYLES: dict[Outcome, str] = {"loads": "good", "fails": "bad", "unknown": "warn", "accepted": ""}


def render(summary: Summary, *, width: int = 80, everything: bool = False) -> list[Line]:
    """The whole page."""
    lines = [*_head(summary, width)]
    for title, causes, what in (
        ("What prevents it", summary.causes, "extension module"),
        ("Programs, and DLLs that no extension module needs", summary.causes_of_others, "file"),
    ):
        if causes:
            lines += [Line(""), Line(title, "head")]
            several = len(summary.cases) > 1
            found = sorted(causes.values(), key=lambda cause: -len(cause.files))
            for cause in found if everything else found[:_SOME]:
                lines += _cause(cause, what, width, everything=everything, several=several)
            lines += _more(len(found) - _SOME, "more causes", everything=everything)
    lines += _undecided(summary, width, everything=everything)
    lines += _groups(summary, width, everything=everything)
    lines += _listed("Could not be read", summary.unreadable, width, "bad", everything=everything)
    usual = (NOTHING_IN_IT, NOT_FOR)
    odd = [(shown(path), reason) for path, reason in summary.remarks.items() if not reason.startswith(usual)]
    lines += _facts("Odd about the archives", odd, width, everything=everything)
    lines += _notes(summary, width)
    return lines


def verdict(summary: Summary) -> Line:
    """The answer in one line."""
    total = _total(summary)
    worst: Outcome = "fails" if total["fails"] else "unknown" if total["unknown"] else "loads"
    counted = ", ".join(f"{total[kind]:,} {_WORDS[kind]}" for kind in _WORDS if total[kind]) or "nothing to judge"
    number = sum(total.values())
    cases = f" in {len(summary.cases)} cases" if len(summary.cases) > 1 else ""
    judged = f"{number:,} extension module" + ("" if number == 1 else "s") if len(summary.cases) < 2 else "Verdicts"
    return Line(f"{judged}{cases}: {counted}", _STYLES[worst])


def _total(summary: Summary) -> Counter[Outcome]:
    found: Counter[Outcome] = Counter()
    for by_case in summary.cells.values():
        for counts in by_case.values():
            found.update(counts)
    return found


def _head(summary: Summary, width: int) -> Iterator[Line]:
    found = verdict(summary)
    yield from wrap(found.text, width, style=found.style)
    labels = ", ".join(case.label for case in summary.cases)
    how = "Asked the real loader" if summary.loaded else "Predicted from the files alone"
    yield from wrap(f"{how}, for Windows {labels}.", width)
    if len(summary.cases) > 1:
        yield Line("")
        yield from _table(summary, width)


def _table(summary: Summary, width: int) -> Iterator[Line]:
    """The numbers of each case, one line each."""
    wide = max(len(case.label) for case in summary.cases)
    for case in summary.cases:
        counts: Counter[Outcome] = Counter()
        for by_case in summary.cells.values():
            counts.update(by_case.get(case, {}))
        yield from wrap(f"{case.label:<{wide}}  {_counted(counts)}", width, "  ", "      ", _style(counts))


def _cause(cause: Cause, what: str, width: int, *, everything: bool, several: bool) -> Iterator[Line]:
    number = len(cause.files)
    groups = cause.groups()
    modules = ", ".join(name for name, _ in cause.modules.most_common(4)) + (", ..." if len(cause.modules) > 4 else "")
    told = f"{cause.finding.code}: {modules} breaks {number:,} {what}{'' if number == 1 else 's'}"
    yield from wrap(told, width, "", "  ", style="bad")
    if several:
        yield from wrap("in: " + ", ".join(case.label for case in cause.cases), width, "  - ", "    ")
    listed = groups.most_common(None if everything else _FEW)
    names = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in listed)
    more = f" and {len(groups) - _FEW} more" if len(groups) > _FEW and not everything else ""
    yield from wrap(f"of: {names}{more}", width, "  - ", "    ")
    first = next(iter(cause.files.values()))
    yield from wrap(f"for instance {shown(first.path)}", width, "  - ", "    ")
    yield from wrap(cause.finding.message, width, "    ", "    ")
    if everything:
        for file in list(cause.files.values())[1:]:
            yield Line(f"    {shown(file.path)}")
    remedy = cause.finding.remedy
    if remedy is not None:
        yield from wrap(f"What to do: {remedy.text}", width, "  ", "    ")
        yield from (Line(f"      {shown(whole)}", "head") for whole in (remedy.command, remedy.url) if whole)


def _undecided(summary: Summary, width: int, *, everything: bool) -> list[Line]:
    return _listed("May or may not load", summary.undecided, width, "warn", everything=everything)


def _groups(summary: Summary, width: int, *, everything: bool) -> list[Line]:
    """Distributions in which something does not load; with `everything` all of them."""
    worse = {"fails", "unknown", "accepted"}
    rows = [
        (name, by_case)
        for name, by_case in sorted(summary.cells.items(), key=lambda item: item[0].lower())
        if everything or any(worse & counts.keys() for counts in by_case.values())
    ]
    fine = len(summary.cells) - len(rows)
    title = f"By distribution ({fine} more load as a whole)" if fine else "By distribution"
    lines = [Line(""), Line(title, "head")] if rows else []
    wide = min(max((len(name) for name, _ in rows), default=0), 40)
    for name, by_case in rows if everything else rows[: 4 * _SOME]:
        if len(summary.cases) == 1:
            counts = next(iter(by_case.values()))
            lines += wrap(f"{shown(name):<{wide}}  {_counted(counts)}", width, "  ", "      ", _style(counts))
        else:
            lines += wrap(f"{shown(name)}", width, "  ", "      ")
            for told, cases in _alike(by_case).items():
                lines += wrap(f"{told[0]}: {', '.join(cases)}", width, "      ", "        ", told[1])
    return [*lines, *_more(len(rows) - 4 * _SOME, "more distributions", everything=everything)]


def _alike(by_case: dict[Case, Counter[Outcome]]) -> dict[tuple[str, str], list[str]]:
    """What is told of a distribution, and the cases of which it is told."""
    found: dict[tuple[str, str], list[str]] = {}
    for case, counts in by_case.items():
        found.setdefault((_counted(counts), _style(counts)), []).append(case.label)
    return found


def _counted(counts: Counter[Outcome]) -> str:
    if set(counts) == {"loads"}:
        return f"all {counts['loads']} load"
    return ", ".join(f"{counts[kind]:,} {_WORDS[kind]}" for kind in _WORDS if counts[kind])


def _style(counts: Counter[Outcome]) -> str:
    return _STYLES["fails" if counts["fails"] else "unknown" if counts["unknown"] else "loads"]


def _listed(title: str, files: dict[str, tuple[File, str]], width: int, style: str, *, everything: bool) -> list[Line]:
    facts = [(shown(file.path), reason) for file, reason in files.values()]
    return _facts(title, facts, width, style, everything=everything)


def _facts(
    title: str, facts: Sequence[tuple[str, str]], width: int, style: str = "", *, everything: bool
) -> list[Line]:
    if not facts:
        return []
    lines = [Line(""), Line(title, "head")]
    for path, reason in facts if everything else facts[:_SOME]:
        lines.append(Line(f"  {path}", style))
        lines += wrap(reason, width, "      ") if reason else []
    return [*lines, *_more(len(facts) - _SOME, "more", everything=everything)]


def _more(number: int, what: str, *, everything: bool) -> list[Line]:
    return [Line(f"  ... and {number:,} {what} (--all shows them)")] if number > 0 and not everything else []


def _notes(summary: Summary, width: int) -> Iterator[Line]:
    empty = sum(reason == NOTHING_IN_IT for reason in summary.remarks.values())
    foreign = sum(reason.startswith(NOT_FOR) for reason in summary.remarks.values())
    others: Counter[Outcome] = Counter()
    for counts in summary.others.values():
        others.update(counts)
    facts = []
    if others:
        told = ", ".join(f"{others[kind]:,} {_WORDS[kind]}" for kind in _WORDS if others[kind])
        facts.append(f"Programs, and DLLs that nothing needs: {told}.")
    if summary.parts:
        facts.append(f"{len(summary.parts):,} DLLs were judged with what needs them.")
    if summary.passed_over:
        reasons = Counter(reason for _, reason in summary.passed_over.values())
        told = "; ".join(f"{reason} ({count:,})" if count > 1 else reason for reason, count in reasons.most_common(3))
        facts.append(f"{len(summary.passed_over):,} files are not meant to be loaded there: {told}.")
    if empty:
        facts.append(f"{empty:,} wheels have no .pyd, .dll or .exe file.")
    if foreign:
        facts.append(f"{foreign:,} wheels are not for the Python that was asked for.")
    if summary.reused:
        facts.append(
            f"{summary.reused:,} of {summary.rows:,} verdicts are those of an earlier scan: nothing has changed."
        )
    facts += [f"Nothing was met of what is to be accepted: {word}." for word in summary.policy.unused[:_SOME]]
    if facts:
        yield Line("")
    for fact in facts:
        yield from wrap(fact, width)
