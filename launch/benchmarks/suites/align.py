"""Suite "align": superposes two bead models, against supycomb of freesas.

Both programs take beads and return a rotation, a shift and a hand. Ours maximizes the correlation of the beads'
densities. supycomb minimizes the normalized spatial discrepancy (NSD) of the beads: in its slow mode, the default, from
eight orientations, in its fast mode from the best of the eight. Both superpositions are judged by the correlation of
the moved density with the fixed one.
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

LEAST_RATIO = 5.0  # required ratio of supycomb's time over ours
EXAMPLE = pathlib.Path(saxsae.__file__).parent / "examples" / "three_lobes.pdb"
SPACING_ANGSTROM = 4.0  # of the second model's beads; the beads of the example are 3 Angstrom apart


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """Superposes a rotated, mirrored model of the shipped example's body, with other beads, on the example's beads.

    Args:
      report: receives each row as soon as it is measured.

    Returns:
      Time, ratios, correlations and bars.
    """
    fixed = read_structure(EXAMPLE).xyz_angstrom.astype(np.float64)
    moving = make_other_model(fixed, SPACING_ANGSTROM)
    summary: dict[str, float] = {}
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
    """Times both programs from beads to a superposition, and notes the correlation that each reaches.

    Args:
      moving: (N, 3) beads, Angstrom.
      fixed: (M, 3) beads, Angstrom.
      mode: supycomb's mode, "slow" or "fast".
      seconds: about how many seconds are measured.
    """
    radius = max(voxels.centre_and_radius(beads)[1] for beads in (moving, fixed))
    pitch = np.float32(metrics.truth_pitch(radius))

    def density(beads: np.ndarray) -> jax.Array:
        return metrics.truth_density(beads, np.ones(len(beads)), radius)

    def ours() -> alignment.Superposition:
        return alignment.superpose(density(moving), pitch, density(fixed), pitch)

    def theirs() -> alignment.Superposition:
        return supycomb(moving, fixed, mode == "slow")

    def correlation(motion: alignment.Superposition) -> float:
        moved = alignment.apply_superposition(density(moving), pitch, motion, pitch, metrics.TRUTH_GRID)
        return float(metrics.pearson(moved, density(fixed)))

    details: dict[str, Any] = {"correlation": correlation(ours()), "peer_correlation": correlation(theirs()),
                               "beads": len(fixed), "moving_beads": len(moving)}
    return compare(f"{len(moving)} beads on {len(fixed)}, supycomb {mode}", "freesas", ours, theirs,
                   seconds=seconds, **details)


def supycomb(moving: np.ndarray, fixed: np.ndarray, slow: bool) -> alignment.Superposition:
    """Returns the superposition that supycomb finds in the better hand, as a motion about the beads' centroids.

    Args:
      moving: (N, 3) beads, Angstrom.
      fixed: (M, 3) beads, Angstrom.
      slow: whether all eight orientations are refined.
    """
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
    # Both results lie in the frame of the fixed model's principal axes.
    moved = molecule.transform(parameters, symmetry)[:, :3]
    settled = reference.transform(reference.can_param, [1, 1, 1])[:, :3]
    back, _ = rigid_motion(settled, fixed)
    turn, shift = rigid_motion(moving, moved)
    return superposition(back @ turn, back @ (shift - settled.mean(0)))


def rigid_motion(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rigid motion between two sets of the same beads (N, 3), in the unit of the beads.

    Returns:
      The rotation (3, 3), proper or improper, about the centroid of `before`, and the moved centroid (3,).
    """
    arm = before - before.mean(0)
    matrix = np.linalg.lstsq(arm, after - after.mean(0), rcond=None)[0].T
    return matrix, after.mean(0)


def superposition(matrix: np.ndarray, shift: np.ndarray) -> alignment.Superposition:
    """Returns the motion p -> matrix @ p + shift as a `Superposition` of unknown correlation (NaN).

    Args:
      matrix: (3, 3) rotation, proper or improper.
      shift: (3,) shift, Angstrom.
    """
    mirrored = np.linalg.det(matrix) < 0
    rotation = matrix * np.array([1.0, 1.0, -1.0 if mirrored else 1.0])
    return alignment.Superposition(jnp.asarray(rotation, jnp.float32), jnp.asarray(shift, jnp.float32),
                                   jnp.asarray(mirrored), jnp.float32(np.nan))


def make_other_model(beads: np.ndarray, spacing_angstrom: float, seed: int = 0) -> np.ndarray:
    """Returns the rotated mirror image of a body as beads on a cubic lattice of another spacing.

    Args:
      beads: (N, 3) beads of the body, Angstrom.
      spacing_angstrom: spacing of the lattice.
      seed: seed of the random rotation.

    Returns:
      (M, 3) beads, Angstrom, about the origin.
    """
    turned = (beads - beads.mean(0)) @ np.asarray(voxels.random_rotation(jax.random.key(seed))).T
    turned[:, 0] *= -1
    steps = int(np.abs(turned).max() / spacing_angstrom) + 1
    axis = spacing_angstrom * np.arange(-steps, steps + 1)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    own = np.median(nearest(turned[:200], turned, others=True))
    return lattice[nearest(lattice, turned) < 0.62 * own]  # a ball of radius 0.62 d has the volume of a cell of edge d


def nearest(points: np.ndarray, beads: np.ndarray, others: bool = False) -> np.ndarray:
    """Returns the distances (P,) of points (P, 3) to the nearest bead (N, 3); `others` ignores beads at the point."""
    squares = np.square(points).sum(1)[:, None] - 2 * points @ beads.T + np.square(beads).sum(1)
    if others:
        squares[squares < 1e-6] = np.inf
    return np.sqrt(np.maximum(squares.min(1), 0.0))

