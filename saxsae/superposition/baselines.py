"""What any reconstruction must beat: a sphere, and ellipsoids fitted to the curve or to the answer.

Their maps are 31^3 and blurred to the resolution of the truth they are compared with.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saxsae.profiles import scattering
from saxsae.shapes import voxels
from saxsae.shapes.voxels import CENTRE, GRID
from saxsae.superposition.metrics import TRUTH_SIGMA_ANGSTROM

_COSINES, _ANGLES = 24, 16  # orientations of the average, in one octant
_STEPS = 40
# Semi-axes of the starts, before they are scaled to the radius of gyration.
_STARTS = ((1, 1, 1), (1.6, 1, 1), (3, 1, 1), (6, 1, 1), (1, 1, 0.5), (1, 1, 0.2),
           (2, 1, 0.5), (4, 2, 1))


class EllipsoidFit(NamedTuple):
    """The ellipsoid whose curve fits best."""

    semi_axes: jax.Array  # (3,) A, descending
    chi_squared: jax.Array  # () eq. 4, scale fitted
    profile: jax.Array  # (Q,) fitted to the scale of the curve


def ellipsoid_map(semi_axes_angstrom, sigma_angstrom: float = TRUTH_SIGMA_ANGSTROM,
                  ) -> tuple[np.ndarray, float]:
    """A solid ellipsoid along the grid's axes, blurred as the truth is: a sharp edge costs 0.03 to
    0.05 of the correlation, and a baseline should not be beaten by that.

    Args:
        semi_axes_angstrom: (3,) A.
        sigma_angstrom: of the Gaussian blur, A; 0 leaves the covered fraction of each voxel.

    Returns: (31, 31, 31) float32 and its pitch in A, wide enough for the blur.
    """
    axes = np.asarray(semi_axes_angstrom, np.float64)
    h = max(float(voxels.pitch(axes.max())), (axes.max() + 3 * sigma_angstrom) / CENTRE)
    position = (np.moveaxis(np.indices((GRID,) * 3), 0, -1) - CENTRE) * h
    level = np.linalg.norm(position / axes, axis=-1)
    slope = np.linalg.norm(position / axes**2, axis=-1)
    depth = np.where(slope > 0, level * (1 - level) / np.where(slope > 0, slope, 1.0), axes.min())
    density = np.clip(0.5 + depth / h, 0.0, 1.0)
    if sigma_angstrom > 0:
        distance = (np.arange(GRID)[:, None] - np.arange(GRID)) * h
        kernel = np.exp(-(distance**2) / (2 * sigma_angstrom**2))
        kernel /= kernel[CENTRE].sum()
        density = np.einsum("ax,by,cz,xyz->abc", kernel, kernel, kernel, density, optimize=True)
    return density.astype(np.float32), h


def sphere_map(rg_angstrom: float, sigma_angstrom: float = TRUTH_SIGMA_ANGSTROM,
               ) -> tuple[np.ndarray, float]:
    """The solid sphere of a radius of gyration, as `ellipsoid_map`."""
    return ellipsoid_map([np.sqrt(5 / 3) * rg_angstrom] * 3, sigma_angstrom)


def inertia_semi_axes(xyz_angstrom: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Semi-axes (3,) in A, descending: the solid ellipsoid of a structure's inertia."""
    weights = np.asarray(weights, np.float64) / np.sum(weights, dtype=np.float64)
    centred = xyz_angstrom - weights @ xyz_angstrom
    variances = np.linalg.eigvalsh((centred * weights[:, None]).T @ centred)
    return np.sqrt(5 * np.maximum(variances[::-1], 0.25))  # a flat structure keeps an atom's width


def ellipsoid_profile(semi_axes_angstrom: jax.Array, q_inv_angstrom: jax.Array) -> jax.Array:
    """I(q) (Q,) of a solid ellipsoid, averaged over orientations; I(0) = 1."""
    nodes, weights = np.polynomial.legendre.leggauss(_COSINES)
    cosine, weights = ((nodes + 1) / 2)[:, None], weights[:, None] / (2 * _ANGLES)
    phi = (np.arange(_ANGLES) + 0.5) * np.pi / (2 * _ANGLES)
    sine = np.sqrt(1 - cosine**2)
    directions = np.stack([sine * np.cos(phi), sine * np.sin(phi), cosine + 0 * phi], -1)
    squares = jnp.asarray(directions.reshape(-1, 3) ** 2, jnp.float32)
    x = q_inv_angstrom[:, None] * jnp.sqrt(squares @ semi_axes_angstrom**2)
    near = x < 1.0
    far_x, near_x = jnp.where(near, 1.0, x), jnp.where(near, x, 0.0) ** 2
    far = 3 * (jnp.sin(far_x) - far_x * jnp.cos(far_x)) / far_x**3
    series = 1 - near_x / 10 * (1 - near_x / 28 * (1 - near_x / 54 * (1 - near_x / 88)))
    weights = jnp.asarray((weights + 0 * phi).reshape(-1), jnp.float32)
    return jnp.where(near, series, far) ** 2 @ weights


@jax.jit
def fit_ellipsoid(q_inv_angstrom: jax.Array, intensity: jax.Array, weight: jax.Array,
                  rg_angstrom: jax.Array) -> EllipsoidFit:
    """Three semi-axes and a scale fitted to a curve, by least squares from several starts.

    Args:
        q_inv_angstrom, intensity: (Q,).
        weight: (Q,) 1 / sigma^2; zero leaves a point out.
        rg_angstrom: about the radius of gyration, which scales the starts.
    """
    root = jnp.sqrt(weight / jnp.maximum(jnp.max(weight), 1e-30))
    observed = jnp.where(weight > 0, intensity, 0.0)
    observed = observed / jnp.maximum(jnp.max(jnp.abs(observed)), 1e-30)

    def residual(log_axes):
        model = ellipsoid_profile(jnp.exp(log_axes), q_inv_angstrom)
        scale, _ = scattering.fit_scale(model, observed, weight)
        return root * (observed - scale * model)

    def body_fun(_, carry):  # Levenberg and Marquardt
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
