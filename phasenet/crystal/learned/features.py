"""Makes the inputs of the learned iteration: conditions that describe the data, and filters as functions of 1/d.

The filters are Gaussians and spherical shells in Angstrom, at the distances of bonded atoms (1.2 and 1.42), of atoms
two bonds apart (2.45) and of atoms in contact (3.7). So a filter means the same on any lattice and at any resolution.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phasenet.crystal.form_factors import atomic_number
from phasenet.crystal.grids import CrystalGrid
from phasenet.crystal.normalisation import ATOM_WIDTH, UniqueReflections
from phasenet.crystal.phasing import AmplitudeConstraint

_GAUSSIAN_WIDTHS = (0.2, 0.35, 0.55, 0.9, 1.4, 2.2)  # standard deviations, Angstrom
_SHELLS = ((1.2, 0.15), (1.42, 0.15), (2.45, 0.2), (3.7, 0.35))  # radius and standard deviation, Angstrom
NUM_PROFILES = len(_GAUSSIAN_WIDTHS) + len(_SHELLS)
_GAIN_RESOLUTION = 1.4  # Angstrom, the resolution at which a filtered map has the root mean square of the map
_LARGEST_GAIN = 6.0  # wide filters see little but the strong low angles
NUM_CONDITIONS = 6
COMPLETENESS_ROW = 2  # the row of the completeness among the conditions
_LARGEST_CONDITION = 3.0


class LearnedInput(NamedTuple):
    """What the learned iteration works on, for one crystal on a grid (X, Y, Z).

    Attributes:
      constraint: the measured amplitudes.
      profiles: (10, X, Y, Z/2 + 1) float32, transforms of the basis of the filters.
      conditions: (6,) float32, see `scale_conditions`.
    """

    constraint: AmplitudeConstraint
    profiles: jax.Array
    conditions: jax.Array


def describe_crystal(constraint: AmplitudeConstraint, grid: CrystalGrid, unique: UniqueReflections,
                     composition: Mapping[str, float], d_min: float) -> LearnedInput:
    """Returns the input of a measured crystal.

    Args:
      constraint: the sharpened amplitudes on the grid.
      grid: the grid of the crystal.
      unique: the unique reflections.
      composition: atoms of each element in the unit cell; hydrogen is left out.
      d_min: resolution in Angstrom.
    """
    placed = {symbol: count for symbol, count in composition.items() if symbol not in ("H", "D")}
    # A guessed composition names elements of which there may be none.
    present = [symbol for symbol, count in placed.items() if count >= 1] or list(placed)
    numbers = {symbol: atomic_number(symbol) for symbol in present}
    counts = np.array([composition[symbol] for symbol in numbers])
    squares = np.array([float(number) for number in numbers.values()])**2
    inside = (grid.inverse_spacing <= 1 / d_min) & (grid.inverse_spacing > 0)
    conditions = scale_conditions(
        d_min=d_min, volume=float(np.linalg.det(grid.metric_root)), num_atoms=counts.sum(),
        completeness=(grid.measured & inside).sum() / inside.sum(),
        noise=unique.sigma.sum() / np.maximum(unique.intensity, 0.0).sum(),
        contrast=np.sqrt(squares.max() / ((counts * squares).sum() / counts.sum())))
    return LearnedInput(constraint, filter_profiles(jnp.asarray(grid.inverse_spacing, jnp.float32)), conditions)


def scale_conditions(*, d_min: jax.Array | float, volume: jax.Array | float, num_atoms: jax.Array | float,
                     completeness: jax.Array | float, noise: jax.Array | float,
                     contrast: jax.Array | float) -> jax.Array:
    """Returns the conditions (6,) float32, of order 1 and bounded.

    Args:
      d_min: () resolution in Angstrom.
      volume: () of the unit cell, A^3.
      num_atoms: () in the unit cell, without hydrogen.
      completeness: () share of the reflections to `d_min` whose amplitude is known.
      noise: () sum of the standard deviations of the intensities over the sum of the intensities.
      contrast: () atomic number of the heaviest element over the root mean square of all, hydrogen left out.
    """
    raw = (3 * (jnp.asarray(d_min) - 1.4), 4 * jnp.log(jnp.asarray(volume) / num_atoms / 18),
           5 * (1 - jnp.asarray(completeness)), 10 * jnp.asarray(noise) - 0.5, jnp.log(jnp.asarray(contrast)),
           jnp.log(jnp.asarray(num_atoms) / 30))
    stacked = jnp.stack([value.astype(jnp.float32) for value in raw])
    return jnp.clip(stacked, -_LARGEST_CONDITION, _LARGEST_CONDITION)


def filter_profiles(inverse_spacing: jax.Array) -> jax.Array:
    """Returns the basis of the filters (10, X, Y, Z/2 + 1) at 1/d (X, Y, Z/2 + 1), 1/A; 0 at F000, which may drift."""
    profiles = zip(_GAINS, _raw_profiles(inverse_spacing, jnp), strict=True)
    return jnp.stack([jnp.where(inverse_spacing > 0, gain * profile, 0.0) for gain, profile in profiles])


def _raw_profiles(s: Any, xp: Any) -> list[Any]:
    """Returns the transforms of Gaussians and shells of sum 1 at 1/d of any shape; `xp` is numpy or jax.numpy."""
    return [*(xp.exp(-2 * (np.pi * width * s)**2) for width in _GAUSSIAN_WIDTHS),
            *(xp.sinc(2 * radius * s) * xp.exp(-2 * (np.pi * width * s)**2) for radius, width in _SHELLS)]


def _gains() -> tuple[float, ...]:
    """Returns the factors at which filters of point-like atoms have the root mean square of the map."""
    s = np.linspace(0.0, 1.3 / _GAIN_RESOLUTION, 400)
    weight = s**2 * np.exp(-2 * (np.pi * ATOM_WIDTH * _GAIN_RESOLUTION * s)**2)**2
    return tuple(min(float(np.sqrt(weight.sum() / (weight * profile**2).sum())), _LARGEST_GAIN)
                 for profile in _raw_profiles(s, np))


_GAINS = _gains()
