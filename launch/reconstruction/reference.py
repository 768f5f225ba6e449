"""Compares a reconstruction with a known structure: superposes the map on the structure, in the hand that fits better.

`launch.reconstruct --reference`, a suite of `launch.benchmark` and the notebook call this module.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from phasenet.errors import InputError
from saxsae.io.structures.structure_files import Structure, bead_spacing, read_structure
from saxsae.shapes import voxels
from saxsae.superposition import alignment, metrics

_PLACED_GRID = 45  # voxels per edge; enough for a map of 31 voxels per edge in any orientation, shifted a little


class Reference(NamedTuple):
    """A known structure.

    Attributes:
      structure: the structure with the atoms as listed in the file (no assembly).
      centroid: (3,) mean of the positions, Angstrom.
      r_max: largest distance of an atom from the centroid, Angstrom.
      spacing: distance between neighbouring beads, Angstrom; None for atoms.
    """

    structure: Structure
    centroid: np.ndarray
    r_max: float
    spacing: float | None


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
    return Reference(structure, xyz.mean(0, dtype=np.float64), r_max, bead_spacing(structure))


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

    def place(self, density: np.ndarray, pitch: float) -> PlacedMap:
        """Returns a map (N, N, N) superposed on the reference, on voxels at multiples of the pitch (A)."""
        found = self.superpose(density, pitch)
        centre = np.rint(self._reference.centroid / pitch) * pitch
        offset = (self._reference.centroid - centre).astype(np.float32)
        moved = found._replace(shift=np.asarray(found.shift) + offset)
        placed = alignment.apply_superposition(np.asarray(density, np.float32), np.float32(pitch), moved,
                                               np.float32(pitch), size=_PLACED_GRID)
        return PlacedMap(float(found.correlation), bool(found.mirrored), np.asarray(placed), centre,
                        np.asarray(found.rotation), np.asarray(found.shift))
