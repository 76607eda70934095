"""A browser that opens reports from the disk."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
import sys
from typing import TYPE_CHECKING, Any, Callable

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

NEEDED = ("chromium", "chromedriver")
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDE, TALL = 1400, 900


def missing() -> str:
    """Why these tests cannot run here; empty if they can."""
    if sys.platform == "win32":
        return "the report is the same everywhere; browsers are driven on Linux"
    if importlib.util.find_spec("selenium") is None:
        return "selenium is not installed"
    absent = [program for program in NEEDED if shutil.which(program) is None]
    return f"there is no {' and no '.join(absent)}" if absent else ""


@pytest.fixture(autouse=True, scope="session")
def _needs_a_browser() -> None:
    if missing():
        pytest.skip(missing())


class Browser:
    """A browser with one page. `run` is JavaScript in it."""

    def __init__(self, driver: Chrome, folder: Path) -> None:
        self.driver = driver
        self.folder = folder
        self.numbers = itertools.count()

    def open(self, html: str) -> None:
        """Write a page and open it from the disk."""
        path = self.folder / f"{next(self.numbers)}.html"
        path.write_text(html, "utf-8")
        self.driver.get(path.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def command(self, name: str, **parameters: Any) -> Any:
        """A command of the Chrome DevTools Protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def seen(self, selector: str) -> list[str]:
        """The texts of what is shown of this."""
        return [one.text for one in self.all(selector) if one.is_displayed()]

    def complaints(self) -> list[str]:
        """What the console has got since this was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def width(self, pixels: int) -> None:
        narrow = pixels < 600
        self.command(
            "Emulation.setDeviceMetricsOverride", width=pixels, height=TALL, deviceScaleFactor=1, mobile=narrow
        )

    def scheme(self, name: str, media: str = "") -> None:
        """Prefer dark or light, on the screen or on paper."""
        feature = {"name": "prefers-color-scheme", "value": name}
        self.command("Emulation.setEmulatedMedia", media=media, features=[feature])


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield Browser(driver, tmp_path_factory.mktemp("pages"))
    finally:
        driver.quit()


@pytest.fixture
def browser(started: Browser) -> Iterator[Browser]:
    """As wide as a desk's, light, with scripts."""
    started.width(WIDE)
    started.scheme("light")
    started.command("Emulation.setScriptExecutionDisabled", value=False)
    started.complaints()
    yield started
    assert started.complaints() == []


Open = Callable[[str], Browser]


@pytest.fixture
def opened(browser: Browser) -> Open:
    """Open a page."""

    def open_page(html: str) -> Browser:
        browser.open(html)
        return browser

    return open_page
