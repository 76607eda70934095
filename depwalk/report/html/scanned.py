"""The page of a scan: the numbers, every root cause with its remedy, the distributions, then each file."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

from depwalk.report import summary as words
from depwalk.report.html.elements import Html, badge, folded, name, tag
from depwalk.report.html.findings import remedy
from depwalk.report.html.modules import table
from depwalk.report.html.page import scrolled, search_bar

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

    from depwalk.bulk.policy import Outcome
    from depwalk.bulk.rows import Case, Row
    from depwalk.bulk.summary import Cause, Summary

_FEW = 8  # names in one line
_MOST = 10  # causes that are not folded
_SEARCH = "path, distribution or cause"
_OUTCOMES: dict[Outcome, tuple[str, str]] = {  # the worst first
    "fails": ("does NOT load", "bad"),
    "unreadable": ("cannot be read", "bad"),
    "unknown": ("may or may not", "warn"),
    "accepted": ("accepted", ""),
    "loads": ("loads", "good"),
    "part": ("judged with others", ""),
    "passed over": ("passed over", ""),
}
_RANKS = list(_OUTCOMES)


def title(summary: Summary) -> str:
    """What a browser calls the page."""
    return words.verdict(summary).text


def body(summary: Summary, rows: Sequence[Row]) -> Iterator[Html]:
    """From the answer to the single file."""
    base = _base(rows)
    yield _head(summary, base)
    for heading, causes, what in (
        ("What prevents it", summary.causes, "extension module"),
        ("Programs, and DLLs that no extension module needs", summary.causes_of_others, "file"),
    ):
        if causes:
            several = len(summary.cases) > 1
            found = sorted(causes.values(), key=lambda cause: -len(cause.files))
            cards = [_cause(cause, what, base, several=several) for cause in found]
            more = cards[_MOST:]
            inner = [folded(f"{len(more):,} more causes", *more, class_="more")] if more else []
            yield tag("section", tag("h2", heading), *cards[:_MOST], *inner)
    for heading, files in (("May or may not load", summary.undecided), ("Could not be read", summary.unreadable)):
        yield from _listed(heading, [(file.path, reason) for file, reason in files.values()], base)
    yield from _listed("Odd about the archives", words.odd_archives(summary), base)
    yield from _distributions(summary)
    yield from _files(summary, rows, base)
    told = [*words.facts(summary), *words.unmet(summary)]
    if told:
        yield tag("section", tag("h2", "Notes"), tag("ul", *(tag("li", fact) for fact in told), class_="facts"))


def _base(rows: Sequence[Row]) -> str:
    """The directory below which everything lies, with the separator behind it; empty if there is none."""
    units = {row.file.unit for row in rows}
    try:
        common = os.path.commonpath([os.path.dirname(one.path) if one.kind == "wheel" else one.path for one in units])
    except ValueError:  # nothing, or several drives
        return ""
    return os.path.join(common, "") if common else ""


def _below(path: str, base: str) -> str:
    return path[len(base) :] if base and path.startswith(base) else path


def _head(summary: Summary, base: str) -> Html:
    answer = words.verdict(summary)
    parts = [tag("h1", answer.text, class_="signed"), tag("p", words.basis(summary), class_="basis")]
    if base:
        parts.append(tag("p", "Paths are below ", name(base), class_="path"))
    if len(summary.cases) > 1:
        parts.append(_cases(summary))
    return tag("header", *parts, class_=f"answer {answer.style}")


def _cases(summary: Summary) -> Html:
    """The outcomes of extension modules, case by case."""
    numbers = [(case, words.of_case(summary, case)) for case in summary.cases]
    met = [outcome for outcome in _RANKS if any(counts[outcome] for _, counts in numbers)]
    head = tag("tr", *(tag("th", word, scope="col") for word in ("Windows", *(_OUTCOMES[one][0] for one in met))))
    lines = []
    for case, counts in numbers:
        told = ((f"{counts[outcome]:,}", _OUTCOMES[outcome][1] if counts[outcome] else "") for outcome in met)
        lines.append(tag("tr", tag("th", case.label, scope="row"), *(tag("td", badge(*one)) for one in told)))
    inner = tag("table", tag("thead", head), tag("tbody", *lines), class_="cases")
    return scrolled("Extension modules, case by case", inner)


def _windows(case: Case) -> str:
    return f"Windows {case.label}" if case.label[:1].isdigit() else case.label


def _cell(counts: Counter[Outcome] | None) -> Html:
    """The numbers of some extension modules."""
    return tag("td", badge(words.counted(counts), words.style_of(counts)) if counts else "")


# ---- causes


def _cause(cause: Cause, what: str, base: str, *, several: bool) -> Html:
    found, number = cause.finding, len(cause.files)
    modules = ", ".join(module for module, _ in cause.modules.most_common(4))
    more = ", ..." if len(cause.modules) > 4 else ""
    broken = f"{number:,} {what}{'' if number == 1 else 's'}"
    first = next(iter(cause.files.values()))
    about = [("Of", _groups(cause)), ("For instance", _below(first.path, base))]
    if several:
        about.insert(0, ("In", ", ".join(case.label for case in cause.cases)))
    parts = [
        tag("h3", badge(broken, "bad"), " ", name(modules + more), " ", tag("code", found.code)),
        tag("p", found.message, class_="message"),
        tag("dl", *(tag("div", tag("dt", term), tag("dd", name(value))) for term, value in about)),
        *([remedy(found.remedy)] if found.remedy else []),
    ]
    if number > 1:
        items = (tag("li", name(_below(file.path, base))) for file in cause.files.values())
        parts.append(folded(f"All {broken}", tag("ul", *items, class_="paths")))
    return tag("article", *parts, class_="card bad")


def _groups(cause: Cause) -> str:
    groups = cause.groups()
    names = ", ".join(f"{group} ({count})" if count > 1 else group for group, count in groups.most_common(_FEW))
    return names + (f" and {len(groups) - _FEW:,} more" if len(groups) > _FEW else "")


def _listed(heading: str, facts: Sequence[tuple[str, str]], base: str) -> Iterator[Html]:
    if facts:
        items = (tag("li", name(_below(path, base)), tag("small", reason)) for path, reason in facts)
        inner = tag("ul", *items, class_="paths")
        few = len(facts) <= _FEW
        yield tag("section", tag("h2", heading), inner if few else folded(f"All {len(facts):,} files", inner))


# ---- distributions and files


def _distributions(summary: Summary) -> Iterator[Html]:
    """A table of those in which something does not load, and a folded one of the others."""
    troubled: list[tuple[str, dict[Case, Counter[Outcome]]]] = []
    fine: list[tuple[str, dict[Case, Counter[Outcome]]]] = []
    for group, by_case in sorted(summary.cells.items(), key=lambda item: item[0].lower()):
        whole = all(counts.keys() == {"loads"} for counts in by_case.values())
        (fine if whole else troubled).append((group, by_case))
    if not summary.cells:
        return
    parts = [tag("h2", "By distribution")]
    if troubled:
        parts.append(_matrix("Distributions in which something does not load", troubled, summary.cases))
    if fine:
        inner = _matrix("Distributions that load as a whole", fine, summary.cases)
        load = "1 loads" if len(fine) == 1 else f"{len(fine):,} load"
        parts.append(folded(f"{load} as a whole", inner, is_open=not troubled and len(fine) <= _FEW, class_="more"))
    yield tag("section", *parts)


def _matrix(label: str, groups: Sequence[tuple[str, dict[Case, Counter[Outcome]]]], cases: Sequence[Case]) -> Html:
    head = tag("tr", *(tag("th", word, scope="col") for word in ("Distribution", *map(_windows, cases))))
    lines = [
        tag("tr", tag("th", name(group), scope="row"), *(_cell(by_case.get(case)) for case in cases))
        for group, by_case in groups
    ]
    return scrolled(label, tag("table", tag("thead", head), tag("tbody", *lines), class_="matrix"))


def _files(summary: Summary, rows: Sequence[Row], base: str) -> Iterator[Html]:
    """A line for each file, a column for each case; the worst first."""
    by_file: defaultdict[str, dict[Case, tuple[Row, Outcome]]] = defaultdict(dict)
    for row in rows:
        by_file[row.file.path][row.case] = row, summary.policy.outcome(row)
    if not by_file:
        return
    lines = sorted(
        (min(_RANKS.index(outcome) for _, outcome in found.values()), path) for path, found in by_file.items()
    )
    met = sorted({outcome for found in by_file.values() for _, outcome in found.values()}, key=_RANKS.index)
    options = [tag("option", "any verdict", value=""), *(tag("option", _OUTCOMES[outcome][0]) for outcome in met)]
    choice = [tag("label", "Verdict", for_="verdict"), tag("select", *options, id="verdict", autocomplete="off")]
    columns = ("File", "Distribution", *map(_windows, summary.cases), "Cause", "Built for")
    filled = table("files", columns, (_line(by_file[path], summary.cases, base) for _, path in lines))
    yield tag(
        "div",
        search_bar(_SEARCH, *choice),
        tag("section", tag("h2", "Files"), scrolled("All files", filled)),
        class_="searched",
    )


def _line(found: dict[Case, tuple[Row, Outcome]], cases: Sequence[Case], base: str) -> Html:
    file = next(iter(found.values()))[0].file
    states = [_state(found[case][1]) if case in found else tag("td") for case in cases]
    causes = dict.fromkeys(_why(row) for row, _ in found.values())
    built = " ".join(part for part in (file.python, file.architecture) if part)
    return tag(
        "tr",
        tag("td", _below(file.path, base)),
        tag("td", f"{file.distribution} {file.version}".strip()),
        *states,
        tag("td", "; ".join(cause for cause in causes if cause)),
        tag("td", built),
    )


def _state(outcome: Outcome) -> Html:
    told, style = _OUTCOMES[outcome]
    return tag("td", badge(told, style), data_k=_RANKS.index(outcome))


def _why(row: Row) -> str:
    """The finding that decides, in short."""
    if row.verdict is None or not row.findings:
        return row.reason
    if row.verdict == "loads":
        return ""
    first = next((found for found in row.findings if found.severity == "error"), row.findings[0])
    return f"{first.code}: {first.module}"
