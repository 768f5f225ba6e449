"""Coordination polyhedra of metal atoms, and the ligands that occupy their corners."""

import functools
from typing import NamedTuple

import numpy as np

from phasenet.crystal.made.chemistry import fragments
from phasenet.crystal.made.chemistry.fragments import Fragment


class Metal(NamedTuple):
    """A metal: its relative frequency, its share of the length of a bond in Angstrom, and its usual polyhedra."""

    weight: float
    radius: float
    shapes: tuple[str, ...]


METALS = {
    "Cu": Metal(10, 1.31, ("square", "pyramid", "octahedron")), "Ni": Metal(7, 1.34, ("octahedron", "square")),
    "Co": Metal(8, 1.32, ("octahedron", "tetrahedron")), "Mn": Metal(5, 1.48, ("octahedron",)),
    "Zn": Metal(8, 1.34, ("tetrahedron", "pyramid", "octahedron")), "Pd": Metal(6, 1.33, ("square",)),
    "Fe": Metal(8, 1.34, ("octahedron", "sandwich", "stool")), "Pt": Metal(5, 1.33, ("square",)),
    "Ru": Metal(6, 1.38, ("octahedron", "stool")), "Rh": Metal(3, 1.38, ("square", "octahedron")),
    "Ir": Metal(3, 1.38, ("octahedron", "stool")), "Mo": Metal(4, 1.50, ("octahedron", "stool")),
    "W": Metal(2, 1.50, ("octahedron",)), "Cr": Metal(3, 1.36, ("octahedron", "stool")),
    "V": Metal(2, 1.36, ("pyramid", "octahedron")), "Ti": Metal(2, 1.42, ("tetrahedron", "octahedron")),
    "Ag": Metal(4, 1.55, ("line", "tetrahedron")), "Au": Metal(3, 1.35, ("line", "square")),
    "Cd": Metal(4, 1.62, ("octahedron",)), "Hg": Metal(2, 1.45, ("line", "tetrahedron")),
    "Sn": Metal(3, 1.45, ("tetrahedron", "octahedron")), "Na": Metal(3, 1.72, ("octahedron",)),
    "K": Metal(2, 2.10, ("octahedron", "cube")), "Ca": Metal(2, 1.74, ("octahedron", "cube")),
    "Mg": Metal(2, 1.42, ("octahedron",)), "Li": Metal(1, 1.30, ("tetrahedron",)),
    "Al": Metal(1.5, 1.25, ("octahedron",)), "Ga": Metal(1, 1.32, ("tetrahedron", "octahedron")),
    "Zr": Metal(1, 1.55, ("octahedron",)), "La": Metal(1, 1.88, ("cube",)), "Gd": Metal(1, 1.76, ("cube",)),
    "Eu": Metal(1, 1.76, ("cube",)),
}
# Corners that stand for a whole ring.
RING_CORNERS = {"sandwich": (0, 1), "stool": (0,)}


class Ligand(NamedTuple):
    """What binds a metal atom.

    Attributes:
      fragment: its atoms; at its open sites it may grow.
      donors: atoms that bind: one, the two of a chelate, or all of a ring.
      towards: (3,) unit vector from the donor, or from the middle of all, to the metal atom.
      shortening: how much shorter the bond is than the sum of the radii, Angstrom.
      is_linear: whether all atoms lie on the line of the bond.
    """

    fragment: Fragment
    donors: tuple[int, ...]
    towards: np.ndarray
    shortening: float = 0.0
    is_linear: bool = False

    @property
    def is_ring(self) -> bool:
        """Whether a whole ring is bound."""
        return len(self.donors) > 2

    @property
    def is_chelate(self) -> bool:
        """Whether it takes two corners."""
        return len(self.donors) == 2


