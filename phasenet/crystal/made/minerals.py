"""Inorganic crystals: ions packed at random, each anion beside a cation: `pack_ions`.

Cations are put into voids or on special positions, anions at the sum of radii from cations that have few neighbours.
`compression` then presses all ions together. The formulas are not those of minerals, but the distances are realistic.
"""

from typing import NamedTuple

import numpy as np

from phasenet.crystal.lattice import SpaceGroupOperators
from phasenet.crystal.made import special_positions
from phasenet.crystal.made.chemistry import contacts, fragments
from phasenet.crystal.made.growth import GrowingCrystal, Pose
from phasenet.crystal.made.rotations import random_rotation
from phasenet.crystal.made.special_positions import GENERAL_POSITION, SiteSymmetry

# How often groups are met; most are not those of molecules.
FREQUENCIES = {
    "P 1 21/c 1": 7, "P -1": 5, "C 1 2/c 1": 6, "P n m a": 7, "C 1 2/m 1": 4, "P 1 21/m 1": 2, "P b c a": 2,
    "C m c m": 3, "P 21 21 21": 2, "P b c n": 2, "I 41/a :2": 1.5, "P 4/n m m :2": 1.5, "I 4/m": 1.5, "P 42/m n m": 2,
    "I 41/a m d :2": 2, "R -3 :H": 2, "R -3 m :H": 3, "R -3 c :H": 2, "P -3 m 1": 2, "P 63/m": 1.5, "P 63/m m c": 2,
    "P a -3": 1.5, "F d -3 m :2": 2, "F m -3 m": 2, "P m -3 m": 1, "I a -3 d": 0.7,
}  # fmt: skip
_ANIONS = {"O": 10.0, "F": 1.5, "S": 2.0, "Cl": 1.5, "Br": 0.6, "I": 0.5, "N": 0.3}
# Volume of an anion with the empty space around it, over that of a ball of its radius.
_LOOSENESS = 1.5
_SPECIAL_SHARE = 0.6
_MAX_ORDER = 12
_GROWN_LARGER = 1.35
_DIRECTIONS = 24
_MAX_FAILURES = 25


class Ions(NamedTuple):
    """What a crystal of ions is made of: an anion, cations, anions for each cation, and the volume of an anion, A^3."""

    anion: str
    cations: tuple[str, ...]
    ratio: float
    volume_per_anion: float


def draw_ions(rng: np.random.Generator) -> Ions:
    """Returns an anion and one to three cations."""
    anions, weights = list(_ANIONS), np.array(list(_ANIONS.values()))
    anion = anions[rng.choice(len(anions), p=weights / weights.sum())]
    symbols = [symbol for symbol in contacts.IONIC_RADII if symbol not in contacts.ANIONS]
    chosen = rng.choice(len(symbols), int(rng.integers(1, 4)), replace=False)
    cations = tuple(symbols[number] for number in chosen)
    radius, ratio = contacts.IONIC_RADII[anion], float(rng.uniform(1.2, 3.2))
    room = _LOOSENESS * 4 / 3 * np.pi * radius**3
    of_cations = np.mean([4 / 3 * np.pi * contacts.IONIC_RADII[cation] ** 3 for cation in cations]) / ratio
    return Ions(anion, cations, ratio, float((room + of_cations) * rng.uniform(0.9, 1.2)))


def pack_ions(rng: np.random.Generator, cell: np.ndarray, operators: SpaceGroupOperators, ions: Ions,
              num_anions: float) -> GrowingCrystal | None:
    """Returns a crystal of ions; None where they find no room.

    Args:
      rng: source of random numbers.
      cell: (6,) Angstrom and degrees, larger than it is to be.
      operators: of the space group.
      ions: what is packed.
      num_anions: wanted in the unit cell.
    """
    crystal = GrowingCrystal(cell, operators, ionic=True)
    cations: list[int] = []
    placed = {"anions": 0.0, "cations": 0.0}
    failures = 0
    while placed["anions"] < num_anions and failures < _MAX_FAILURES:
        if placed["cations"] * ions.ratio <= placed["anions"]:
            added = _place_cation(rng, crystal, ions.cations[len(cations) % len(ions.cations)])
            cations += [len(crystal.elements) - 1] * bool(added)
            placed["cations"] += added
        else:
            added = _place_anion(rng, crystal, ions.anion, cations)
            placed["anions"] += added
        failures += not added
    enough = placed["anions"] >= 0.6 * num_anions and placed["cations"] * ions.ratio >= 0.6 * placed["anions"]
    return crystal if enough else None


def grown_volume(ions: Ions, num_anions: float) -> float:
    """Returns the volume of the unit cell, A^3, in which so many anions find room."""
    return _GROWN_LARGER * ions.volume_per_anion * num_anions


def _place_cation(rng: np.random.Generator, crystal: GrowingCrystal, symbol: str) -> float:
    """Puts a cation into a void or on a special position; returns the number of its images in the cell, 0 if none."""
    if rng.random() < _SPECIAL_SHARE:
        drawn = special_positions.draw_special_position(rng, crystal.operators)
        if drawn is not None and drawn[1].order <= _MAX_ORDER:
            place = crystal.orthogonalization @ drawn[0]
            return _place(crystal, symbol, place[None], drawn[1])
    return _place(crystal, symbol, np.array([crystal.find_void(rng) for _ in range(3)]), GENERAL_POSITION)


def _place_anion(rng: np.random.Generator, crystal: GrowingCrystal, symbol: str, cations: list[int]) -> float:
    """Puts an anion beside a cation; returns the number of its images in the cell, 0 if none."""
    if rng.random() < _SPECIAL_SHARE / 3:
        drawn = special_positions.draw_special_position(rng, crystal.operators)
        if drawn is not None and drawn[1].order <= _MAX_ORDER:
            return _place(crystal, symbol, (crystal.orthogonalization @ drawn[0])[None], drawn[1])
    cation = cations[rng.integers(len(cations))]
    length = contacts.IONIC_RADII[symbol] + contacts.IONIC_RADII[crystal.elements[cation]] + 0.02
    directions = np.concatenate([random_rotation(rng) for _ in range(_DIRECTIONS // 3)])
    return _place(crystal, symbol, crystal.positions[cation] + length * directions, GENERAL_POSITION)


def _place(crystal: GrowingCrystal, symbol: str, places: np.ndarray, symmetry: SiteSymmetry) -> float:
    """Puts an ion at the first of the places (k, 3), Angstrom, that has room; returns its images in the cell, or 0."""
    ion = fragments.group(symbol, [symbol], [[0, 0, 0]], [])
    molecule = crystal.start_molecule(symmetry)
    pose = crystal.find_pose(ion, [Pose(np.eye(3), place) for place in places], molecule)
    if pose is None:
        return 0.0
    crystal.place(ion, pose, molecule)
    return len(crystal.operators.rotations) / symmetry.order
