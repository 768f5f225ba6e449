"""Structures turned at random, several times each, and made shapes among them: rows of a training set.

Each pose is voxelized from the atoms: a map turned by interpolation is smoother than any that will be met.
"""

from collections.abc import Callable

import numpy as np

from saxsae.io.structures.structure_files import Structure, bead_spacing
from saxsae.shapes import made_shapes
from saxsae.shapes.voxels import BEAD_CONTACT, CONTACT_ANGSTROM

WIDEST_CONTACT = 1.45  # times the atoms' contact distance, in every second pose: bead models are that much fuller
ASSEMBLIES = 1 / 3  # of the made shapes are structures side by side
_LARGEST = 20000  # atoms of a part of an assembly


def in_random_poses(structures: list[Structure], validation: np.ndarray, count: int, made: int,
                    rng: np.random.Generator, say: Callable[[str], None],
                    ) -> tuple[list[Structure], list[float | None], np.ndarray]:
    """Rows in random poses.

    Args:
      structures: N; validation: (N,) bool, which are held out.
      count: poses of each structure that is not.
      made: shapes to make up; their parts are never held out.

    Returns:
      The structures, their spacings for `saxsae.shapes.batches.voxelize_many`, and which are held out.
    """
    rows: list[Structure] = []
    spacings: list[float | None] = []
    held_out: list[bool] = []

    def add(structure: Structure, spacing: float | None, held: bool) -> None:
        xyz = np.asarray(structure.xyz_angstrom, np.float64)
        turned = (xyz - xyz.mean(0)) @ random_turn(rng).T
        rows.append(structure._replace(xyz_angstrom=turned.astype(np.float32)))
        spacings.append(spacing)
        held_out.append(held)

    for structure, held in zip(structures, validation, strict=True):
        spacing = bead_spacing(structure)
        for i in range(1 if held else count):
            wider = WIDEST_CONTACT ** rng.random() * CONTACT_ANGSTROM / BEAD_CONTACT
            add(structure, wider if i % 2 and spacing is None else spacing, bool(held))
    parts = [s.xyz_angstrom for s, held in zip(structures, validation, strict=True)
             if not held and len(s.xyz_angstrom) <= _LARGEST]
    for i in range(made):
        if parts and rng.random() < ASSEMBLIES:
            chosen = rng.choice(len(parts), rng.integers(2, 4))
            kind, xyz = "assembly", made_shapes.assembly([parts[j] for j in chosen], rng)
        else:
            kind, xyz = made_shapes.draw_shape(rng)
        structure = Structure(xyz, np.full(len(xyz), 6, np.uint8), "atoms", f"made_{kind}_{i}", source="made")
        add(structure, None, False)
        if i % 2000 == 1999:
            say(f"made {i + 1} of {made} shapes")
    return rows, spacings, np.array(held_out)


def random_turn(rng: np.random.Generator) -> np.ndarray:
    """A rotation (3, 3), uniform over SO(3)."""
    frame, triangle = np.linalg.qr(rng.standard_normal((3, 3)))
    frame = frame * np.sign(np.diag(triangle))
    return frame * np.sign(np.linalg.det(frame))
