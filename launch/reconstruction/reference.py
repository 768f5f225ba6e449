"""A known structure that a reconstruction is laid upon and compared with."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from phasenet.errors import InputError
from saxsae.io.structures.structure_files import Structure, bead_spacing, read_structure
from saxsae.shapes import voxels
from saxsae.superposition import alignment, metrics

_PLACED_GRID = 45  # voxels: a map of 31 that was turned and shifted lies within


class Reference(NamedTuple):
    """A structure and what it is compared by.

    structure: as read, atoms as listed.   centroid: (3,) A.   r_max: A.
    spacing: of beads (A), None for atoms.
    """

    structure: Structure
    centroid: np.ndarray
    r_max: float
    spacing: float | None


class Placed(NamedTuple):
    """A map on a reference.

    correlation: Pearson, as `saxsae.superposition.metrics` defines it.   mirrored: whether in the other hand.
    density: (45, 45, 45) the map turned and shifted, its centre voxel at `centre` (3,) A of the
    reference's own frame.   rotation, shift: see `saxsae.superposition.alignment.Superposition`; the shift is
    from the reference's centroid.
    """

    correlation: float
    mirrored: bool
    density: np.ndarray
    centre: np.ndarray
    rotation: np.ndarray
    shift: np.ndarray


def read_reference(path: str) -> Reference:
    """Raises InputError where there is no structure, or one without extent."""
    structure = read_structure(path, assembly=None)
    xyz = structure.xyz_angstrom
    if len(np.unique(xyz, axis=0)) < 4:
        raise InputError(f"{path}: {len(xyz)} atoms are no shape to compare with")
    _, r_max = voxels.centre_and_radius(xyz)
    return Reference(structure, xyz.mean(0, dtype=np.float64), r_max, bead_spacing(structure))


class Comparison:
    """Correlations with one reference, its density made once."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        structure = reference.structure
        self._truth = metrics.truth_density(structure.xyz_angstrom, structure.atomic_number,
                                            reference.r_max)

    def superpose(self, density: np.ndarray, pitch: float) -> alignment.Superposition:
        """The best superposition of a map (N, N, N) of the given pitch (A) over both hands."""
        return metrics.correlation_with_truth(
            np.asarray(density, np.float32), np.float32(pitch), self._truth,
            jnp.float32(self._reference.r_max))

    def correlation(self, density: np.ndarray, pitch: float) -> float:
        return float(self.superpose(density, pitch).correlation)

    def place(self, density: np.ndarray, pitch: float) -> Placed:
        """Lays a map on the reference, its voxels at whole multiples of the pitch."""
        found = self.superpose(density, pitch)
        centre = np.rint(self._reference.centroid / pitch) * pitch
        offset = (self._reference.centroid - centre).astype(np.float32)
        moved = found._replace(shift=np.asarray(found.shift) + offset)
        placed = alignment.apply_superposition(np.asarray(density, np.float32), np.float32(pitch), moved,
                                 np.float32(pitch), size=_PLACED_GRID)
        return Placed(float(found.correlation), bool(found.mirrored), np.asarray(placed), centre,
                      np.asarray(found.rotation), np.asarray(found.shift))
