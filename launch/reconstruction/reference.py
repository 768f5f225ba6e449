"""Compares a curve and its reconstruction with known structures, measured or predicted.

1. `read_references` reads the structures that `launch.reconstruct --reference` names.
2. `score_references` fits the curve of each to the measured one, superposes the map on it in the hand that fits better,
   and ranks the structures by chi^2.
3. `rows`, `log` and `notes` format the results.

A suite of `launch.benchmark`, the figures and the notebook compare maps with one structure by `read_reference` and
`Comparison`.
"""

import collections
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from launch.reconstruction.input_files import StructureFile
from phasenet.errors import InputError
from saxsae.io.structures.predicted_models import ModelConfidence, read_model_confidence
from saxsae.io.structures.structure_files import Structure, bead_spacing, read_structure
from saxsae.profiles import excess_electrons, simulation, structure_fit
from saxsae.profiles.rebinning import CurveLike
from saxsae.profiles.structure_fit import StructureFit
from saxsae.shapes import voxels
from saxsae.shapes.densities import ATOM_VOLUME_ANGSTROM3
from saxsae.superposition import alignment, metrics

_PLACED_GRID = 45  # voxels per edge; enough for a map of 31 voxels per edge in any orientation, shifted a little
_FEWEST_POINTS = 20  # points of a fit; a structure so large that its grid resolves fewer is not fitted
_ROWS = 20  # candidates in the table and in the page; log.json has all
_RESIDUE_VOLUME_ANGSTROM3 = 134.0  # of a protein
_OTHER_ELEMENTS_SHARE = 0.01  # share of the atoms above which a note is given


class Reference(NamedTuple):
    """A known structure.

    Attributes:
      structure: the structure with the atoms as listed in the file (no assembly).
      centroid: (3,) mean of the positions, Angstrom.
      r_max: largest distance of an atom from the centroid, Angstrom.
      spacing: distance between neighbouring beads, Angstrom; None for atoms.
      confidence: the pLDDT of a predicted model; None for others.
    """

    structure: Structure
    centroid: np.ndarray
    r_max: float
    spacing: float | None
    confidence: ModelConfidence | None = None


class PlacedMap(NamedTuple):
    """A map superposed on a reference.

    Attributes:
      correlation: Pearson correlation, as `saxsae.superposition.metrics` defines it.
      mirrored: whether the map was mirrored to fit better.
      density: (45, 45, 45) the superposed map, of the same pitch as before.
      centre: (3,) position of the middle voxel in the frame of the reference's file, Angstrom.
      rotation: (3, 3) proper rotation, see `saxsae.superposition.alignment.Superposition`.
      shift: (3,) shift after the rotation, from the centroid of the reference, Angstrom.
    """

    correlation: float
    mirrored: bool
    density: np.ndarray
    centre: np.ndarray
    rotation: np.ndarray
    shift: np.ndarray


def read_reference(path: str) -> Reference:
    """Reads a reference structure.

    Args:
      path: the file, PDB or mmCIF.

    Raises:
      InputError: the file cannot be used, or holds fewer than 4 atoms at different positions.
    """
    structure = read_structure(path, assembly=None)
    xyz = structure.xyz_angstrom
    if len(np.unique(xyz, axis=0)) < 4:
        raise InputError(f"{path}: expected at least 4 atoms at different positions, but there are "
                         f"{len(np.unique(xyz, axis=0))}")
    _, r_max = voxels.centre_and_radius(xyz)
    confidence = read_model_confidence(path) if structure.kind == "atoms" else None
    return Reference(structure, xyz.mean(0, dtype=np.float64), r_max, bead_spacing(structure), confidence)


def read_references(files: Sequence[StructureFile], print_line: Callable[[str], None]) -> list[Reference]:
    """Reads the reference structures.

    Args:
      files: from `input_files.find_structures`.
      print_line: is called with a line for each file of a folder that is no structure and is left out.

    Raises:
      InputError: a file that is named by itself cannot be used, or no file can.
    """
    references: list[Reference] = []
    for path, listed in files:
        try:
            references.append(read_reference(path))
        except InputError as error:
            if listed:
                raise
            print_line(f"left out: {error}")
    if not references:
        raise InputError(f"--reference: none of the {len(files)} files is a structure")
    return references


