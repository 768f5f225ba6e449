"""Suite "crystals": `phasenet.crystal_pipeline.solve_in_groups` against charge flipping, at several resolutions.

    python -m launch.benchmark --suite=crystals [--crystals=DIR] [--resolutions=0.84,1.0] --json=FILE

Both programs get the same merged intensities up to the resolution, the cell, the space group and the composition (of
which charge flipping uses the number of atoms). One rule judges both: a crystal is solved if 90% of the atoms of the
cell are found within 0.3 A (0.5 A beyond 1.3 A resolution), up to shift and hand, whatever the elements. Ours returns
the atoms of its best model; where it uses a network, it is run without the network too. The peer (`charge_flipping`, a
process of its own) returns the highest peaks, 1.25 for each atom, of up to three maps; the best of these maps counts.

Times are those of solving: neither the compilation of our programs, done by an untimed first start, nor the start of
the peer's process counts. With --json, solved crystals are kept, and the same command resumes an interrupted run.
"""

import json
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from launch.benchmarks import bars, children
from launch.benchmarks.suites.crystals import made_crystals
from launch.benchmarks.timing import Row
from launch.evaluation import crystals as evaluation
from launch.evaluation import resumable
from launch.evaluation.crystals import PublishedCrystal
from launch.machine import provenance
from phasenet import crystal_pretrained
from phasenet.crystal.lattice import Intensities, inverse_spacing, orthogonalization_matrix
from phasenet.crystal.learned.iteration import LearnedWeights
from phasenet.crystal.solve import NETWORK_FROM
from phasenet.crystal.symmetry_copies import expand_to_cell
from phasenet.crystal_pipeline import choose_group, solve_in_groups
from phasenet.errors import InputError
from phasenet.io.crystal_structures import format_triplet

RESOLUTIONS_ANGSTROM = (0.84, 1.0, 1.2, 1.5, 2.0)
PEER_SECONDS = 20.0
NUM_STARTS, SEED = 16, 0
_CHILD = pathlib.Path(__file__).with_name("charge_flipping.py")


class CutCrystal(NamedTuple):
    """A crystal and the resolution to which its data are cut.

    Attributes:
      id: name of the crystal and the resolution.
      crystal: name of the crystal.
      load: reads or makes the crystal.
      d_min: resolution, A.
    """

    id: str
    crystal: str
    load: Callable[[], PublishedCrystal]
    d_min: float


def run(report: Callable[[Row], None], crystals: str | None = None,
        resolutions: Sequence[float] = RESOLUTIONS_ANGSTROM, peer_seconds: float = PEER_SECONDS,
        json_path: str | None = None) -> dict[str, Any]:
    """Solves all crystals at one resolution after another; prints a line for each crystal.

    Args:
      report: receives the row of each resolution; its times are medians over the crystals.
      crystals: folder of crystals as `launch.evaluate --task=crystals` takes it; None for two made crystals.
      resolutions: to which the data are cut, A.
      peer_seconds: processor time of the peer after which it stops, for one crystal.
      json_path: file beside which solved crystals are kept; None keeps none.

    Returns:
      By resolution: the numbers of solved crystals and the median processor times of both programs and of ours without
      a network, the ratio of the times where both solve, and bars.

    Raises:
      InputError: a folder cannot be used, or no crystal can be solved at all.
    """
    cases = [case for d_min in resolutions for case in _list_cases(crystals, d_min, min(resolutions))]
    settings = {"suite": "crystals", "crystals": crystals, "resolutions": list(resolutions),
                "peer_seconds": peer_seconds, "num_starts": NUM_STARTS, "seed": SEED,
                "weights": crystal_pretrained.DEFAULT, "versions": provenance.versions()}
    items = resumable.run_items(cases, lambda case: measure(case, peer_seconds), format_item, json_path, settings)
    summary: dict[str, Any] = {}
    held: list[bars.Bar] = []
    for d_min in resolutions:
        done = [item for item, case in zip(items, cases, strict=True) if case.d_min == d_min]
        row = summarize(d_min, done)
        report(row)
        name = f"at {d_min:g} A"
        summary |= {f"solved {name}": row.details["solved"], f"CPU s {name}": row.cpu_seconds,
                    f"untrained {name}": row.details["untrained_solved"],
                    f"untrained CPU s {name}": row.details["untrained_cpu_seconds"],
                    f"peer {name}": row.details["peer_solved"], f"peer CPU s {name}": row.peer_cpu_seconds}
        if row.details["cpu_ratio_where_both_solve"] is not None:
            summary[f"CPU ratio where both solve {name}"] = row.details["cpu_ratio_where_both_solve"]
        held.append(bars.at_least(f"crystals solved {name}, against the peer's", row.details["solved"],
                                  row.details["peer_solved"]))
    return summary | {"bars": held}


