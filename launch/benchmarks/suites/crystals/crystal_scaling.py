"""Suite "crystal_scaling": what solving a crystal costs by the number of its independent atoms. There is no peer.

    python -m launch.benchmark --suite=crystal_scaling --json=out/crystal_scaling.json
    python -m launch.figures --figure=crystal_scaling --results=out/crystal_scaling.json --output=out/figures

Crystals of growing volume are made in P -1 and solved from complete data at three resolutions. Each is solved in a
process of its own (`solve_alone`), so that the peak memory is that of one crystal, compilation included; the times are
those of solving alone.
"""

import json
import math
import pathlib
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from launch.benchmarks import children
from launch.benchmarks.suites.scaling import slope
from launch.benchmarks.timing import Row
from phasenet.crystal.made import arrays, crystals
from phasenet.crystal.made.crystals import MadeCrystal

# Volumes of the unit cells by resolution in A, A^3: about 8 to 145, 80 and 40 independent atoms.
VOLUMES = {1.0: (350, 500, 700, 1000, 1400, 2000, 2800, 4000, 5600), 1.2: (350, 500, 700, 1000, 1400, 2000, 2800),
           1.5: (350, 500, 700, 1000, 1400)}
CRYSTALS_PER_VOLUME, SEED = 2, 0
_SPACE_GROUP = "P -1"
_VOLUME_RANGE = 1.05  # the largest volume that is drawn over the smallest
_CHILD = "launch.benchmarks.suites.crystals.solve_alone"


def run(report: Callable[[Row], None], volumes: Mapping[float, Sequence[float]] = VOLUMES,
        crystals_per_volume: int = CRYSTALS_PER_VOLUME) -> dict[str, Any]:
    """Makes the crystals and solves them at each resolution.

    Args:
      report: receives the row of each crystal as soon as it is measured.
      volumes: of the unit cells, A^3, by resolution, A.
      crystals_per_volume: crystals that are made of each volume.

    Returns:
      By resolution: the numbers of crystals and of solved ones, the atoms of the largest solved one, its gigabytes
      (1e9 bytes), and the exponent of the processor time: the slope of log time against log atoms, of the crystals
      solved from their first start.

    Raises:
      RuntimeError: a child process failed.
    """
    all_volumes = sorted({volume for group in volumes.values() for volume in group})
    made = [(volume, make_crystal(volume, number)) for volume in all_volumes for number in range(crystals_per_volume)]
    items: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / "crystals.npz"
        np.savez(path, **arrays.pack([crystal for _, crystal in made]))  # type: ignore[arg-type]  # numpy's stub
        for d_min, wanted in volumes.items():
            for number, (volume, _) in enumerate(made):
                if volume in wanted:
                    row = measure(path, number, d_min)
                    items.append(row.details)
                    report(row)
    return summarize(items)


def make_crystal(volume: float, number: int) -> MadeCrystal:
    """Returns an organic crystal in P -1; the same arguments give the same one.

    Args:
      volume: of the unit cell, A^3; the cell that is made has about this volume.
      number: of the crystal among those of this volume.
    """
    rng = np.random.default_rng((SEED, round(volume), number))
    return crystals.draw_crystal(rng, (volume, _VOLUME_RANGE * volume), (_SPACE_GROUP,), "organic")


def measure(path: pathlib.Path, number: int, d_min: float) -> Row:
    """Solves a crystal in a child process, and returns its row.

    Args:
      path: file of made crystals.
      number: of the crystal in the file.
      d_min: resolution of the data, A.

    Raises:
      RuntimeError: the child process failed.
    """
    result = path.with_name("result.json")
    finished = children.run([sys.executable, "-m", _CHILD, str(path), str(number), str(d_min), str(result)])
    found = json.loads(result.read_text(encoding="utf-8"))
    details = {"d_min": d_min, "peak_gigabytes": finished.peak_bytes / 1e9, **found}
    verdict = f"solved, start {found['start']}" if found["solved"] else "not solved"
    return Row(f"{found['atoms']} atoms at {d_min:g} A: {verdict}", "", found["wall_seconds"], math.nan, math.nan,
               found["cpu_seconds"], math.nan, None, 1, details)


def summarize(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the summary of `run` from the details of its rows."""
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
