"""Atoms as points with a form factor: their intensities and derivatives in closed form, at few reflections.

    F(s) = f(s) sum over j of exp(2 pi i s.x_j),    f(s) = f_atom(|s|) sinc(s_x) sinc(s_y) sinc(s_z)

with s in cycles a voxel; the sincs are the voxel's own transform. What is missing against the voxelized
density is its aliases, some percent of F at |s| = 0.3: enough to find atoms, not for the last hundredth of a voxel.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phasenet.maps import density, patterson

# sin(pi t) / t and cos(pi t) in powers of t^2: for |t| <= 1/2 as good as float32, and ten times faster than XLA's.
_SINE = (3.14159265358979, -5.16771278004997, 2.55016403987734, -0.599264528932149, 0.0821458866111282,
         -0.00737043094571435)
_COSINE = (1.0, -4.93480220054468, 4.05871212641677, -1.33526276885459, 0.235330630358893, -0.0258068913900141,
           0.00192957430940392)


class PointModel(NamedTuple):
    """R reflections of maps of `grid`^3 voxels, one of each Friedel pair, without F000, sorted by |s|. All static.

    Attributes:
      grid: voxels an edge, which is the period of the atoms.
      index: (R,) into the flattened (N, N, N/2 + 1) that rfftn gives.
      vectors: (3, R) float32 s, cycles a voxel.
      radius: (R,) |s|.
      form: (R,) float32 f(s).
    """

    grid: int
    index: np.ndarray
    vectors: np.ndarray
    radius: np.ndarray
    form: np.ndarray


@functools.lru_cache
def point_model(grid: int, s_max: float, form_factor: str = "sphere", b_factor: float = 0.0) -> PointModel:
    """The reflections with |s| <= s_max of a map of grid^3 voxels, and what an atom (see `density.density`) adds."""
    h, k = np.fft.fftfreq(grid), np.fft.rfftfreq(grid)
    vectors = np.stack(np.meshgrid(h, h, k, indexing="ij"), axis=-1).reshape(-1, 3)
    x, y, z = vectors.T
    first = (z > 0) | ((z == 0) & ((y > 0) | ((y == 0) & (x > 0))))
    radius = patterson.index_radius(grid).ravel() / grid
    index = np.flatnonzero(first & (radius <= s_max + 1e-9) & (np.abs(vectors) < 0.5).all(1))
    index = index[np.argsort(radius[index], kind="stable")]
    vectors, radius = vectors[index], radius[index]
    form = density.mean_transform(grid, form_factor, b_factor).ravel()[index]
    return PointModel(grid, index, vectors.T.astype(np.float32), radius, form.astype(np.float32))


def within(model: PointModel, s_max: float) -> PointModel:
    """Its reflections with |s| <= s_max."""
    count = int(np.searchsorted(model.radius, s_max + 1e-9))
    return PointModel(model.grid, *(np.asarray(part)[..., :count] for part in model[1:]))


def waves(positions: jax.Array, model: PointModel) -> tuple[jax.Array, jax.Array]:
    """Real and imaginary parts of f(s) exp(2 pi i s.x): positions (n, 3) voxels -> two of (n, R)."""
    turns = positions @ model.vectors
    turns = turns - jnp.round(turns)
    square = turns * turns
    sine, cosine = turns * _polynomial(_SINE, square), _polynomial(_COSINE, square)
    # From half the angle to the angle.
    return (cosine * cosine - sine * sine) * model.form, 2 * sine * cosine * model.form


def unwrapped(positions: jax.Array, period: float) -> jax.Array:
    """Atoms of a periodic map as one cluster about its mean: (n, 3) -> (n, 3).

    Each axis is cut in its largest empty stretch, which is right for atoms that spread over less than the period.
    """
    folded = jnp.sort(positions % period, axis=0)
    gaps = jnp.concatenate([jnp.diff(folded, axis=0), folded[:1] + period - folded[-1:]])
    start = jnp.take_along_axis(jnp.roll(folded, -1, axis=0), gaps.argmax(0)[None], axis=0)[0]
    # Rounding may put the first atom itself at the end.
    result = (positions - start + 1e-3) % period
    return result - result.mean(0)


def _polynomial(coefficients: tuple[float, ...], x: jax.Array) -> jax.Array:
    return functools.reduce(lambda value, c: value * x + c, reversed(coefficients[:-1]), coefficients[-1])
