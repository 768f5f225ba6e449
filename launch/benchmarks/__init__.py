"""What `launch.benchmark` measures: each suite is a module with `run(report) -> summary`.

A suite measures our way and its named peer by turns in one process, calls `report(row)` for each
row as it is done and returns what the whole of them says.
"""

import importlib
from collections.abc import Callable
from typing import Any

from launch.benchmarks.timing import Row

SUITES = {"conv": "launch.benchmarks.conv", "anneal": "launch.benchmarks.anneal"}


def suite(name: str) -> Callable[[Callable[[Row], None]], dict[str, Any]]:
    """The `run` of the suite so named (imported only now: some need much)."""
    return importlib.import_module(SUITES[name]).run
