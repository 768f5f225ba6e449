"""Solves one crystal by the charge flipping of cctbx (`smtbx.ab_initio.charge_flipping`), the peer of suite "crystals".

    python charge_flipping.py PROBLEM.json RESULT.json

This file is run by its path and imports nothing of ours, because cctbx crashes in a process that has imported gemmi.

1. The amplitudes are normalised in shells of resolution (`amplitude_quasi_normalisations`).
2. `solving_iterator` runs with the weak-reflection variant (Oszlanyi and Suto, Acta Cryst. A61 (2005) 147), each time
   from new random phases. A run that finds the symmetry of the space group in its map gives the correlation of the
   symmetric map with the data. The first run with a correlation of 0.97 ends the search; otherwise the best of ten such
   runs, or of those within the time, counts. cctbx itself stops at 0.9, where several maps at 1.0 A are wrong.
3. cctbx's own search finds the peaks of three maps: the symmetric map with calculated and with measured amplitudes, and
   the map in P1. The suite judges the map that shows most atoms, which favours the peer.
"""

import json
import math
import pathlib
import random
import sys
import time
from typing import Any

from cctbx import crystal, maptbx, miller, sgtbx, uctbx
from cctbx.array_family import flex
from libtbx.version import get_version
from smtbx.ab_initio import charge_flipping

_PEAKS_PER_ATOM = 1.25  # highest peaks that are returned, for each atom of the unit cell
_MIN_PEAK_DISTANCE_ANGSTROM = 0.8
_GRID_SPACING = 1 / 3  # of the maps for the peak search, in units of the resolution
_ITERATIONS, _ITERATIONS_GROWTH, _MAX_ITERATIONS = 500, 1.5, 5000  # of a run's search for a phase transition
# From the third attempt of a run on, cctbx multiplies the number of iterations by 1.5, and its islice refuses the
# fraction. So a run has two attempts, and the next run more iterations.
_ATTEMPTS_PER_RUN = 2
# A symmetric map with this correlation ends the search, and so does this number of runs with a symmetric map.
_CERTAIN_CORRELATION, _MOST_SYMMETRIC_RUNS = 0.97, 10


def solve(problem: dict[str, Any]) -> dict[str, Any]:
    """Runs charge flipping until a map is surely right, or enough runs are done, or the time is over.

    Args:
      problem: "cell" (6 numbers), "operators" (triplets), "hkl" (N, 3), "intensity" and "sigma" (N), "num_atoms" (in
        the unit cell, without hydrogen), "seconds" (processor time after which no iteration starts) and "seed".

    Returns:
      "maps": by name of the map, its highest peaks (m, 3) in fractional coordinates; "correlation": between the
      amplitudes of the symmetric map and the measured ones, None if no run had a symmetric map; "runs", "iterations",
      "cpu_seconds", "wall_seconds", "version" of cctbx, and "error" where a run ended in one.
    """
    random.seed(problem["seed"])
    flex.set_random_seed(problem["seed"])
    cpu, wall = time.process_time(), time.perf_counter()
    amplitudes = _read_amplitudes(problem)
    runs, iterations, symmetric_runs, correlation, error = 0, 0, 0, 0.0, None
    symmetric = in_p1 = None
    while (correlation < _CERTAIN_CORRELATION and symmetric_runs < _MOST_SYMMETRIC_RUNS and error is None
           and time.process_time() - cpu < problem["seconds"]):
        flipping = charge_flipping.weak_reflection_improved_iterator(delta=None)
        solving = charge_flipping.solving_iterator(
            flipping, amplitudes, normalisations_for=_normalisations, yield_during_delta_guessing=True,
            yield_solving_interval=1, max_attempts_to_get_phase_transition=_ATTEMPTS_PER_RUN,
            max_solving_iterations=min(int(_ITERATIONS * _ITERATIONS_GROWTH**runs), _MAX_ITERATIONS))
        runs += 1
        try:
            for _ in solving:
                iterations += 1
                if solving.state is solving.finished or time.process_time() - cpu > problem["seconds"]:
                    break
        except (AssertionError, RuntimeError, ValueError) as failure:
            error = f"{type(failure).__name__}: {' '.join(str(failure).split())[:200]}"
        symmetric_runs += bool(solving.f_calc_solutions)
        best = max(solving.f_calc_solutions, key=lambda found: found[2], default=(None, None, 0.0))
        if best[2] > correlation or symmetric is None:
            symmetric, _, correlation = best
            in_p1 = getattr(flipping, "f_calc", None)
    maps = {} if in_p1 is None else {"P1": _find_peaks(in_p1, problem["num_atoms"])}
    if symmetric is not None:
        measured, calculated = amplitudes.common_sets(symmetric.map_to_asu())
        maps |= {"calculated amplitudes": _find_peaks(calculated, problem["num_atoms"]),
                 "measured amplitudes": _find_peaks(measured.phase_transfer(calculated), problem["num_atoms"])}
    return {"maps": maps, "correlation": correlation or None, "runs": runs, "iterations": iterations,
            "cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall,
            "version": get_version(), **({} if error is None else {"error": error})}


def _read_amplitudes(problem: dict[str, Any]) -> miller.array:
    """Returns the unique amplitudes of a problem; the cell is made to fit the group, as cctbx demands."""
    group = sgtbx.space_group()
    for triplet in problem["operators"]:
        group.expand_smx(triplet)
    symmetry = crystal.symmetry(unit_cell=group.average_unit_cell(uctbx.unit_cell(problem["cell"])), space_group=group)
    indices = miller.set(symmetry, flex.miller_index([tuple(index) for index in problem["hkl"]]), anomalous_flag=False)
    intensities = miller.array(indices, flex.double(problem["intensity"]), flex.double(problem["sigma"]))
    unique = intensities.set_observation_type_xray_intensity().merge_equivalents().array()
    return unique.f_sq_as_f().eliminate_sys_absent().map_to_asu()


def _normalisations(amplitudes: miller.array) -> miller.array:
    """Returns the normalisation, by which amplitudes are divided; 1 for data so few that a shell is empty."""
    try:
        return charge_flipping.amplitude_quasi_normalisations(amplitudes)
    except AssertionError:
        return amplitudes.array(data=flex.double(amplitudes.size(), 1.0))


def _find_peaks(factors: miller.array, num_atoms: int) -> list[list[float]]:
    """Returns the highest peaks (m, 3) of a map in the unit cell, fractional, all images of a peak together."""
    most = math.ceil(_PEAKS_PER_ATOM * num_atoms)
    fft_map = factors.fft_map(symmetry_flags=maptbx.use_space_group_symmetry, resolution_factor=_GRID_SPACING)
    found = fft_map.peak_search(maptbx.peak_search_parameters(
        interpolate=True, min_distance_sym_equiv=_MIN_PEAK_DISTANCE_ANGSTROM,
        min_cross_distance=_MIN_PEAK_DISTANCE_ANGSTROM, max_clusters=most), verify_symmetry=False).all()
    settings = factors.special_position_settings(min_distance_sym_equiv=_MIN_PEAK_DISTANCE_ANGSTROM)
    images = [image for site in found.sites() for image in settings.sym_equiv_sites(site).coordinates()]
    return [[coordinate % 1 for coordinate in image] for image in images[:most]]


if __name__ == "__main__":
    text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
    pathlib.Path(sys.argv[2]).write_text(json.dumps(solve(json.loads(text))), encoding="utf-8")
