"""Suite "align": one superposition of two bead models against freesas supycomb.

Both begin with beads and end with a rotation, a shift and a hand. Ours makes densities of the beads and seeks the
best correlation; supycomb moves beads to the least normalized spatial discrepancy (NSD), in its slow mode
(the default) from eight orientations, in its fast mode from the best of them. Each answer is judged alike: the
correlation of the moved density with the fixed one.
"""

import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import saxsae
from launch.benchmarks import bars
from launch.benchmarks.timing import Row, compare
from saxsae.io.structures.structure_files import read_structure
from saxsae.shapes import voxels
from saxsae.superposition import alignment, metrics

LEAST_RATIO = 5.0  # supycomb's time over ours
EXAMPLE = pathlib.Path(saxsae.__file__).parent / "examples" / "three_lobes.pdb"
SPACING_ANGSTROM = 4.0  # of the second model; the first has 3


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """The shipped example's beads upon the same body of other beads, turned and mirrored."""
    fixed = read_structure(EXAMPLE).xyz_angstrom.astype(np.float64)
    moving = other_model(fixed, SPACING_ANGSTROM)
    summary = {}
    for mode in ("slow", "fast"):
        row = measure(moving, fixed, mode)
        report(row)
        summary |= {f"ratio_{mode}": row.ratio, f"peer_correlation_{mode}": row.details["peer_correlation"]}
    correlation = row.details["correlation"]
    best = max(summary[f"peer_correlation_{mode}"] for mode in ("slow", "fast"))
    return summary | {"milliseconds": 1e3 * row.seconds, "correlation": correlation, "bars": [
        *(bars.at_least(f"time of supycomb, {mode}, over ours", summary[f"ratio_{mode}"], LEAST_RATIO)
          for mode in ("slow", "fast")),
        bars.at_least("correlation, against supycomb's better one", correlation, best)]}


def measure(moving: np.ndarray, fixed: np.ndarray, mode: str, seconds: float = 8.0) -> Row:
    """Both ways from beads (N, 3) and (M, 3), Angstrom, to a superposition; and what correlation each reaches."""
    radius = max(voxels.centre_and_radius(beads)[1] for beads in (moving, fixed))
    pitch = np.float32(metrics.truth_pitch(radius))

    def density(beads):
        return metrics.truth_density(beads, np.ones(len(beads)), radius)

    def ours():
        return alignment.superpose(density(moving), pitch, density(fixed), pitch)

    def theirs():
        return supycomb(moving, fixed, mode == "slow")

    def correlation(answer):
        return float(metrics.pearson(alignment.apply_superposition(density(moving), pitch, answer, pitch, metrics.TRUTH_GRID),
                                     density(fixed)))

    details = {"correlation": correlation(ours()), "peer_correlation": correlation(theirs()),
               "beads": len(fixed), "moving_beads": len(moving)}
    return compare(f"{len(moving)} beads on {len(fixed)}, supycomb {mode}", "freesas", ours, theirs,
                   seconds=seconds, **details)


def supycomb(moving: np.ndarray, fixed: np.ndarray, slow: bool) -> alignment.Superposition:
    """What freesas finds, both hands tried, as a superposition of densities about the beads' centroids."""
    from freesas.align import AlignModels  # a peer, not a requirement
    from freesas.model import SASModel

    models = []
    for beads in (fixed, moving):
        model = SASModel(np.column_stack([beads, np.ones(len(beads))]))
        model.centroid()
        model.inertiatensor()
        model.canonical_parameters()
        models.append(model)
    reference, molecule = models
    aligner = AlignModels([], slow=slow, enantiomorphs=True)
    symmetry, parameters = aligner.alignment_sym(reference, molecule)
    if not slow:
        parameters, _ = aligner.optimize(reference, molecule, symmetry)
    # Both now lie in the fixed model's principal axes.
    moved = molecule.transform(parameters, symmetry)[:, :3]
    settled = reference.transform(reference.can_param, [1, 1, 1])[:, :3]
    back, _ = rigid_motion(settled, fixed)
    turn, shift = rigid_motion(moving, moved)
    return superposition(back @ turn, back @ (shift - settled.mean(0)))


def rigid_motion(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The matrix (3, 3), proper or not, about the centroid of `before`, and where that centroid comes to lie (3,)."""
    arm = before - before.mean(0)
    matrix = np.linalg.lstsq(arm, after - after.mean(0), rcond=None)[0].T
    return matrix, after.mean(0)


def superposition(matrix: np.ndarray, shift: np.ndarray) -> alignment.Superposition:
    """A motion p -> matrix @ p + shift as `saxsae.superposition.alignment` writes it; its correlation is not known."""
    mirrored = np.linalg.det(matrix) < 0
    rotation = matrix * np.array([1.0, 1.0, -1.0 if mirrored else 1.0])
    return alignment.Superposition(jnp.asarray(rotation, jnp.float32), jnp.asarray(shift, jnp.float32),
                                   jnp.asarray(mirrored), jnp.float32(np.nan))


def other_model(beads: np.ndarray, spacing_angstrom: float, seed: int = 0) -> np.ndarray:
    """The same body in other beads: the mirror image, turned, on a lattice of another spacing."""
    turned = (beads - beads.mean(0)) @ np.asarray(voxels.random_rotation(jax.random.key(seed))).T
    turned[:, 0] *= -1
    steps = int(np.abs(turned).max() / spacing_angstrom) + 1
    axis = spacing_angstrom * np.arange(-steps, steps + 1)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    own = np.median(nearest(turned[:200], turned, others=True))
    return lattice[nearest(lattice, turned) < 0.62 * own]  # within balls as large as its own beads' cells


def nearest(points: np.ndarray, beads: np.ndarray, others: bool = False) -> np.ndarray:
    """Distance of each point (P, 3) to the nearest of the beads; with `others` not counting itself."""
    squares = np.square(points).sum(1)[:, None] - 2 * points @ beads.T + np.square(beads).sum(1)
    if others:
        squares[squares < 1e-6] = np.inf
    return np.sqrt(np.maximum(squares.min(1), 0.0))

