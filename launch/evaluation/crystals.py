"""Solves measured crystals and compares the atoms with the published ones.

`launch.evaluate --task=crystals` calls this module. A folder of crystals holds a folder for each: merged.csv (h, k, l,
F^2, sigma), atoms.csv (label, element, x, y, z, occ_crystallographic) and source.json (cell, space group, formula). The
solver gets the cell, the space group and the composition of the cell, as a user has them, and never a position.
"""

import csv
import json
import pathlib
import time
from typing import Any, NamedTuple

import gemmi
import numpy as np

from launch.evaluation import made_cases
from phasenet.crystal.lattice import (
    Intensities,
    SpaceGroupOperators,
    group_of,
    inverse_spacing,
    operators_of,
    orthogonalization_matrix,
)
from phasenet.crystal.learned.iteration import LearnedWeights
from phasenet.crystal.solve import CandidateModel, CrystalSolution
from phasenet.crystal.symmetry_copies import expand_to_cell
from phasenet.crystal_pipeline import solve_measured
from phasenet.errors import InputError
from phasenet.io.reflections.formulas import parse_formula

_NEAR, _FAR = 0.3, 0.5  # Angstrom within which an atom counts as found, to 1.3 A resolution and beyond
_FAR_RESOLUTION = 1.3
SOLVED_FRACTION = 0.9  # of the atoms of the cell, beyond which a crystal counts as solved
_MAX_SHIFTS = 1500  # shifts between two sets of atoms that are tried


class PublishedCrystal(NamedTuple):
    """A crystal and its published atoms.

    Attributes:
      id: name of the folder.
      reflections: merged intensities.
      cell: (6,) Angstrom and degrees.
      operators: operators of the published space group.
      composition: atoms of each element in the unit cell.
      radiation: "xray", "electron" or "neutron".
      positions: (n, 3) fractional, all atoms of the unit cell with an occupancy above one half, without hydrogen.
      elements: n symbols.
    """

    id: str
    reflections: Intensities
    cell: np.ndarray
    operators: SpaceGroupOperators
    composition: dict[str, float]
    radiation: str
    positions: np.ndarray
    elements: tuple[str, ...]


class CrystalFolder(NamedTuple):
    """The folder of a crystal, and its name."""

    id: str
    path: pathlib.Path


def list_crystals(folder: str) -> list[CrystalFolder]:
    """Returns the folders that hold a crystal, by name; of a file of made crystals (.npz), FILE/NUMBER for each.

    Raises:
      InputError: there is no such folder or file, or no merged.csv in any subfolder.
    """
    path = pathlib.Path(folder)
    if path.suffix == ".npz":
        return [CrystalFolder(number, path / number) for number in made_cases.list_numbers(path)]
    found = sorted(inner for inner in path.iterdir() if (inner / "merged.csv").is_file()) if path.is_dir() else []
    if not found:
        raise InputError(f"{folder}: no folder in it holds a merged.csv")
    return [CrystalFolder(inner.name, inner) for inner in found]


def read_published(folder: pathlib.Path) -> PublishedCrystal:
    """Reads one crystal; raises InputError where a file cannot be used."""
    if folder.parent.suffix == ".npz":
        made, measured, probe, places, symbols = made_cases.measure_made(folder.parent, int(folder.name))
        return PublishedCrystal(folder.name, measured, made.cell, made.operators, made.composition, probe, places,
                                symbols)
    try:
        source = json.loads((folder / "source.json").read_text(encoding="utf-8"))
        table = np.loadtxt(folder / "merged.csv", delimiter=",", skiprows=1, ndmin=2)
        with open(folder / "atoms.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        cell = np.array(source["cell"], np.float64)
        group = (gemmi.symops_from_hall(source["hall"]) if source.get("hall") else
                 gemmi.find_spacegroup_by_name(source["space_group"], cell[3], cell[5]))
        if group is None:
            raise InputError(f"{folder}: space group {source['space_group']!r} is not known")
        operators = operators_of(group, source["space_group"])
        sites = [(row["element"], np.array([float(row[axis]) for axis in "xyz"]), float(row["occ_crystallographic"]))
                 for row in rows]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder}: cannot be read ({' '.join(str(error).split())[:200]})") from error
    count = len(operators.rotations)
    composition: dict[str, float] = {}
    positions: list[np.ndarray] = []
    elements: list[str] = []
    for element, site, share in sites:
        composition[element] = composition.get(element, 0.0) + share * count
        images, _ = expand_to_cell(site[None], operators, cell)
        if share * count / len(images) >= 0.5:
            positions += list(images)
            elements += [element] * len(images)
    composition |= _count_hydrogens(str(source.get("formula", "")), composition)
    reflections = Intensities(table[:, :3].astype(np.int32), table[:, 3], table[:, 4])
    radiation = source.get("probe") or "xray"
    return PublishedCrystal(folder.name, reflections, cell, operators, composition,
                            radiation if radiation in ("electron", "neutron") else "xray", np.array(positions),
                            tuple(elements))


