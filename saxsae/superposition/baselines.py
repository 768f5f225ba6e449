"""Computes the baselines of a reconstruction: a sphere, and ellipsoids fitted to the curve or to the true structure.

The maps have 31^3 voxels and are blurred to the resolution of the truth (`saxsae.superposition.metrics`). Without the
blur a baseline would lose 0.03 to 0.05 of the correlation and be too easy to beat. Called by `launch.evaluate`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from saxsae.profiles import scattering
from saxsae.shapes import densities, voxels
from saxsae.shapes.voxels import CENTRE, GRID
from saxsae.superposition.metrics import TRUTH_SIGMA_ANGSTROM

_COSINES, _ANGLES = 24, 16  # polar cosines and azimuths in one octant, over which a profile is averaged
_STEPS = 40  # number of Levenberg-Marquardt steps
# Relative semi-axes from which the fit starts; each start is scaled to the radius of gyration.
_STARTS = ((1, 1, 1), (1.6, 1, 1), (3, 1, 1), (6, 1, 1), (1, 1, 0.5), (1, 1, 0.2),
           (2, 1, 0.5), (4, 2, 1))


class EllipsoidFit(NamedTuple):
    """The ellipsoid whose profile fits a curve best.

    Attributes:
      semi_axes: (3,) A, descending.
      chi_squared: () chi^2 with the fitted scale, see `scattering.chi_squared`.
      profile: (Q,) profile of the ellipsoid, scaled to the curve.
    """

    semi_axes: jax.Array
    chi_squared: jax.Array
    profile: jax.Array


def ellipsoid_map(semi_axes_angstrom: ArrayLike, sigma_angstrom: float = TRUTH_SIGMA_ANGSTROM,
                  ) -> tuple[np.ndarray, float]:
    """Returns the blurred map of a solid ellipsoid whose axes lie along those of the grid.

    Args:
      semi_axes_angstrom: (3,) A.
      sigma_angstrom: standard deviation of the Gaussian blur, A; 0 for no blur. Before the blur, the value of a voxel
        is about the fraction of its volume inside the ellipsoid.

    Returns:
      (31, 31, 31) float32, centred on voxel 15; and its pitch in A, for which the grid contains the blurred ellipsoid.
    """
    axes = np.asarray(semi_axes_angstrom, np.float64)
    h = max(float(voxels.pitch(axes.max())), (axes.max() + 3 * sigma_angstrom) / CENTRE)
    position = (np.moveaxis(np.indices((GRID,) * 3), 0, -1) - CENTRE) * h
    level = np.linalg.norm(position / axes, axis=-1)
    slope = np.linalg.norm(position / axes**2, axis=-1)
    depth = np.where(slope > 0, level * (1 - level) / np.where(slope > 0, slope, 1.0), axes.min())
    density = np.clip(0.5 + depth / h, 0.0, 1.0)
    density = densities.blur(density, h, sigma_angstrom**2)
    return density.astype(np.float32), h


def sphere_map(rg_angstrom: float, sigma_angstrom: float = TRUTH_SIGMA_ANGSTROM) -> tuple[np.ndarray, float]:
    """Returns what `ellipsoid_map` does, for the solid sphere of a given radius of gyration (A)."""
    return ellipsoid_map([np.sqrt(5 / 3) * rg_angstrom] * 3, sigma_angstrom)


def inertia_semi_axes(xyz_angstrom: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the semi-axes of the solid ellipsoid that has the same inertia as a structure.

    Args:
      xyz_angstrom: (N, 3) positions of atoms or beads.
      weights: (N,) weights of the atoms or beads, any unit.

    Returns:
      (3,) float64, A, descending; each at least 1.1 A, so that a flat structure has a volume.
    """
    weights = np.asarray(weights, np.float64) / np.sum(weights, dtype=np.float64)
    centred = xyz_angstrom - weights @ xyz_angstrom
    variances = np.linalg.eigvalsh((centred * weights[:, None]).T @ centred)
    return np.sqrt(5 * np.maximum(variances[::-1], 0.25))