class Comparison:
    """Compares maps with one reference, whose density is computed once."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        structure = reference.structure
        self._truth = metrics.truth_density(structure.xyz_angstrom, structure.atomic_number,
                                            reference.r_max)

    def superpose(self, density: np.ndarray, pitch: float) -> alignment.Superposition:
        """Returns the best superposition on the reference of a map (N, N, N) and of its mirror image; pitch in A."""
        return metrics.correlation_with_truth(
            np.asarray(density, np.float32), np.float32(pitch), self._truth,
            jnp.float32(self._reference.r_max))

    def correlation(self, density: np.ndarray, pitch: float) -> float:
        """Returns the correlation of a map (N, N, N) with the reference after superposition; pitch in A."""
        return float(self.superpose(density, pitch).correlation)

    def place(self, density: np.ndarray, pitch: float, found: alignment.Superposition | None = None) -> PlacedMap:
        """Returns a map (N, N, N) superposed on the reference, on voxels at multiples of the pitch (A).

        Args:
          density: the map.
          pitch: A.
          found: what `superpose` returned for this map; None if it was not called.
        """
        found = self.superpose(density, pitch) if found is None else found
        centre = np.rint(self._reference.centroid / pitch) * pitch
        offset = (self._reference.centroid - centre).astype(np.float32)
        moved = found._replace(shift=np.asarray(found.shift) + offset)
        placed = alignment.apply_superposition(np.asarray(density, np.float32), np.float32(pitch), moved,
                                               np.float32(pitch), size=_PLACED_GRID)
        return PlacedMap(float(found.correlation), bool(found.mirrored), np.asarray(placed), centre,
                        np.asarray(found.rotation), np.asarray(found.shift))


class ScoredReference(NamedTuple):
    """How well a structure explains the curve and the map.

    Attributes:
      name: the name of its file, or the path where several files have this name.
      reference: the structure.
      fit: the fit of its curve; None if the structure is too large for the range of the curve.
      comparison: compares maps with the structure.
      superposition: the superposition of the map on the structure.
    """

    name: str
    reference: Reference
    fit: StructureFit | None
    comparison: Comparison
    superposition: alignment.Superposition

    @property
    def correlation(self) -> float:
        """The real-space correlation of the map with the structure."""
        return float(self.superposition.correlation)


def score_references(references: Sequence[Reference], curve: CurveLike, q_range: tuple[float, float],
                     density: np.ndarray, pitch: float, *, contrasts: Sequence[float] | None = None,
                     equal_atoms: bool = False, background: bool = False) -> list[ScoredReference]:
    """Returns the structures ranked by the chi^2 of their curves, the best first; those without a fit come last.

    All are fitted to the same points: up to the q that the largest of them allows.

    Args:
      references: the structures.
      curve: the measured curve.
      q_range: smallest and largest q that are fitted, 1/A.
      density: (N, N, N) the reconstructed map.
      pitch: of the map, A.
      contrasts: of the shell of bound water that are tried, e/A^3; None for the default.
      equal_atoms: whether all atoms have equal weight.
      background: whether a constant background is fitted.
    """
    q = np.asarray(curve.q_inv_angstrom)
    limits = [min(q_range[1], structure_fit.largest_q(reference.r_max)) for reference in references]
    counts = [int(((q >= q_range[0]) & (q <= limit)).sum()) for limit in limits]
    enough = min(_FEWEST_POINTS, int(((q >= q_range[0]) & (q <= q_range[1])).sum()))
    common = min((limit for limit, count in zip(limits, counts, strict=True) if count >= enough), default=0.0)
    scored = []
    for name, reference, count in zip(_distinct_names(references), references, counts, strict=True):
        fit = None if count < enough else structure_fit.fit_structure(
            curve, reference.structure.xyz_angstrom, reference.structure.atomic_number, (q_range[0], common),
            background=background, **_scatterers(reference, contrasts, equal_atoms))
        comparison = Comparison(reference)
        scored.append(ScoredReference(name, reference, fit, comparison, comparison.superpose(density, pitch)))
    return sorted(scored, key=lambda each: (each.fit is None, each.fit.chi_squared if each.fit else -each.correlation))


def rows(scored: Sequence[ScoredReference]) -> list[tuple[str, str, str]]:
    """Returns (name, value, remark) of each line of the table: the best structure, and the ranking of several."""
    if not scored:
        return []
    fit = scored[0].fit
    points = "" if fit is None else f"; {len(fit.q_inv_angstrom)} points to q = {fit.q_inv_angstrom[-1]:.3f} 1/A"
    lines = [("curve of the reference", _chi_squared(fit), f"{_describe_fit(fit)}{points}")]
    if len(scored) > 1:
        lines += [("candidate", _chi_squared(each.fit),
                   f"{number}. {each.name}: {_describe_fit(each.fit)}; correlation {each.correlation:.3f}")
                  for number, each in enumerate(scored[:_ROWS], 1)]
    return lines


def notes(scored: Sequence[ScoredReference]) -> tuple[str, ...]:
    """Returns the assumptions about the structures, and the confidence of predicted models, one line each."""
    lines = [f"{each.name}: {note}" for each in scored[:_ROWS] for note in _notes_of(each.reference)]
    if len(scored) > _ROWS:
        lines.append(f"the table shows the {_ROWS} best of {len(scored)} candidates; log.json has all")
    return tuple(lines)


def log(scored: Sequence[ScoredReference]) -> dict[str, Any]:
    """Returns the entries "reference", the best structure, and "references", all in order, of log.json."""
    entries = []
    for each in scored:
        structure, fit, confidence = each.reference.structure, each.fit, each.reference.confidence
        entry: dict[str, Any] = {
            "path": structure.source, "name": each.name, "kind": structure.kind, "atoms": len(structure.xyz_angstrom),
            "r_max_angstrom": each.reference.r_max, "correlation": each.correlation,
            "mirrored": bool(each.superposition.mirrored), "notes": structure.notes,
            "confidence": None if confidence is None else confidence._asdict()}
        numbers = ("chi_squared", "cormap_p", "contrast", "scale", "background")
        entry |= {name: None if fit is None else getattr(fit, name) for name in numbers}
        entry |= {"points": 0 if fit is None else len(fit.q_inv_angstrom),
                  "q_fitted_inv_angstrom": None if fit is None else fit.q_inv_angstrom[[0, -1]]}
        entries.append(entry)
    return {"reference": entries[0], "references": entries}


def _scatterers(reference: Reference, contrasts: Sequence[float] | None, equal_atoms: bool) -> dict[str, Any]:
    """Returns the arguments of `fit_structure` that say what scatters, and with which shells."""
    if reference.spacing is not None:
        return {"contrasts": (0.0,), "scatterer_volume_angstrom3": simulation.bead_volume(reference.spacing)}
    if not excess_electrons.are_elements_known(reference.structure.atomic_number):
        return {"contrasts": (0.0,), "scatterer_volume_angstrom3": _RESIDUE_VOLUME_ANGSTROM3}
    return {"contrasts": structure_fit.CONTRASTS if contrasts is None else contrasts,
            "scatterer_volume_angstrom3": ATOM_VOLUME_ANGSTROM3 if equal_atoms else None}


def _notes_of(reference: Reference) -> list[str]:
    """Returns the notes on one structure."""
    numbers, found = reference.structure.atomic_number, []
    if reference.spacing is not None:
        found.append("beads have no elements: all have equal weight, and no shell of bound water is added")
    elif not excess_electrons.are_elements_known(numbers):
        found.append("without nitrogen and oxygen, as in a trace of CA atoms, each atom counts as a residue, and no "
                     "shell of bound water is added; its curve is coarse")
    else:
        others = int(structure_fit.names_other_elements(numbers).sum())
        if others > _OTHER_ELEMENTS_SHARE * len(numbers):
            found.append(f"{others} of {len(numbers)} atoms are none of C, N, O and S and count as the mean atom of a "
                         "protein; the curve of a nucleic acid is less accurate")
    confidence = reference.confidence
    if confidence is not None:
        kind = "a predicted model" if confidence.stated else "taken for a predicted model by its B factors"
        found.append(f"{kind}, mean pLDDT {confidence.mean_plddt:.0f} over {confidence.residues} residues; "
                     f"{confidence.residues_below_50} are below 50" + (
                         ": likely disordered, of which a rigid model shows one pose only"
                         if confidence.residues_below_50 else ""))
    return found


def _distinct_names(references: Sequence[Reference]) -> list[str]:
    """Returns the file name of each structure, or the path where several have this name."""
    names = [pathlib.PurePath(reference.structure.source).name for reference in references]
    counts = collections.Counter(names)
    return [name if counts[name] == 1 else reference.structure.source
            for name, reference in zip(names, references, strict=True)]


def _chi_squared(fit: StructureFit | None) -> str:
    """Returns chi^2 as the table shows it."""
    return "none" if fit is None else f"{fit.chi_squared:.3f}" if fit.chi_squared < 1000 else f"{fit.chi_squared:.3g}"


def _describe_fit(fit: StructureFit | None) -> str:
    """Returns the other numbers of a fit, or why there is none."""
    if fit is None:
        return "too large for the range of q: the grid resolves fewer than 20 points"
    return f"chi^2; CorMap p {fit.cormap_p:.2g}; shell {fit.contrast:.3f} e/A^3"
