"""Computes the Patterson map of a density, the inverse transform of the intensities |F|^2 (paper, equations 1 to 5).

    P(u) = sum over r of rho(r) rho(r + u) = irfftn(|rfftn(rho)|^2)

Lengths are in voxels, and the axes are those of the density. The origin u = 0 is voxel (0, 0, 0);
`move_origin_to_middle` moves it to voxel (N/2, N/2, N/2) for the network and for viewing. A Patterson map is
centrosymmetric about u = 0. A density, its inverse and all translations of both have the same Patterson map.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

# The scales of `scale_for_network`: unscaled; by the origin peak; by the root mean square away from that peak.
SCALES = ("raw", "origin", "rms")


def intensities(density: jax.Array) -> jax.Array:
    """Returns |F|^2 of a density; the structure factors are F(h) = sum over r of rho(r) exp(-2 pi i h.r / N).

    Args:
      density: (N, N, N).

    Returns:
      (N, N, N/2 + 1), the half of reciprocal space that `rfftn` keeps.
    """
    factors = jnp.fft.rfftn(density)
    return factors.real**2 + factors.imag**2


def patterson(density: jax.Array, *, h_max: float | None = None) -> jax.Array:
    """Returns the Patterson map of a density.

    Args:
      density: (N, N, N).
      h_max: largest |h| of the reflections that are kept, cycles per map edge (N voxels); None keeps all.

    Returns:
      (N, N, N), its origin at voxel 0.
    """
    return from_intensities(limit_resolution(intensities(density), h_max))


def from_intensities(values: jax.Array) -> jax.Array:
    """Returns the Patterson map (N, N, N), origin at voxel 0, of |F|^2 (N, N, N/2 + 1); N is even."""
    return jnp.fft.irfftn(values, s=(values.shape[0],) * 3)


def limit_resolution(values: jax.Array, h_max: float | None) -> jax.Array:
    """Returns |F|^2 (N, N, N/2 + 1) with 0 beyond the sphere |h| = h_max, cycles per map edge; None keeps all."""
    return values if h_max is None else values * (index_radius(values.shape[0]) <= h_max)


def add_noise(key: jax.Array, values: jax.Array, fraction: float) -> jax.Array:
    """Returns |F|^2 (1 + fraction * g), g standard normal and equal for Friedel mates; negative results become 0.

    Args:
      key: random key.
      values: (N, N, N/2 + 1) |F|^2.
      fraction: standard deviation of the noise relative to |F|^2.

    Returns:
      (N, N, N/2 + 1), in the unit of `values`.
    """
    n = values.shape[0]
    noise = jax.random.normal(key, (n,) * 3)
    # Only the planes l = 0 and l = N/2 hold both of two Friedel mates.
    half = noise[:, :, :n // 2 + 1]
    mate = jnp.roll(noise[::-1, ::-1, ::-1], 1, axis=(0, 1, 2))[:, :, :n // 2 + 1]
    noise = jnp.where(_is_first_of_mates(n), half, mate)
    return jnp.maximum(values * (1 + fraction * noise), 0.0)


def move_origin_to_middle(patterson_map: jax.Array | np.ndarray) -> jax.Array:
    """Returns a map, or a batch (..., N, N, N), with its origin moved from voxel 0 to voxel (N/2, N/2, N/2)."""
    return jnp.fft.fftshift(patterson_map, axes=(-3, -2, -1))


def scale_for_network(patterson_map: jax.Array, scale: str, grid: int | None = None) -> jax.Array:
    """Returns a map on the scale that a network takes.

    Args:
      patterson_map: (N, N, N), its origin at voxel 0.
      scale: "raw": the map as it is; "origin": P / P(0); "rms": P over its root mean square more than 3 voxels from the
        origin, which makes peaks between atoms of order 1 for any atoms.
      grid: voxels per edge of the whole map, if `patterson_map` is only its part around the origin and the rest is 0;
        N by default.

    Returns:
      (N, N, N), its origin at voxel 0.

    Raises:
      ValueError: the scale is unknown.
    """
    if scale == "raw":
        return patterson_map
    if scale == "origin":
        return patterson_map / patterson_map[0, 0, 0]
    if scale != "rms":
        raise ValueError(f"scale={scale!r}: expected one of {', '.join(SCALES)}")
    away = _distance_from_origin(patterson_map.shape[0]) > 3
    voxels = len(away) ** 3 if grid is None else grid**3
    power = jnp.where(away, patterson_map**2, 0.0).sum() / (voxels - (~away).sum())
    return patterson_map / jnp.sqrt(jnp.maximum(power, 1e-12))


def asymmetry(patterson_map: jax.Array | np.ndarray) -> jax.Array:
    """Returns how far a map (N, N, N) is from centrosymmetric about voxel 0: max |P(u) - P(-u)| / max |P|, 0 to 2."""
    mirrored = jnp.roll(patterson_map[::-1, ::-1, ::-1], 1, axis=(0, 1, 2))
    return jnp.abs(patterson_map - mirrored).max() / jnp.maximum(jnp.abs(patterson_map).max(), 1e-30)


@functools.lru_cache
def index_radius(n: int) -> np.ndarray:
    """Returns |h| of each reflection that `rfftn` keeps, cycles per map edge: (N, N, N/2 + 1) float64, N = n."""
    h, k = np.fft.fftfreq(n, 1 / n), np.fft.rfftfreq(n, 1 / n)
    return np.sqrt(h[:, None, None] ** 2 + h[None, :, None] ** 2 + k[None, None, :] ** 2)


@functools.lru_cache
def multiplicity(n: int) -> np.ndarray:
    """Returns how many reflections each one that `rfftn` keeps stands for, 1 or 2.

    Args:
      n: N, voxels per edge, even.

    Returns:
      (N/2 + 1,) float64, one for each l, the last index of a reflection.
    """
    weights = np.full(n // 2 + 1, 2.0)
    weights[0] = weights[-1] = 1.0
    return weights


@functools.lru_cache
def _is_first_of_mates(n: int) -> np.ndarray:
    """Returns (N, N, N/2 + 1) bool: whether a reflection precedes its Friedel mate in the full transform, or is it."""
    index = np.arange(n**3).reshape((n,) * 3)
    mate = np.roll(index[::-1, ::-1, ::-1], 1, axis=(0, 1, 2))
    return (index <= mate)[:, :, :n // 2 + 1]


@functools.lru_cache
def _distance_from_origin(n: int) -> np.ndarray:
    """Returns the distance of each voxel (N, N, N) from voxel 0 in the periodic map, voxels."""
    axis = np.fft.fftfreq(n, 1 / n) ** 2
    return np.sqrt(axis[:, None, None] + axis[None, :, None] + axis[None, None, :])
