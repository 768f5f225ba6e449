"""Fills a unit cell with molecules that grow where they lie: `fill_cell`.

1. A molecule starts with a fragment in the largest void.
2. It grows: a fragment is bound to one of its open sites, turned about the bond until it touches nothing.
3. When it is as large as was drawn, or has no room, the next molecule starts, until the cell is full.
"""

from collections.abc import Sequence

import numpy as np

from phasenet.crystal.lattice import SpaceGroupOperators
from phasenet.crystal.made import fragments
from phasenet.crystal.made.fragments import Fragment
from phasenet.crystal.made.growth import GrowingCrystal, Pose, Site

_TORSIONS, _ORIENTATIONS = 8, 12
_COPLANAR_SHARE = 0.6  # of bonds between two planar atoms
_TRIES_OF_A_SITE = 4
_MAX_FAILURES = 4  # of starts of molecules in a row
_MAX_FILLERS = 3  # molecules in voids that are left, where the wanted ones stayed small
_SMALLEST_SHARE = 0.6  # of the wanted size of a molecule of which it needs as much, or the cell is given up
_RING_START = 0.7
# What may be a molecule of one atom, without its hydrogen: water and chloride.
_SINGLE_ATOMS = {"oxygen": 1.0, "Cl": 0.15}


def fill_cell(rng: np.random.Generator, cell: np.ndarray, operators: SpaceGroupOperators, num_atoms: int,
              molecule_sizes: Sequence[int]) -> GrowingCrystal | None:
    """Returns a crystal of organic molecules; None where a molecule finds no room.

    Args:
      rng: source of random numbers.
      cell: (6,) Angstrom and degrees.
      operators: of the space group.
      num_atoms: non-hydrogen atoms wanted in the asymmetric unit; fewer where they find no room.
      molecule_sizes: atoms wanted in each molecule; when they are used up, small molecules fill the voids.
    """
    crystal = GrowingCrystal(cell, operators)
    fillers = [int(rng.integers(1, 9)) for _ in range(_MAX_FILLERS)]
    failures = 0
    for number, size in enumerate([*molecule_sizes, *fillers]):
        left = num_atoms - crystal.count_heavy()
        while left > 0 and failures < _MAX_FAILURES:
            size = min(left, size)
            molecule = start_molecule(rng, crystal, size)
            if molecule is None:
                failures += 1
                continue
            grow_molecule(rng, crystal, molecule, size)
            if number < len(molecule_sizes) and crystal.count_heavy(molecule) < _SMALLEST_SHARE * size:
                return None
            break
    return crystal if crystal.count_heavy() >= _SMALLEST_SHARE * num_atoms else None


def start_molecule(rng: np.random.Generator, crystal: GrowingCrystal, size: int) -> int | None:
    """Puts a fragment of at most `size` atoms into a void; returns the molecule's number, or None without room."""
    molecule = crystal.start_molecule()
    place = crystal.find_void(rng)
    for limit in (size, 3, 1):
        fragment = _draw_first_fragment(rng, min(limit, size))
        poses = []
        for _ in range(_ORIENTATIONS):
            rotation = random_rotation(rng)
            poses.append(Pose(rotation, place - rotation @ fragment.positions.mean(0)))
        pose = crystal.find_pose(fragment, poses, molecule)
        if pose is not None:
            crystal.place(fragment, pose, molecule)
            return molecule
    return None


def grow_molecule(rng: np.random.Generator, crystal: GrowingCrystal, molecule: int, size: int) -> None:
    """Binds fragments to a molecule until it has `size` atoms other than hydrogen, or no room."""
    tries: dict[int, int] = {}
    while (left := size - crystal.count_heavy(molecule)) > 0:
        sites = [site for site in crystal.sites[molecule] if tries.get(site.number, 0) < _TRIES_OF_A_SITE]
        if not sites:
            return
        site = sites[rng.integers(len(sites))]
        # Where a site was tried in vain, smaller fragments may fit.
        limit = min(left, (left, left, 4, 2)[tries.get(site.number, 0)])
        tries[site.number] = tries.get(site.number, 0) + 1
        fragment = _draw_fragment(rng, limit)
        element = crystal.elements[site.atom]
        usable = [number for number, atom in enumerate(fragment.site_atoms)
                  if fragments.can_bond(element, fragment.elements[atom])]
        if not usable:
            continue
        used = usable[rng.integers(len(usable))]
        pose = crystal.find_pose(fragment, _poses_at(rng, crystal, site, fragment, used), molecule, site, used)
        if pose is not None:
            crystal.place(fragment, pose, molecule, site, used)


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Returns a rotation (3, 3), uniformly distributed."""
    q = rng.normal(size=4)
    w, x, y, z = q / np.linalg.norm(q)
    return np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                     [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                     [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]])


def _poses_at(rng: np.random.Generator, crystal: GrowingCrystal, site: Site, fragment: Fragment,
              used: int) -> list[Pose]:
    """Returns poses of a fragment bound to a site, turned about the bond; coplanar ones first where that is usual."""
    atom = fragment.site_atoms[used]
    own, own_planar = fragment.elements[atom], bool(fragment.is_planar[atom])
    planar = crystal.is_planar[site.atom]
    length = fragments.bond_length(crystal.elements[site.atom], planar, own, own_planar) + 0.008 * rng.normal()
    end = crystal.positions[site.atom] + length * site.direction
    turns = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(_TORSIONS) / _TORSIONS
    rng.shuffle(turns)
    if planar and own_planar and rng.random() < _COPLANAR_SHARE:
        turns[:2] = rng.permutation([0.0, np.pi]) + 0.15 * rng.normal(size=2)
    local = _frame(fragment.site_directions[used], np.array([0.0, 0.0, 1.0]))
    outer = _frame(-site.direction, site.normal)
    poses = []
    for turn in turns:
        cosine, sine = np.cos(turn), np.sin(turn)
        rotation = outer @ np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) @ local.T
        poses.append(Pose(rotation, end - rotation @ fragment.positions[atom]))
    return poses


def _frame(direction: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Returns a right-handed basis as columns (3, 3): a unit vector, and that part of a second one across it."""
    across = normal - direction * (direction @ normal)
    if np.linalg.norm(across) < 0.1:
        across = np.eye(3)[np.abs(direction).argmin()]
        across = across - direction * (direction @ across)
    across = across / np.linalg.norm(across)
    return np.stack([direction, across, np.cross(direction, across)], 1)


def _draw_fragment(rng: np.random.Generator, largest: int) -> Fragment:
    """Returns a fragment of at most `largest` atoms."""
    library, weights = fragments.organic_fragments()
    chosen = weights * ([len(fragment.elements) <= largest for fragment in library])
    return library[rng.choice(len(library), p=chosen / chosen.sum())]


def _draw_first_fragment(rng: np.random.Generator, size: int) -> Fragment:
    """Returns a fragment of at most `size` atoms to start a molecule with: often a ring, never a lone methane."""
    library, weights = fragments.organic_fragments()
    sizes = np.array([len(fragment.elements) for fragment in library])
    chosen = weights * (sizes <= size)
    if size == 1:
        chosen = np.array([_SINGLE_ATOMS.get(fragment.name, 0.0) for fragment in library])
    elif rng.random() < _RING_START and (sizes[chosen > 0] >= 5).any():
        chosen = chosen * (sizes >= 5)
    return library[rng.choice(len(library), p=chosen / chosen.sum())]
