"""Reads made crystals, as `launch.datasets.make_crystals` writes them, and measures them for an evaluation."""

import pathlib

import numpy as np

from phasenet.crystal import symmetry_copies
from phasenet.crystal.lattice import Intensities
from phasenet.crystal.made import arrays, measurement
from phasenet.crystal.made.crystals import MadeCrystal
from phasenet.io.npz import read_npz

_D_MIN = 0.82  # Angstrom; an evaluation cuts the data as it wants
_SEED = 7  # seeds, together with the number of a crystal, the conditions and errors of its measurement


def list_numbers(path: pathlib.Path) -> list[str]:
    """Returns the numbers of the crystals of a file as names, "00000" first.

    Raises:
      InputError: the file cannot be used.
    """
    held = _read(path)
    return [f"{number:05d}" for number in range(len(held["cell"]))]


def measure_made(path: pathlib.Path, number: int) -> tuple[MadeCrystal, Intensities, str, np.ndarray, tuple[str, ...]]:
    """Returns a made crystal and its measurement under conditions that depend on its number alone.

    Args:
      path: file of made crystals.
      number: of the crystal in the file, from 0.

    Returns:
      The crystal, its intensities, the radiation, and all non-hydrogen atoms of its cell: (n, 3) fractional and n
      symbols.

    Raises:
      InputError: the file cannot be used.
    """
    crystal = arrays.unpack(_read(path), number)
    rng = np.random.default_rng((_SEED, number))
    conditions = measurement.draw_conditions(rng, (_D_MIN, _D_MIN))
    reflections = measurement.measure(rng, crystal, conditions)
    positions, owners = symmetry_copies.expand_to_cell(crystal.positions, crystal.operators, crystal.cell)
    return crystal, reflections, conditions.radiation, positions, tuple(crystal.elements[owner] for owner in owners)


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a file of made crystals."""
    return read_npz(path, arrays.NAMES)
