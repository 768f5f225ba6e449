"""report.html on paper: the browser prints a reconstruction on two sheets, light and without controls."""

import base64
import pathlib

import chromium
import numpy as np
import printed_pdf
import pytest
import report_pages
from selenium.webdriver.common.by import By

from launch.pages import table
from launch.pages.table import Cell

pytestmark = chromium.needed

_PAPERS = {"A4": (8.27, 11.69), "Letter": (8.5, 11.0)}  # inches
_MAKE = {"reconstruction": report_pages.reconstruction, "solution": report_pages.solution,
         "crystal": report_pages.crystal}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = chromium.start(tmp_path_factory.mktemp("browser"))
    yield driver
    driver.quit()


def opened(browser, kind: str, folder: pathlib.Path, scheme: str = "light") -> None:
    _MAKE[kind](folder)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.get((folder / "report.html").as_uri())


def printed(browser, paper: str = "A4") -> list[printed_pdf.PrintedPage]:
    width, height = _PAPERS[paper]
    answer = browser.execute_cdp_cmd("Page.printToPDF", {
        "paperWidth": width, "paperHeight": height, "printBackground": True, "preferCSSPageSize": paper == "A4"})
    assert not [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    return printed_pdf.read_pages(base64.b64decode(answer["data"]))


@pytest.mark.parametrize(("scheme", "paper"), [("light", "A4"), ("dark", "A4"), ("light", "Letter")])
def test_a_reconstruction_is_two_sheets_with_verdict_numbers_and_figures(browser, tmp_path, scheme, paper):
    opened(browser, "reconstruction", tmp_path, scheme)
    rows = browser.execute_script("return payload.rows.map((row) => row.map(typeset))")
    first, second = printed(browser, paper)
    assert "Doubtful." in first.text and "withχ²=1.25" in first.text
    for name, value, _ in rows:
        assert "".join(f"{name}{value}".split()) in first.text
    for words in ("Guinierregion", "P(r)", "Kratkyplot", "Convergence", "Notes", "--seed=3"):
        assert words in second.text, words
    # Axes of the figures, which are canvases on the page.
    for words in ("I(q)", "(I−fit)/σ", "lnI", "residual/σ", "P(r)/maximum", "(qRg)²I/I(0)", "step"):
        assert words in second.text, words
    for controls in ("Resettheview", "Models,with", "Dragacross", "Dragoruse"):
        assert controls not in first.text + second.text
    # Two views of the shape, on light ground and not empty.
    pictures = [np.frombuffer(picture, np.uint8).reshape(-1, 3).astype(int) for picture in first.pictures]
    assert len(pictures) == 2 and not second.pictures
    for pixels in pictures:
        assert pixels[0].min() > 230
        assert 0.03 < (np.abs(pixels - pixels[0]).sum(-1) > 30).mean() < 0.9
    assert (pictures[0] != pictures[1]).any()


def test_after_printing_the_page_is_as_it_was(browser, tmp_path):
    opened(browser, "reconstruction", tmp_path)
    state = ("return [document.querySelector('main').innerText, scene.viewer.getView().map((x) => x.toFixed(3)), "
             "document.querySelector('#scene canvas').width, document.querySelector('#intensity canvas').width]")
    browser.execute_script("scene.viewer.rotate(40, 'x')")
    before = browser.execute_script(state)
    for _ in range(2):
        printed(browser)
        assert browser.execute_script(state) == before
    assert not browser.find_elements(By.CSS_SELECTOR, ".print, .pictures")


@pytest.mark.parametrize(("kind", "words"), [
    ("solution", ("Pattersonmap", "Positions", "−2.0000")), ("crystal", ("Evidence", "Wilsonplot", "Cl1", "N1"))])
def test_the_other_reports_print_their_tables_and_no_controls(browser, tmp_path, kind, words):
    opened(browser, kind, tmp_path, "dark")
    pages = printed(browser)
    text = "".join(page.text for page in pages)
    assert len(pages) <= 4 and all(word in text for word in words)
    assert "Resettheview" not in text and "Radiusoftheballs" not in text
    assert len(pages[0].pictures) == {"solution": 5, "crystal": 2}[kind]  # with the sections of a Patterson map


def test_the_table_of_curves_prints_on_one_sheet(browser, tmp_path):
    table.write(tmp_path / "table.html", "A kind", "3 curves", "1 shape.", ["Curve", "Verdict", "chi^2"],
                [[Cell("b10"), Cell("shape", status="shape"), Cell("10.5", 10.5)]], [("Lines", ["q"])], "what it means")
    browser.get((tmp_path / "table.html").as_uri())
    page, = printed(browser)
    assert "b10shape10.5" in page.text and "whatitmeans" in page.text
