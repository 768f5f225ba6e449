"""Pieces of molecules with ideal geometry, from which `growth` puts molecules together.

A fragment has open sites: directions in which an atom binds one more atom. Two fragments are joined by a site of each;
a site that stays open carries a hydrogen atom. Bond lengths are the usual ones of the International Tables C, 9.5.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Half of a single bond, Angstrom; carbon by whether its bonds lie in a plane.
_RADII = {"C": 0.765, "N": 0.70, "O": 0.66, "F": 0.60, "Si": 1.11, "P": 1.08, "S": 1.04, "Cl": 1.00, "Br": 1.17,
          "I": 1.36, "B": 0.82}
_PLANAR_CARBON_RADIUS = 0.74
# A planar carbon atom draws nitrogen and oxygen nearer: anilines, amides, phenols, esters.
_CONJUGATED_SHORTENING = {"N": 0.06, "O": 0.04}
_RING_BONDS = {"CC": 1.39, "CN": 1.345, "CO": 1.37, "CS": 1.72, "NN": 1.34, "NO": 1.40, "NS": 1.65}
_SATURATED_BONDS = {"CC": 1.525, "CN": 1.465, "CO": 1.425, "CS": 1.81}
_DOUBLE_BONDS = {"C": 1.22, "S": 1.435, "P": 1.49}
HYDROGEN_BONDS = {"C": 0.98, "N": 0.92, "O": 0.90, "B": 1.10, "S": 1.25, "P": 1.35, "Si": 1.45}


class Fragment(NamedTuple):
    """A piece of a molecule: n atoms and m open sites.

    Attributes:
      name: what chemists call it.
      elements: n symbols.
      positions: (n, 3) Angstrom.
      is_planar: (n,) bool, whether the bonds of an atom lie in a plane.
      site_atoms: (m,) int, the atom of each open site.
      site_directions: (m, 3) unit vectors.
    """

    name: str
    elements: tuple[str, ...]
    positions: np.ndarray
    is_planar: np.ndarray
    site_atoms: np.ndarray
    site_directions: np.ndarray


def bond_length(element: str, is_planar: bool, other: str, other_is_planar: bool) -> float:
    """Returns the length of a single bond in Angstrom."""
    length = bond_radius(element, is_planar) + bond_radius(other, other_is_planar)
    if element == "C" and is_planar:
        length -= _CONJUGATED_SHORTENING.get(other, 0.0)
    if other == "C" and other_is_planar:
        length -= _CONJUGATED_SHORTENING.get(element, 0.0)
    return length


def bond_radius(element: str, is_planar: bool) -> float:
    """Returns half of the length of a single bond in Angstrom."""
    return _PLANAR_CARBON_RADIUS if element == "C" and is_planar else _RADII[element]


def can_bond(element: str, other: str) -> bool:
    """Returns whether a single bond between two elements is usual."""
    pair = {element, other}
    return "C" in pair or pair in ({"N", "S"}, {"O", "P"}, {"O", "B"}, {"O", "Si"})


@functools.cache
def organic_fragments() -> tuple[tuple[Fragment, ...], np.ndarray]:
    """Returns the fragments of organic chemistry and their probabilities, (number of fragments,)."""
    weighted = [*_rings(), *_chains(), *_end_groups()]
    weights = np.array([weight for weight, _ in weighted])
    return tuple(fragment for _, fragment in weighted), weights / weights.sum()


@functools.cache
def solvents() -> tuple[tuple[Fragment, ...], np.ndarray]:
    """Returns molecules that crystals hold beside the main one, and their probabilities, (number,)."""
    four, three = tetrahedron(), trigon()
    methyl = [(0, way) for way in four[1:]]
    weighted = [
        (8.0, group("water", ["O"], [[0, 0, 0]], [(0, four[0]), (0, four[1])])),
        (2.0, group("methanol", ["C", "O"], [[0, 0, 0], 1.425 * four[0]], [*methyl, (1, [0.94, 0, 0.34])])),
        (1.5, group("dichloromethane", ["C", "Cl", "Cl"], [[0, 0, 0], *(1.765 * four[:2])],
                    [(0, four[2]), (0, four[3])])),
        (0.7, group("chloroform", ["C", "Cl", "Cl", "Cl"], [[0, 0, 0], *(1.76 * four[1:])], [(0, four[0])])),
        (1.5, group("acetonitrile", ["C", "C", "N"], [[0, 0, 0], [0, 0, 1.46], [0, 0, 2.605]], methyl, [1])),
        (0.7, group("acetone", ["C", "C", "C", "O"], [[0, 0, 0], 1.50 * three[1], 1.50 * three[2], 1.215 * three[0]],
                    [(atom, way) for atom, side in ((1, 1), (2, -1))
                     for way in ([0.33, 0.94 * side, 0], [-0.75, 0.1 * side, 0.75], [-0.75, 0.1 * side, -0.75])], [0])),
        (0.5, planar_ring("benzene", "CCCCCC")), (0.7, saturated_ring("tetrahydrofuran", "OCCCC")),
    ]
    weights = np.array([weight for weight, _ in weighted])
    return tuple(fragment for _, fragment in weighted), weights / weights.sum()


@functools.cache
def counter_ions() -> tuple[tuple[Fragment, ...], np.ndarray]:
    """Returns small anions, and their probabilities, (number,)."""
    four, three = tetrahedron(), trigon()
    six = np.concatenate([np.eye(3), -np.eye(3)])
    weighted = [
        *((weight, group(symbol, [symbol], [[0, 0, 0]], []))
          for symbol, weight in {"Cl": 5.0, "Br": 2.0, "I": 1.2}.items()),
        *((weight, group(name, [centre, *[outer] * len(ways)], [[0, 0, 0], *(length * ways)], []))
          for weight, name, centre, outer, length, ways in (
              (2.5, "perchlorate", "Cl", "O", 1.43, four), (2.0, "hexafluorophosphate", "P", "F", 1.585, six),
              (1.5, "tetrafluoroborate", "B", "F", 1.385, four), (1.5, "nitrate", "N", "O", 1.245, three),
              (0.8, "sulfate", "S", "O", 1.475, four), (0.4, "phosphate", "P", "O", 1.54, four))),
        (0.8, group("triflate", ["S", "O", "O", "O", "C", "F", "F", "F"],
                    [[0, 0, 0], *(1.44 * four[1:]), 1.82 * four[0], *(1.82 * four[0] + 1.33 * -four[1:])], [])),
    ]
    weights = np.array([weight for weight, _ in weighted])
    return tuple(fragment for _, fragment in weighted), weights / weights.sum()


def planar_ring(name: str, *rings: str) -> Fragment:
    """Returns an aromatic ring, or two or three that share edges.

    Args:
      name: of the fragment.
      *rings: letters, one for each atom. C is carbon with a site, K carbon with a doubly bound oxygen, J carbon without
        either; N is nitrogen with a site; n, O and S are nitrogen, oxygen and sulfur without one. A further ring shares
        its first two atoms: its first two letters are digits, the numbers of two neighbours among the atoms so far.
        Indole is "JJCCCC", "10NCC": the five-membered ring shares atoms 1 and 0 of the other.
    """
    letters = list(rings[0])
    positions = _polygon(letters)
    members = [list(range(len(letters)))]
    for ring in rings[1:]:
        first, second = int(ring[0]), int(ring[1])
        corners = [letters[first], letters[second], *ring[2:]]
        polygon = _polygon(corners)
        away = np.mean([positions[number] for number in members[-1]], 0)
        start, end = positions[first], positions[second]
        along, own = _unit(end - start), _unit(polygon[1] - polygon[0])
        outward, inward = start - away, polygon.mean(0) - polygon[0]
        outward, inward = _unit(outward - along * (outward @ along)), _unit(inward - own * (inward @ own))
        moved = (polygon - polygon[0]) @ np.stack([own, inward], 1) @ np.stack([along, outward]) + start
        members.append([first, second, *range(len(letters), len(letters) + len(ring) - 2)])
        letters += ring[2:]
        positions = np.concatenate([positions, moved[2:]])
    bonds = {frozenset((ring[number], ring[number - 1])) for ring in members for number in range(len(ring))}
    outward = np.zeros_like(positions)
    for atom, other in itertools.chain.from_iterable(itertools.permutations(bond) for bond in bonds):
        outward[atom] -= _unit(positions[other] - positions[atom])
    return _finish(name, letters, positions, [[_unit(direction)] for direction in outward], planar=True)


def saturated_ring(name: str, letters: str) -> Fragment:
    """Returns a chair of six atoms or an envelope of five.

    Args:
      name: of the fragment.
      letters: one for each atom: C with two sites; N with one; K, a carbon atom with a doubly bound oxygen; O, S.
    """
    size = len(letters)
    angle = 2 * np.pi * np.arange(size) / size
    heights = 0.25 * (-1.0) ** np.arange(size) if size == 6 else np.array([0.45, 0.0, 0.0, 0.0, 0.0])
    positions = np.stack([1.45 * np.cos(angle), 1.45 * np.sin(angle), heights], 1)
    lengths = np.array([_ring_bond(_SATURATED_BONDS, letters[k], letters[(k + 1) % size]) for k in range(size)])
    across = 0.5 * (lengths + np.roll(lengths, -1)) * 2 * np.sin(np.deg2rad(110.5 if size == 6 else 103.5) / 2)
    positions = _settle(positions, lengths, across)
    directions = []
    for k in range(size):
        both = tetrahedral_sites(positions[k - 1] - positions[k], positions[(k + 1) % size] - positions[k])
        equatorial_first = sorted(both, key=lambda way: abs(way[2]))
        directions.append(equatorial_first if letters[k] != "K" else [_unit(both[0] + both[1])])
    return _finish(name, list(letters), positions, directions, planar=False)


def group(name: str, elements: Sequence[str], positions: Sequence[Sequence[float] | np.ndarray],
          sites: Sequence[tuple[int, Sequence[float] | np.ndarray]], planar: Sequence[int] = ()) -> Fragment:
    """Returns a fragment from its atoms.

    Args:
      name: of the fragment.
      elements: n symbols.
      positions: (n, 3) Angstrom.
      sites: the atom and the direction, of any length, of each open site.
      planar: numbers of the atoms whose bonds lie in a plane.
    """
    is_planar = np.zeros(len(elements), bool)
    is_planar[list(planar)] = True
    return Fragment(name, tuple(elements), np.array(positions, float).reshape(-1, 3), is_planar,
                    np.array([atom for atom, _ in sites], int),
                    np.array([_unit(np.array(way, float)) for _, way in sites]).reshape(-1, 3))


def tetrahedron() -> np.ndarray:
    """Returns the four unit vectors (4, 3) of a tetrahedron, the first along z."""
    angles = 2 * np.pi * np.arange(3) / 3
    base = np.stack([np.cos(angles) * np.sqrt(8) / 3, np.sin(angles) * np.sqrt(8) / 3, np.full(3, -1 / 3)], 1)
    return np.concatenate([[[0.0, 0.0, 1.0]], base])


def tetrahedral_sites(before: np.ndarray, after: np.ndarray) -> list[np.ndarray]:
    """Returns the two free directions (3,) of a tetrahedral atom with bonds along two vectors (3,)."""
    first, second = _unit(before), _unit(after)
    bisector, normal = -_unit(first + second), _unit(np.cross(first, second))
    sine, cosine = np.sin(np.deg2rad(54.7)), np.cos(np.deg2rad(54.7))
    return [bisector * cosine + normal * sine, bisector * cosine - normal * sine]


def trigon(opening_degrees: float = 120.0) -> np.ndarray:
    """Returns three unit vectors (3, 3) in the plane of x and y; the second and third enclose an angle about -x."""
    half = np.deg2rad(opening_degrees) / 2
    return np.array([[1.0, 0, 0], [-np.cos(half), np.sin(half), 0], [-np.cos(half), -np.sin(half), 0]])


def _rings() -> list[tuple[float, Fragment]]:
    """Returns rings with weights."""
    return [
        (24.0, planar_ring("benzene", "CCCCCC")), (3.0, planar_ring("pyridine", "nCCCCC")),
        (0.7, planar_ring("pyrimidine", "nCnCCC")), (0.4, planar_ring("pyrazine", "nCCnCC")),
        (0.9, planar_ring("imidazole", "NCnCC")), (0.7, planar_ring("pyrazole", "NnCCC")),
        (0.5, planar_ring("triazole", "NnnCC")), (0.5, planar_ring("pyrrole", "NCCCC")),
        (0.5, planar_ring("furan", "OCCCC")), (0.7, planar_ring("thiophene", "SCCCC")),
        (0.4, planar_ring("thiazole", "SCnCC")), (0.3, planar_ring("oxadiazole", "OCnnC")),
        (0.5, planar_ring("uracil", "NKNKCC")), (0.3, planar_ring("quinone", "KCCKCC")),
        (1.0, planar_ring("naphthalene", "JJCCCC", "10CCCC")), (0.8, planar_ring("indole", "JJCCCC", "10NCC")),
        (0.5, planar_ring("quinoline", "JJCCCC", "10nCCC")), (0.4, planar_ring("purine", "JJnCnC", "10NCn")),
        (0.5, planar_ring("phthalimide", "JJCCCC", "10KNK")), (0.3, planar_ring("benzimidazole", "JJCCCC", "10NCn")),
        (0.3, planar_ring("anthracene", "JJCCJJ", "10CCCC", "45CCCC")),
        (2.2, saturated_ring("cyclohexane", "CCCCCC")), (1.0, saturated_ring("piperidine", "NCCCCC")),
        (0.5, saturated_ring("morpholine", "OCCNCC")), (0.5, saturated_ring("piperazine", "NCCNCC")),
        (1.5, saturated_ring("pyranose", "OCCCCC")), (0.4, saturated_ring("dioxane", "OCCOCC")),
        (0.8, saturated_ring("cyclopentane", "CCCCC")), (0.7, saturated_ring("pyrrolidine", "NCCCC")),
        (0.6, saturated_ring("furanose", "OCCCC")), (0.3, saturated_ring("thiolane", "SCCCC")),
        (0.5, saturated_ring("lactam", "NKCCC")),
    ]


def _chains() -> list[tuple[float, Fragment]]:
    """Returns pieces that lead on, with weights."""
    four, three = tetrahedron(), trigon()
    bent = [(0, four[0]), (0, four[1])]
    angle_of_n = trigon(114.0)
    return [
        (21.0, group("carbon, tetrahedral", ["C"], [[0, 0, 0]], [(0, way) for way in four])),
        (3.8, group("amine, planar", ["N"], [[0, 0, 0]], [(0, way) for way in three], [0])),
        (2.0, group("amine, pyramidal", ["N"], [[0, 0, 0]], [(0, way) for way in four[:3]])),
        (6.5, group("oxygen", ["O"], [[0, 0, 0]], bent)),
        (1.0, group("sulfide", ["S"], [[0, 0, 0]], [(0, [0.77, 0.64, 0]), (0, [-0.77, 0.64, 0])])),
        (4.5, group("carbonyl", ["C", "O"], [[0, 0, 0], [-1.225, 0, 0]],
                    [(0, [0.5, 0.87, 0]), (0, [0.5, -0.87, 0])], [0])),
        (2.2, group("ethene", ["C", "C"], [[0.665, 0, 0], [-0.665, 0, 0]],
                    [(0, [0.5, 0.87, 0]), (0, [0.5, -0.87, 0]), (1, [-0.5, 0.87, 0]), (1, [-0.5, -0.87, 0])], [0, 1])),
        (0.7, group("imine", ["C", "N"], [[0.64, 0, 0], [-0.64, 0, 0]],
                    [(0, [0.5, 0.87, 0]), (0, [0.5, -0.87, 0]), (1, [-0.47, -0.88, 0])], [0, 1])),
        (0.3, group("azo", ["N", "N"], [[0.625, 0, 0], [-0.625, 0, 0]], [(0, -angle_of_n[1]), (1, angle_of_n[1])],
                    [0, 1])),
        (0.4, group("ethyne", ["C", "C"], [[0.595, 0, 0], [-0.595, 0, 0]], [(0, [1, 0, 0]), (1, [-1, 0, 0])], [0, 1])),
        (0.8, group("sulfonyl", ["S", "O", "O"], [[0, 0, 0], *(1.435 * four[2:])], [(0, four[0]), (0, four[1])])),
        (0.3, group("phosphoryl", ["P", "O"], [[0, 0, 0], 1.485 * four[3]], [(0, way) for way in four[:3]])),
        (0.15, group("silane", ["Si"], [[0, 0, 0]], [(0, way) for way in four])),
    ]


def _end_groups() -> list[tuple[float, Fragment]]:
    """Returns pieces that end a chain, with weights."""
    four, three = tetrahedron(), trigon()
    halogens = {"F": 1.6, "Cl": 1.6, "Br": 0.8, "I": 0.25}
    return [
        *((weight, group(symbol, [symbol], [[0, 0, 0]], [(0, [1, 0, 0])])) for symbol, weight in halogens.items()),
        (1.3, group("carboxyl", ["C", "O", "O"], [[0, 0, 0], 1.21 * three[1], 1.315 * three[2]],
                    [(0, three[0]), (2, [0.35, -0.94, 0])], [0])),
        (0.7, group("carboxylate", ["C", "O", "O"], [[0, 0, 0], *(1.25 * trigon(125.0)[1:])], [(0, three[0])], [0])),
        (1.3, group("nitro", ["N", "O", "O"], [[0, 0, 0], *(1.22 * trigon(124.0)[1:])], [(0, three[0])], [0])),
        (0.9, group("nitrile", ["C", "N"], [[0, 0, 0], [-1.145, 0, 0]], [(0, [1, 0, 0])], [0])),
        (0.6, group("trifluoromethyl", ["C", "F", "F", "F"], [[0, 0, 0], *(1.335 * four[1:])], [(0, four[0])])),
        (0.25, group("sulfonate", ["S", "O", "O", "O"], [[0, 0, 0], *(1.455 * four[1:])], [(0, four[0])])),
        (0.15, group("boronic acid", ["B", "O", "O"], [[0, 0, 0], *(1.365 * three[1:])],
                     [(0, three[0]), (1, [0.4, 0.92, 0]), (2, [0.4, -0.92, 0])], [0])),
    ]


def _finish(name: str, letters: list[str], positions: np.ndarray, directions: list[list[np.ndarray]],
            planar: bool) -> Fragment:
    """Adds doubly bound oxygen atoms of a ring and lists its open sites: as many of the directions as a letter has."""
    open_sites = {"C": 1 if planar else 2, "N": 1}
    elements = ["C" if letter in "KJ" else letter.upper() for letter in letters]
    is_planar = [planar or letter == "K" for letter in letters]
    oxygens, sites = [], []
    for number, letter in enumerate(letters):
        if letter == "K":
            oxygens.append(positions[number] + 1.22 * directions[number][0])
        sites += [(number, way) for way in directions[number][:open_sites.get(letter, 0)]]
    return Fragment(name, (*elements, *["O"] * len(oxygens)), np.concatenate([positions, *[[x] for x in oxygens]]),
                    np.array([*is_planar, *[False] * len(oxygens)]), np.array([atom for atom, _ in sites], int),
                    np.array([way for _, way in sites]).reshape(-1, 3))


def _ring_bond(table: dict[str, float], letter: str, other: str) -> float:
    """Returns the length of the bond between two atoms of a ring by their letters."""
    pair = sorted("C" if each in "KJ" else each.upper() for each in (letter, other))
    length = table["".join(pair)]
    # A carbonyl group beside a carbon atom interrupts the conjugation.
    return length + 0.07 if table is _RING_BONDS and pair == ["C", "C"] and "K" in (letter, other) else length


def _polygon(letters: Sequence[str]) -> np.ndarray:
    """Returns corners (k, 3) on a circle whose sides have the lengths of a ring's bonds."""
    sides = np.array([_ring_bond(_RING_BONDS, letters[k], letters[(k + 1) % len(letters)])
                      for k in range(len(letters))])
    low, high = sides.max() / 2, sides.sum()
    for _ in range(60):
        radius = (low + high) / 2
        low, high = (radius, high) if 2 * np.arcsin(sides / (2 * radius)).sum() > 2 * np.pi else (low, radius)
    angles = np.concatenate([[0.0], np.cumsum(2 * np.arcsin(sides / (2 * radius)))[:-1]])
    return radius * np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], 1)


def _settle(positions: np.ndarray, lengths: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Moves the atoms of a ring (k, 3) until bonds and distances over one atom have the lengths given, (k,) each."""
    size = len(positions)
    first = np.concatenate([np.arange(size), np.arange(size)])
    second = np.concatenate([np.arange(1, size + 1), np.arange(2, size + 2)]) % size
    wanted = np.concatenate([lengths, across])
    for _ in range(200):
        difference = positions[second] - positions[first]
        length = np.linalg.norm(difference, axis=1)
        step = 0.2 * difference * (1 - wanted / length)[:, None]
        positions = positions.copy()
        np.add.at(positions, first, step)
        np.add.at(positions, second, -step)
    return positions - positions.mean(0)


def _unit(vector: np.ndarray) -> np.ndarray:
    """Returns a vector (3,) of length 1."""
    return vector / np.linalg.norm(vector)