def corners_of(shape: str) -> np.ndarray:
    """Returns unit vectors (k, 3) from a metal atom to the corners of a coordination polyhedron."""
    x, y, z = np.eye(3)
    tetrahedron = fragments.tetrahedron()
    corners: dict[str, list] = {
        "line": [z, -z], "sandwich": [z, -z], "tetrahedron": [*tetrahedron], "square": [x, y, -x, -y],
        "pyramid": [x, y, -x, -y, z], "octahedron": [x, y, z, -x, -y, -z],
        "stool": [z, *(tetrahedron[1:] * [1.1, 1.1, 1.6])],
        "cube": [[a, b, c] for a in (1, -1) for b in (1, -1) for c in (1, -1)]}
    directions = np.array(corners[shape], float)
    return directions / np.linalg.norm(directions, axis=1)[:, None]


@functools.cache
def ligands() -> tuple[tuple[Ligand, ...], np.ndarray]:
    """Returns the ligands and their probabilities, (number,)."""
    four, three = fragments.tetrahedron(), fragments.trigon()
    group, ring = fragments.group, fragments.planar_ring
    x = np.array([1.0, 0.0, 0.0])
    three_sites = [(0, way) for way in four[1:]]
    weighted = [
        (5.0, Ligand(group("water", ["O"], [[0, 0, 0]], [(0, three[1]), (0, three[2])]), (0,), x)),
        (2.0, Ligand(group("ammonia", ["N"], [[0, 0, 0]], three_sites), (0,), four[0])),
        (2.5, Ligand(group("phosphine", ["P"], [[0, 0, 0]], three_sites), (0,), four[0])),
        (0.8, Ligand(group("methyl", ["C"], [[0, 0, 0]], three_sites), (0,), four[0])),
        (1.0, Ligand(group("alkoxide", ["O"], [[0, 0, 0]], [(0, [-0.6, 0.8, 0])]), (0,), x)),
        (0.8, Ligand(group("thiolate", ["S"], [[0, 0, 0]], [(0, [-0.3, 0.95, 0])]), (0,), x)),
        (2.5, Ligand(group("carboxylate", ["O", "C", "O"], [[0, 0, 0], [-0.66, 1.09, 0], [-1.90, 1.16, 0]],
                           [(1, [0.42, 0.91, 0])], [1]), (0,), x)),
        (4.0, Ligand(ring("pyridine", "nCCCCC"), (0,), x)), (1.5, Ligand(ring("imidazole", "nCNCC"), (0,), x)),
        *((weight, Ligand(group(symbol, [symbol], [[0, 0, 0]], []), (0,), x, is_linear=True))
          for symbol, weight in {"Cl": 4.0, "Br": 1.2, "I": 0.8}.items()),
        (3.0, Ligand(group("carbonyl", ["C", "O"], [[0, 0, 0], [-1.145, 0, 0]], [], [0, 1]), (0,), x, 0.22, True)),
        (0.7, Ligand(group("cyanide", ["C", "N"], [[0, 0, 0], [-1.15, 0, 0]], [], [0, 1]), (0,), x, 0.15, True)),
        (0.7, Ligand(group("thiocyanate", ["N", "C", "S"], [[0, 0, 0], [-1.16, 0, 0], [-2.79, 0, 0]], []), (0,), x,
                     0.05, True)),
        (0.7, Ligand(group("acetonitrile", ["N", "C", "C"], [[0, 0, 0], [-1.14, 0, 0], [-2.60, 0, 0]],
                           [(2, way) for way in four[1:, [2, 0, 1]]], [1]), (0,), x)),
        *((weight, _chelate(fragment)) for weight, fragment in (
            (3.5, _bipyridine()), (2.0, _acetylacetonate()), (2.0, _ethylenediamine()), (0.8, _oxalate()),
            (1.0, group("dithiocarbamate", ["S", "S", "C", "N"],
                        [[-0.96, 1.43, 0], [-0.96, -1.43, 0], [0, 0, 0], [1.33, 0, 0]],
                        [(3, [0.5, 0.87, 0]), (3, [0.5, -0.87, 0])], [2, 3])))),
        *((weight, Ligand(ring(name, letters), tuple(range(len(letters))), np.array([0.0, 0.0, 1.0])))
          for weight, name, letters in ((3.0, "cyclopentadienyl", "CCCCC"), (2.0, "arene", "CCCCCC"))),
    ]
    weights = np.array([weight for weight, _ in weighted])
    return tuple(ligand for _, ligand in weighted), weights / weights.sum()