def _list_cases(folder: str | None, d_min: float, made_d_min: float) -> list[CutCrystal]:
    """Returns the crystals of a folder, or the made ones, at one resolution (A); made ones are cut like others."""
    if folder is None:
        loaders: dict[str, Callable[[], PublishedCrystal]] = {
            symbol: lambda symbol=symbol: made_crystals.make_crystal(symbol, made_d_min)  # type: ignore[misc]
            for symbol in made_crystals.CELLS}
    else:
        loaders = {one.id: lambda path=one.path: evaluation.read_published(path)  # type: ignore[misc]
                   for one in evaluation.list_crystals(folder)}
    return [CutCrystal(f"{name} at {d_min:g} A", name, load, d_min) for name, load in loaders.items()]


def measure(case: CutCrystal, peer_seconds: float) -> dict[str, Any]:
    """Solves a crystal by both programs, one after the other, and by ours without a network.

    Args:
      case: the crystal and its resolution.
      peer_seconds: processor time of the peer after which it stops.

    Returns:
      For each program "solved", "fraction_atoms", "cpu_seconds", "wall_seconds" (those of the peer with the prefix
      "peer_", those of ours without a network with "untrained_"), the number of atoms in the cell, and what else each
      program says of its run.

    Raises:
      InputError: a file cannot be used.
    """
    crystal = case.load()
    spacing = inverse_spacing(crystal.reflections.hkl, crystal.cell)
    kept = spacing <= 1 / case.d_min + 1e-9
    crystal = crystal._replace(reflections=Intensities(*(array[kept] for array in crystal.reflections)))
    distance = evaluation.match_distance(1 / spacing[kept].max()) if kept.any() else 0.0
    weights = crystal_pretrained.load().weights
    own, other = ours(crystal, distance, weights), theirs(crystal, distance, peer_seconds)
    # Where no network phases, both are the same computation.
    phased = kept.any() and 1 / spacing[kept].max() > NETWORK_FROM
    untrained = ours(crystal, distance, None) if phased else own
    jax.clear_caches()  # the next crystal has a grid of its own; many programs at once exhaust the memory maps
    return {"d_min": case.d_min, "atoms_in_cell": len(crystal.positions), "space_group": crystal.operators.symbol,
            **own, **{f"untrained_{key}": value for key, value in untrained.items()},
            **{f"peer_{key}": value for key, value in other.items()}}


def ours(crystal: PublishedCrystal, distance: float, weights: LearnedWeights | None) -> dict[str, Any]:
    """Solves a crystal by our code and judges the atoms.

    Args:
      crystal: with the data that are used.
      distance: within which an atom counts as found, A.
      weights: of the network; None for none.
    """
    def solve(num_starts: int) -> Any:
        return choose_group(solve_in_groups([crystal.operators], crystal.reflections, crystal.cell, crystal.composition,
                                            radiation=crystal.radiation, num_starts=num_starts, seed=SEED,
                                            weights=weights)).solution

    solution, error = None, {}
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        solve(1)
        cpu, wall = time.process_time(), time.perf_counter()
        solution = solve(NUM_STARTS)
    except InputError as failure:  # no start gave a map with peaks
        error = {"error_of_ours": str(failure)}
    seconds = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
    if solution is None:
        return {"solved": False, "fraction_atoms": 0.0, **seconds, **error}
    positions, _ = expand_to_cell(solution.positions, crystal.operators, crystal.cell)
    return _judge(crystal, [positions], distance) | seconds | {
        "status": solution.status, "r1": solution.r1, "starts": solution.num_starts}