def _count_hydrogens(formula: str, composition: dict[str, float]) -> dict[str, float]:
    """Returns the hydrogens of the cell, from their ratio to carbon in a formula."""
    try:
        counts = parse_formula(formula)
    except ValueError:
        return {}
    ratio = composition.get("C", 0.0) / counts["C"] if counts.get("C") else 0.0
    return {symbol: counts[symbol] * ratio for symbol in ("H", "D") if symbol in counts and ratio}


def evaluate_crystal(folder: pathlib.Path, d_min: float | None, num_starts: int, seed: int, *,
                     unknown_group: bool = False, composition: str = "formula",
                     permuted: bool = False, weights: LearnedWeights | None = None) -> dict[str, Any]:
    """Solves one crystal and compares the atoms with the published ones.

    Args:
      folder: folder of the crystal.
      d_min: resolution to which the data are cut, A; None leaves them as they are.
      num_starts: largest number of starts.
      seed: seed of the random phases.
      unknown_group: whether the solver is not given the space group; "group_rank" is then the rank of the published
        one among the candidates, 0 if it is none.
      composition: the contents of the cell that the solver is given: the "formula", the "elements" without numbers, or
        "none".
      permuted: whether the intensities are exchanged at random among reflections of similar resolution: no structure
        is then right, and none may be called solved.
      weights: of a network that phases part of the starts; None for none.

    Returns:
      The item: "status", "solved", "in_list" (the best model or another candidate is right), "fraction_atoms",
      "fraction_elements", "rms_angstrom", "r1", "d_min",
      "twin_fraction" (None for an untwinned structure), "space_group", "space_group_found", "group_rank" of an unknown
      group, "reflections_per_parameter", "starts", "engine", "atoms_in_cell", "cpu_seconds" and "wall_seconds".

    Raises:
      InputError: a file cannot be used, or the crystal cannot be solved at all.
    """
    crystal = read_published(folder)
    spacing = inverse_spacing(crystal.reflections.hkl, crystal.cell)
    kept = spacing <= 1 / d_min + 1e-9 if d_min is not None else np.ones(len(spacing), bool)
    reflections = Intensities(*(array[kept] for array in crystal.reflections))
    if permuted:
        # Shells of some 20 reflections, so that the Wilson plot stays.
        order = np.argsort(spacing[kept], kind="stable")
        random = np.random.default_rng(seed)
        mixed = np.concatenate([random.permutation(shell) for shell in np.array_split(order, len(order) // 20 + 1)])
        hkl = reflections.hkl.copy()
        hkl[order] = hkl[mixed]
        reflections = reflections._replace(hkl=hkl)
    wall, cpu = time.perf_counter(), time.process_time()
    result = solve_measured(
        reflections, crystal.cell, None if unknown_group else crystal.operators,
        crystal.composition if composition == "formula" else None,
        symbols=tuple(crystal.composition) if composition == "elements" else (), radiation=crystal.radiation,
        num_starts=num_starts, seed=seed, weights=weights)
    operators, found = result.best.operators, result.best.solution
    seconds = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
    rank = next((place for place, candidate in enumerate(result.report.space_groups, 1)
                 if _are_of_one_type(candidate.operators, crystal.operators)), 0)

    def compare(model: CrystalSolution | CandidateModel) -> tuple[float, float, float]:
        return compare_model(model, operators, crystal.cell, crystal.positions, crystal.elements, found.d_min)

    matched, right, rms = compare(found)
    solved = matched >= SOLVED_FRACTION and not permuted
    listed = any(compare(model)[0] >= SOLVED_FRACTION for model in found.candidates) and not permuted
    return {
        "status": result.status, "solved": solved, "in_list": solved or listed, "fraction_atoms": matched,
        "fraction_elements": right, "rms_angstrom": rms, "r1": found.r1, "d_min": found.d_min,
        "twin_fraction": None if found.twin is None else found.twin.fraction,
        "space_group": crystal.operators.symbol, "space_group_found": operators.symbol,
        **({"group_rank": rank} if unknown_group else {}), "reflections_per_parameter": found.reflections_per_parameter,
        "starts": found.num_starts, "engine": found.engine, "atoms_in_cell": len(crystal.positions), **seconds}


def _are_of_one_type(first: SpaceGroupOperators, second: SpaceGroupOperators) -> bool:
    """Returns whether two groups are of one space-group type; their origins may differ."""
    one, two = (gemmi.find_spacegroup_by_ops(group_of(operators)) for operators in (first, second))
    return one is not None and two is not None and one.number == two.number


def match_distance(d_min: float) -> float:
    """Returns the distance, A, within which an atom counts as found at a resolution of d_min, A."""
    return _NEAR if d_min <= _FAR_RESOLUTION else _FAR


class Superposition(NamedTuple):
    """How a set of atoms is laid on n true ones: true = hand * found + shift.

    Attributes:
      hand: 1 or -1.
      shift: (3,) fractional.
      matched: (n,) bool, whether a true atom is found.
      nearest: (n,) int, the found atom nearest to each true one.
      distances: (n,) between both, Angstrom.
    """

    hand: int
    shift: np.ndarray
    matched: np.ndarray
    nearest: np.ndarray
    distances: np.ndarray


def compare_model(model: CrystalSolution | CandidateModel, operators: SpaceGroupOperators, cell: np.ndarray,
                  true: np.ndarray, true_elements: tuple[str, ...], d_min: float) -> tuple[float, float, float]:
    """Returns what `compare_atoms` does, of the whole cell of a model.

    Args:
      model: symmetry-unique atoms.
      operators: of the model's space group.
      cell: (6,) Angstrom and degrees.
      true: (n, 3) fractional, a whole cell.
      true_elements: n symbols.
      d_min: resolution of the data, A.
    """
    positions, sources = expand_to_cell(model.positions, operators, cell)
    return compare_atoms(positions, [model.elements[source] for source in sources], true, true_elements,
                         orthogonalization_matrix(cell), match_distance(d_min))


def compare_atoms(found: np.ndarray, found_elements: list[str], true: np.ndarray, true_elements: tuple[str, ...],
                  matrix: np.ndarray, cutoff: float) -> tuple[float, float, float]:
    """Returns the fraction of atoms found, of these the fraction with the right element, and the r.m.s. distance (A).

    Args:
      found: (m, 3) fractional, a whole cell.
      found_elements: m symbols.
      true: (n, 3) fractional, a whole cell.
      true_elements: n symbols.
      matrix: (3, 3) from fractional coordinates to Angstrom.
      cutoff: largest distance of a match, A.
    """
    best = superpose_atoms(found, true, matrix, cutoff)
    if best is None:
        return 0.0, 0.0, float("nan")
    right = np.mean([true_elements[i] == found_elements[best.nearest[i]] for i in np.flatnonzero(best.matched)])
    rms = float(np.sqrt((best.distances[best.matched] ** 2).mean()))
    return float(best.matched.mean()), float(right), rms


def superpose_atoms(found: np.ndarray, true: np.ndarray, matrix: np.ndarray, cutoff: float) -> Superposition | None:
    """Returns the common shift and hand by which most atoms match, None where none does.

    Since both sets hold whole cells, only permitted shifts match most atoms.

    Args:
      found: (m, 3) fractional, a whole cell.
      true: (n, 3) fractional, a whole cell.
      matrix: (3, 3) from fractional coordinates to Angstrom.
      cutoff: largest distance of a match, A.
    """
    if not len(found) or not len(true):
        return None
    best, shift, hand = -1, np.zeros(3), 1
    some = np.random.default_rng(0).permutation(len(found))[:12]
    for sign in (1, -1):
        shifts = (true[:, None] - sign * found[None, some]).reshape(-1, 3) % 1
        for candidate in shifts[::max(1, len(shifts) // _MAX_SHIFTS)]:
            near = int((_distances(true, sign * found + candidate, matrix).min(1) < 1.5 * cutoff).sum())
            if near > best:
                best, shift, hand = near, candidate, sign
    index = np.arange(len(true))
    matched, nearest, distances = np.zeros(len(true), bool), index, np.zeros((len(true), len(found)))
    for _ in range(3):  # the shift is refined on what matches
        distances = _distances(true, hand * found + shift, matrix)
        nearest = distances.argmin(1)
        matched = (distances.argmin(0)[nearest] == index) & (distances[index, nearest] < cutoff)
        if not matched.any():
            return None
        offset = true[matched] - hand * found[nearest[matched]] - shift
        shift = shift + (offset - np.rint(offset)).mean(0)
    return Superposition(hand, shift, matched, nearest, distances[index, nearest])


def _distances(first: np.ndarray, second: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Returns the distances (n, m) in Angstrom between atoms modulo the lattice."""
    offset = first[:, None] - second[None]
    return np.linalg.norm((offset - np.rint(offset)) @ matrix.T, axis=-1)


def summarize(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the fraction solved, the wrong ones called solved, and medians of the times."""
    done = [item for item in items if "error" not in item]
    summary: dict[str, Any] = {"count": len(done), "failed": len(items) - len(done)}
    if done:
        solved = [item for item in done if item["solved"]]
        summary |= {
            "fraction_solved": len(solved) / len(items),
            "fraction_in_list": sum(item["in_list"] for item in done) / len(items),
            "wrongly_solved": sum(item["status"] == "solved" and not item["solved"] for item in done),
            "called_solved": sum(item["status"] == "solved" for item in done),
            **({"right_group_first": float(np.mean([item["group_rank"] == 1 for item in done]))}
               if all("group_rank" in item for item in done) else {}),
            "median_cpu_seconds": float(np.median([item["cpu_seconds"] for item in done])),
            "fraction_elements": float(np.mean([item["fraction_elements"] for item in solved])) if solved else None}
    return summary


def format_crystal(item: dict[str, Any]) -> str:
    """Returns the text of a progress line."""
    return (f"{'solved' if item['solved'] else 'wrong'}, called {item['status']}: {item['fraction_atoms']:.0%} of "
            f"{item['atoms_in_cell']} atoms, R1 {item['r1']:.3f} to {item['d_min']:.2f} A, "
            f"{item['starts']} starts, {item['cpu_seconds']:.0f} CPU s")


def format_summary(items: list[dict[str, Any]], summary: dict[str, Any]) -> str:
    """Returns what failed, and the summary."""
    lines = ["", *(f"failed: {item['id']}: {item['error']}" for item in items if "error" in item)]
    if summary["count"]:
        elements = summary["fraction_elements"]
        if "right_group_first" in summary:
            lines.append(f"right group first {summary['right_group_first']:.1%}")
        lines += [f"solved            {summary['fraction_solved']:.1%} of {len(items)} crystals",
                  f"among candidates  {summary['fraction_in_list']:.1%}",
                  f"called solved     {summary['called_solved']}, {summary['wrongly_solved']} of them wrong",
                  f"elements right    {'-' if elements is None else f'{elements:.1%}'} of the atoms of solved crystals",
                  f"processor time    {summary['median_cpu_seconds']:.0f} s a crystal in the median"]
    return "\n".join(lines)
