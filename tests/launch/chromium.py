"""A Chromium without a screen, for the tests of pages; they skip where there is none."""

import pathlib
import shutil

import pytest

selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

_BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_DRIVER = shutil.which("chromedriver")
needed = pytest.mark.skipif(not (_BINARY and _DRIVER), reason="Chromium and its chromedriver are not installed")

# In software, for the 3D views; and without the requests that a browser makes of its own.
_FLAGS = ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-quic", "no-first-run", "hide-scrollbars",
          "disable-background-networking", "disable-component-update", "disable-sync", "use-gl=angle",
          "use-angle=swiftshader", "enable-unsafe-swiftshader", "window-size=1280,1000")


def start(folder: pathlib.Path):
    """A driver of a new one, whose profile and downloads (`taken`) lie in the folder; to be ended with quit()."""
    options = selenium.ChromeOptions()
    options.binary_location = _BINARY
    for flag in (*_FLAGS, f"user-data-dir={folder / 'profile'}"):
        options.add_argument(f"--{flag}")
    options.add_experimental_option("prefs", {"download.default_directory": str(folder / "taken")})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return selenium.Chrome(options, selenium.ChromeService(_DRIVER))
