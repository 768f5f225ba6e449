"""Computes the curve of a known structure in water and fits it to a measured curve.

Each element is a density of its own with its own amplitude A(q) (`saxsae.profiles.excess_electrons`), and the shell of
bound water is one more (`saxsae.shapes.densities`). The excluded volumes of the elements are not fitted.

1. `structure_profiles` computes three profiles that give the profile at any contrast of the shell.
2. `fit_structure` fits scale and background at each contrast, and takes the contrast of the lowest chi^2.

Called by `launch.reconstruct --reference`.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from phasenet.errors import InputError
from saxsae.profiles import excess_electrons, fitting, hydration, scattering, zernike
from saxsae.profiles.rebinning import CurveLike, select_points
from saxsae.shapes import densities
from saxsae.shapes.densities import ATOM_VOLUME_ANGSTROM3, MARGIN_ANGSTROM
from saxsae.shapes.voxels import GRID

Q_MAX = 0.3  # 1/A; beyond it the fixed excluded volume and the blurred grid are too coarse
CONTRASTS = tuple(round(0.001 * step, 3) for step in range(41))  # of the shell that are tried, e/A^3
_ELEMENTS = (6, 7, 8, 16)  # each is a class of scatterers; all other elements share one more
_OTHER = 0
_CLASSES = len(_ELEMENTS) + 1
# The grid is made for a body that is larger by this margin, because the blurred shell of a round body would end beyond
# the grid's sphere.
_ROOM_ANGSTROM = 4.0
_FEWEST_POINTS = 5  # points that a fit needs
_TABLE_POINTS = 512  # points of a profile; a fixed number, so that one compiled program serves all curves


class StructureFit(NamedTuple):
    """The curve of a structure, fitted to N points of a measured curve.

    Attributes:
      chi_squared: mean squared residual in standard deviations.
      cormap_p: probability of the longest run of residuals of one sign, see `fitting.cormap_probability`.
      contrast: contrast of the shell of bound water, the best of those tried, e/A^3.
      scale: factor of the computed curve, whose I(0) without the shell is 1.
      background: the fitted constant, in the unit of the curve; 0 if none is fitted.
      q_inv_angstrom: (N,) 1/A.
      intensity: (N,) measured.
      sigma: (N,) standard deviations of the intensities.
      fit: (N,) the fitted curve.
    """

    chi_squared: float
    cormap_p: float
    contrast: float
    scale: float
    background: float
    q_inv_angstrom: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    fit: np.ndarray


def fit_structure(curve: CurveLike, xyz_angstrom: np.ndarray, atomic_number: np.ndarray, q_range: tuple[float, float],
                  *, contrasts: Sequence[float] = CONTRASTS, background: bool = False,
                  scatterer_volume_angstrom3: float | None = None) -> StructureFit:
    """Returns the best fit of a structure's curve to the measured points.

    Args:
      curve: the measured curve.
      xyz_angstrom: (N, 3) positions of heavy atoms or beads, in any frame.
      atomic_number: (N,).
      q_range: smallest and largest q that are fitted, 1/A. The largest is at most `largest_q` of the structure.
      contrasts: contrasts of the shell that are tried, e/A^3; (0,) for no shell.
      background: whether a constant is fitted as well.
      scatterer_volume_angstrom3: volume of one scatterer, if all have equal weight, as beads do; None for atoms with
        the amplitudes of their elements.

    Raises:
      InputError: fewer than five points lie in the range.
    """
    xyz = np.asarray(xyz_angstrom, np.float64)
    xyz = xyz - xyz.mean(0)
    r_max = float(np.sqrt((xyz**2).sum(-1).max()))
    q_max = min(q_range[1], largest_q(r_max))
    q, intensity, sigma = select_points(curve, (q_range[0], q_max))
    if q.size < _FEWEST_POINTS:
        raise InputError(f"only {q.size} points between q = {q_range[0]:.3g} and {q_max:.3g} 1/A, up to which the "
                         f"curve of a structure of r_max {r_max:.0f} A is computed")
    table = np.linspace(0, largest_q(r_max), _TABLE_POINTS)
    parts = structure_profiles(xyz, atomic_number, table, r_max, scatterer_volume_angstrom3)
    of_atoms, mixed, of_shell = (np.interp(q, table, part) for part in parts)
    fits = []
    for contrast in contrasts:
        profile = of_atoms + contrast * (mixed + contrast * of_shell)
        scale, constant = fitting.fit_scale_to_points(profile, intensity, sigma, background)
        fit = scale * profile + constant
        chi_squared = float(np.mean(((intensity - fit) / sigma) ** 2))
        fits.append((chi_squared, float(contrast), scale, constant, fit))
    chi_squared, contrast, scale, constant, fit = min(fits, key=lambda each: each[0])
    residual = fitting.sum_in_bins(q, (intensity - fit) / sigma)
    return StructureFit(chi_squared, fitting.cormap_probability(residual), contrast, scale, constant, q, intensity,
                        sigma, fit)


def largest_q(r_max: float) -> float:
    """Returns the largest q (1/A) up to which the curve of a structure is computed: 0.3, less for an r_max over 111 A.

    Args:
      r_max: largest distance of an atom from the centroid, A.
    """
    return min(Q_MAX, hydration.largest_q(r_max + _ROOM_ANGSTROM))


def structure_profiles(xyz: np.ndarray, atomic_number: np.ndarray, q_inv_angstrom: np.ndarray, r_max: float,
                       scatterer_volume_angstrom3: float | None = None) -> np.ndarray:
    """Returns the three profiles that give the profile at any contrast c of the shell: P_0 + c P_1 + c^2 P_2.

    Args:
      xyz: (N, 3) positions in A from the centroid.
      atomic_number: (N,).
      q_inv_angstrom: (Q,) 1/A, beginning with 0 and ending at most at `largest_q(r_max)`.
      r_max: largest distance from the centroid, A.
      scatterer_volume_angstrom3: see `fit_structure`.

    Returns:
      (3, Q) float64, relative to I(0) without the shell; see `hydration.combine_parts`.
    """
    q = np.asarray(q_inv_angstrom, np.float64)
    radius = r_max + _ROOM_ANGSTROM
    pitch = densities.density_pitch(radius)
    maps, amplitudes = _scatterer_classes(xyz, atomic_number, q, radius, scatterer_volume_angstrom3)
    maps = np.concatenate([maps, densities.shell_density(xyz, radius)[None]])
    blur = float(densities.blur_variance(pitch))
    amplitudes = np.concatenate([amplitudes, _shell_amplitude(q, pitch, blur)[None]])
    order = hydration.choose_density_order(float(q[-1]), radius)
    pairs = np.asarray(_pair_profiles(maps.astype(np.float32), q.astype(np.float32), np.float32(radius), order),
                       np.float64)
    weighted = pairs * amplitudes[:, None] * amplitudes * np.exp(q**2 * blur)
    parts = np.stack([weighted[:-1, :-1].sum((0, 1)), 2 * weighted[:-1, -1].sum(0), weighted[-1, -1]])
    return parts / parts[0, 0]


def names_other_elements(atomic_number: np.ndarray) -> np.ndarray:
    """Returns which atoms (N,) bool have no amplitude of their own, so that a protein's mean atom stands for them."""
    return ~np.isin(atomic_number, _ELEMENTS)


