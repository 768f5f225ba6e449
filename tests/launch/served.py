"""What the tests of the local page share: jobs of a toy launch, and waiting."""

import os
import pathlib
import time

from launch.serving import commands

HERE = pathlib.Path(__file__).parent
EXAMPLE = HERE.parents[1] / "saxsae" / "examples" / "three_lobes.dat"


def toys(monkeypatch, **words):
    """Makes a job of seed N do what words["seedN"] says, or "says"."""
    monkeypatch.setenv("PYTHONPATH", os.fspath(HERE))
    monkeypatch.setattr(commands, "build_commands",
                        lambda job: [["toy_job", words.get(f"seed{job.settings['seed']}", "says")]])


def wait_for(what, seconds: float = 60):
    """What what() returns, once that is true."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return found