def theirs(crystal: PublishedCrystal, distance: float, seconds: float) -> dict[str, Any]:
    """Solves a crystal by charge flipping in a process of its own and judges the peaks.

    Args:
      crystal: with the data that are used.
      distance: within which an atom counts as found, A.
      seconds: processor time after which the peer stops.
    """
    hkl, intensity, sigma = (array.tolist() for array in crystal.reflections)
    heavy = sum(count for element, count in crystal.composition.items() if element not in ("H", "D"))
    operators = crystal.operators
    triplets = list(map(format_triplet, operators.rotations, operators.translations))
    problem = {"cell": crystal.cell.tolist(), "operators": triplets, "hkl": hkl, "intensity": intensity, "sigma": sigma,
               "num_atoms": round(heavy), "seconds": seconds, "seed": SEED}
    with tempfile.TemporaryDirectory() as name:
        given, result = pathlib.Path(name) / "problem.json", pathlib.Path(name) / "result.json"
        given.write_text(json.dumps(problem), encoding="utf-8")
        children.run([sys.executable, str(_CHILD), str(given), str(result)])
        found = json.loads(result.read_text(encoding="utf-8"))
    maps = [np.array(peaks, np.float64).reshape(-1, 3) for peaks in found.pop("maps").values()]
    return _judge(crystal, maps, distance) | found


def _judge(crystal: PublishedCrystal, found: Sequence[np.ndarray], distance: float) -> dict[str, Any]:
    """Returns the fraction of atoms that the best of some sets of positions (m, 3) shows, and whether it is enough."""
    matrix = orthogonalization_matrix(crystal.cell)
    fraction = max((evaluation.compare_atoms(positions, [""] * len(positions), crystal.positions, crystal.elements,
                                             matrix, distance)[0] for positions in found), default=0.0)
    return {"solved": fraction >= evaluation.SOLVED_FRACTION, "fraction_atoms": fraction}


def format_item(item: dict[str, Any]) -> str:
    """Returns the text of a crystal's progress line."""
    verdicts = (f"{name} {'solves' if item[prefix + 'solved'] else 'fails'} ({item[prefix + 'fraction_atoms']:.0%} of "
                f"the atoms, {item[prefix + 'cpu_seconds']:.1f} CPU s)"
                for name, prefix in (("ours", ""), ("untrained", "untrained_"), ("charge flipping", "peer_")))
    return ", ".join(verdicts)


def summarize(d_min: float, items: Sequence[dict[str, Any]]) -> Row:
    """Returns the row of a resolution: medians over its crystals; crystals with an error count as not solved.

    Args:
      d_min: resolution, A.
      items: of the crystals, as `measure` returns them, or {"error": one line}.

    Raises:
      InputError: all items have an error.
    """
    done = [item for item in items if "error" not in item]
    if not done:
        raise InputError(f"suite crystals: no crystal at {d_min:g} A could be measured: {items[0]['error']}")

    def median(key: str) -> float:
        return statistics.median(item[key] for item in done)

    both = [item["peer_cpu_seconds"] / item["cpu_seconds"] for item in done if item["solved"] and item["peer_solved"]]
    solved, untrained, peer_solved = (sum(item[f"{prefix}solved"] for item in done)
                                      for prefix in ("", "untrained_", "peer_"))
    ratio = statistics.median(item["peer_wall_seconds"] / item["wall_seconds"] for item in done)
    label = f"{d_min:g} A: {solved} of {len(items)} solved, untrained {untrained}, peer {peer_solved}"
    return Row(label, "cctbx", median("wall_seconds"), median("peer_wall_seconds"), ratio, median("cpu_seconds"),
               median("peer_cpu_seconds"), None, len(done),
               {"d_min": d_min, "solved": solved, "untrained_solved": untrained, "peer_solved": peer_solved,
                "untrained_cpu_seconds": median("untrained_cpu_seconds"), "count": len(items),
                "cpu_ratio_where_both_solve": statistics.median(both) if both else None, "crystals": list(items)})
