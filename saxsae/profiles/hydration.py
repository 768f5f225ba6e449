"""Computes scattering profiles of densities of atoms with a shell of bound water (the hydration shell).

1. The excess density of a body is 0.088 e/A^3 times the density of its atoms plus the contrast of the shell times the
   density of its shell (`saxsae.shapes.densities`). 0.088 e/A^3 is the excess of a protein (0.42) over water (0.334).
2. The profile of the excess density is that of any map (`saxsae.profiles.scattering`).
3. The profile is divided by that of the blur and multiplied by that of an atom: the mean atom, or for equal atoms a
   sphere of 17.2 A^3.

For a measured curve each atom has the weight of its own excess electrons (`saxsae.profiles.excess_electrons`); for a
curve that was computed from equal atoms all weights are equal (`equal_atoms`). The contrast is a parameter. D. Svergun,
C. Barberato, M. Koch, J. Appl. Cryst. 28, 768 (1995) use 0.03 e/A^3 for a shell of 3 A around a smooth envelope. Our
shell follows every crevice: with 0.02 it enlarges Rg by 1.1 A in the median of the corpus; 0.5 to 2 A are observed.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from saxsae.profiles import excess_electrons, scattering, zernike
from saxsae.shapes import densities
from saxsae.shapes.densities import ATOM_VOLUME_ANGSTROM3, MARGIN_ANGSTROM

PROTEIN_EXCESS = 0.088  # e/A^3
CONTRASTS = (0.01, 0.02, 0.03)  # contrasts of the shell that are tried for a measured curve, e/A^3
_ATOM_RADIUS_ANGSTROM = (3 * ATOM_VOLUME_ANGSTROM3 / (4 * np.pi)) ** (1 / 3)
_ORDER_PER_X = 1.1  # Zernike order that is needed, over q times the radius of the grid's sphere
_MOST_SHARPENING = 3.0  # largest exponent of the sharpening; beyond it the grid resolves nothing
_TABLE_Q = np.linspace(0, 0.5, 101)  # 1/A
_GROWTH = excess_electrons.mean_growth(_TABLE_Q)


def choose_density_order(q_max: float, r_max: float) -> int:
    """Returns the Zernike order for the densities of bodies up to r_max (A) and q up to q_max (1/A).

    Where no order is high enough, it is the highest; `largest_q` says up to which q that is accurate.
    """
    needed = _ORDER_PER_X * q_max * (r_max + MARGIN_ANGSTROM)
    return next((order for order in scattering.ORDERS if order >= needed), scattering.ORDERS[-1])


def largest_q(r_max: float) -> float:
    """Returns the largest q (1/A) at which the profile of a density up to r_max (A) is accurate."""
    return scattering.ORDERS[-1] / (_ORDER_PER_X * (r_max + MARGIN_ANGSTROM))


def largest_radius(q_max: float) -> float:
    """Returns the largest r_max (A) of a density whose profile is accurate up to q_max (1/A)."""
    return scattering.ORDERS[-1] / (_ORDER_PER_X * q_max) - MARGIN_ANGSTROM


def amplitude_map(atoms: jax.Array, shell: jax.Array, contrast: ArrayLike) -> jax.Array:
    """Returns the excess density (..., 31, 31, 31), e/A^3, of blurred atoms and their blurred shell.

    Args:
      atoms: (..., 31, 31, 31), near 1 inside a protein; weighted by `element_weights` for excess electrons.
      shell: (..., 31, 31, 31), the fraction of a voxel in the shell.
      contrast: () contrast of the shell, e/A^3.
    """
    return PROTEIN_EXCESS * atoms + contrast * shell


def element_weights(atomic_number: np.ndarray) -> np.ndarray:
    """Returns the weights (N,) of atoms (N,) in `densities.atom_density` for the density of their excess electrons."""
    return excess_electrons.excess_electrons(atomic_number) / (PROTEIN_EXCESS * ATOM_VOLUME_ANGSTROM3)


def densities_of_structure(xyz: np.ndarray, atomic_number: np.ndarray, r_max: float) -> np.ndarray:
    """Returns the densities (3, 31, 31, 31) float64 of a structure's atoms, shell and excess electrons.

    Args:
      xyz: (N, 3) positions in A from the centroid.
      atomic_number: (N,).
      r_max: their largest distance from the centroid, A.
    """
    return np.stack([densities.atom_density(xyz, r_max), densities.shell_density(xyz, r_max),
                     densities.atom_density(xyz, r_max, element_weights(atomic_number))])


def sharpening(q_inv_angstrom: jax.Array, r_max: ArrayLike, equal_atoms: ArrayLike) -> jax.Array:
    """Returns the factor (..., Q) that turns the profile of blurred points into that of atoms.

    Args:
      q_inv_angstrom: (..., Q) 1/A.
      r_max: () A, of the structure whose density it is.
      equal_atoms: () bool, whether the points are equal atoms.
    """
    square = q_inv_angstrom**2
    blur = jnp.exp(jnp.minimum(square * densities.blur_variance(densities.density_pitch(r_max)), _MOST_SHARPENING))
    return blur * jnp.where(
        equal_atoms, jnp.exp(-square * _ATOM_RADIUS_ANGSTROM**2 / 5),
        jnp.interp(q_inv_angstrom, _TABLE_Q.astype(np.float32), _GROWTH.astype(np.float32)))


def profile_of_invariants(invariants: jax.Array, q_inv_angstrom: jax.Array, r_max: ArrayLike,
                          equal_atoms: ArrayLike) -> jax.Array:
    """Returns I(q) of a density on any scale.

    Args:
      invariants: (n_max + 1, n_max + 1) from `scattering.shape_invariants`.
      q_inv_angstrom: (Q,) 1/A.
      r_max: () A.
      equal_atoms: () bool, see `sharpening`.

    Returns:
      (Q,) float32.
    """
    b = scattering.radial_transforms(q_inv_angstrom * (r_max + MARGIN_ANGSTROM), invariants.shape[-1] - 1)
    intensity = jnp.sum(jnp.matmul(b, invariants, precision="highest") * b, axis=-1)
    return intensity * sharpening(q_inv_angstrom, r_max, equal_atoms)


def profiles_of_parts(atoms: jax.Array, shell: jax.Array, q_inv_angstrom: jax.Array, r_max: ArrayLike, order: int,
                      equal_atoms: ArrayLike) -> jax.Array:
    """Returns the three profiles that give the profile at any contrast c: P_0 + c P_1 + c^2 P_2.

    Args:
      atoms: (31, 31, 31) see `amplitude_map`.
      shell: (31, 31, 31).
      q_inv_angstrom: (Q,) 1/A.
      r_max: () A.
      order: Zernike order (static).
      equal_atoms: () bool, see `sharpening`.

    Returns:
      (3, Q) float32, relative to the atoms' I(0): P_0(0) = 1.
    """
    parts = jnp.stack([PROTEIN_EXCESS * atoms, shell])
    moments = zernike.moments(parts, order)
    own = scattering.shape_invariants(jnp.concatenate([moments, moments.sum(0)[None]]), order)
    of_atoms, of_shell, of_both = (profile_of_invariants(one, q_inv_angstrom, r_max, equal_atoms) for one in own)
    at_zero = profile_of_invariants(own[0], jnp.zeros(1), r_max, equal_atoms)
    return jnp.stack([of_atoms, of_both - of_atoms - of_shell, of_shell]) / at_zero


def combine_parts(parts: jax.Array, contrast: ArrayLike) -> jax.Array:
    """Returns the profiles (..., Q) at a contrast () of the shell, from `profiles_of_parts` (..., 3, Q)."""
    return parts[..., 0, :] + contrast * (parts[..., 1, :] + contrast * parts[..., 2, :])
