"""Draws the space group of a made crystal, by default with the frequencies of molecular crystals, and its unit cell."""

from collections.abc import Mapping

import gemmi
import numpy as np

from phasenet.crystal import lattice
from phasenet.crystal.lattice import SpaceGroupOperators

# Per cent of molecular crystals, rounded; a monoclinic group in the settings that are in use.
FREQUENCIES = {
    "P 1 21/c 1": 21.0, "P 1 21/n 1": 14.0, "P -1": 25.0, "P 21 21 21": 7.5, "P 1 21 1": 6.0, "C 1 2/c 1": 6.5,
    "I 1 2/a 1": 1.2, "P b c a": 3.3, "P n a 21": 1.6, "P 1": 1.6, "C 1 2 1": 1.0, "P n m a": 1.2, "C 1 c 1": 1.2,
    "P c a 21": 1.0, "P b c n": 1.0, "P 1 21/m 1": 0.6, "P 1 c 1": 0.5, "P 1 2/c 1": 0.6, "P 21 21 2": 0.5,
    "P 1 21/a 1": 0.5, "C 2 2 21": 0.2, "F d d 2": 0.4, "P c c n": 0.4, "A b a 2": 0.2, "I 41/a :2": 0.5,
    "P 41 21 2": 0.4, "P 43 21 2": 0.3, "P 41": 0.2, "I -4": 0.2, "P -4 21 c": 0.3, "R -3 :H": 0.7, "P 31": 0.2,
    "P 32 2 1": 0.2, "R 3 :H": 0.2, "P 61": 0.2, "P a -3": 0.2, "P 21 3": 0.1,
}  # fmt: skip
_SMALLEST_VOLUME_PER_OPERATOR = 85.0
_MIN_EDGE = 4.6
_EDGE_SPREAD = 0.32


def draw_space_group(rng: np.random.Generator, volume: float, symbols: tuple[str, ...] = (),
                     frequencies: Mapping[str, float] = FREQUENCIES,
                     smallest_room: float = _SMALLEST_VOLUME_PER_OPERATOR) -> SpaceGroupOperators:
    """Returns a space group that leaves room for what is wanted in the asymmetric unit.

    Args:
      rng: source of random numbers.
      volume: of the unit cell, A^3.
      symbols: groups to choose from; by default all of `frequencies`.
      frequencies: how often each group is met, per cent; a group without a frequency counts as 1.
      smallest_room: volume for each operator that is needed, A^3.
    """
    names = symbols or tuple(frequencies)
    groups = [lattice.operators_of(gemmi.SpaceGroup(name)) for name in names]
    # By the full symbol, because a group has several short ones.
    shares = {gemmi.SpaceGroup(name).xhm(): share for name, share in frequencies.items()}
    weights = np.array([shares.get(group.symbol, 1.0) for group in groups])
    room = volume / np.array([len(group.rotations) for group in groups])
    roomy = weights * (room >= smallest_room)
    # In a large cell of low symmetry there are more independent atoms than are usual.
    roomy *= np.where(room > 1000, 0.1, 1.0)
    weights = roomy if roomy.sum() > 0 else weights * (room == room.max())
    return groups[rng.choice(len(groups), p=weights / weights.sum())]


def draw_cell(rng: np.random.Generator, volume: float, operators: SpaceGroupOperators) -> np.ndarray:
    """Returns a unit cell (6,), Angstrom and degrees, of a volume in A^3 and the metric that a space group demands."""
    angles, tied = _metric(rng, operators)
    shape = np.cos(np.deg2rad(angles))
    factor = np.sqrt(1 - (shape**2).sum() + 2 * shape.prod())
    edges = np.full(3, np.cbrt(volume / factor))
    for _ in range(50):
        ratios = np.exp(_EDGE_SPREAD * rng.normal(size=3))
        ratios = np.array([ratios[group].mean() for group in tied])
        drawn = ratios * np.cbrt(volume / (factor * ratios.prod()))
        if drawn.min() > _MIN_EDGE:
            edges = drawn
            break
    return np.concatenate([edges, angles])


def _metric(rng: np.random.Generator, operators: SpaceGroupOperators) -> tuple[np.ndarray, list[list[int]]]:
    """Returns the angles (3,) and, of each edge, the edges that have the same length."""
    rotations = np.abs(operators.rotations)
    mixed = rotations.sum(0) > 0
    free = [[0], [1], [2]]
    if mixed[0, 2]:
        return np.full(3, 90.0), [[0, 1, 2]] * 3
    if mixed[0, 1]:
        hexagonal = any(abs(int(np.trace(rotation))) in (0, 2) for rotation in operators.rotations)
        return np.array([90.0, 90.0, 120.0 if hexagonal else 90.0]), [[0, 1], [0, 1], [2]]
    # Diagonal rotations: which axes change sign together.
    signs = np.array([np.diag(rotation) for rotation in operators.rotations])
    coupled = [(signs[:, a] == signs[:, b]).all() for a, b in ((1, 2), (0, 2), (0, 1))]
    drawn = rng.uniform(90.0, 113.0, 3) if sum(coupled) == 1 else rng.uniform(78.0, 106.0, 3)
    return np.where(coupled, drawn, 90.0), free
