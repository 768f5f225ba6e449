"""launch.serve as a person meets it, in a headless Chromium: a real curve, a short run, a restart in its middle."""

import base64
import io
import os
import signal
import subprocess
import sys
import zipfile

import chromium
import numpy as np
import PIL.Image
import pytest
from made_crystals import make_crystal
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from served import EXAMPLE, HERE, wait_for

pytest.importorskip("starlette", reason="the extra serve is not installed")
ROOT = HERE.parents[1]
pytestmark = [chromium.needed, pytest.mark.optimized]

_DROP = """
const data = new DataTransfer();
for (const [content, name] of arguments[1])
  data.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name));
for (const name of ["dragenter", "dragover", "drop"])
  arguments[0].dispatchEvent(new DragEvent(name, {dataTransfer: data, bubbles: true, cancelable: true}));
"""


def blue(picture):
    """The share of a picture that is."""
    red, _, blue = np.moveaxis(np.asarray(PIL.Image.open(io.BytesIO(picture)).convert("RGB"), int), -1, 0)
    return (blue > red + 40).mean()


class Server:
    """launch.serve in a process of its own, that can be killed and started again at its address."""

    def __init__(self, folder):
        self._folder, self._process, self.address = folder, None, None

    def start(self):
        port = self.address.rpartition(":")[2].strip("/") if self.address else "0"
        cache = {"JAX_COMPILATION_CACHE_DIR": str(self._folder / "programs")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "launch.serve", f"--port={port}", f"--folder={self._folder / 'served'}"], cwd=ROOT,
            stdout=subprocess.PIPE, text=True, env=os.environ | cache)
        self.address = self._process.stdout.readline().split()[0]

    def end(self, how):
        self._process.send_signal(how)
        with self._process:
            return self._process.wait(30)


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path)
    server.start()
    yield server
    assert server.end(signal.SIGINT) in (0, 130)


@pytest.fixture
def browser(tmp_path):
    browser = chromium.start(tmp_path)
    yield browser
    browser.quit()


def test_from_a_dropped_file_to_a_result_taken_home(server, browser, tmp_path):
    def one(css):
        return browser.find_element(By.CSS_SELECTOR, css)

    def seen(css, seconds=120.0):
        def look():
            return next((found for found in browser.find_elements(By.CSS_SELECTOR, css) if found.is_displayed()), None)
        return wait_for(look, seconds)

    def drop(content, name):
        browser.execute_script(_DROP, one("#drop-curve"), [[base64.b64encode(content).decode(), name]])

    def set_to(css, value):
        one(css).clear()
        one(css).send_keys(value)

    def picture():
        return browser.find_element(By.CSS_SELECTOR, "#scene").screenshot_as_base64

    def turned_by_dragging():
        wait_for(lambda: picture() == picture())
        before = picture()
        ActionChains(browser).drag_and_drop_by_offset(one("#scene"), 60, 25).perform()
        return wait_for(lambda: picture() != before)

    browser.get(server.address)
    drop(b"hello", "<img src=x onerror=alert(1)>.dat")
    assert seen("#error").text.startswith("<img src=x onerror=alert(1)>.dat: has no table of numbers")
    assert not one("#settings").is_displayed()
    drop(EXAMPLE.read_bytes(), "mine.dat")
    assert "172" in seen("#facts").text and one("#called").text == "mine.dat" and not one("#error").is_displayed()
    seen("#plot canvas")

    one("summary").click()
    set_to("#num_models", "1000")
    set_to("#generations", "3")
    seen("[type=submit]").click()
    assert "Models: a whole number from 1 to 100" in seen("#refused").text
    set_to("#num_models", "1")
    one("[type=submit]").click()
    assert "three" not in seen("#asked").text and "1 model ·" in one("#asked").text
    address = browser.current_url

    # A second one waits behind it, and is cancelled.
    browser.switch_to.new_window()
    browser.get(server.address)
    one("#example").click()
    seen("[type=submit]").click()
    wait_for(lambda: "/jobs/" in browser.current_url)
    assert "next in the queue" in seen("#waiting-text").text
    seen("#buttons button").click()
    wait_for(lambda: one("#status").text == "Cancelled")
    browser.close()
    browser.switch_to.window(browser.window_handles[0])

    # Its shape is seen as soon as there is one; then the server is killed, and comes back.
    seen("#scene canvas")
    wait_for(lambda: blue(one("#scene").screenshot_as_png) > 0.05)
    assert one("#chart canvas").is_displayed()
    server.end(signal.SIGKILL)
    assert "trying again" in seen("#error").text
    server.start()
    wait_for(lambda: one("#status").text.startswith("Done"), 200)
    assert not one("#error").is_displayed() and browser.current_url == address
    assert one("#name").text == "mine.dat"

    one("#archive").click()
    packed = wait_for(lambda: next((tmp_path / "taken").glob("mine_*.zip"), None))
    with zipfile.ZipFile(packed) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
    assert {"density.ccp4", "model_01.ccp4", "beads.pdb", "fit.fit", "log.json", "report.html"} <= names

    frame = seen("#result iframe")
    wait_for(lambda: frame.size["height"] > 1000)  # as high as the report says that it is
    browser.switch_to.frame(frame)
    seen("#scene canvas")
    browser.switch_to.default_content()
    # Outside of the frame: the driver misplaces a pointer within.
    browser.get(frame.get_attribute("src").partition("?")[0])
    seen("#scene canvas")
    assert turned_by_dragging()

    browser.get(f"{server.address}runs")
    wait_for(lambda: len(browser.find_elements(By.CSS_SELECTOR, "#runs li")) == 2)
    assert [status.text for status in browser.find_elements(By.CSS_SELECTOR, "#runs .status")] == ["Cancelled", "Done"]
    complaints = [entry["message"] for entry in browser.get_log("browser")
                  if entry["level"] == "SEVERE" and "status of 422" not in entry["message"]
                  and "ERR_CONNECTION_REFUSED" not in entry["message"] and "ERR_INCOMPLETE" not in entry["message"]]
    assert complaints == []


