"""Atoms to voxels: the covered fraction of a unit sphere, exact, and the Gaussian atom.

A map of N^3 voxels has its origin at its centre, the corner between voxels N/2 - 1 and N/2: voxel i
spans i - N/2 to i + 1 - N/2. So inversion is an exact flip of the array. Maps are periodic.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

FORM_FACTORS = ("sphere", "gaussian")
# Every form factor has the same total, that of the sphere of radius 1 voxel.
ATOM_VOLUME = 4 * math.pi / 3
# An axis' three slabs of voxels, behind, around and ahead of the atom, from what lies beyond three planes.
_SHARES = np.array([[0.0, 1.0, 0.0], [2.0, -1.0, -1.0], [0.0, 0.0, 1.0]], np.float32)


def density(positions: jax.Array, grid: int, *, form_factor: str = "sphere", b_factor: float = 0.0,
            weights: jax.Array | None = None) -> jax.Array:
    """The map of some atoms.

    Args:
      positions: (n, 3) in voxels, relative to the map's centre.
      grid: N, voxels an edge.
      form_factor: "sphere": each voxel holds the fraction of it that the sphere of radius 1 covers
        (paper, section 2.1); "gaussian": the mean over each voxel of an isotropic Gaussian of
        variance b_factor / (8 pi^2), of the same total.
      b_factor: B in voxels^2, for "gaussian" alone.
      weights: (n,) factor of each atom; 1 by default.

    Returns (N, N, N) float32, differentiable in positions and weights; clashing atoms add up.
    Raises ValueError for an unknown form factor or a Gaussian without width.
    """
    if weights is None:
        weights = jnp.ones(positions.shape[0])
    if form_factor == "sphere":
        return _spheres(positions, weights, grid)
    if form_factor != "gaussian":
        raise ValueError(f"form_factor={form_factor!r}: expected one of {', '.join(FORM_FACTORS)}")
    if not b_factor > 0:
        raise ValueError(f"b_factor={b_factor}: a Gaussian atom needs more than 0")
    return _gaussians(positions, weights, grid, math.sqrt(b_factor / (8 * math.pi**2)))


def mean_transform(grid: int, form_factor: str = "sphere", b_factor: float = 0.0) -> np.ndarray:
    """Transform of a lone atom's map about the atom, the mean over its places in a voxel: (N, N, N/2 + 1), real.

    The form factor times that of the voxel, over which a map takes its means; `form_factor` and `b_factor` as above.
    """
    h, k = np.fft.fftfreq(grid), np.fft.rfftfreq(grid)
    waves = np.stack(np.meshgrid(h, h, k, indexing="ij"))
    squared = np.square(waves).sum(0)
    if form_factor == "sphere":
        x = np.maximum(2 * np.pi * np.sqrt(squared), 1e-3)
        values = 3 * (np.sin(x) - x * np.cos(x)) / x**3
    else:
        values = np.exp(-b_factor / 4 * squared)
    return ATOM_VOLUME * values * np.sinc(waves).prod(0)


def covered_fractions(offset: jax.Array) -> jax.Array:
    """Fractions of the 3^3 voxels around an atom that its sphere of radius 1 covers.

    offset: (3,) the atom's place within the middle voxel, 0 to 1. Returns (3, 3, 3).
    """
    # On each axis what lies beyond 0 (half of it), beyond the plane behind and the plane ahead of the atom.
    x, y, z = jnp.stack([jnp.zeros(3), offset, 1 - offset], axis=1)
    volumes = _beyond(*jnp.meshgrid(x, y, z, indexing="ij"))
    return jnp.einsum("ai,bj,ck,ijk->abc", _SHARES, _SHARES, _SHARES, volumes)


def _spheres(positions: jax.Array, weights: jax.Array, grid: int) -> jax.Array:
    corner = positions + grid / 2
    middle = jnp.floor(jax.lax.stop_gradient(corner))
    fractions = jax.vmap(covered_fractions)(corner - middle) * weights[:, None, None, None]
    voxel = (middle.astype(jnp.int32)[:, :, None] + jnp.arange(-1, 2)) % grid  # (n, axis, 3)
    index = (voxel[:, 0, :, None, None], voxel[:, 1, None, :, None], voxel[:, 2, None, None, :])
    return jnp.zeros((grid,) * 3).at[index].add(fractions)


def _gaussians(positions: jax.Array, weights: jax.Array, grid: int, sigma: float) -> jax.Array:
    positions = positions - grid * jnp.round(positions / grid)
    edges = jnp.arange(grid + 1) - grid / 2
    images = math.ceil(6 * sigma / grid)  # copies of the map that reach into it
    shifts = grid * jnp.arange(-images, images + 1)
    distance = edges - (positions[:, :, None, None] + shifts[:, None])  # (n, axis, image, N + 1)
    profile = jnp.diff(jax.scipy.special.ndtr(distance / sigma), axis=-1).sum(axis=2)
    profile = profile * jnp.stack([ATOM_VOLUME * weights, *[jnp.ones_like(weights)] * 2], axis=1)[..., None]
    return jnp.einsum("nx,ny,nz->xyz", profile[:, 0], profile[:, 1], profile[:, 2])


def _disc_beyond(radius2, b, c):
    """Area of the disc's part y > b, z > c, for b, c >= 0."""
    inside = b * b + c * c < radius2
    # Both branches of a where are differentiated: what is outside is moved to where all is finite.
    radius2, b, c = (jnp.where(inside, value, safe) for value, safe in ((radius2, 1.0), (b, 0.1), (c, 0.1)))
    reach_b, reach_c = jnp.sqrt(radius2 - c * c), jnp.sqrt(radius2 - b * b)
    area = (radius2 * _arc(b, c, reach_b, reach_c) - b * (reach_c - c) - c * (reach_b - b)) / 2
    return jnp.where(inside, area, 0.0)


