"""The HTML report: what is in it, where, and that names stay text."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from made_results import HOSTILE, chain, hostile, lacks, many, module, result
from made_rows import module as node
from made_rows import row

from depwalk import tables
from depwalk.bulk.policy import Policy
from depwalk.bulk.rows import Case, File, Unit
from depwalk.bulk.summary import Summary
from depwalk.finding import Finding, Remedy
from depwalk.graph import Edge
from depwalk.report import html
from depwalk.report.html.elements import Html, tag

if TYPE_CHECKING:
    from depwalk.bulk.rows import Row
    from depwalk.result import Result

VOID = {"meta", "input"}


class Page(HTMLParser):
    """A page as elements."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = text
        self.declaration = ""
        self.open: list[Element] = []
        self.texts: list[str] = []
        self.elements: list[Element] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_decl(self, decl: str) -> None:
        self.declaration = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), "an attribute twice"
        element = Element(tag, dict(attrs), tuple(self.open), self.texts)
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        ended = self.open.pop()
        assert ended.tag == tag
        ended.end = len(self.texts)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str, class_: str = "") -> list[Element]:
        return [one for one in self.elements if one.tag == tag and (not class_ or class_ in one.classes)]

    def one(self, tag: str, class_: str = "") -> Element:
        (found,) = self.all(tag, class_)
        return found


class Element:
    def __init__(
        self, tag: str, attributes: dict[str, str | None], above: tuple[Element, ...], texts: list[str]
    ) -> None:
        self.tag = tag
        self.attributes = attributes
        self.above = above
        self._texts = texts
        self._start = len(texts)
        self.end = self._start

    @property
    def text(self) -> str:
        """Its own text, and that of all in it."""
        return "".join(self._texts[self._start : self.end])

    @property
    def classes(self) -> list[str]:
        return (self.attributes.get("class") or "").split()

    def within(self, element: Element) -> bool:
        return element in self.above


def page(*results: Result) -> Page:
    return Page(html.render(results))


FAILING = chain("root.pyd", "middle.dll", "gone.dll")
FINE = result([module(0, "root.pyd", depth=0), module(1, "good.dll")], [Edge(0, 1, "import", "good.dll", 1)])

UNIT = Unit(os.path.join(os.sep, "site"), "site")
TEN, SEVEN = Case("10", "10"), Case("7", "7")


def file_of(name: str, distribution: str = "pkg") -> File:
    path = os.path.join(UNIT.path, name)
    return File(path, UNIT, "extension", 1, 1, distribution=distribution, version="1.0", architecture="x64")


def made(name: str, *needs: str, case: Case = TEN, distribution: str = "pkg") -> Row:
    file = file_of(name, distribution)
    return row(file, case, *(node(name) for name in needs))


def scanned(*rows: Row) -> Page:
    summary = Summary(Policy())
    for one in rows:
        summary.add(one)
    return Page(html.render_scan(summary, rows))


ROWS = (
    made("a.pyd", "gone.dll"),
    made("b.pyd", "gone.dll"),
    made("c.pyd"),
    made("d.pyd", distribution="other"),
)
ALL_PAGES = pytest.mark.parametrize(
    "text",
    [html.render([FAILING]), html.render([FINE]), html.render([]), html.render([FAILING, FINE]), scanned(*ROWS).text],
    ids=["fails", "loads", "nothing", "several", "scan"],
)


# ---- one file that needs nothing else --------------------------------------------------------------------------------


@ALL_PAGES
def test_every_element_is_closed_and_the_page_says_how_it_is_written(text: str) -> None:
    found = Page(text)
    assert found.declaration == "DOCTYPE html"
    assert found.all("meta")[0].attributes == {"charset": "utf-8"}
    assert found.one("html").attributes == {"lang": "en"}
    assert found.all("title")[0].text


@ALL_PAGES
def test_nothing_is_fetched(text: str) -> None:
    found = Page(text)
    assert {"img", "link", "iframe", "object", "embed", "base", "form"} & {one.tag for one in found.elements} == set()
    for one in found.elements:
        assert {"src", "srcset", "action", "data", "style"} & one.attributes.keys() == set()
        assert one.tag == "a" or "href" not in one.attributes
    assert re.findall(r"url\(|@import|fetch\(|XMLHttpRequest|import\(", text) == []