def _shell_amplitude(q: np.ndarray, pitch: float, blur: float) -> np.ndarray:
    """Returns the factor (Q,) that, after the sharpening by exp(q^2 blur / 2), makes the shell one of filled voxels.

    Args:
      q: (Q,) 1/A.
      pitch: of the grid, A.
      blur: variance of the atoms' blur, A^2. The shell's is smaller by that of a voxel, see `densities.shell_density`.
    """
    voxel = pitch**2 / 12
    own = max(densities.BLUR_ANGSTROM**2 - voxel, 0.0)
    return np.exp(-(q**2) * (voxel + blur - own) / 2)


def _scatterer_classes(xyz: np.ndarray, atomic_number: np.ndarray, q: np.ndarray, grid_radius: float,
                       volume: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Returns the densities (K, 31, 31, 31) of K classes of scatterers, and their amplitudes (K, Q) in e/A^3."""
    number = np.where(names_other_elements(atomic_number), _OTHER, atomic_number)
    elements = (*_ELEMENTS, _OTHER)
    amplitudes = np.stack([excess_electrons.amplitude(each, q) for each in elements]) / ATOM_VOLUME_ANGSTROM3
    if volume is not None:
        number = np.full(len(xyz), _OTHER)
        radius = (3 * volume / (4 * np.pi)) ** (1 / 3)
        density = hydration.PROTEIN_EXCESS * volume / ATOM_VOLUME_ANGSTROM3
        amplitudes = np.stack([density * np.exp(-((q * radius) ** 2) / 10)] * _CLASSES)
    empty = np.zeros((GRID, GRID, GRID))
    maps = [densities.atom_density(xyz[number == each], grid_radius) if (number == each).any() else empty
            for each in elements]
    return np.stack(maps), amplitudes


@partial(jax.jit, static_argnames="order")
def _pair_profiles(maps: jax.Array, q_inv_angstrom: jax.Array, grid_radius: ArrayLike, order: int) -> jax.Array:
    """Returns the products of the amplitudes of each two of K maps, averaged over orientations: (K, K, Q).

    Args:
      maps: (K, 31, 31, 31).
      q_inv_angstrom: (Q,) 1/A.
      grid_radius: () A, the r_max of bodies for which the grid is made.
      order: Zernike order (static).
    """
    b = scattering.radial_transforms(q_inv_angstrom * (grid_radius + MARGIN_ANGSTROM), order)

    def profile(moments: jax.Array) -> jax.Array:
        invariants = scattering.shape_invariants(moments, order)
        return jnp.sum(jnp.matmul(b, invariants, precision="highest") * b, axis=-1)

    moments = zernike.moments(maps, order)
    own = jax.lax.map(profile, moments)
    first, second = np.triu_indices(len(maps), 1)
    # |A + B|^2 = |A|^2 + |B|^2 + 2 A B
    crossed = (jax.lax.map(profile, moments[first] + moments[second]) - own[first] - own[second]) / 2
    place = np.arange(len(maps))
    pairs = jnp.zeros((len(maps), len(maps), q_inv_angstrom.size)).at[place, place].set(own)
    return pairs.at[first, second].set(crossed).at[second, first].set(crossed)
