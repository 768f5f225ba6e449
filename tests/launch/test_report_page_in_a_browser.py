"""report.html in a browser without a screen or a network: it draws, is moved by keys alone, and fits any width."""

import io
import types

import chromium
import numpy as np
import pytest
import report_pages
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = chromium.needed

_HEIGHT = 5000  # a whole page: nothing is scrolled, a picture of a part is whole


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = chromium.start(tmp_path_factory.mktemp("browser"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Each kind's page as an address."""
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in ("reconstruction", "solution", "crystal", "unsolved")}
    report_pages.reconstruction(folders["reconstruction"])
    report_pages.solution(folders["solution"])
    report_pages.crystal(folders["crystal"])
    report_pages.crystal(folders["unsolved"], "not solved")
    return types.SimpleNamespace(**{kind: (folder / "report.html").as_uri() for kind, folder in folders.items()})


def opened(browser, address, width=1280, scheme="light"):
    """A page without mistakes that fits the width and has the scheme."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": _HEIGHT, "deviceScaleFactor": 1, "mobile": width < 600})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.get(address)
    mistakes = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not mistakes
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground.strip("rgb()").split(","))) < 200) == (scheme == "dark")


def seen(browser, selector):
    """An element as pixels (rows, columns, 3)."""
    picture = Image.open(io.BytesIO(browser.find_element(By.CSS_SELECTOR, selector).screenshot_as_png))
    return np.asarray(picture.convert("RGB"), int)


def share_drawn(pixels):
    """Of the pixels that have not the colour of the first row's middle."""
    return (np.abs(pixels - pixels[0, pixels.shape[1] // 2]).sum(-1) > 30).mean()


@pytest.mark.parametrize("kind", ["reconstruction", "solution", "crystal"])
def test_a_narrow_dark_page_runs_no_name_and_names_its_controls(browser, pages, kind):
    opened(browser, getattr(pages, kind), 390, "dark")
    assert "<img src=x" in browser.title and not browser.find_elements(By.TAG_NAME, "img")
    assert "</script>" in browser.find_element(By.ID, "flags").text
    # Every control has a name, and can be come to.
    for control in browser.find_elements(By.CSS_SELECTOR, "input, button, .scene, .chart"):
        assert control.accessible_name and control.get_property("tabIndex") == 0


def test_shape_and_fit_are_drawn_and_moved_by_keys(browser, pages):
    opened(browser, pages.reconstruction)
    whole = seen(browser, "#scene")
    assert 0.1 < share_drawn(whole) < 0.8
    level = browser.find_element(By.ID, "level")
    level.send_keys(*[Keys.ARROW_RIGHT] * 30)
    assert browser.find_element(By.ID, "level-value").text == "75%"
    assert (seen(browser, "#scene") != whole).any(-1).mean() > 0.01
    level.send_keys(*[Keys.ARROW_LEFT] * 30)
    assert (seen(browser, "#scene") != whole).any(-1).mean() < 0.01
    browser.find_element(By.ID, "scene").send_keys(*[Keys.ARROW_UP] * 3)
    assert (seen(browser, "#scene") != whole).any(-1).mean() > 0.05
    browser.find_element(By.ID, "reset").send_keys(Keys.ENTER)
    # All parts off: nothing but the scale is left.
    for check in browser.find_elements(By.CSS_SELECTOR, "#parts input:checked"):
        check.send_keys(Keys.SPACE)
    assert share_drawn(seen(browser, "#scene")) < 0.01
    browser.find_element(By.CSS_SELECTOR, "#models input").send_keys(Keys.SPACE)
    assert share_drawn(seen(browser, "#scene")) > 0.05
    for chart in ("#intensity", "#residuals", "#guinier", "#convergence"):
        assert share_drawn(seen(browser, chart)) > 0.01
    browser.find_element(By.ID, "intensity").send_keys(*[Keys.ARROW_RIGHT] * 2)
    readout = browser.find_element(By.CSS_SELECTOR, "#residuals + .readout").text
    assert readout.startswith("q 0.01244 1/Å: I ") and "residual" in readout


def test_atoms_and_sections_are_drawn_and_moved_by_keys(browser, pages):
    opened(browser, pages.solution)
    whole, section = seen(browser, "#scene"), seen(browser, "#given")
    assert share_drawn(whole) > 0.01 and share_drawn(section) > 0.02
    assert share_drawn(seen(browser, "#difference")) > 0.005
    browser.find_element(By.ID, "radius").send_keys(*[Keys.ARROW_RIGHT] * 6)
    assert share_drawn(seen(browser, "#scene")) > 1.5 * share_drawn(whole)
    browser.find_element(By.ID, "height").send_keys(Keys.HOME)
    assert (seen(browser, "#given") != section).any(-1).mean() > 0.02
    rows = browser.find_elements(By.CSS_SELECTOR, "#table tbody tr")
    assert rows[0].text.split() == ["1", "−2.0000", "0.0123", "−1.5000", "0.0123", "1.0000", "0.0123", "−1.000",
                                    "−0.750", "0.500"]


def test_a_crystal_is_drawn_grown_and_moved_by_keys(browser, pages):
    opened(browser, pages.crystal)
    first = seen(browser, "#scene")
    assert share_drawn(first) > 0.01
    assert [label.text for label in browser.find_elements(By.CSS_SELECTOR, "#elements .key")] == ["C", "N", "O", "Cl"]
    def press(part):
        browser.find_element(By.XPATH, f"//label[contains(., '{part}')]/input").send_keys(Keys.SPACE)

    press("Atoms and bonds")  # what lies within a ball is seen without the balls
    empty = seen(browser, "#scene")
    assert share_drawn(empty) < share_drawn(first)
    for part in ("Density", "Positive difference", "Negative difference"):
        press(part)
        surface = seen(browser, "#scene")
        assert (surface != empty).any(-1).mean() > 0.0002, part
        if part == "Density":
            browser.find_element(By.ID, "density").send_keys(*[Keys.ARROW_RIGHT] * 5)
            assert (seen(browser, "#scene") != surface).any(-1).mean() > 0.001
        press(part)
    press("Atoms and bonds")
    browser.find_element(By.ID, "view-cell").send_keys(Keys.ENTER)
    assert browser.find_element(By.ID, "view-cell").get_attribute("aria-pressed") == "true"
    whole = seen(browser, "#scene")
    assert share_drawn(whole) > 1.2 * share_drawn(first)
    browser.find_element(By.ID, "view-grow").send_keys(Keys.ENTER)
    assert (seen(browser, "#scene") != whole).any(-1).mean() > 0.01
    for chart in ("#limits", "#shells", "#wilson"):
        assert share_drawn(seen(browser, chart)) > 0.005
    browser.find_element(By.ID, "shells").send_keys(Keys.ARROW_RIGHT)
    assert "R1 0." in browser.find_element(By.CSS_SELECTOR, "#shells + .readout").text
    assert len(browser.find_elements(By.CSS_SELECTOR, "#atom-table tbody tr")) == 12
    assert len(browser.find_elements(By.CSS_SELECTOR, "#bond-table tbody tr")) == 12


def test_what_is_not_solved_does_not_look_solved(browser, pages):
    opened(browser, pages.unsolved)
    claim = browser.find_element(By.CSS_SELECTOR, "#lead strong")
    assert claim.text == "Not solved:"
    red, green, _ = map(int, claim.value_of_css_property("color").strip("rgba()").split(",")[:3])
    assert red > 2 * green
    assert browser.find_element(By.ID, "structure").text == "Atoms that do not explain the data"
    assert not browser.find_elements(By.CSS_SELECTOR, "#elements .key")
    picture = seen(browser, "#scene")
    # Balls and sticks are grey; the axes alone have colours.
    assert (picture.max(-1) - picture.min(-1) > 60).mean() < 0.005
