"""Solves one made crystal in a process of its own, for suite "crystal_scaling".

    python -m launch.benchmarks.suites.crystals.solve_alone CRYSTAL.npz D_MIN RESULT.json

The crystal is solved twice from the same random phases. The first run compiles our programs, the second is timed, and
the difference is the time of compiling.
"""

import json
import pathlib
import sys
import time
from typing import Any

import numpy as np

from launch.evaluation import crystals as evaluation
from phasenet.crystal.made import arrays, measurement
from phasenet.crystal.made.crystals import MadeCrystal
from phasenet.crystal.made.measurement import MeasurementConditions
from phasenet.crystal.solve import CrystalSolution
from phasenet.crystal.symmetry_copies import expand_to_cell
from phasenet.crystal_pipeline import choose_group, solve_in_groups
from phasenet.errors import InputError
from phasenet.io.npz import read_npz

NUM_STARTS, SEED = 16, 0
# Complete data of X-rays with the errors of a good measurement.
_GOOD_DATA = MeasurementConditions(
    radiation="xray", d_min=1.0, relative_noise=0.03, background_noise=0.01, model_error=0.02, completeness=1.0,
    largest_d=1e3, missing_cone=0.0, cone_axis=np.array([0.0, 0.0, 1.0]), weakest=0.0, merged=True)


def solve(crystal: MadeCrystal, d_min: float) -> dict[str, Any]:
    """Measures a crystal and solves it twice.

    Args:
      crystal: what is measured.
      d_min: resolution of the data, A.

    Returns:
      "atoms" (independent, without hydrogen), "reflections" (unique), "cpu_seconds" and "wall_seconds" of the second
      run, "compile_cpu_seconds", and the judgement of the model: "solved", "fraction_atoms", "status", "r1", "start"
      that gave it, from 1, and "starts", their number.
    """
    reflections = measurement.measure(np.random.default_rng(SEED), crystal, _GOOD_DATA._replace(d_min=d_min))

    def run() -> CrystalSolution | None:
        try:
            return choose_group(solve_in_groups([crystal.operators], reflections, crystal.cell, crystal.composition,
                                                radiation="xray", num_starts=NUM_STARTS, seed=SEED)).solution
        except InputError:  # no start gave a map with peaks
            return None

    cpu = time.process_time()
    run()
    first_cpu, cpu, wall = time.process_time() - cpu, time.process_time(), time.perf_counter()
    solution = run()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"atoms": len(crystal.positions), "reflections": len(reflections.hkl), "cpu_seconds": cpu,
            "wall_seconds": wall, "compile_cpu_seconds": max(0.0, first_cpu - cpu), **_judge(crystal, solution)}


def _judge(crystal: MadeCrystal, solution: CrystalSolution | None) -> dict[str, Any]:
    """Returns whether a model is right, and from which start it comes."""
    if solution is None:
        return {"solved": False, "fraction_atoms": 0.0, "status": "not solved", "r1": None, "start": 0, "starts": 0}
    true, sources = expand_to_cell(crystal.positions, crystal.operators, crystal.cell)
    fraction, _, _ = evaluation.compare_model(
        solution, crystal.operators, crystal.cell, true, tuple(crystal.elements[source] for source in sources),
        solution.d_min)
    return {"solved": fraction >= evaluation.SOLVED_FRACTION, "fraction_atoms": fraction, "status": solution.status,
            "r1": solution.r1, "start": solution.start + 1, "starts": solution.num_starts}


if __name__ == "__main__":
    _path, _d_min, _result = sys.argv[1:]
    _crystal = arrays.unpack(read_npz(_path, arrays.NAMES), 0)
    pathlib.Path(_result).write_text(json.dumps(solve(_crystal, float(_d_min))), encoding="utf-8")
