"""The suites of `launch.benchmark`, and what they share.

A suite is a module of `suites/` with a function `run(report) -> summary`. It times our code and a named peer in turn,
calls `report(row)` after each measurement and returns its summary: numbers by name and, where bounds are required,

    "bars": [bars.at_most("share of a step", share, MOST_SHARE), bars.at_least("ratio", row.ratio, LEAST_RATIO)]

Each bound is a constant of the suite's module; `launch.benchmark` prints whether it holds.

`timing` compares two callables, `floor` measures the processor's highest rates, `children` runs whole launches in
processes of their own, `training` and `torch_peer` compare training steps with PyTorch.
"""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from launch.benchmarks.timing import Row
from phasenet.errors import InputError

SUITES = {name: f"launch.benchmarks.suites.{name}" for name in (
    "conv", "train_phasenet", "train_saxsae", "anneal", "synthesis", "zernike", "genetic", "align", "scaling",
    "reconstruct", "memory", "phasing")} | {
        "crystals": "launch.benchmarks.suites.crystals.suite",
        "crystal_scaling": "launch.benchmarks.suites.crystals.crystal_scaling"}
# Peers that a plain installation lacks. The benchmark extra installs all but classical_phasing, a single file.
PEERS = {"train_phasenet": "torch", "train_saxsae": "torch", "zernike": "ZMPY3D", "align": "freesas",
         "reconstruct": "denss", "phasing": "classical_phasing", "crystals": "cctbx"}


def load_suite(name: str) -> Callable[[Callable[[Row], None]], dict[str, Any]]:
    """Returns the function `run` of a suite. Only this suite is imported, because the peers of others may be missing.

    Args:
      name: a key of `SUITES`.

    Raises:
      InputError: the suite's peer is not installed.
    """
    if what := describe_missing_peer(name):
        raise InputError(f"suite {name}: {what}")
    return importlib.import_module(SUITES[name]).run


def describe_missing_peer(name: str) -> str | None:
    """Returns one line on the peer that a suite (a key of `SUITES`) needs and that is not installed, otherwise None."""
    peer = PEERS.get(name)
    if peer is None or importlib.util.find_spec(peer) is not None:
        return None
    where = "put its folder on PYTHONPATH" if name == "phasing" else "pip install -e .[benchmark]"
    return f"its peer {peer} is not installed ({where})"
