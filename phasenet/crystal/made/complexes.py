"""Starts molecules around a metal atom: `start_complex`, which `packing` calls.

A metal atom is put into a void, or on a special position whose symmetry its coordination polyhedron can have. A ligand
is bound to each corner of the polyhedron, or to one of several corners that are images of each other. `packing` then
lets the ligands grow.
"""

import numpy as np

from phasenet.crystal.made import special_positions
from phasenet.crystal.made.chemistry import fragments, ligands
from phasenet.crystal.made.chemistry.ligands import Ligand
from phasenet.crystal.made.growth import GrowingCrystal, Pose, Site
from phasenet.crystal.made.rotations import about_first_axis, axis_of, frame, random_rotation
from phasenet.crystal.made.special_positions import GENERAL_POSITION, SiteSymmetry

_RING_DISTANCE = 0.34  # Angstrom; distance of a bound ring from the metal, less the radius of the metal
_ORIENTATIONS, _SPINS = 30, 8
_SPECIAL_TRIES, _LIGAND_TRIES = 6, 4
_SAME_DIRECTION = 0.1


def start_complex(rng: np.random.Generator, crystal: GrowingCrystal, size: int, special: bool) -> int | None:
    """Puts a metal atom and its ligands into a crystal; returns the molecule's number, or None without room.

    Args:
      rng: source of random numbers.
      crystal: a crystal with room.
      size: independent atoms of the molecule that are wanted.
      special: whether the metal atom is to lie on a special position, if there is one.
    """
    symbols = list(ligands.METALS)
    weights = np.array([metal.weight for metal in ligands.METALS.values()])
    symbol = symbols[rng.choice(len(symbols), p=weights / weights.sum())]
    shapes = ligands.METALS[symbol].shapes
    shape = shapes[rng.integers(len(shapes))]
    corners = ligands.corners_of(shape)
    found = _on_special_position(rng, crystal, corners) if special else None
    place, symmetry, rotation = found or (crystal.find_void(rng), GENERAL_POSITION, random_rotation(rng))
    molecule = crystal.start_molecule(symmetry)
    metal = fragments.group(symbol, [symbol], [[0, 0, 0]], [(0, corner) for corner in corners])
    pose = crystal.find_pose(metal, [Pose(rotation, place - rotation @ metal.positions[0])], molecule)
    if pose is None:
        return None
    crystal.place(metal, pose, molecule)
    images = special_positions.cartesian_rotations(symmetry, crystal.operators, crystal.orthogonalization)
    rings = [crystal.sites[molecule][corner].number for corner in ligands.RING_CORNERS.get(shape, ())]
    open_sites, crystal.sites[molecule] = crystal.sites[molecule], []
    while open_sites:
        site = open_sites.pop(0)
        others = [other for other in open_sites if other.number not in rings]
        used = [site, *_bind(rng, crystal, molecule, site, others, site.number in rings, size, images)]
        taken = np.concatenate([images @ one.direction for one in used])
        open_sites = [other for other in open_sites
                      if np.linalg.norm(taken - other.direction, axis=1).min() > _SAME_DIRECTION]
    return molecule


def _bind(rng: np.random.Generator, crystal: GrowingCrystal, molecule: int, site: Site, others: list[Site],
          to_ring: bool, size: int, images: np.ndarray) -> list[Site]:
    """Binds a ligand to a corner of a metal atom; returns the further corners that it takes.

    Args:
      rng: source of random numbers.
      crystal: what holds the metal atom.
      molecule: of the metal atom.
      site: the corner.
      others: corners that are open too.
      to_ring: whether the corner is one of a bound ring.
      size: atoms of the molecule that are wanted.
      images: (s, 3, 3) Cartesian rotations of the site's symmetry.
    """
    left = max(size - crystal.count_heavy(molecule), 1)
    moved = images @ site.direction
    on_element = (np.linalg.norm(moved - site.direction, axis=1) < _SAME_DIRECTION).sum() > 1
    # A chelate cannot span a corner and its image.
    beside = [other for other in others if abs(site.direction @ other.direction) < 0.1
              and np.linalg.norm(moved - other.direction, axis=1).min() > _SAME_DIRECTION]
    library, weights = ligands.ligands()
    chosen = weights * np.array([
        ligand.is_ring == to_ring and (ligand.is_linear or not on_element) and (bool(beside) or not ligand.is_chelate)
        and len(ligand.fragment.elements) <= left for ligand in library])
    for _ in range(_LIGAND_TRIES):
        if not chosen.sum():
            break
        number = rng.choice(len(library), p=chosen / chosen.sum())
        ligand = library[number]
        partner = beside[rng.integers(len(beside))] if ligand.is_chelate else None
        pose = crystal.find_pose(ligand.fragment, _poses(rng, crystal, ligand, site, partner), molecule, site,
                                 donors=ligand.donors)
        if pose is not None:
            crystal.place(ligand.fragment, pose, molecule)
            return [] if partner is None else [partner]
        chosen[number] = 0.0
    return []


