"""Density to Patterson map: the inverse transform of the squared structure factors (paper, equations 1 to 5).

    P(u) = sum over r of rho(r) rho(r + u) = irfftn(|rfftn(rho)|^2)

Lengths are in voxels, u = 0 is voxel (0, 0, 0) and axes are those of the density; `centred` moves
u = 0 to voxel (N/2, N/2, N/2) for the network and for viewing. A Patterson map is centrosymmetric
about u = 0, and the same for a density, its inverse and any translation of either.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

# How a map is scaled: as it comes; by its own origin peak; by its rms away from the origin peak.
SCALES = ("raw", "origin", "rms")


def intensities(density: jax.Array) -> jax.Array:
    """Squared structure factors |F|^2 on the half of reciprocal space that rfftn keeps.

    (N, N, N) -> (N, N, N/2 + 1); F(h) = sum of rho(r) exp(-2 pi i h.r / N).
    """
    factors = jnp.fft.rfftn(density)
    return factors.real**2 + factors.imag**2


def patterson(density: jax.Array, *, h_max: float | None = None) -> jax.Array:
    """The Patterson map of a density: (N, N, N) -> (N, N, N), its origin at voxel 0.

    h_max: only reflections with |h| <= h_max are kept, h in units of 1/N a voxel.
    """
    return from_intensities(limit_resolution(intensities(density), h_max))


def from_intensities(values: jax.Array) -> jax.Array:
    """|F|^2 on half of reciprocal space, (N, N, N/2 + 1), N even, to the Patterson map (N, N, N)."""
    return jnp.fft.irfftn(values, s=(values.shape[0],) * 3)


def limit_resolution(values: jax.Array, h_max: float | None) -> jax.Array:
    """|F|^2 with those beyond |h| = h_max at zero (spherical); None keeps all."""
    return values if h_max is None else values * (index_radius(values.shape[0]) <= h_max)


def add_noise(key: jax.Array, values: jax.Array, fraction: float) -> jax.Array:
    """|F|^2 (1 + fraction g) with g normal, the same for Friedel mates; negative ones become 0."""
    n = values.shape[0]
    noise = jax.random.normal(key, (n,) * 3)
    # Friedel mates both stand in the planes l = 0 and l = N/2 alone.
    half = noise[:, :, :n // 2 + 1]
    mate = jnp.roll(noise[::-1, ::-1, ::-1], 1, axis=(0, 1, 2))[:, :, :n // 2 + 1]
    noise = jnp.where(_first_of_mates(n), half, mate)
    return jnp.maximum(values * (1 + fraction * noise), 0.0)


def centred(patterson_map: jax.Array) -> jax.Array:
    """The origin moved from voxel 0 to voxel (N/2, N/2, N/2)."""
    return jnp.fft.fftshift(patterson_map, axes=(-3, -2, -1))


def scaled(patterson_map: jax.Array, scale: str, grid: int | None = None) -> jax.Array:
    """A map (origin at voxel 0) as a network takes it. Raises ValueError for an unknown scale.

    grid: voxels an edge where the map's own are fewer, and all others zero.
    "raw": unchanged; "origin": P / P(0); "rms": divided by the root mean square of what lies more
    than 3 voxels from the origin, so that interatomic peaks are of order 1 whatever the atoms are.
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


def asymmetry(patterson_map: jax.Array) -> jax.Array:
    """How far a map is from centrosymmetric about voxel 0: largest |P(u) - P(-u)| over largest |P|."""
    mirrored = jnp.roll(patterson_map[::-1, ::-1, ::-1], 1, axis=(0, 1, 2))
    return jnp.abs(patterson_map - mirrored).max() / jnp.maximum(jnp.abs(patterson_map).max(), 1e-30)


@functools.lru_cache
def index_radius(n: int) -> np.ndarray:
    """|h| of each reflection on half of reciprocal space: (N, N, N/2 + 1)."""
    h, k = np.fft.fftfreq(n, 1 / n), np.fft.rfftfreq(n, 1 / n)
    return np.sqrt(h[:, None, None] ** 2 + h[None, :, None] ** 2 + k[None, None, :] ** 2)


@functools.lru_cache
def multiplicity(n: int) -> np.ndarray:
    """How many of all N^3 reflections each one of the half stands for, 1 or 2: (N/2 + 1,)."""
    weights = np.full(n // 2 + 1, 2.0)
    weights[0] = weights[-1] = 1.0
    return weights


@functools.lru_cache
def _first_of_mates(n: int) -> np.ndarray:
    index = np.arange(n**3).reshape((n,) * 3)
    mate = np.roll(index[::-1, ::-1, ::-1], 1, axis=(0, 1, 2))
    return (index <= mate)[:, :, :n // 2 + 1]


@functools.lru_cache
def _distance_from_origin(n: int) -> np.ndarray:
    axis = np.fft.fftfreq(n, 1 / n) ** 2
    return np.sqrt(axis[:, None, None] + axis[None, :, None] + axis[None, None, :])
