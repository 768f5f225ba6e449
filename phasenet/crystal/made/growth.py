"""Fills a crystal with fragments one after another, so that no two atoms come too near to each other.

The crystal stores the images of its atoms, by all operators in the neighbouring cells, as points. A fragment is added
if its atoms, hydrogens included, keep their shortest distances from these points and from their own images.
"""

from typing import NamedTuple

import numpy as np

from phasenet.crystal import lattice
from phasenet.crystal.lattice import SpaceGroupOperators
from phasenet.crystal.made.chemistry import contacts, fragments
from phasenet.crystal.made.chemistry.fragments import Fragment
from phasenet.crystal.made.special_positions import GENERAL_POSITION, SiteSymmetry

_CHUNK = 4096
_FARTHEST_ATOM = 7.5  # Angstrom, from the atom that binds a fragment to its farthest
_DONORS = ("N", "O")
_SAME_ATOM = 0.05  # Angstrom


class Site(NamedTuple):
    """An open site of an atom in a crystal.

    Attributes:
      number: differs for all sites of a crystal.
      atom: number of the atom.
      direction: (3,) unit vector.
      normal: (3,) unit vector perpendicular to the bonds of the atom, where these lie in a plane.
      hydrogen: number of the hydrogen atom that holds the site, or -1.
    """

    number: int
    atom: int
    direction: np.ndarray
    normal: np.ndarray
    hydrogen: int


class Pose(NamedTuple):
    """Where a fragment is put: an atom at x goes to rotation @ x + shift; (3, 3), and (3,) in Angstrom."""

    rotation: np.ndarray
    shift: np.ndarray


class _Points(NamedTuple):
    """k images of atoms: positions (k, 3), numbers of the atoms (k,), whether they are of the growing molecule (k,)."""

    positions: np.ndarray
    atoms: np.ndarray
    is_own: np.ndarray