def ellipsoid_profile(semi_axes_angstrom: jax.Array, q_inv_angstrom: jax.Array) -> jax.Array:
    """Returns I(q) of a solid ellipsoid, averaged over orientations.

    Args:
      semi_axes_angstrom: (3,) A.
      q_inv_angstrom: (Q,) 1/A.

    Returns:
      (Q,) float32; I(0) = 1.
    """
    nodes, node_weights = np.polynomial.legendre.leggauss(_COSINES)
    cosine, node_weights = ((nodes + 1) / 2)[:, None], node_weights[:, None] / (2 * _ANGLES)
    phi = (np.arange(_ANGLES) + 0.5) * np.pi / (2 * _ANGLES)
    sine = np.sqrt(1 - cosine**2)
    directions = np.stack([sine * np.cos(phi), sine * np.sin(phi), cosine + 0 * phi], -1)
    squares = jnp.asarray(directions.reshape(-1, 3) ** 2, jnp.float32)
    x = q_inv_angstrom[:, None] * jnp.sqrt(squares @ semi_axes_angstrom**2)
    near = x < 1.0
    far_x, near_x = jnp.where(near, 1.0, x), jnp.where(near, x, 0.0) ** 2
    far = 3 * (jnp.sin(far_x) - far_x * jnp.cos(far_x)) / far_x**3
    series = 1 - near_x / 10 * (1 - near_x / 28 * (1 - near_x / 54 * (1 - near_x / 88)))
    weights = jnp.asarray((node_weights + 0 * phi).reshape(-1), jnp.float32)
    return jnp.where(near, series, far) ** 2 @ weights


@jax.jit
def fit_ellipsoid(q_inv_angstrom: jax.Array, intensity: jax.Array, weight: jax.Array,
                  rg_angstrom: jax.Array) -> EllipsoidFit:
    """Returns the ellipsoid that fits a curve best, by Levenberg-Marquardt least squares from several starts.

    Args:
      q_inv_angstrom: (Q,) 1/A.
      intensity: (Q,), any unit.
      weight: (Q,) 1 / sigma^2; zero excludes a point.
      rg_angstrom: () approximate radius of gyration, which scales the starts.
    """
    root = jnp.sqrt(weight / jnp.maximum(jnp.max(weight), 1e-30))
    observed = jnp.where(weight > 0, intensity, 0.0)
    observed = observed / jnp.maximum(jnp.max(jnp.abs(observed)), 1e-30)

    def residual(log_axes):
        model = ellipsoid_profile(jnp.exp(log_axes), q_inv_angstrom)
        scale, _ = scattering.fit_scale(model, observed, weight)
        return root * (observed - scale * model)

    def body_fun(_, carry):  # one step of Levenberg and Marquardt
        log_axes, damping = carry
        current, jacobian = residual(log_axes), jax.jacfwd(residual)(log_axes)
        curvature = jacobian.T @ jacobian
        ridge = jnp.diag(damping * jnp.diag(curvature) + 1e-6 * jnp.trace(curvature) + 1e-30)
        step = jnp.clip(jnp.linalg.solve(curvature + ridge, jacobian.T @ current), -0.5, 0.5)
        trial = jnp.clip(log_axes - step, jnp.log(0.05 * rg_angstrom), jnp.log(5 * rg_angstrom))
        better = jnp.sum(residual(trial) ** 2) < jnp.sum(current**2)
        return jnp.where(better, trial, log_axes), jnp.where(better, 0.3, 4.0) * damping

    starts = np.array(_STARTS) / np.linalg.norm(_STARTS, axis=1, keepdims=True) * np.sqrt(5.0)
    starts = jnp.log(jnp.asarray(starts, jnp.float32) * rg_angstrom)
    found = jax.lax.map(
        lambda start: jax.lax.fori_loop(0, _STEPS, body_fun, (start, jnp.float32(0.1)))[0], starts)
    misfit = jax.lax.map(lambda log_axes: jnp.sum(residual(log_axes) ** 2), found)
    axes = jnp.sort(jnp.exp(found[jnp.argmin(misfit)]))[::-1]
    model = ellipsoid_profile(axes, q_inv_angstrom)
    scale, _ = scattering.fit_scale(model, intensity, weight)
    return EllipsoidFit(axes, scattering.chi_squared(model, intensity, weight), scale * model)
