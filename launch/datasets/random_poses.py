"""Turns structures at random, several times each, and adds synthetic shapes: the rows of a larger training set.

`launch.prepare_structures --poses --made` calls this module. It turns the atoms before they are voxelized, because a
map turned by interpolation is smoother than the maps that the network meets in use.
"""

from collections.abc import Callable, Iterable

import numpy as np

from saxsae.io.structures.structure_files import Structure, bead_spacing
from saxsae.shapes import made_shapes
from saxsae.shapes.voxels import BEAD_CONTACT, CONTACT_ANGSTROM

# Every second pose of atoms gets a contact distance that is larger by a random factor up to this, because bead models
# fill their shape that much more.
MAX_CONTACT_FACTOR = 1.45
ASSEMBLY_FRACTION = 1 / 3  # share of the synthetic shapes that are several structures side by side
MAX_PART_ATOMS = 20000  # larger structures are no part of an assembly


def draw_poses(structures: list[Structure], validation: np.ndarray, num_poses: int, num_made: int,
               rng: np.random.Generator, report: Callable[[str], None],
               ) -> tuple[list[Structure], list[float | None], np.ndarray]:
    """Returns M rows of a training set: structures in random poses, then synthetic shapes.

    Args:
      structures: N structures.
      validation: (N,) bool, which of them are held out for validation. These get one pose each.
      num_poses: poses of each other structure.
      num_made: number of synthetic shapes. Their parts are never held-out structures.
      rng: source of the poses, the contact distances and the synthetic shapes.
      report: called with a line of progress for every 2000 synthetic shapes.

    Returns:
      The M structures, centred; the spacing of each in Angstrom as `saxsae.shapes.batches.voxelize_many` takes it,
      None for the contact distance of atoms; and which rows are held out, (M,) bool.
    """
    rows: list[Structure] = []
    spacings: list[float | None] = []
    held_out: list[bool] = []

    def add(structure: Structure, spacing: float | None, held: bool) -> None:
        """Appends one row, turned at random about its centroid."""
        xyz = np.asarray(structure.xyz_angstrom, np.float64)
        turned = (xyz - xyz.mean(0)) @ random_rotation(rng).T
        rows.append(structure._replace(xyz_angstrom=turned.astype(np.float32)))
        spacings.append(spacing)
        held_out.append(held)

    for structure, held in zip(structures, validation, strict=True):
        spacing = bead_spacing(structure)
        for i in range(1 if held else num_poses):
            wider = MAX_CONTACT_FACTOR ** rng.random() * CONTACT_ANGSTROM / BEAD_CONTACT
            add(structure, wider if i % 2 and spacing is None else spacing, bool(held))
    parts = choose_parts(s.xyz_angstrom for s, held in zip(structures, validation, strict=True) if not held)
    for i in range(num_made):
        kind, xyz = draw_made_shape(parts, rng)
        structure = Structure(xyz, np.full(len(xyz), 6, np.uint8), "atoms", f"made_{kind}_{i}", source="made")
        add(structure, None, False)
        if i % 2000 == 1999:
            report(f"made {i + 1} of {num_made} shapes")
    return rows, spacings, np.array(held_out)


def choose_parts(structures: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Returns those of the structures, (N, 3) each, that are small enough to be parts of an assembly."""
    return [xyz for xyz in structures if len(xyz) <= MAX_PART_ATOMS]


def draw_made_shape(parts: list[np.ndarray], rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """Returns the kind of a synthetic shape and its points (N, 3), A; some are assemblies of `parts`, (M, 3) each."""
    if parts and rng.random() < ASSEMBLY_FRACTION:
        chosen = rng.choice(len(parts), rng.integers(2, 4))
        return "assembly", made_shapes.assemble([parts[j] for j in chosen], rng)
    return made_shapes.draw_shape(rng)


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Returns a rotation matrix (3, 3) drawn uniformly from SO(3), by QR factorization of a Gaussian matrix."""
    frame, triangle = np.linalg.qr(rng.standard_normal((3, 3)))
    frame = frame * np.sign(np.diag(triangle))
    return frame * np.sign(np.linalg.det(frame))