def _poses(rng: np.random.Generator, crystal: GrowingCrystal, ligand: Ligand, site: Site,
           partner: Site | None) -> list[Pose]:
    """Returns poses of a ligand at a corner of a metal atom, and at a second one if it is a chelate."""
    fragment, radius = ligand.fragment, ligands.METALS[crystal.elements[site.atom]].radius
    donors = fragment.positions[list(ligand.donors)]
    length = radius + _RING_DISTANCE if ligand.is_ring else radius - ligand.shortening + fragments.bond_radius(
        fragment.elements[ligand.donors[0]], bool(fragment.is_planar[ligand.donors[0]]))
    length += 0.015 * rng.normal()
    direction, across, normal = site.direction, np.array([0.0, 0.0, 1.0]), rng.normal(size=3)
    turns = 2 * np.pi * np.arange(_SPINS) / _SPINS
    if partner is not None:
        across, normal = donors[0] - donors[1], site.direction - partner.direction
        direction = site.direction + partner.direction
        direction = direction / np.linalg.norm(direction)
        length = np.sqrt(max(length**2 - across @ across / 4, 0.5))
        turns = np.array([0.0, np.pi])
    local, outer = frame(ligand.towards, across), frame(-direction, normal)
    end = crystal.positions[site.atom] + length * direction
    poses = []
    for turn in turns:
        rotation = outer @ about_first_axis(turn) @ local.T
        poses.append(Pose(rotation, end - rotation @ donors.mean(0)))
    return poses


def _on_special_position(rng: np.random.Generator, crystal: GrowingCrystal,
                         corners: np.ndarray) -> tuple[np.ndarray, SiteSymmetry, np.ndarray] | None:
    """Returns a special position (3,), Angstrom, its symmetry, and a rotation in which a polyhedron has it."""
    for _ in range(_SPECIAL_TRIES):
        drawn = special_positions.draw_special_position(rng, crystal.operators)
        if drawn is None:
            return None
        point, symmetry = drawn
        images = special_positions.cartesian_rotations(symmetry, crystal.operators, crystal.orthogonalization)
        rotation = _orient(rng, corners, images)
        if rotation is not None:
            return crystal.orthogonalization @ point, symmetry, rotation
    return None


def _orient(rng: np.random.Generator, corners: np.ndarray, images: np.ndarray) -> np.ndarray | None:
    """Returns a rotation (3, 3) in which operations (s, 3, 3) map the corners (k, 3) onto each other, or None."""
    axis = axis_of(images[-1])
    # The axes and planes of a polyhedron pass through corners, edges and faces.
    lines = [corners, (corners[:, None] + corners).reshape(-1, 3),
             (corners[:, None, None] + corners[:, None] + corners).reshape(-1, 3)]
    axes = np.concatenate(lines)
    axes = axes[np.linalg.norm(axes, axis=1) > 0.3]
    for _ in range(_ORIENTATIONS):
        line = axes[rng.integers(len(axes))]
        local = frame(line / np.linalg.norm(line), rng.normal(size=3))
        rotation = frame(axis, rng.normal(size=3)) @ local.T
        turned = corners @ rotation.T
        moved = np.einsum("sij,kj->ski", images, turned)
        if np.linalg.norm(moved[:, :, None] - turned, axis=-1).min(-1).max() < 0.03:
            return rotation
    return None
