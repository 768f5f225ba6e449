"""Fills a unit cell with molecules that grow where they lie: `fill_cell`.

1. A molecule starts with a fragment in the largest void, or with a metal atom (`complexes`); a molecule that is its own
   image by an inversion or an axis starts with a fragment bound to its image.
2. It grows: a fragment is bound to one of its open sites, turned about the bond until it touches nothing.
3. When it is as large as was drawn, or has no room, the next molecule starts; solvent and counter-ions come last.
"""

from typing import NamedTuple

import numpy as np

from phasenet.crystal.lattice import SpaceGroupOperators
from phasenet.crystal.made import complexes, special_positions
from phasenet.crystal.made.chemistry import fragments
from phasenet.crystal.made.chemistry.fragments import Fragment
from phasenet.crystal.made.growth import GrowingCrystal, Pose, Site
from phasenet.crystal.made.rotations import about_first_axis, axis_of, frame, random_rotation

_TORSIONS, _ORIENTATIONS, _GUEST_ORIENTATIONS = 8, 12, 24
_COPLANAR_SHARE = 0.6  # of bonds between two planar atoms
_TRIES_OF_A_SITE = 4
_MAX_FAILURES = 4  # of starts of molecules in a row
_MAX_FILLERS = 3  # molecules that fill the voids where the wanted ones stayed small
_SMALLEST_SHARE = 0.6  # of the wanted size of a molecule; the cell is given up if one stays smaller
_RING_START = 0.7


class Contents(NamedTuple):
    """What a cell is filled with.

    Attributes:
      sizes: independent non-hydrogen atoms wanted in each molecule.
      has_metal: whether the first molecule is one about a metal atom.
      is_special: whether the first molecule lies on a special position, if there is one that it fits.
      guests: solvent and counter-ions; the asymmetric unit holds one of each.
    """

    sizes: tuple[int, ...]
    has_metal: bool = False
    is_special: bool = False
    guests: tuple[Fragment, ...] = ()


def fill_cell(rng: np.random.Generator, cell: np.ndarray, operators: SpaceGroupOperators,
              contents: Contents) -> GrowingCrystal | None:
    """Returns a crystal of molecules; None where one of them finds no room.

    Args:
      rng: source of random numbers.
      cell: (6,) Angstrom and degrees.
      operators: of the space group.
      contents: what is wanted.
    """
    crystal = GrowingCrystal(cell, operators)
    wanted = sum(contents.sizes)
    fillers = [int(rng.integers(1, 9)) for _ in range(_MAX_FILLERS)]
    for number, size in enumerate([*contents.sizes, *fillers]):
        size = min(wanted - crystal.count_heavy(), size)
        if size <= 0:
            break
        molecule, failures = None, 0
        while molecule is None and failures < _MAX_FAILURES:
            molecule = _start(rng, crystal, size, contents, is_first=number == 0)
            failures += 1
        is_wanted = number < len(contents.sizes)
        if molecule is not None:
            _grow_molecule(rng, crystal, molecule, size)
        if is_wanted and (molecule is None or crystal.count_heavy(molecule) < _SMALLEST_SHARE * size):
            return None
    if crystal.count_heavy() < _SMALLEST_SHARE * wanted:
        return None
    return crystal if all([_place_guest(rng, crystal, guest) for guest in contents.guests]) else None


def _place_guest(rng: np.random.Generator, crystal: GrowingCrystal, guest: Fragment) -> bool:
    """Puts a molecule that does not grow into a void; returns whether it has room."""
    molecule = crystal.start_molecule()
    for _ in range(_MAX_FAILURES):
        place = crystal.find_void(rng)
        poses = [Pose(rotation, place - rotation @ guest.positions.mean(0))
                 for rotation in (random_rotation(rng) for _ in range(_GUEST_ORIENTATIONS))]
        pose = crystal.find_pose(guest, poses, molecule)
        if pose is not None:
            crystal.place(guest, pose, molecule)
            crystal.sites[molecule] = []
            return True
    return False


def _grow_molecule(rng: np.random.Generator, crystal: GrowingCrystal, molecule: int, size: int) -> None:
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


