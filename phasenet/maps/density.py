"""Computes the density of atoms on voxels: exact volumes of spheres of radius 1 within each voxel, or Gaussians.

A map of N^3 voxels has its origin at its centre, the corner between voxels N/2 - 1 and N/2: voxel i spans i - N/2 to
i + 1 - N/2. So inversion is an exact flip of the array. Maps are periodic. Every map of atoms in this package is made
here, for the product and for the reproduction of the paper alike.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

FORM_FACTORS = ("sphere", "gaussian")
# The sum over one atom's map, for every form factor: the volume of a sphere of radius 1 voxel.
ATOM_VOLUME = 4 * math.pi / 3
# On one axis: the volumes in the slabs of voxels behind, around and ahead of the atom (rows), from the volumes beyond
# the planes through, behind and ahead of the atom (columns); twice the first volume is the whole ball.
_SLABS_FROM_PLANES = np.array([[0.0, 1.0, 0.0], [2.0, -1.0, -1.0], [0.0, 0.0, 1.0]], np.float32)


def density(positions: jax.Array, grid: int, *, form_factor: str = "sphere", b_factor: float = 0.0,
            weights: jax.Array | None = None) -> jax.Array:
    """Returns the density of atoms on voxels.

    Args:
      positions: (n, 3), voxels, relative to the map's centre.
      grid: N, voxels per edge.
      form_factor: "sphere": each voxel holds the fraction that a sphere of radius 1 covers (paper, section 2.1);
        "gaussian": each voxel holds the mean of an isotropic Gaussian of variance b_factor / (8 pi^2) and of the same
        total, `ATOM_VOLUME`.
      b_factor: B, voxels^2; only "gaussian" uses it.
      weights: (n,) factor of each atom; 1 by default.

    Returns:
      (N, N, N) float32, differentiable in positions and weights. The densities of atoms that overlap add up.

    Raises:
      ValueError: the form factor is unknown, or it is "gaussian" and `b_factor` is not above 0.
    """
    if weights is None:
        weights = jnp.ones(positions.shape[0])
    if form_factor == "sphere":
        return _sphere_density(positions, weights, grid)
    if form_factor != "gaussian":
        raise ValueError(f"form_factor={form_factor!r}: expected one of {', '.join(FORM_FACTORS)}")
    if not b_factor > 0:
        raise ValueError(f"b_factor={b_factor}: a Gaussian atom needs more than 0")
    return _gaussian_density(positions, weights, grid, math.sqrt(b_factor / (8 * math.pi**2)))


def mean_transform(grid: int, form_factor: str = "sphere", b_factor: float = 0.0) -> np.ndarray:
    """Returns the Fourier transform of a lone atom's map, with the atom as origin, averaged over its places in a voxel.

    The transform is the product of the form factor and the transform of a voxel, because a map holds means over voxels.

    Args:
      grid: N, voxels per edge.
      form_factor: as in `density`.
      b_factor: as in `density`, voxels^2.

    Returns:
      (N, N, N/2 + 1) float64, real, at the reflections of `rfftn`.
    """
    h, k = np.fft.fftfreq(grid), np.fft.rfftfreq(grid)
    vectors = np.stack(np.meshgrid(h, h, k, indexing="ij"))
    squared = np.square(vectors).sum(0)
    if form_factor == "sphere":
        x = np.maximum(2 * np.pi * np.sqrt(squared), 1e-3)
        values = 3 * (np.sin(x) - x * np.cos(x)) / x**3
    else:
        values = np.exp(-b_factor / 4 * squared)
    return ATOM_VOLUME * values * np.sinc(vectors).prod(0)


def covered_fractions(offset: jax.Array) -> jax.Array:
    """Returns the fractions of the 3^3 voxels around an atom that its sphere of radius 1 covers.

    Args:
      offset: (3,) the atom's place within the middle voxel, voxels, 0 to 1 on each axis.

    Returns:
      (3, 3, 3), each 0 to 1, the axes in the order of `offset`; differentiable in `offset`.
    """
    # Distances to three planes on each axis: through the atom, behind it and ahead of it.
    x, y, z = jnp.stack([jnp.zeros(3), offset, 1 - offset], axis=1)
    volumes = _ball_volume_beyond(*jnp.meshgrid(x, y, z, indexing="ij"))
    return jnp.einsum("ai,bj,ck,ijk->abc", _SLABS_FROM_PLANES, _SLABS_FROM_PLANES, _SLABS_FROM_PLANES, volumes)


def _sphere_density(positions: jax.Array, weights: jax.Array, grid: int) -> jax.Array:
    """Returns the map (N, N, N) of spheres of radius 1 at positions (n, 3), times weights (n,)."""
    from_corner = positions + grid / 2
    middle = jnp.floor(jax.lax.stop_gradient(from_corner))
    fractions = jax.vmap(covered_fractions)(from_corner - middle) * weights[:, None, None, None]
    voxel = (middle.astype(jnp.int32)[:, :, None] + jnp.arange(-1, 2)) % grid  # (n, axis, 3)
    index = (voxel[:, 0, :, None, None], voxel[:, 1, None, :, None], voxel[:, 2, None, None, :])
    return jnp.zeros((grid,) * 3).at[index].add(fractions)


def _gaussian_density(positions: jax.Array, weights: jax.Array, grid: int, sigma: float) -> jax.Array:
    """Returns the map (N, N, N) of Gaussians of standard deviation sigma (voxels) at (n, 3), times weights (n,)."""
    positions = positions - grid * jnp.round(positions / grid)
    edges = jnp.arange(grid + 1) - grid / 2
    images = math.ceil(6 * sigma / grid)  # copies of the map that reach into it
    shifts = grid * jnp.arange(-images, images + 1)
    distance = edges - (positions[:, :, None, None] + shifts[:, None])  # (n, axis, image, N + 1)
    profile = jnp.diff(jax.scipy.special.ndtr(distance / sigma), axis=-1).sum(axis=2)
    profile = profile * jnp.stack([ATOM_VOLUME * weights, *[jnp.ones_like(weights)] * 2], axis=1)[..., None]
    return jnp.einsum("nx,ny,nz->xyz", profile[:, 0], profile[:, 1], profile[:, 2])


def _disc_area_beyond(radius2, b, c):
    """Returns the area of the part y > b, z > c of a disc of squared radius `radius2`, for b, c >= 0; elementwise."""
    inside = b * b + c * c < radius2
    # Both branches of `where` are differentiated: outside the disc, arguments with finite gradients stand in.
    radius2, b, c = (jnp.where(inside, value, safe) for value, safe in ((radius2, 1.0), (b, 0.1), (c, 0.1)))
    reach_b, reach_c = jnp.sqrt(radius2 - c * c), jnp.sqrt(radius2 - b * b)
    area = (radius2 * _arc_angle(b, c, reach_b, reach_c) - b * (reach_c - c) - c * (reach_b - b)) / 2
    return jnp.where(inside, area, 0.0)


@jax.custom_jvp
def _ball_volume_beyond(a, b, c):
    """Returns the volume of the part x > a, y > b, z > c of the unit ball, for a, b, c >= 0; elementwise.

    The divergence theorem gives the volume from the areas of its three flat faces and of a piece of the sphere. The
    Gauss-Bonnet theorem gives the area of that piece from its three arcs and corners.
    """
    inside = a * a + b * b + c * c < 1
    a, b, c = (jnp.where(inside, value, 0.1) for value in (a, b, c))
    flat = curvature = corners = 0.0
    for x, y, z in ((a, b, c), (b, c, a), (c, a, b)):
        radius2 = 1 - x * x
        reach_y, reach_z = jnp.sqrt(radius2 - z * z), jnp.sqrt(radius2 - y * y)
        arc = _arc_angle(y, z, reach_y, reach_z)
        flat += x * (radius2 * arc - y * (reach_z - z) - z * (reach_y - y)) / 2
        curvature += x * arc
        # The exterior angle between the circles at x and y: its cosine is -xy / (r_x r_y).
        corners += jnp.pi / 2 + jnp.arctan2(x * y, jnp.sqrt(jnp.maximum(1 - x * x - y * y, 0.0)))
    return jnp.where(inside, (2 * jnp.pi - corners - curvature - flat) / 3, 0.0)


@_ball_volume_beyond.defjvp
def _ball_volume_beyond_jvp(primals, tangents):
    # The derivative with respect to a is minus the area of the face at x = a (Cavalieri's principle): exact, and finite
    # where the derivative of the closed form is not.
    a, b, c = primals
    faces = (_disc_area_beyond(jnp.maximum(1 - x * x, 0.0), y, z) for x, y, z in ((a, b, c), (b, c, a), (c, a, b)))
    return _ball_volume_beyond(a, b, c), -sum(face * tangent for face, tangent in zip(faces, tangents, strict=True))


def _arc_angle(b, c, reach_b, reach_c):
    """Returns the angle of the part y > b, z > c of a circle: from (y, z) = (reach_b, c) to (b, reach_c)."""
    return jnp.arctan2(reach_b * reach_c - b * c, b * reach_b + c * reach_c)
