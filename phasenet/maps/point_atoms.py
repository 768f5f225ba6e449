"""Computes structure factors of point atoms in closed form: the fast model that the product's search refines.

    F(s) = f(s) sum over j of exp(2 pi i s.x_j),    f(s) = f_atom(|s|) sinc(s_x) sinc(s_y) sinc(s_z)

s is in cycles per voxel, and the sincs are the transform of a voxel. The model lacks the aliases of the density on
voxels, some percent of F at |s| = 0.3. So the model finds the atoms, but not to within a hundredth of a voxel;
`search.refinement.refine_exact` adds that.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phasenet.maps import density, patterson

# sin(pi t) / t and cos(pi t) in powers of t^2: exact to float32 for |t| <= 1/2, and several times faster than XLA's own
# on a CPU.
_SINE = (3.14159265358979, -5.16771278004997, 2.55016403987734, -0.599264528932149, 0.0821458866111282,
         -0.00737043094571435)
_COSINE = (1.0, -4.93480220054468, 4.05871212641677, -1.33526276885459, 0.235330630358893, -0.0258068913900141,
           0.00192957430940392)


class PointModel(NamedTuple):
    """R reflections of a map, one of each Friedel pair, without F000, sorted by |s|; and the form factor at each.

    All fields are static.

    Attributes:
      grid: N, voxels per edge of the map, which is the period of the atoms.
      flat_index: (R,) int, indices into the flattened (N, N, N/2 + 1) of `rfftn`.
      vectors: (3, R) float32, s in cycles per voxel.
      radius: (R,) float64, |s| in cycles per voxel, ascending.
      form: (R,) float32, f(s), including the sum over an atom, `density.ATOM_VOLUME`.
    """

    grid: int
    flat_index: np.ndarray
    vectors: np.ndarray
    radius: np.ndarray
    form: np.ndarray


@functools.lru_cache
def make_point_model(grid: int, s_max: float, form_factor: str = "sphere", b_factor: float = 0.0) -> PointModel:
    """Returns the reflections of a map with |s| <= s_max, and the form factor of an atom at each.

    Args:
      grid: N, voxels per edge.
      s_max: largest |s|, cycles per voxel. Reflections with a component of 0.5 or more are left out.
      form_factor: as in `density.density`.
      b_factor: as in `density.density`, voxels^2.
    """
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


def truncate_model(model: PointModel, s_max: float) -> PointModel:
    """Returns the part of a model with |s| <= s_max, cycles per voxel."""
    count = int(np.searchsorted(model.radius, s_max + 1e-9))
    return PointModel(model.grid, *(np.asarray(part)[..., :count] for part in model[1:]))


def atom_structure_factors(positions: jax.Array, model: PointModel) -> tuple[jax.Array, jax.Array]:
    """Returns real and imaginary parts of each atom's structure factors, f(s) exp(2 pi i s.x).

    Args:
      positions: (n, 3), voxels.
      model: R reflections.

    Returns:
      Two arrays (n, R) float32. Their sums over the atoms are the structure factors of the model.
    """
    turns = positions @ model.vectors
    turns = turns - jnp.round(turns)
    square = turns * turns
    sine, cosine = turns * _evaluate_polynomial(_SINE, square), _evaluate_polynomial(_COSINE, square)
    # The polynomials give sine and cosine of half the angle.
    return (cosine * cosine - sine * sine) * model.form, 2 * sine * cosine * model.form


def unwrap(positions: jax.Array, period: float) -> jax.Array:
    """Returns the atoms of a periodic map as one cluster, centred on its mean.

    Each axis is cut in its largest gap between atoms. The cut is certainly right where the atoms extend over less than
    half the period.

    Args:
      positions: (n, 3), voxels, each atom in any copy of the unit cell.
      period: edge of the unit cell, voxels.

    Returns:
      (n, 3), voxels, with mean 0.
    """
    folded = jnp.sort(positions % period, axis=0)
    gaps = jnp.concatenate([jnp.diff(folded, axis=0), folded[:1] + period - folded[-1:]])
    start = jnp.take_along_axis(jnp.roll(folded, -1, axis=0), gaps.argmax(0)[None], axis=0)[0]
    # Without the 1e-3, rounding could put the first atom at the end of the period.
    result = (positions - start + 1e-3) % period
    return result - result.mean(0)


def _evaluate_polynomial(coefficients: tuple[float, ...], x: jax.Array) -> jax.Array:
    """Returns sum over k of coefficients[k] x^k, by Horner's scheme; at least two coefficients."""
    value = coefficients[-1] * x + coefficients[-2]
    for coefficient in reversed(coefficients[:-2]):
        value = value * x + coefficient
    return value
