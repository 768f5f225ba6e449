"""Which code made something."""

import pathlib
import subprocess


def revision() -> str:
    """The git revision of the code, or "unknown"."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=pathlib.Path(__file__).parent, capture_output=True,
                          text=True, check=False)
    return done.stdout.strip() or "unknown"