@ALL_PAGES
def test_only_the_style_and_the_script_of_the_page_are_allowed(text: str) -> None:
    found = Page(text)
    (policy,) = (one.attributes["content"] for one in found.all("meta") if "http-equiv" in one.attributes)
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for one in (found.one("style"), found.one("script")):
        digest = base64.b64encode(hashlib.sha256(one.text.encode()).digest()).decode()
        assert f"{one.tag}-src 'sha256-{digest}'" in policy


@ALL_PAGES
def test_every_id_is_there_once_and_what_refers_to_one_finds_it(text: str) -> None:
    found = Page(text)
    ids = [one.attributes["id"] for one in found.elements if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    for one in found.elements:
        for name in ("for", "aria-labelledby"):
            assert set((one.attributes.get(name) or "").split()) <= set(ids)


@ALL_PAGES
def test_what_only_a_script_can_do_is_hidden_without_one(text: str) -> None:
    found = Page(text)
    for one in found.elements:
        if one.tag in ("button", "input", "select"):
            assert any("hidden" in above.attributes for above in (one, *one.above))


# ---- check -----------------------------------------------------------------------------------------------------------


def test_the_answer_comes_first_and_then_who_says_so() -> None:
    found = page(FAILING)
    assert found.one("h1").text == "root.pyd does NOT load: gone.dll is missing"
    assert found.all("p")[0].text.startswith("Predicted from the files alone, for CPython 3.11")


def test_what_loads_says_so() -> None:
    assert page(FINE).one("h1").text == "root.pyd loads"


def test_a_finding_is_told_whole() -> None:
    card = page(FAILING).one("article")
    finding = FAILING.findings[0]
    assert finding.remedy is not None
    told = (finding.code, finding.message, finding.needed_by, *finding.evidence, finding.remedy.text)
    assert all(part in card.text for part in told)


def test_a_command_stands_alone_so_that_it_can_be_copied() -> None:
    found = page(FAILING)
    assert found.one("pre").text == "pip install it"
    assert "copy" in found.all("button")[0].classes


def test_a_link_shows_where_it_leads() -> None:
    link = page(FAILING).one("a")
    assert link.text == link.attributes["href"] == "https://example.org/it"


def test_an_address_that_is_no_web_page_is_no_link() -> None:
    odd = Finding("missing-dll", "error", "gone.dll", "m", remedy=Remedy("r", url="javascript:alert(1)"))
    found = page(replace(FAILING, findings=(odd,)))
    assert found.all("a") == []
    assert "javascript:alert(1)" in found.one("article").text


def test_errors_come_before_warnings_and_both_before_the_tree() -> None:
    note = Finding("shadowed", "warning", "middle.dll", "It is there twice.")
    found = page(replace(FAILING, findings=(note, *FAILING.findings)))
    headings = [one.text for one in found.all("h2")]
    assert headings == ["Why", "Warnings and notes", "Picture", "Tree", "Modules"]
    assert "! Warning" not in found.all("article")[0].text


# ---- the picture


def test_the_picture_tells_the_way_to_what_fails_in_words() -> None:
    found = page(FAILING)
    drawing = found.one("svg")
    assert drawing.attributes["role"] == "img"
    assert found.one("desc").text == "root.pyd needs middle.dll, which needs gone.dll, which is missing."


def test_the_way_to_what_fails_is_a_straight_line() -> None:
    modules = [module(0, "root.pyd", depth=0), *(module(key, f"m{key}.dll") for key in range(1, 6))]
    modules += [module(6, "deep.dll", depth=2), module(7, "gone.dll", "missing", 3)]
    edges = [Edge(0, key, "import", f"m{key}.dll", 1) for key in range(1, 6)]
    edges += [Edge(4, 6, "import", "deep.dll", 1), Edge(6, 7, "import", "gone.dll", 1)]
    heights = failing_heights(page(result(modules, edges, lacks("gone.dll", "deep.dll"))))
    assert len(heights) == 3
    assert len(set(heights)) == 1


def test_the_way_comes_before_what_has_more_below_it() -> None:
    modules = [module(0, "root.pyd", depth=0), module(1, "good.dll"), module(2, "gone.dll", "missing")]
    modules += [module(3, "leaf.dll", depth=2)]
    edges = [Edge(0, key, "import", modules[key].name, 1) for key in (1, 2)] + [Edge(1, 3, "import", "leaf.dll", 1)]
    assert len(failing_heights(page(result(modules, edges, lacks("gone.dll", "root.pyd"))))) == 1


def test_the_way_is_drawn_over_the_other_lines() -> None:
    modules = [module(0, "root.pyd", depth=0), module(1, "gone.dll", "missing"), module(2, "good.dll")]
    edges = [Edge(0, key, "import", modules[key].name, 1) for key in (1, 2)]
    found = page(result(modules, edges, lacks("gone.dll", "root.pyd")))
    assert ["bad" in one.classes for one in found.all("path")] == [False, True]


def failing_heights(found: Page) -> list[str]:
    """At which height each line of a way runs; a line that bends has none, and is not straight."""
    lines = [one.attributes["d"] or "" for one in found.all("path") if "bad" in one.classes]
    straight = [re.fullmatch(r"M[\d.]+ ([\d.]+)H[\d.]+", line) for line in lines]
    assert all(straight)
    return [line[1] for line in straight if line]


def test_the_line_leads_through_the_module_that_the_finding_names() -> None:
    modules = [
        module(0, "root.pyd", depth=0),
        module(1, "a.dll"),
        module(2, "b.dll"),
        module(3, "gone.dll", "missing", 2),
    ]
    edges = [Edge(0, 1, "import", "a.dll", 1), Edge(0, 2, "import", "b.dll", 1)]
    edges += [Edge(1, 3, "import", "gone.dll", 1), Edge(2, 3, "import", "gone.dll", 1)]
    found = page(result(modules, edges, lacks("gone.dll", "b.dll")))
    assert found.one("desc").text == "root.pyd needs b.dll, which needs gone.dll, which is missing."


def test_a_function_that_is_lacking_is_shown_at_the_module_that_asks_for_it() -> None:
    modules = [module(0, "root.pyd", depth=0), module(1, "old.dll"), module(2, "asks.dll")]
    edges = [Edge(0, 1, "import", "old.dll", 1), Edge(0, 2, "import", "asks.dll", 1)]
    edges += [Edge(2, 1, "import", "old.dll", 1, ("newer_function",))]
    finding = Finding("missing-export", "error", "old.dll", "It lacks newer_function.")
    found = page(result(modules, edges, finding))
    assert found.one("desc").text == "root.pyd needs asks.dll, which needs old.dll, which lacks a function."
    assert "LACKS newer_function" in found.one("svg").text


def test_modules_that_need_each_other_are_drawn_once() -> None:
    modules = [module(0, "root.pyd", depth=0), module(1, "a.dll"), module(2, "b.dll", depth=2)]
    edges = [
        Edge(0, 1, "import", "a.dll", 1),
        Edge(1, 2, "import", "b.dll", 1),
        Edge(2, 1, "import", "a.dll", 1, ("f",)),
    ]
    found = page(result(modules, edges, Finding("missing-export", "error", "a.dll", "It lacks f.", "b.dll")))
    assert found.one("desc").text == "root.pyd needs a.dll, which lacks a function."


def test_dlls_of_windows_are_one_box() -> None:
    modules = [module(0, "root.pyd", depth=0), *(module(key, f"w{key}.dll", "system") for key in range(1, 24))]
    edges = [Edge(0, key, "import", f"w{key}.dll", 1) for key in range(1, 24)]
    drawing = page(result(modules, edges)).one("svg")
    assert "23 of Windows" in drawing.text
    assert "w7.dll" not in drawing.text


def test_few_modules_are_all_drawn_and_many_are_folded_and_counted() -> None:
    few, lots = page(many(30, fails=False)), page(many(2_000, fails=False))
    assert "more" not in few.one("svg").text
    counts = [
        int(number.replace(",", "")) for number in re.findall(r"([\d,]+) (?:more|of Windows)", lots.one("svg").text)
    ]
    drawn = len(re.findall(r"module_\d+\.dll: ", lots.one("svg").text))
    titles = sum(counts) // 2  # each is told in the title of its box, too
    assert titles + drawn == 1_999
    assert len(lots.all("g")) < 100


def test_a_long_way_shows_its_ends_and_says_what_is_between() -> None:
    names = ["root.pyd", *(f"m{key}.dll" for key in range(1, 199)), "gone.dll"]
    found = page(chain(*names))
    assert "192 modules" in found.one("svg").text
    assert found.one("desc").text.startswith(
        "root.pyd needs m1.dll, which needs m2.dll, which needs m3.dll, which needs, "
    )
    assert "through 192 others" in found.one("desc").text
    assert len(found.all("g")) == 9


# ---- the tree


def test_what_fails_is_unfolded_and_the_rest_is_folded() -> None:
    modules = [module(0, "root.pyd", depth=0), module(1, "bad.dll"), module(2, "good.dll")]
    modules += [module(3, "gone.dll", "missing", 2), module(4, "leaf.dll", depth=2)]
    edges = [Edge(0, 1, "import", "bad.dll", 1), Edge(0, 2, "import", "good.dll", 1)]
    edges += [Edge(1, 3, "import", "gone.dll", 1), Edge(2, 4, "import", "leaf.dll", 1)]
    found = page(result(modules, edges, lacks("gone.dll", "bad.dll")))
    states = {one.text.split("beside")[0].split(".dll")[0]: "open" in one.attributes for one in found.all("details")}
    assert states == {"bad": True, "good": False}


def test_every_module_of_a_tree_is_unfolded_once() -> None:
    found = page(many(300))
    items = [one for one in found.all("li") if "data-m" in one.attributes]
    unfolded = [one.attributes["data-m"] for one in items if any(d.above[-1] is one for d in found.all("details"))]
    assert len(unfolded) == len(set(unfolded))


def test_dlls_of_windows_are_folded_in_the_tree_with_their_number() -> None:
    modules = [module(0, "root.pyd", depth=0), module(1, "w1.dll", "system"), module(2, "w2.dll", "system")]
    found = page(result(modules, [Edge(0, key, "import", f"w{key}.dll", 1) for key in (1, 2)]))
    assert found.one("details").text == "2 of Windowsw1.dll, w2.dll"


def test_a_tree_that_is_very_deep_ends_and_says_so() -> None:
    found = page(chain("root.pyd", *(f"m{key}.dll" for key in range(200)), "gone.dll"))
    assert "What is deeper stands in the list of modules only." in found.one("ul", "tree").text
    assert len(found.one("table").text.split("gone.dll")) > 1


# ---- the table


def test_the_table_has_every_module_those_at_fault_first() -> None:
    found = page(FAILING)
    heads = [one.text for one in found.all("th")]
    assert heads == ["Name", "Status", "Architecture", "Version", "Depth", "Needed by", "Found by", "Path"]
    cells = [one.text for one in found.all("td")]
    assert cells[:: len(heads)] == ["gone.dll", "root.pyd", "middle.dll"]
    assert cells[:8] == ["gone.dll", "missing", "", "", "2", "middle.dll", "", ""]


# ---- several


def test_of_several_those_that_fail_come_first_and_the_first_is_unfolded() -> None:
    found = page(FINE, FAILING, FAILING)
    assert found.one("h1").text == "2 of 3 do NOT load"
    results = found.all("details", "result")
    assert ["open" in one.attributes for one in results] == [True, False, False]
    assert [one.classes[1] for one in results] == ["bad", "bad", "good"]


def test_what_an_import_goes_on_without_is_no_failure() -> None:
    found = page(FINE, replace(FAILING, optional=True))
    assert found.one("h1").text == "1 loads; the import goes on without 1 more that may not"
    assert "the import goes on without it" in found.all("details", "result")[0].text


def test_an_import_without_extension_modules_has_a_page() -> None:
    assert "loads no extension module" in page().one("h1").text


# ---- names stay text -------------------------------------------------------------------------------------------------


def test_no_name_becomes_an_element_or_an_attribute() -> None:
    plain = hostile()
    harmless = [Edge(0, key, "import", f"m{key}.dll", 1, ("f",)) for key in range(1, len(HOSTILE) + 1)]
    modules = [module(0, "root.pyd", depth=0), *(module(e.imported, e.name, "missing") for e in harmless)]
    findings = [
        found._replace(module=e.name, needed_by=e.name, remedy=Remedy("r", "c", "javascript:"))
        for found, e in zip(plain.findings, harmless)
    ]
    found, expected = page(plain), page(result(modules, harmless, *findings))
    skeletons = [[(one.tag, sorted(one.attributes)) for one in made.elements] for made in (found, expected)]
    assert skeletons[0] == skeletons[1]


@pytest.mark.parametrize("name", HOSTILE[:5])
def test_a_name_is_shown_as_it_is(name: str) -> None:
    found = page(hostile())
    assert name in [one.text for one in found.all("bdi")]


@pytest.mark.parametrize("steering", ["\u202e", "\x1b", "\x00", "\x08", "\udc80"])
def test_what_would_steer_a_page_is_written_out(steering: str) -> None:
    text = html.render([hostile()])
    assert steering not in text
    assert steering.encode("unicode_escape").decode() in text


def test_a_page_can_be_written_as_utf_8() -> None:
    html.render([hostile()]).encode("utf-8")


def test_text_that_was_not_made_as_html_is_escaped() -> None:
    assert tag("p", "<b>", Html("<i></i>"), title='"') == '<p title="&quot;">&lt;b&gt;<i></i></p>'


def test_a_page_of_2_000_modules_is_smaller_than_2_megabytes() -> None:
    assert len(html.render([many(2_000)]).encode()) < 2_000_000


# ---- scan ------------------------------------------------------------------------------------------------------------


def test_a_scan_begins_with_the_numbers() -> None:
    found = scanned(*ROWS)
    assert found.one("h1").text == "4 extension modules: 2 load, 2 do NOT load"
    assert found.all("p")[0].text == "Predicted from the files alone, for Windows 10."


def test_a_cause_says_how_many_it_breaks_what_to_do_and_lists_them() -> None:
    card = scanned(*ROWS).one("article")
    assert "2 extension modules gone.dll missing-dll" in card.text
    assert "pip install it" in card.text
    assert "All 2 extension modulesa.pydb.pyd" in card.text


def test_distributions_that_load_as_a_whole_are_folded() -> None:
    found = scanned(*ROWS)
    (folded,) = (one for one in found.all("details") if "as a whole" in one.text)
    assert "open" not in folded.attributes
    assert "other 1.0" in folded.text
    assert "pkg 1.0" not in folded.text


def test_every_file_has_a_line_and_every_case_a_column() -> None:
    rows = [*ROWS, *(made(f"{name}.pyd", "gone.dll", case=SEVEN) for name in "abc")]
    found = scanned(*rows)
    table = found.one("table", "files")
    heads = [one.text for one in found.all("th") if one.within(table)]
    assert heads == ["File", "Distribution", "Windows 10", "Windows 7", "Cause", "Built for"]
    cells = [one.text for one in found.all("td") if one.within(table)]
    lines = [cells[start : start + 6] for start in range(0, len(cells), 6)]
    assert [line[0] for line in lines] == ["a.pyd", "b.pyd", "c.pyd", "d.pyd"]
    assert lines[2][2:5] == ["loads", "does NOT load", "missing-dll: gone.dll"]
    assert lines[3][2:4] == ["loads", ""]


def test_the_verdicts_that_were_met_can_be_chosen() -> None:
    options = [one.text for one in scanned(*ROWS).all("option")]
    assert options == ["any verdict", "does NOT load", "loads"]


def test_a_scan_of_nothing_has_a_page() -> None:
    assert "0 extension modules" in scanned().one("h1").text


def test_a_file_that_cannot_be_read_is_told_with_the_reason() -> None:
    broken = row(file_of("broken.pyd"), TEN, verdict=None, basis=None, unreadable=True, reason="it is <empty>")
    found = scanned(*ROWS, broken._replace(findings=()))
    assert "Could not be read" in [one.text for one in found.all("h2")]
    assert "broken.pydit is <empty>" in [one.text for one in found.all("li")]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_in_a_scan_becomes_an_element(name: str) -> None:
    shown = scanned(made(name, name, distribution=name))
    plain = scanned(made("a.pyd", "gone.dll"))
    assert [one.tag for one in shown.elements] == [one.tag for one in plain.elements]


# ---- its files


def test_neither_style_nor_script_can_end_its_element() -> None:
    for name in ("page.css", "page.js"):
        assert "</" not in tables.path("html", name).read_text("utf-8")