def test_the_files_of_a_crystal_are_dropped_together_or_one_after_the_other(server, browser):
    made = make_crystal("P 1 21/c 1")
    rows = "".join(f"{h:4d}{k:4d}{l:4d}{i:8.2f}{s:8.2f}\n" for (h, k, l), i, s in zip(
        made.reflections.hkl, 9000 * made.reflections.intensity / made.reflections.intensity.max(),
        np.ones(len(made.reflections.hkl)), strict=True))
    instructions = (f"TITL made\nCELL 0.71073 {' '.join(map(str, made.cell))}\nZERR 4 0 0 0 0 0 0\nLATT 1\n"
                    "SYMM -x,y+1/2,-z+1/2\nSFAC C N O Cl\nUNIT 28 8 8 4\nHKLF 4\nEND\n")

    def drop(*files):
        place = browser.find_element(By.ID, "drop-crystal")
        browser.execute_script(_DROP, place, [[base64.b64encode(text.encode()).decode(), name] for text, name in files])

    def text_of(id):
        return wait_for(lambda: browser.find_element(By.ID, id).text)

    def open_page():
        browser.get("about:blank")
        browser.get(f"{server.address}patterson#crystal")
        wait_for(lambda: browser.find_element(By.ID, "for-crystal").is_displayed())

    open_page()
    drop((rows, "mine.hkl"), (instructions, "mine.ins"))
    assert text_of("crystal-called") == "mine.hkl with mine.ins"
    assert "7.4 × 11.3 × 11.6 Å" in text_of("crystal-facts") and "Cl4" in text_of("crystal-facts")

    open_page()
    drop((rows, "mine.hkl"))
    assert text_of("crystal-error").startswith("mine.hkl: no unit cell") and "below" in text_of("crystal-error")
    browser.find_element(By.ID, "c-cell").send_keys("7.4 11.3 11.6 90 104 90", Keys.TAB)
    assert "not given: taken from the data" in text_of("crystal-facts")
    drop((instructions, "mine.ins"))
    wait_for(lambda: browser.find_element(By.ID, "crystal-called").text == "mine.hkl with mine.ins")
    assert "given by its operators" in text_of("crystal-facts")
    browser.find_element(By.ID, "c-formula").send_keys("C7;N2", Keys.TAB)
    assert "formula: a text such as" in text_of("crystal-error")
