"""What a scan comes to, for a person: the numbers, every root cause with its remedy, then the distributions."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from depwalk.bulk.rows import NOT_FOR, NOTHING_IN_IT
from depwalk.report.lines import Line, columns, padded, shown, wrap
from depwalk.report.remedies import remedy_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depwalk.bulk.policy import Outcome
    from depwalk.bulk.rows import Case, File
    from depwalk.bulk.summary import Cause, Summary

_FEW = 8  # names in one line
_NAMED = 3  # modules at fault that are named
_SOME = 10  # lines of one list; --all shows the rest
_WORDS: dict[Outcome, tuple[str, str]] = {  # of one, and of several
    "loads": ("loads", "load"),
    "fails": ("does NOT load", "do NOT load"),
    "unknown": ("may or may not", "may or may not"),
    "accepted": ("accepted", "accepted"),
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
    odd = [(shown(path), reason) for path, reason in odd_archives(summary)]
    lines += _facts("Odd about the archives", odd, width, everything=everything)
    lines += _notes(summary, width, everything=everything)
    return lines


def odd_archives(summary: Summary) -> list[tuple[str, str]]:
    """Wheels, and what is odd about each."""
    usual = (NOTHING_IN_IT, NOT_FOR)
    return [(path, reason) for path, reason in summary.remarks.items() if not reason.startswith(usual)]


def verdict(summary: Summary) -> Line:
    """The answer in one line."""
    extensions, others = _total(summary), summary.counting_others
    cases = len(summary.cases)
    told = [_verdicts(extensions, "extension module", "extension modules", cases)] if extensions or not others else []
    told += [_verdicts(others, "program or DLL", "programs and DLLs", cases)] if others else []
    told += [f"{_number(len(summary.unreadable), 'file')} could not be read"] if summary.unreadable else []
    style = "bad" if summary.unreadable else style_of(extensions + others)
    return Line("; ".join(told), style)


def basis(summary: Summary) -> str:
    """Who says so, and for which cases, in a sentence."""
    labels = ", ".join(case.label for case in summary.cases)
    how = "Asked the real loader" if summary.loaded else "Predicted from the files alone"
    return f"{how}, for Windows {labels}."


def _verdicts(counts: Counter[Outcome], one: str, several: str, cases: int) -> str:
    number = sum(counts.values())
    judged = _number(number, one, several)
    if cases > 1:
        judged = f"{_number(number, 'verdict')} on {several} in {cases} cases"
    return f"{judged}: {_each(counts) or 'nothing to judge'}"


def _each(counts: Counter[Outcome]) -> str:
    """The numbers of each outcome."""
    return ", ".join(
        f"{counts[kind]:,} {one if counts[kind] == 1 else several}"
        for kind, (one, several) in _WORDS.items()
        if counts[kind]
    )


def _number(number: int, one: str, several: str = "") -> str:
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def _total(summary: Summary) -> Counter[Outcome]:
    found: Counter[Outcome] = Counter()
    for by_case in summary.cells.values():
        for counts in by_case.values():
            found.update(counts)
    return found


def _head(summary: Summary, width: int) -> Iterator[Line]:
    found = verdict(summary)
    yield from wrap(found.text, width, style=found.style)
    yield from wrap(basis(summary), width)
    if len(summary.cases) > 1:
        yield Line("")
        yield from _table(summary, width)


def of_case(summary: Summary, case: Case) -> Counter[Outcome]:
    """The outcomes of extension modules in one case."""
    counts: Counter[Outcome] = Counter()
    for by_case in summary.cells.values():
        counts.update(by_case.get(case, {}))
    return counts


def _table(summary: Summary, width: int) -> Iterator[Line]:
    """The numbers of each case, one line each."""
    wide = max(columns(case.label) for case in summary.cases)
    for case in summary.cases:
        counts = of_case(summary, case)
        yield from wrap(f"{padded(case.label, wide)}  {counted(counts)}", width, "  ", "      ", style_of(counts))


def _cause(cause: Cause, what: str, width: int, *, everything: bool, several: bool) -> Iterator[Line]:
    yield from wrap(_effect(cause, what), width, "", "  ", style="bad")
    groups = cause.groups()
    listed = groups.most_common(None if everything else _FEW)
    names = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in listed)
    more = f" and {len(groups) - _FEW} more" if len(groups) > _FEW and not everything else ""
    cases = f"in: {', '.join(case.label for case in cause.cases)}; " if several else ""
    yield from wrap(f"{cases}of: {names}{more}", width, "  - ", "    ")
    first = next(iter(cause.files.values()))
    yield from wrap(f"for instance {shown(first.path)}", width, "  - ", "    ")  # whole, so that it can be copied
    yield from wrap(cause.finding.message, width, "    ", "    ")
    if everything:
        for file in list(cause.files.values())[1:]:
            yield Line(f"    {shown(file.path)}")
    yield from remedy_lines(cause.finding.remedy, width, shorter=0 if everything else 1)


def _effect(cause: Cause, what: str) -> str:
    """Which modules are at fault, unless it is the files themselves, and how many files that breaks."""
    names = [name for name, _ in cause.modules.most_common()]
    own = {os.path.basename(path).lower() for path in cause.files} >= {name.lower() for name in names}
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    modules = "" if own else f": {', '.join(names[:_NAMED])}{more}"
    verb = "break" if len(names) > 1 and not own else "breaks"
    return f"{cause.finding.code}{modules} {verb} {_number(len(cause.files), what)}"


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
    wide = min(max((columns(shown(name)) for name, _ in rows), default=0), 40)
    for name, by_case in rows if everything else rows[: 4 * _SOME]:
        if len(summary.cases) == 1:
            counts = next(iter(by_case.values()))
            lines += wrap(f"{padded(shown(name), wide)}  {counted(counts)}", width, "  ", "      ", style_of(counts))
        else:
            lines += wrap(f"{shown(name)}", width, "  ", "      ")
            for told, cases in _alike(by_case).items():
                lines += wrap(f"{told[0]}: {', '.join(cases)}", width, "      ", "        ", told[1])
    return [*lines, *_more(len(rows) - 4 * _SOME, "more distributions", everything=everything)]


def _alike(by_case: dict[Case, Counter[Outcome]]) -> dict[tuple[str, str], list[str]]:
    """What is told of a distribution, and the cases of which it is told."""
    found: dict[tuple[str, str], list[str]] = {}
    for case, counts in by_case.items():
        found.setdefault((counted(counts), style_of(counts)), []).append(case.label)
    return found


def counted(counts: Counter[Outcome]) -> str:
    """The numbers of each outcome, in short where all is well."""
    return f"all {counts['loads']:,} load" if counts["loads"] > 1 and len(counts) == 1 else _each(counts)


def style_of(counts: Counter[Outcome]) -> str:
    """The style of the worst of them."""
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


def _notes(summary: Summary, width: int, *, everything: bool) -> Iterator[Line]:
    told, unused = facts(summary), unmet(summary)
    told += unused if everything else unused[:_SOME]
    if told:
        yield Line("")
    for fact in told:
        yield from wrap(fact, width)
    yield from _more(len(unused) - _SOME, "more", everything=everything)


def facts(summary: Summary) -> list[str]:
    """What else the scan came upon, in sentences."""
    told = [*_counts(summary), *_of_wheels(summary)]
    if summary.reused:
        told.append(f"Of an earlier scan, since nothing has changed: {summary.reused:,} of {summary.rows:,} verdicts.")
    return told


def unmet(summary: Summary) -> list[str]:
    """What was to be accepted and was not met, in sentences."""
    return [f"Nothing was met of what is to be accepted: {word}." for word in summary.policy.unused]


def _counts(summary: Summary) -> Iterator[str]:
    others: Counter[Outcome] = Counter()
    for counts in summary.others.values():
        others.update(counts)
    if others:
        yield f"Programs, and DLLs that nothing needs: {_each(others)}."
    if summary.parts:
        judged = "DLL was judged with what needs it", "DLLs were judged with what needs them"
        yield f"{_number(len(summary.parts), *judged)}."
    if summary.passed_over:
        reasons = Counter(reason for _, reason in summary.passed_over.values())
        told = "; ".join(f"{reason} ({count:,})" if count > 1 else reason for reason, count in reasons.most_common(3))
        yield f"{_number(len(summary.passed_over), 'file is', 'files are')} not meant to be loaded there: {told}."
    if summary.accepted:
        yield f"{_number(len(summary.accepted), 'file')} could not be read, which is accepted."


def _of_wheels(summary: Summary) -> Iterator[str]:
    empty = sum(reason == NOTHING_IN_IT for reason in summary.remarks.values())
    foreign = sum(reason.startswith(NOT_FOR) for reason in summary.remarks.values())
    if empty:
        yield f"{_number(empty, 'wheel has', 'wheels have')} no .pyd, .dll or .exe file."
    if foreign:
        yield f"{_number(foreign, 'wheel is', 'wheels are')} not for the Python that was asked for."
