"""Suite "crystal_scaling": what solving a crystal costs by the number of its independent atoms. There is no peer.

    python -m launch.benchmark --suite=crystal_scaling --json=out/crystal_scaling.json
    python -m launch.figures --figure=crystal_scaling --results=out/crystal_scaling.json --output=out/figures

Crystals of growing volume are made in P -1 and solved from complete data at three resolutions. Each is solved in a
process of its own (`solve_alone`), so that the peak memory is that of one crystal, compilation included; the times are
those of solving alone. With --json, solved crystals are kept, and the same command resumes an interrupted run.
"""

import json
import math
import pathlib
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from launch.benchmarks import children
from launch.benchmarks.suites.scaling import slope
from launch.benchmarks.timing import Row
from launch.evaluation import resumable
from launch.machine import provenance
from phasenet.crystal.made import arrays, crystals
from phasenet.crystal.made.crystals import MadeCrystal
from phasenet.errors import InputError

# Volumes of the unit cells by resolution in A, A^3: 10 to about 45, 90 and 160 independent atoms.
VOLUMES = {1.5: (350, 500, 700, 1000, 1400), 1.2: (350, 500, 700, 1000, 1400, 2000, 2800),
           1.0: (350, 500, 700, 1000, 1400, 2000, 2800, 4000, 5000)}
CRYSTALS_PER_VOLUME, SEED = 2, 0
_SPACE_GROUP = "P -1"
_VOLUME_RANGE = 1.05  # the largest volume that is drawn over the smallest
_CHILD = "launch.benchmarks.suites.crystals.solve_alone"


class ScalingCase(NamedTuple):
    """A made crystal and the resolution of its data.

    Attributes:
      id: name of the case.
      volume: of the unit cell, A^3.
      number: of the crystal among those of this volume.
      d_min: resolution, A.
    """

    id: str
    volume: float
    number: int
    d_min: float


def run(report: Callable[[Row], None], json_path: str | None = None, volumes: Mapping[float, Sequence[float]] = VOLUMES,
        crystals_per_volume: int = CRYSTALS_PER_VOLUME) -> dict[str, Any]:
    """Makes the crystals and solves them at each resolution; prints a line for each crystal.

    Args:
      report: receives the row of each crystal.
      json_path: file beside which solved crystals are kept; None keeps none.
      volumes: of the unit cells, A^3, by resolution, A.
      crystals_per_volume: crystals that are made of each volume.

    Returns:
      By resolution: the numbers of crystals and of solved ones, the atoms of the largest solved one, its gigabytes
      (1e9 bytes), and the exponent of the processor time: the slope of log time against log atoms, of the crystals
      solved from their first start.

    Raises:
      InputError: no crystal can be measured.
    """
    cases = [ScalingCase(f"{volume:g} A^3, crystal {number}, {d_min:g} A", volume, number, d_min)
             for d_min, group in volumes.items() for volume in group for number in range(crystals_per_volume)]
    settings = {"suite": "crystal_scaling", "seed": SEED, "versions": provenance.versions()}
    items = resumable.run_items(cases, measure, format_item, json_path, settings)
    done = [item for item in items if "error" not in item]
    if not done:
        raise InputError(f"suite crystal_scaling: no crystal could be measured: {items[0]['error']}")
    for item in done:
        report(Row(f"{item['id']}, {item['atoms']} atoms", "", item["wall_seconds"], math.nan, math.nan,
                   item["cpu_seconds"], math.nan, None, 1, item))
    return summarize(done)


def make_crystal(volume: float, number: int) -> MadeCrystal:
    """Returns an organic crystal in P -1; the same arguments give the same one.

    Args:
      volume: of the unit cell, A^3; the cell that is made has about this volume.
      number: of the crystal among those of this volume.
    """
    rng = np.random.default_rng((SEED, round(volume), number))
    return crystals.draw_crystal(rng, (volume, _VOLUME_RANGE * volume), (_SPACE_GROUP,), "organic")


def measure(case: ScalingCase) -> dict[str, Any]:
    """Makes a crystal and solves it in a child process.

    Args:
      case: which crystal, and its resolution.

    Returns:
      "d_min", "peak_gigabytes", and what `solve_alone.solve` returns.

    Raises:
      RuntimeError: the child process failed.
    """
    with tempfile.TemporaryDirectory() as name:
        path, result = pathlib.Path(name) / "crystal.npz", pathlib.Path(name) / "result.json"
        # numpy's stub takes the names for allow_pickle.
        np.savez(path, **arrays.pack([make_crystal(case.volume, case.number)]))  # type: ignore[arg-type]
        finished = children.run([sys.executable, "-m", _CHILD, str(path), str(case.d_min), str(result)])
        return {"d_min": case.d_min, "peak_gigabytes": finished.peak_bytes / 1e9,
                **json.loads(result.read_text(encoding="utf-8"))}


def format_item(item: dict[str, Any]) -> str:
    """Returns the text of a crystal's progress line."""
    verdict = f"solved from start {item['start']}" if item["solved"] else f"not solved in {item['starts']} starts"
    return f"{item['atoms']} atoms {verdict}, {item['cpu_seconds']:.1f} CPU s, {item['peak_gigabytes']:.2f} GB"


def summarize(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the summary of `run` from the items of crystals, as `measure` returns them."""
    summary: dict[str, Any] = {}
    for d_min in dict.fromkeys(item["d_min"] for item in items):
        name, group = f"at {d_min:g} A", [item for item in items if item["d_min"] == d_min]
        solved = [item for item in group if item["solved"]]
        summary |= {f"crystals {name}": len(group), f"solved {name}": len(solved)}
        if solved:
            largest = max(solved, key=lambda item: item["atoms"])
            summary |= {f"atoms of the largest solved {name}": largest["atoms"],
                        f"GB of the largest solved {name}": largest["peak_gigabytes"]}
        first = [item for item in solved if item["start"] == 1]
        if len({item["atoms"] for item in first}) > 1:
            summary[f"exponent of CPU time {name}"] = slope([item["atoms"] for item in first],
                                                            [item["cpu_seconds"] for item in first])
    return summary