def _chelate(fragment: Fragment) -> Ligand:
    """Returns a ligand that binds by its first two atoms, on the side away from the others."""
    towards = fragment.positions[:2].mean(0) - fragment.positions[2:].mean(0)
    across = fragment.positions[0] - fragment.positions[1]
    towards = towards - across * (towards @ across) / (across @ across)
    return Ligand(fragment, (0, 1), towards / np.linalg.norm(towards))


def _bipyridine() -> Fragment:
    """Returns 2,2'-bipyridine, planar, its nitrogen atoms first and on one side."""
    ring = fragments.planar_ring("pyridine", "nCCCCC")
    # The last atom, beside nitrogen, binds the other ring: it is turned onto the x axis.
    joint = ring.positions[5] / np.linalg.norm(ring.positions[5])
    turn = np.array([[joint[0], joint[1], 0.0], [-joint[1], joint[0], 0.0], [0.0, 0.0, 1.0]])
    half = ring.positions @ turn.T
    half = half - half[5] - [0.745, 0, 0]
    order = [0, 6, *range(1, 6), *range(7, 12)]
    positions = np.concatenate([half, half * [-1, 1, 1]])[order]
    ways = ring.site_directions @ turn.T
    sites = [(atom, way) for atom, way in zip(ring.site_atoms, ways, strict=True) if atom != 5]
    sites += [(atom + 6, way * [-1, 1, 1]) for atom, way in sites]
    place = {atom: number for number, atom in enumerate(order)}
    return fragments.group("bipyridine", [("N" if atom % 6 == 0 else "C") for atom in order], positions.tolist(),
                           [(place[int(atom)], way) for atom, way in sites], list(range(12)))


def _acetylacetonate() -> Fragment:
    """Returns a diketonate without its methyl groups, its oxygen atoms first."""
    return fragments.group(
        "diketonate", ["O", "O", "C", "C", "C"],
        [[-1.91, 1.38, 0], [-1.91, -1.38, 0], [-0.65, 1.23, 0], [-0.65, -1.23, 0], [0, 0, 0]],
        [(2, [0.5, 0.87, 0]), (3, [0.5, -0.87, 0]), (4, [1, 0, 0])], list(range(5)))


def _ethylenediamine() -> Fragment:
    """Returns ethane-1,2-diamine, bent to bind, its nitrogen atoms first."""
    atoms = np.array([[-1.24, 1.25, 0.645], [-1.24, -1.25, -0.645], [0, 0.765, 0], [0, -0.765, 0]])
    metal = np.array([-2.75, 0.0, 0.0])
    bonds = ((0, metal, atoms[2]), (1, metal, atoms[3]), (2, atoms[0], atoms[3]), (3, atoms[1], atoms[2]))
    sites = [(atom, way) for atom, before, after in bonds
             for way in fragments.tetrahedral_sites(before - atoms[atom], after - atoms[atom])]
    return fragments.group("ethylenediamine", ["N", "N", "C", "C"], atoms.tolist(), sites)


def _oxalate() -> Fragment:
    """Returns oxalate; the oxygen atoms of one side come first."""
    return fragments.group(
        "oxalate", ["O", "O", "C", "C", "O", "O"],
        [[-1.15, 1.31, 0], [-1.15, -1.31, 0], [0, 0.775, 0], [0, -0.775, 0], [1.06, 1.40, 0], [1.06, -1.40, 0]], [],
        [2, 3])
