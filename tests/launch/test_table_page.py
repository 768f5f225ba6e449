"""The page with a table: whole without scripts, safe with any text, and sorted by a click in a browser."""

import pathlib
import re

import pytest

from launch.pages import table
from launch.pages.table import Cell

NAME = "<img src=x onerror=\"document.title='run'\">"
HEADINGS = ["Curve", "Verdict", "chi^2"]
ROWS = [[Cell("b10", link="b10/report.html", title="in/b10.dat"), Cell("shape", status="shape"), Cell("10.5", 10.5)],
        [Cell(NAME), Cell("failed", status="failed", more=f"Rg is 20 A, slope (-3): {NAME}"), Cell("")],
        [Cell("b9"), Cell("doubtful", status="doubtful"), Cell("9.25 +- 0.1", 9.25)]]


def write(path: pathlib.Path) -> str:
    table.write(path, "A kind", "3 curves", "1 shape.", HEADINGS, ROWS,
                [("Lines", ["q to 0.2 1/A"]), ("Nothing", [])], "what it means")
    return path.read_text(encoding="utf-8")


def test_the_text_holds_all_without_scripts(tmp_path):
    text = write(tmp_path / "table.html")
    for words in ("3 curves", "1 shape.", "what it means", "χ²", "9.25 ± 0.1", "20 Å", "(−3)", "0.2 1/Å",
                  '<a href="b10/report.html">b10</a>', '<strong data-status="failed">failed</strong>'):
        assert words in text
    assert "Nothing" not in text and "<img" not in text
    assert not re.search(r"""(?:src|href)=["']?(?:https?:|//)""", text)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium = pytest.importorskip("chromium")
    if chromium.needed.args[0]:
        pytest.skip("no Chromium")
    driver = chromium.start(tmp_path_factory.mktemp("browser"))
    yield driver
    driver.quit()


def test_a_click_on_a_heading_sorts(browser, tmp_path):
    write(tmp_path / "table.html")
    browser.get((tmp_path / "table.html").as_uri())
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]

    def order(heading):
        browser.execute_script("document.querySelectorAll('thead button')[arguments[0]].click()", heading)
        return browser.execute_script("return [...document.querySelectorAll('tbody th')].map((t) => t.textContent)")

    assert order(2) == ["b9", "b10", NAME]
    assert order(2) == ["b10", "b9", NAME]  # without a value: last, both ways
    assert order(0)[-2:] == ["b9", "b10"]  # numbers in names count as numbers
    assert browser.execute_script("return [...document.querySelectorAll('[aria-sort]')].length") == 1
    assert browser.title == "A kind: 3 curves"


@pytest.mark.parametrize("width", [1280, 380])
def test_the_page_fits_the_width(browser, tmp_path, width):
    write(tmp_path / "table.html")
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})
    browser.get((tmp_path / "table.html").as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