def _start(rng: np.random.Generator, crystal: GrowingCrystal, size: int, contents: Contents,
           is_first: bool) -> int | None:
    """Starts a molecule; returns its number, or None without room."""
    if is_first and contents.has_metal:
        return complexes.start_complex(rng, crystal, size, contents.is_special)
    if is_first and contents.is_special:
        return _start_on_special_position(rng, crystal, size)
    if size == 1:
        return len(crystal.sites) - 1 if _place_guest(rng, crystal, fragments.solvents()[0][0]) else None
    molecule, place = crystal.start_molecule(), crystal.find_void(rng)
    for limit in (size, 3):
        fragment = _draw_first_fragment(rng, min(limit, size))
        poses = [Pose(rotation, place - rotation @ fragment.positions.mean(0))
                 for rotation in (random_rotation(rng) for _ in range(_ORIENTATIONS))]
        pose = crystal.find_pose(fragment, poses, molecule)
        if pose is not None:
            crystal.place(fragment, pose, molecule)
            return molecule
    return None


def _start_on_special_position(rng: np.random.Generator, crystal: GrowingCrystal, size: int) -> int | None:
    """Starts a molecule with a fragment that is bound to its own image, across an inversion centre or an axis."""
    drawn = special_positions.draw_special_position(rng, crystal.operators)
    if drawn is None or drawn[1].order != 2:
        return None
    point, symmetry = drawn
    place = crystal.orthogonalization @ point
    image = special_positions.cartesian_rotations(symmetry, crystal.operators, crystal.orthogonalization)[1]
    is_inversion = np.trace(image) < -2.9
    if not is_inversion and np.linalg.det(image) < 0:
        return None  # a mirror plane would make the two halves eclipsed
    molecule = crystal.start_molecule(symmetry)
    fragment = _draw_first_fragment(rng, size)
    usable = [number for number, atom in enumerate(fragment.site_atoms) if fragment.elements[atom] == "C"]
    if not usable:
        return None
    used = usable[rng.integers(len(usable))]
    atom = fragment.site_atoms[used]
    length = fragments.bond_length("C", bool(fragment.is_planar[atom]), "C", bool(fragment.is_planar[atom]))
    axis, poses = axis_of(image), []
    for _ in range(_ORIENTATIONS):
        direction = frame(axis, rng.normal(size=3))[:, 1] if not is_inversion else random_rotation(rng)[0]
        rotation = frame(direction, rng.normal(size=3)) @ frame(fragment.site_directions[used], np.eye(3)[2]).T
        poses.append(Pose(rotation, place - length / 2 * direction - rotation @ fragment.positions[atom]))
    pose = crystal.find_pose(fragment, poses, molecule, used=used)
    if pose is None:
        return None
    crystal.place(fragment, pose, molecule, used=used)
    return molecule


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
    local = frame(fragment.site_directions[used], np.array([0.0, 0.0, 1.0]))
    outer = frame(-site.direction, site.normal)
    poses = []
    for turn in turns:
        rotation = outer @ about_first_axis(turn) @ local.T
        poses.append(Pose(rotation, end - rotation @ fragment.positions[atom]))
    return poses


def _draw_fragment(rng: np.random.Generator, largest: int) -> Fragment:
    """Returns a fragment of at most `largest` atoms."""
    library, weights = fragments.organic_fragments()
    chosen = weights * ([len(fragment.elements) <= largest for fragment in library])
    return library[rng.choice(len(library), p=chosen / chosen.sum())]


def _draw_first_fragment(rng: np.random.Generator, size: int) -> Fragment:
    """Returns a fragment of at most `size` atoms to start a molecule with, often a ring."""
    library, weights = fragments.organic_fragments()
    sizes = np.array([len(fragment.elements) for fragment in library])
    chosen = weights * (sizes <= size)
    if rng.random() < _RING_START and (sizes[chosen > 0] >= 5).any():
        chosen = chosen * (sizes >= 5)
    return library[rng.choice(len(library), p=chosen / chosen.sum())]
