"""What `launch.benchmark` measures: each suite is a module with `run(report) -> summary`.

A suite measures our way and its named peer by turns in one process tree, calls `report(row)` for each
row as it is done and returns what the whole of them says: numbers by name and, where something is asked of it,

    "bars": [bars.at_most("share of a step", share, MOST_SHARE), bars.at_least("ratio", row.ratio, LEAST_RATIO)]

with each bound a constant of the suite's module; `launch.benchmark` says for each whether it holds. A row has a floor
where `timing.compare` is told what must be computed (`flops`) or read and written (`moved_bytes`).
"""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from launch.benchmarks.timing import Row
from phasenet.errors import InputError

SUITES = {name: f"launch.benchmarks.suites.{name}" for name in (
    "conv", "train_phasenet", "train_saxsae", "anneal", "synthesis", "zernike", "genetic", "align", "scaling",
    "reconstruct", "memory", "phasing")}
# Peers that are no part of the installation: the benchmark extra has them, but for one that is a file of its own.
PEERS = {"train_phasenet": "torch", "train_saxsae": "torch", "zernike": "ZMPY3D", "align": "freesas",
         "reconstruct": "denss", "phasing": "classical_phasing"}


def suite(name: str) -> Callable[[Callable[[Row], None]], dict[str, Any]]:
    """The `run` of the suite so named (imported only now: some need much).

    Raises InputError where its peer is not installed.
    """
    if what := missing(name):
        raise InputError(f"suite {name}: {what}")
    return importlib.import_module(SUITES[name]).run


def missing(name: str) -> str | None:
    """What a suite needs and does not find, in one line; None where all is there."""
    peer = PEERS.get(name)
    if peer is None or importlib.util.find_spec(peer) is not None:
        return None
    where = "put its folder on PYTHONPATH" if name == "phasing" else "pip install -e .[benchmark]"
    return f"its peer {peer} is not installed ({where})"