class GrowingCrystal:
    """Atoms of the asymmetric unit and the images of all of them.

    Attributes:
      orthogonalization, fractionalization: (3, 3) from fractional coordinates to Angstrom, and back.
      operators: of the space group.
      elements: symbols of n atoms, hydrogen among them.
      positions: n of (3,) Angstrom, the atoms of a molecule beside each other.
      molecules: number of the molecule of each atom.
      is_planar: whether the bonds of an atom lie in a plane.
      alive: False for a hydrogen atom that has given way to a bond.
      sites: the open sites of each molecule.
      site_symmetries: of each molecule.
      limits_between: function that returns the shortest distances between atoms of different molecules.
    """

    def __init__(self, cell: np.ndarray, operators: SpaceGroupOperators, ionic: bool = False) -> None:
        """Starts an empty crystal.

        Args:
          cell: (6,) Angstrom and degrees.
          operators: of the space group.
          ionic: whether its atoms are ions, which come nearer to each other than molecules do.
        """
        self.limits_between = contacts.limits_between_ions if ionic else contacts.limits_between_molecules
        self.orthogonalization = lattice.orthogonalization_matrix(cell)
        self.fractionalization = np.linalg.inv(self.orthogonalization)
        self.operators = operators
        widths = 1 / np.linalg.norm(self.fractionalization, axis=1)
        ranges = [np.arange(-n, n + 1) for n in np.ceil((_FARTHEST_ATOM + contacts.REACH) / widths).astype(int)]
        self._lattice = np.stack(np.meshgrid(*ranges, indexing="ij"), -1).reshape(-1, 3)
        self.elements: list[str] = []
        self.positions: list[np.ndarray] = []
        self.molecules: list[int] = []
        self.is_planar: list[bool] = []
        self.alive: list[bool] = []
        self.sites: list[list[Site]] = []
        self.site_symmetries: list[SiteSymmetry] = []
        self._points = np.zeros((_CHUNK, 3))
        self._atom_of_point = np.zeros(_CHUNK, int)
        self._operator_of_point = np.zeros(_CHUNK, int)
        self._translation_of_point = np.zeros((_CHUNK, 3), int)
        self._num_points = self._num_sites = 0

    def count_heavy(self, molecule: int | None = None) -> int:
        """Returns the number of independent atoms other than hydrogen, of all molecules or of one."""
        return sum(not contacts.is_hydrogen(element) and molecule in (None, owner)
                   for element, owner in zip(self.elements, self.molecules, strict=True))

    def start_molecule(self, symmetry: SiteSymmetry = GENERAL_POSITION) -> int:
        """Returns the number of a new molecule without atoms."""
        self.sites.append([])
        self.site_symmetries.append(symmetry)
        return len(self.sites) - 1

    def find_void(self, rng: np.random.Generator, tries: int = 40) -> np.ndarray:
        """Returns that of `tries` random places, (3,), Angstrom, which is farthest from all atoms."""
        places = rng.random((tries, 3))
        alive = np.flatnonzero(self.alive)
        if not len(alive):
            return self.orthogonalization @ places[0]
        images, _ = self._images(np.array(self.positions)[alive])
        # The nearest image along each edge: exact near an atom, and good enough where it is not.
        difference = images.reshape(-1, 3) - places[:, None]
        vectors = (difference - np.round(difference)) @ self.orthogonalization.T
        return self.orthogonalization @ places[np.square(vectors).sum(-1).min(1).argmax()]

    def find_pose(self, fragment: Fragment, poses: list[Pose], molecule: int, site: Site | None = None,
                  used: int = -1, donors: tuple[int, ...] = ()) -> Pose | None:
        """Returns the first pose in which a fragment fits, or None.

        Args:
          fragment: n atoms.
          poses: in the order of preference.
          molecule: number of the molecule that the fragment is to belong to.
          site: the site that the fragment is to be bound to, if any; the hydrogen atom of the site is ignored.
          used: number of the fragment's own site for this bond; -1 for none.
          donors: atoms of the fragment that are bound instead, without a site of their own.
        """
        binding = [*donors] if used < 0 else [int(fragment.site_atoms[used])]
        elements, local = _with_hydrogens(fragment, used)
        positions = np.stack([local @ pose.rotation.T + pose.shift for pose in poses])
        centre = positions[:, :len(fragment.elements)].mean((0, 1))
        radius = np.linalg.norm(positions - centre, axis=-1).max()
        points = self._points_near(centre, radius + contacts.REACH, molecule, -1 if site is None else site.hydrogen)
        others = [self.elements[atom] for atom in points.atoms]
        limits = self.limits_between(elements, others)
        own = np.flatnonzero(points.is_own)
        if len(own):
            names = [others[point] for point in own]
            limits[:, own] = contacts.limits_within_molecule(elements, names)
            if site is not None:
                self._spare_bonds(limits, own, elements, binding, self.positions[site.atom],
                                  points.atoms[own] == site.atom, points.positions[own], names)
        squared = ((positions[:, :, None] - points.positions)**2).sum(-1)
        fits = (squared > limits**2).all((1, 2))
        for number in np.flatnonzero(fits):
            if self._keeps_from_own_images(elements, positions[number], molecule, binding if site is None else []):
                return poses[number]
        return None

    def place(self, fragment: Fragment, pose: Pose, molecule: int, site: Site | None = None, used: int = -1) -> None:
        """Adds a fragment to a molecule, with hydrogen atoms at its open sites; arguments as of `find_pose`."""
        if site is not None:
            if site.hydrogen >= 0:
                self.alive[site.hydrogen] = False
            self.sites[molecule] = [other for other in self.sites[molecule] if other.number != site.number]
        elements, local = _with_hydrogens(fragment, used)
        first, count = len(self.elements), len(fragment.elements)
        self._add(elements, local @ pose.rotation.T + pose.shift, molecule)
        self.is_planar += [*map(bool, fragment.is_planar), *[False] * (len(elements) - count)]
        hydrogen = first + count
        for number, (atom, way) in enumerate(zip(fragment.site_atoms, fragment.site_directions, strict=True)):
            if number == used:
                continue
            has_hydrogen = fragment.elements[atom] in fragments.HYDROGEN_BONDS
            self.sites[molecule].append(Site(self._num_sites, first + int(atom), pose.rotation @ way,
                                             pose.rotation[:, 2], hydrogen if has_hydrogen else -1))
            self._num_sites += 1
            hydrogen += has_hydrogen

    def _add(self, elements: list[str], positions: np.ndarray, molecule: int) -> None:
        """Adds atoms (n, 3), Angstrom, and their images."""
        first, count = len(self.elements), len(elements)
        self.elements += elements
        self.positions += list(positions)
        self.molecules += [molecule] * count
        self.alive += [True] * count
        images, lowest = self._images(positions)
        wrapped = (images - lowest)[:, :, None] + self._lattice
        start, total = self._num_points, wrapped[..., 0].size
        while start + total > len(self._points):
            self._points = _doubled(self._points)
            self._atom_of_point = _doubled(self._atom_of_point)
            self._operator_of_point = _doubled(self._operator_of_point)
            self._translation_of_point = _doubled(self._translation_of_point)
        place, shape = slice(start, start + total), wrapped.shape[:3]
        self._points[place] = wrapped.reshape(-1, 3) @ self.orthogonalization.T
        self._atom_of_point[place] = np.broadcast_to(np.arange(first, first + count)[None, :, None], shape).ravel()
        self._operator_of_point[place] = np.broadcast_to(np.arange(len(images))[:, None, None], shape).ravel()
        self._translation_of_point[place] = (self._lattice - lowest[:, :, None]).reshape(-1, 3)
        self._num_points += total

    def _images(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns fractional images (operators, n, 3) of positions (n, 3) in Angstrom, and their cells, int."""
        images = np.einsum("mij,nj->mni", self.operators.rotations, positions @ self.fractionalization.T)
        images = images + self.operators.translations[:, None]
        return images, np.floor(images).astype(int)

    def _points_near(self, place: np.ndarray, radius: float, molecule: int, left_out: int) -> _Points:
        """Returns the images of atoms within a radius of a place (3,), one atom's left out."""
        cell = np.floor(self.fractionalization @ place).astype(int)
        offset = self.orthogonalization @ cell
        difference = self._points[:self._num_points] - (place - offset)
        near = np.flatnonzero(np.einsum("ij,ij->i", difference, difference) < radius**2)
        atoms = self._atom_of_point[near]
        if len(near):
            keep = np.array(self.alive)[atoms] & (atoms != left_out)
            near, atoms = near[keep], atoms[keep]
        translations = self._translation_of_point[near] + cell
        own = self.site_symmetries[molecule].contains(self._operator_of_point[near], translations)
        own &= np.array(self.molecules, int)[atoms] == molecule if len(atoms) else own
        return _Points(self._points[near] + offset, atoms, own)

    @staticmethod
    def _spare_bonds(limits: np.ndarray, columns: np.ndarray, elements: list[str], binding: list[int],
                     place: np.ndarray, joined: np.ndarray, positions: np.ndarray, names: list[str]) -> None:
        """Lowers limits, in place, about a new bond.

        Args:
          limits: (n, k) shortest distances between new atoms and points.
          columns: (c,) points of the own molecule.
          elements: n symbols.
          binding: new atoms that are bound.
          place: (3,) of the atom that they are bound to.
          joined: (c,) which of the points are this atom.
          positions: (c, 3) of the points.
          names: c symbols.
        """
        near = contacts.limits_within_molecule(elements, names, two_bonds=True)
        beside = np.linalg.norm(positions - place, axis=1) < contacts.longest_bonds_to(names, names[joined.argmax()])
        limits[:, columns[joined]] = near[:, joined]
        rows = np.array(binding, int)[:, None]
        limits[rows, columns[beside]] = near[rows, np.flatnonzero(beside)]
        limits[rows, columns[joined]] = 0.0

    def _keeps_from_own_images(self, elements: list[str], positions: np.ndarray, molecule: int,
                               binding: list[int]) -> bool:
        """Returns whether atoms (n, 3) in Angstrom keep their distances from their own images.

        Args:
          elements: n symbols.
          positions: of the atoms.
          molecule: of the atoms.
          binding: atoms that are bound to their own images.
        """
        centre = positions.mean(0)
        cell = np.floor(self.fractionalization @ centre).astype(int)
        images, lowest = self._images(positions)
        moved = (images - lowest)[:, :, None] + self._lattice + cell
        points = moved.reshape(-1, 3) @ self.orthogonalization.T
        radius = np.linalg.norm(positions - centre, axis=-1).max() + contacts.REACH
        difference = points - centre
        near = np.flatnonzero(np.einsum("ij,ij->i", difference, difference) < radius**2)
        operator, atom, shift = np.unravel_index(near, moved.shape[:3])
        translations = self._lattice[shift] + cell - lowest[operator, atom]
        identical = (operator == 0) & (translations == 0).all(1)
        near, operator, atom, translations = (x[~identical] for x in (near, operator, atom, translations))
        own = self.site_symmetries[molecule].contains(operator, translations)
        limits = self.limits_between(elements, elements)[:, atom]
        if own.any():
            columns, names = np.flatnonzero(own), [elements[number] for number in atom[own]]
            limits[:, columns] = contacts.limits_within_molecule(elements, elements)[:, atom[own]]
            for number in binding:
                at_bond = atom[own] == number
                for place in points[near][own][at_bond]:
                    self._spare_bonds(limits, columns, elements, binding, place, at_bond, points[near][own], names)
        squared = ((positions[:, None] - points[near])**2).sum(-1)
        # An atom on a special position is its own image.
        itself = own & (squared[atom, np.arange(len(atom))] < _SAME_ATOM**2)
        return bool((squared[:, ~itself] > limits[:, ~itself] ** 2).all())


def _with_hydrogens(fragment: Fragment, used: int) -> tuple[list[str], np.ndarray]:
    """Returns symbols and positions (n + h, 3), Angstrom, of n atoms and the h hydrogen atoms of their open sites."""
    elements, positions = list(fragment.elements), [*fragment.positions]
    for number, (atom, direction) in enumerate(zip(fragment.site_atoms, fragment.site_directions, strict=True)):
        carrier = fragment.elements[atom]
        if number != used and carrier in fragments.HYDROGEN_BONDS:
            elements.append(contacts.POLAR_HYDROGEN if carrier in _DONORS else "H")
            positions.append(fragment.positions[atom] + fragments.HYDROGEN_BONDS[carrier] * direction)
    return elements, np.array(positions)


def _doubled(array: np.ndarray) -> np.ndarray:
    """Returns an array with as many rows of zeros added."""
    return np.concatenate([array, np.zeros_like(array)])