@jax.custom_jvp
def _beyond(a, b, c):
    """Volume of the unit ball's part x > a, y > b, z > c, for a, b, c >= 0.

    The divergence theorem gives it from the areas of its faces, three flat ones and a piece of the
    sphere; Gauss and Bonnet give that piece from its three arcs and corners.
    """
    inside = a * a + b * b + c * c < 1
    a, b, c = (jnp.where(inside, value, 0.1) for value in (a, b, c))
    flat = curvature = corners = 0.0
    for x, y, z in ((a, b, c), (b, c, a), (c, a, b)):
        radius2 = 1 - x * x
        reach_y, reach_z = jnp.sqrt(radius2 - z * z), jnp.sqrt(radius2 - y * y)
        arc = _arc(y, z, reach_y, reach_z)
        flat += x * (radius2 * arc - y * (reach_z - z) - z * (reach_y - y)) / 2
        curvature += x * arc
        # The exterior angle between the circles at x and y: its cosine is -xy / (r_x r_y).
        corners += jnp.pi / 2 + jnp.arctan2(x * y, jnp.sqrt(jnp.maximum(1 - x * x - y * y, 0.0)))
    return jnp.where(inside, (2 * jnp.pi - corners - curvature - flat) / 3, 0.0)


@_beyond.defjvp
def _beyond_jvp(primals, tangents):
    # By Cavalieri the derivative by a is the area of the face at a: exact, and finite where that of the
    # closed form is not.
    a, b, c = primals
    faces = (_disc_beyond(jnp.maximum(1 - x * x, 0.0), y, z) for x, y, z in ((a, b, c), (b, c, a), (c, a, b)))
    return _beyond(a, b, c), -sum(face * tangent for face, tangent in zip(faces, tangents, strict=True))


def _arc(b, c, reach_b, reach_c):
    """Angle of the circle's part y > b, z > c: from (reach_b, c) to (b, reach_c)."""
    return jnp.arctan2(reach_b * reach_c - b * c, b * reach_b + c * reach_c)
