"""The page of files that were checked, and of imports: the answer, the causes, then the tree in three forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk.report import text
from depwalk.report.html.elements import folded, joined, name, tag
from depwalk.report.html.findings import finding
from depwalk.report.html.modules import modules
from depwalk.report.html.nested import nested
from depwalk.report.html.page import scrolled, search_bar
from depwalk.report.html.picture import Picture
from depwalk.report.lines import Line
from depwalk.report.outline import Outline
from depwalk.report.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depwalk.report.html.elements import Html
    from depwalk.result import Result

_SEARCH = "name, path or status"


def title(results: Sequence[Result]) -> str:
    """What a browser calls the page."""
    return text.answer(results[0]).text if len(results) == 1 else _together(results).text


def body(results: Sequence[Result]) -> Iterator[Html]:
    """The page of one result, or of several: then those that fail come first, and the first of them is unfolded."""
    if len(results) == 1:
        (only,) = results
        yield _answer(only)
        yield from _findings(only)
        if _has_tree(only):
            yield from _tree(only, 0, search_bar(_SEARCH))
        return
    answer = _together(results)
    yield tag("header", tag("h1", answer.text, class_="signed"), class_=f"answer {answer.style}")
    if results:
        yield search_bar(_SEARCH)
    ordered = sorted(results, key=lambda result: (result.verdict == "loads", result.optional))
    for index, result in enumerate(ordered):
        yield _one_of_several(result, index)


def _together(results: Sequence[Result]) -> Line:
    """The answer for several, in a line."""
    if not results:
        return text.NOTHING
    needed = [result for result in results if not result.optional]
    troubled = [result for result in needed if result.verdict != "loads"]
    optional = sum(result.verdict != "loads" for result in results) - len(troubled)
    if troubled:
        fails = any(result.verdict == "fails" for result in troubled)
        unsure = any(result.verdict == "unknown" for result in troubled)
        words = ("do NOT load, or may not" if unsure else "do NOT load") if fails else "may or may not load"
        told, style = f"{len(troubled):,} of {len(needed):,} {words}", "bad" if fails else "warn"
    else:
        number = len(needed)
        told = "1 loads" if number == 1 else f"All {number:,} load" if number else "Nothing that is needed fails"
        style = "good"
    return Line(f"{told}; the import goes on without {optional:,} more that may not" if optional else told, style)


def _one_of_several(result: Result, index: int) -> Html:
    answer = text.answer(result)
    line = tag("h2", answer.text, class_="inline signed")
    optional = [" ", tag("small", "the import goes on without it")] if result.optional else []
    parts = [_basis(result), *_findings(result), *(_tree(result, index) if _has_tree(result) else [])]
    is_open = index == 0 and result.verdict != "loads"
    return folded(joined([line, *optional]), *parts, is_open=is_open, class_=f"result {answer.style}")


def _answer(result: Result) -> Html:
    answer = text.answer(result)
    return tag("header", tag("h1", answer.text, class_="signed"), _basis(result), class_=f"answer {answer.style}")


def _basis(result: Result) -> Html:
    path = [tag("p", name(result.path), class_="path")] if result.graph.root.image is not None else []
    return joined([tag("p", text.basis(result), class_="basis"), *path])


def _findings(result: Result) -> Iterator[Html]:
    errors = [found for found in result.findings if found.severity == "error"]
    others = [found for found in result.findings if found.severity != "error"]
    for heading, some in (("Why", errors), ("Warnings and notes", others)):
        if some:
            yield tag("section", tag("h2", heading), *map(finding, some))


def _has_tree(result: Result) -> bool:
    return result.graph.root.image is not None or bool(result.graph.edges)


def _tree(result: Result, index: int, *bar: Html) -> Iterator[Html]:
    outline = Outline(result)
    ways = Ways(result, outline)
    told = [tag("p", ways.words(chain), class_="way") for chain in ways.chains[:1]]
    more = ways.chains[1:]
    if more:
        leads = "more way leads" if len(more) == 1 else "more ways lead"
        items = (tag("li", ways.words(chain)) for chain in more)
        told.append(
            folded(
                f"{len(more):,} {leads} to something at fault", tag("ul", *items, class_="facts"), class_="more-ways"
            )
        )
    drawn = scrolled("Picture of the dependencies", Picture(outline, ways).svg(f"picture-{index}"))
    yield tag("section", tag("h2", "Picture"), *told, drawn)
    fold = tag("button", "Unfold all", type="button", class_="unfold", hidden=True)
    yield tag(
        "div",
        *bar,
        tag("section", tag("div", tag("h2", "Tree"), fold, class_="head"), nested(outline, ways.drawn)),
        tag("section", tag("h2", "Modules"), tag("p", text.counts(result), class_="way"), modules(outline)),
        class_="searched",
    )
