"""Which code made something, and with which packages."""

import importlib.metadata
import pathlib
import platform
import subprocess

_PACKAGES = ("phasenet-saxsae", "jax", "jaxlib", "flax", "numpy", "gemmi")


def revision() -> str:
    """The git revision of the code, or "unknown"."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=pathlib.Path(__file__).parent, capture_output=True,
                          text=True, check=False)
    return done.stdout.strip() or "unknown"


def versions() -> dict[str, str]:
    """Of Python and of the packages that numbers hang on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
