"""The HTML report as a browser shows it, opened from the disk."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from made_results import HOSTILE, chain, hostile, lacks, many, module, result

from depwalk.bulk.policy import Policy
from depwalk.bulk.rows import Case, File, Node, Row, Unit
from depwalk.bulk.summary import Summary
from depwalk.finding import Finding
from depwalk.graph import Edge
from depwalk.report import html

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Browser

    from depwalk.result import Result

    Open = Callable[[str], Browser]

CONTRAST = Path(__file__).with_name("contrast.js").read_text("utf-8")
LEAST_CONTRAST = 4.5
SECOND = 1000  # ms
ROWS = "table tbody tr"


def wide() -> Result:
    """A file with what is missing behind one DLL, much below another, DLLs of Windows, and a warning."""
    modules = [module(0, "root.pyd", depth=0), module(1, "bad.dll"), module(2, "good.dll")]
    modules += [module(3, "gone.dll", "missing", 2), module(4, "w.dll", "system")]
    modules += [module(number, f"leaf{number}.dll", depth=2) for number in range(5, 12)]
    edges = [Edge(0, key, "import", modules[key].name, 1) for key in (1, 2, 4)]
    edges += [Edge(1, 3, "import", "gone.dll", 1)]
    edges += [Edge(2, key, "import", modules[key].name, 1) for key in range(5, 12)]
    twice = Finding("shadowed", "warning", "good.dll", "It is there twice.")
    return result(modules, edges, lacks("gone.dll", "bad.dll"), twice)


def scan_page(count: int = 6) -> str:
    """A scan of files of which every third fails, in two cases."""
    unit = Unit("/site", "site")
    rows = []
    for case in (Case("10", "10"), Case("7", "7")):
        for number in range(count):
            file = File(f"/site/pkg/ext{number}.pyd", unit, "extension", 1, 1, distribution=f"pkg{number % 9}")
            fails = number % 3 == 0 and case.label == "10"
            findings = (lacks("gone.dll", f"ext{number}.pyd"),) if fails else ()
            rows.append(Row(file, case, "fails" if fails else "loads", "static", findings, nodes=tuple[Node, ...]()))
    summary = Summary(Policy())
    for row in rows:
        summary.add(row)
    return html.render_scan(summary, rows)


WIDE = html.render([wide()])
SEVERAL = html.render([wide(), chain("other.pyd", "lost.dll"), result([module(0, "fine.pyd", depth=0)], [])])
PAGES = {"one": WIDE, "several": SEVERAL, "scan": scan_page(), "hostile": html.render([hostile()])}
EVERY_PAGE = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])


def type_in(browser: Browser, words: str) -> None:
    from selenium.webdriver.common.keys import Keys

    field = browser.one("#search")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(words or Keys.DELETE)


def press(browser: Browser, *keys: str) -> None:
    from selenium.webdriver import ActionChains

    for key in keys:
        ActionChains(browser.driver).send_keys(key).perform()


def fold_of(browser: Browser, name: str) -> Any:
    """The folded or unfolded part of a tree at a module."""
    (found,) = [one for one in browser.all(".tree details") if one.text.startswith(name)]
    return found


def column(browser: Browser, number: int) -> list[str]:
    return browser.seen(f"{ROWS} td:nth-child({number})")


# ---- opening ---------------------------------------------------------------------------------------------------------


@EVERY_PAGE
def test_a_page_opens_from_the_disk_without_a_complaint(opened: Open, page: str) -> None:
    browser = opened(page)
    assert browser.run("return location.protocol") == "file:"
    assert browser.run("return document.compatMode") == "CSS1Compat"
    assert browser.run("return performance.getEntriesByType('resource').length") == 0
    assert browser.complaints() == []


def test_a_style_or_script_that_was_slipped_in_does_nothing(browser: Browser) -> None:
    browser.open(WIDE.replace("<main>", "<main><script>document.title = 'taken'</script><h1 style='color: red'>"))
    assert browser.driver.title != "taken"
    assert len(browser.complaints()) == 2


@EVERY_PAGE
@pytest.mark.parametrize("width", [360, 1400])
def test_the_page_does_not_scroll_sideways(browser: Browser, opened: Open, page: str, width: int) -> None:
    browser.width(width)
    opened(page)
    assert browser.run("return document.documentElement.scrollWidth") <= width


# ---- folding ---------------------------------------------------------------------------------------------------------


def test_the_way_to_what_fails_is_unfolded_and_the_rest_is_not(opened: Open) -> None:
    browser = opened(WIDE)
    shown = browser.one(".tree").text
    assert "gone.dll" in shown
    assert "leaf5.dll" not in shown
    assert "1 of Windows" in shown
    assert "w.dll" not in shown


def test_a_click_unfolds_and_folds(opened: Open) -> None:
    browser = opened(WIDE)
    fold = fold_of(browser, "good.dll")
    summary = fold.find_element("css selector", "summary")
    summary.click()
    assert "leaf5.dll" in browser.one(".tree").text
    summary.click()
    assert "leaf5.dll" not in browser.one(".tree").text


def test_a_button_unfolds_all_and_folds_it_again(opened: Open) -> None:
    browser = opened(WIDE)
    before = browser.one(".tree").text
    browser.one(".unfold").click()
    assert {"leaf5.dll", "w.dll"} <= set(browser.one(".tree").text.replace(" beside it", "").split("\n"))
    browser.one(".unfold").click()
    assert browser.one(".tree").text == before


# ---- search ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("LEAF7", ["leaf7.dll"]),
        ("missing", ["gone.dll"]),
        ("system32", ["w.dll"]),
        ("leaf 1", ["leaf10.dll", "leaf11.dll"]),
        ("nowhere", []),
    ],
)
def test_search_looks_at_names_states_and_paths(opened: Open, words: str, names: list[str]) -> None:
    browser = opened(WIDE)
    type_in(browser, words)
    assert column(browser, 1) == names
    assert browser.one("output").text == f"{len(names)} of 12"


def test_search_unfolds_what_it_finds_in_the_tree_and_hides_the_rest(opened: Open) -> None:
    browser = opened(WIDE)
    type_in(browser, "leaf7")
    assert browser.one(".tree").text.replace(" beside it", "").split("\n") == ["root.pyd", "good.dll", "leaf7.dll"]


def test_search_marks_what_it_finds_and_looks_into_what_is_folded(opened: Open) -> None:
    browser = opened(WIDE)
    type_in(browser, "leaf7")
    assert browser.seen(".hit") == ["leaf7.dll"]
    type_in(browser, "w.dll")
    assert browser.one(".tree").text.split("\n") == ["root.pyd", "1 of Windows", "w.dll"]


def test_escape_ends_a_search_and_folds_what_it_has_unfolded(opened: Open) -> None:
    from selenium.webdriver.common.keys import Keys

    browser = opened(WIDE)
    before = browser.one("main").text
    type_in(browser, "leaf7")
    browser.one("#search").send_keys(Keys.ESCAPE)
    assert browser.one("main").text == before


def test_search_goes_through_every_result_and_hides_those_without_a_match(opened: Open) -> None:
    browser = opened(SEVERAL)
    type_in(browser, "lost.dll")
    (only,) = browser.seen(".result")
    assert only.startswith("other.pyd does NOT load")
    assert column(browser, 1) == ["lost.dll"]


# ---- sort ------------------------------------------------------------------------------------------------------------


def test_a_column_sorts_up_and_down_and_says_so(opened: Open) -> None:
    browser = opened(WIDE)
    browser.one("th:nth-child(1) button").click()
    up = column(browser, 1)
    assert up[:4] == ["bad.dll", "gone.dll", "good.dll", "leaf5.dll"]
    assert [one.get_attribute("aria-sort") for one in browser.all("th")] == ["ascending", *[None] * 7]
    browser.one("th:nth-child(1) button").click()
    assert column(browser, 1) == up[::-1]
    assert browser.one("th").get_attribute("aria-sort") == "descending"


def test_numbers_sort_as_numbers(opened: Open) -> None:
    browser = opened(html.render([chain("root.pyd", *(f"m{number}.dll" for number in range(12)))]))
    browser.one("th:nth-child(5) button").click()
    assert column(browser, 5) == [str(number) for number in range(13)]


def test_states_sort_by_how_bad_they_are(opened: Open) -> None:
    browser = opened(WIDE)
    button = browser.one("th:nth-child(2) button")
    button.click()
    button.click()
    assert column(browser, 1)[0] == "w.dll"
    assert column(browser, 1)[-1] == "gone.dll"


# ---- keyboard --------------------------------------------------------------------------------------------------------


def test_the_keyboard_reaches_all_that_can_be_done_in_order_and_shows_where_it_is(opened: Open) -> None:
    from selenium.webdriver.common.keys import Keys

    browser = opened(WIDE)
    reached = []
    for _ in range(40):
        press(browser, Keys.TAB)
        told = browser.run(
            "const here = document.activeElement, style = getComputedStyle(here);"
            "return [here.id || here.className || here.localName, style.outlineStyle, parseFloat(style.outlineWidth)]"
        )
        if told[0] == "body":
            break
        reached.append(told[0])
        assert told[1] != "none", told
        assert told[2] >= 2, told
    assert reached[:2] == ["copy", "a"]
    assert [one for one in reached if one in ("search", "unfold")] == ["search", "unfold"]
    assert reached.count("summary") == 3
    assert reached.count("button") == 8


def test_enter_unfolds_sorts_and_space_copies(opened: Open) -> None:
    from selenium.webdriver.common.keys import Keys

    browser = opened(WIDE)
    summary = fold_of(browser, "good.dll").find_element("css selector", "summary")
    browser.run("arguments[0].focus()", summary)
    press(browser, Keys.ENTER)
    assert "leaf5.dll" in browser.one(".tree").text
    browser.run("document.querySelector('th button').focus()")
    press(browser, Keys.ENTER)
    assert browser.one("th").get_attribute("aria-sort") == "ascending"
    assert browser.run("return document.activeElement.textContent") == "Name"


def test_the_copy_button_copies_the_command(opened: Open) -> None:
    browser = opened(WIDE)
    browser.command("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.one(".copy").click()
    copied = browser.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied == "pip install it"
    assert browser.one(".copy").text == "Copied"


# ---- colours ---------------------------------------------------------------------------------------------------------


@EVERY_PAGE
@SCHEMES
def test_every_text_stands_out_from_what_is_behind_it(browser: Browser, opened: Open, page: str, scheme: str) -> None:
    browser.scheme(scheme)
    opened(page)
    found = browser.run(f"{CONTRAST}; return contrasts()")
    assert len(found) > 20
    assert [(round(ratio, 2), text) for ratio, text in found if ratio < LEAST_CONTRAST] == []


@EVERY_PAGE
def test_a_state_has_a_sign_beside_its_colour(opened: Open, page: str) -> None:
    browser = opened(page)
    signs = browser.run(
        "return Array.from(document.querySelectorAll('.badge.bad, .badge.warn, .badge.good, .signed'),"
        "(one) => getComputedStyle(one, '::before').content)"
    )
    assert signs
    assert set(signs) <= {'"✗"', '"!"', '"✓"'}


def test_the_page_is_dark_where_that_is_preferred(browser: Browser, opened: Open) -> None:
    colours = []
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        opened(WIDE)
        colours.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
    light, dark = (sum(json.loads(colour.replace("rgb(", "[").replace(")", "]"))) for colour in colours)
    assert light > 600
    assert dark < 150


# ---- paper -----------------------------------------------------------------------------------------------------------


@EVERY_PAGE
def test_a_page_prints(opened: Open, page: str) -> None:
    browser = opened(page)
    printed = base64.b64decode(browser.command("Page.printToPDF", printBackground=False)["data"])
    assert printed.startswith(b"%PDF-")
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page/") >= 1


def test_paper_has_links_and_no_buttons_and_nothing_is_cut_off(browser: Browser, opened: Open) -> None:
    browser.scheme("light", media="print")
    opened(WIDE)
    assert browser.seen(".bar, .copy, .unfold") == []
    assert browser.seen(".remedy a") == ["https://example.org/it"]
    for region in browser.all(".scroll"):
        assert browser.run("return getComputedStyle(arguments[0]).overflow", region) == "visible"
    assert column(browser, 1)[0] == "gone.dll"


def test_paper_is_light_where_dark_is_preferred(browser: Browser, opened: Open) -> None:
    browser.scheme("dark", media="print")
    opened(WIDE)
    assert (
        browser.run("return getComputedStyle(document.querySelector('.card')).backgroundColor") == "rgb(255, 255, 255)"
    )
    found = browser.run(f"{CONTRAST}; return contrasts()")
    assert [(round(ratio, 2), text) for ratio, text in found if ratio < LEAST_CONTRAST] == []


def test_what_fails_is_unfolded_on_paper_and_folded_again_after_it(opened: Open) -> None:
    browser = opened(WIDE)
    fold = fold_of(browser, "bad.dll")
    fold.find_element("css selector", "summary").click()
    browser.run(
        "const fold = arguments[0]; window.addEventListener('beforeprint', () => { window.was = fold.open })", fold
    )
    browser.command("Page.printToPDF")
    assert browser.run("return window.was") is True
    assert fold.get_attribute("open") is None


# ---- without scripts -------------------------------------------------------------------------------------------------


@EVERY_PAGE
def test_without_scripts_everything_is_there_and_nothing_that_does_nothing(
    browser: Browser, opened: Open, page: str
) -> None:
    opened(page)
    folded = "details[open]"
    with_scripts = [len(browser.all(selector)) for selector in ("article", ".tree li", ROWS, "svg", folded)]
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    opened(page)
    browser.command("Emulation.setScriptExecutionDisabled", value=False)  # to ask; the page's own was not run
    without = [len(browser.all(selector)) for selector in ("article", ".tree li", ROWS, "svg", folded)]
    assert without == with_scripts
    assert browser.seen("button, input, select, .bar") == []


def test_without_scripts_the_tree_folds(browser: Browser, opened: Open) -> None:
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    opened(WIDE)
    browser.command("Emulation.setScriptExecutionDisabled", value=False)
    fold_of(browser, "good.dll").find_element("css selector", "summary").click()
    assert "leaf5.dll" in browser.one(".tree").text


# ---- many ------------------------------------------------------------------------------------------------------------


def test_2_000_modules_open_and_are_searched_in_less_than_a_second(opened: Open) -> None:
    page = html.render([many(2_000)])
    openings = []
    for _ in range(3):  # the fastest counts: other programs run beside this one
        browser = opened(page)
        openings.append(browser.run("return performance.getEntriesByType('navigation')[0].loadEventEnd"))
    browser.run("document.querySelector('table').scrollIntoView()")
    assert len(browser.all(ROWS)) == 2_000
    searching = browser.run(
        "const field = document.querySelector('#search'), table = document.querySelector('table');"
        "const start = performance.now(); field.value = 'module_1234'; field.dispatchEvent(new Event('input'));"
        "table.getBoundingClientRect(); return performance.now() - start"
    )
    assert browser.seen(f"{ROWS}:not([hidden]) td:first-child") == ["module_1234.dll"]
    assert min(openings) < SECOND
    assert searching < SECOND


# ---- scan ------------------------------------------------------------------------------------------------------------


def test_a_verdict_can_be_chosen(opened: Open) -> None:
    from selenium.webdriver.support.select import Select

    browser = opened(scan_page())
    Select(browser.one("#verdict")).select_by_visible_text("does NOT load")
    assert browser.seen(".files tbody td:nth-child(1)") == ["pkg/ext0.pyd", "pkg/ext3.pyd"]
    type_in(browser, "ext3")
    assert browser.seen(".files tbody td:nth-child(1)") == ["pkg/ext3.pyd"]
    Select(browser.one("#verdict")).select_by_visible_text("any verdict")
    type_in(browser, "")
    assert len(browser.seen(".files tbody tr")) == 6


def test_the_files_of_a_scan_sort_by_verdict(opened: Open) -> None:
    browser = opened(scan_page())
    button = browser.one(".files th:nth-child(3) button")
    button.click()
    assert browser.seen(".files tbody td:nth-child(3)")[:3] == ["does NOT load", "does NOT load", "loads"]


# ---- names -----------------------------------------------------------------------------------------------------------


def test_hostile_names_are_only_shown(opened: Open) -> None:
    browser = opened(html.render([hostile()]))
    assert (
        browser.all("img, main script, main style, main h1 + h1, [onerror], [onmouseover], a[href^='javascript']") == []
    )
    names = column(browser, 1)
    assert {HOSTILE[0], HOSTILE[1], HOSTILE[4]} <= set(names)
    type_in(browser, "alert(2)")
    assert column(browser, 1) == [HOSTILE[1]]


def test_a_name_from_right_to_left_leaves_the_rest_of_its_line_alone(opened: Open) -> None:
    browser = opened(html.render([hostile()]))
    (item,) = [one for one in browser.all(".tree li .line") if "\u05d0" in one.text]
    name, mark = (item.find_element("css selector", selector) for selector in ("bdi", ".badge"))
    assert name.rect["x"] < mark.rect["x"]
