"""Scores all structures of the bank against a curve, at all likely sizes and contrasts of the shell.

1. The curve's Guinier radius of gyration gives the scale of u = q Rg; a few percent around it are tried, because the
   shell and noise enlarge it.
2. For each size and contrast, the profiles of all structures are looked up at the measured q: a matrix product with an
   interpolation. The misfit is chi^2 with the model's own error beside sigma.
3. A change of a structure's own size is penalized. The `count` structures of the lowest cost are chosen.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from saxsae.bank.structure_bank import U_STEP, StructureBank
from saxsae.profiles import hydration, scattering
from saxsae.profiles.scattering import WeightedCurve

# Errors of a profile besides noise: it agrees with the elements' sum over pairs to 1 or 2%
# (`saxsae.profiles.excess_electrons`), and no shell of one contrast describes bound water exactly. A measurement also
# has a constant error from the buffer, in units of I(0). On held-out structures of the corpus, smaller values fitted
# the errors, and larger values did not distinguish shapes.
_SMALL_Q_ERROR = 0.03
_LARGE_Q_ERROR, _LARGE_Q = 0.05, 0.2  # at q of `_LARGE_Q`, 1/A; it grows with q^2
_BUFFER_ERROR = 0.001
# Relative to Rg of the curve. A shell enlarges Rg by up to a sixth.
_SIZE_STEPS = np.linspace(-0.16, 0.12, 29).astype(np.float32)
_WIDE_SIZE_STEPS = np.linspace(-0.5, 0.5, 51).astype(np.float32)  # where Rg is a guess
_STRETCH = 0.3  # logarithm of a size over the structure's own that costs `_STRETCH_COST` misfits of the 16th best
_STRETCH_COST, _STRETCH_RANK = 0.3, 15
FITS = 1.0  # a misfit below it is within noise and model error
LEAST_MISFIT = 0.1  # smaller misfits count as equal


class ChosenStructures(NamedTuple):
    """The structures of the bank that fit a curve best, the best first.

    Attributes:
      rows: (K,) row numbers in the bank.
      r_max_angstrom: (K,) r_max at which each fits best.
      contrast: (K,) contrast of the shell at which each fits best, e/A^3.
      misfit: (K,) mean squared residual over the variance of sigma and of the model.
    """

    rows: np.ndarray
    r_max_angstrom: np.ndarray
    contrast: np.ndarray
    misfit: np.ndarray

    def take(self, chosen: slice | np.ndarray) -> "ChosenStructures":
        """Returns some of the structures, chosen by a slice, by indices or by a mask (K,)."""
        return ChosenStructures(*(field[chosen] for field in self))


def add_model_error(curve: WeightedCurve) -> WeightedCurve:
    """Returns the curve with weights that include the error of the model.

    Args:
      curve: (Q,) points with the weights 1 / sigma^2; a weight of 0 excludes a point.
    """
    q, intensity, weight = (np.asarray(array) for array in curve)
    used = weight > 0
    relative = np.hypot(_SMALL_Q_ERROR, _LARGE_Q_ERROR * (q / _LARGE_Q)**2)
    variance = (1 / np.where(used, weight, 1.0) + (relative * intensity)**2
                + (_BUFFER_ERROR * np.abs(intensity).max())**2)
    return curve._replace(weight=jnp.asarray(np.where(used, 1 / variance, 0.0), jnp.float32))


def misfits(profiles: jax.Array, curve: WeightedCurve, background: ArrayLike = False) -> jax.Array:
    """Returns chi^2 (...) of profiles (..., Q) with the errors of `add_model_error`; see `scattering.chi_squared`."""
    return scattering.chi_squared(profiles, curve.intensity, curve.weight, background)


@jax.jit
def _score(profiles: jax.Array, curve: WeightedCurve, rg_angstrom: jax.Array, contrast: jax.Array,
           steps: jax.Array, background: ArrayLike) -> jax.Array:
    """Returns the misfits (N, S) of profiles (N, 3, U) at sizes relative to Rg of the curve."""
    at_contrast = hydration.combine_parts(profiles, contrast)

    def at_size(step: jax.Array) -> jax.Array:
        place = curve.q_inv_angstrom * rg_angstrom * (1 + step) / U_STEP
        node = jnp.clip(place.astype(jnp.int32), 0, at_contrast.shape[1] - 2)
        part = jnp.minimum(place - node, 1.0)
        return misfits(at_contrast[:, node] * (1 - part) + at_contrast[:, node + 1] * part, curve, background)

    return jax.lax.map(at_size, steps).T


@jax.jit
def _score_at_sizes(profiles: jax.Array, curve: WeightedCurve, rg_angstrom: jax.Array, contrast: jax.Array,
                    background: ArrayLike) -> jax.Array:
    """Returns the misfits (N,) of profiles (N, 3, U), each at its own radius of gyration (N,) in A."""
    def of_one(parts: jax.Array, rg: jax.Array) -> jax.Array:
        place = curve.q_inv_angstrom * rg / U_STEP
        nodes = jnp.arange(parts.shape[-1], dtype=jnp.float32)
        return jnp.interp(place, nodes, hydration.combine_parts(parts, contrast))

    return misfits(jax.vmap(of_one)(profiles, rg_angstrom), curve, background)


def choose_structures(bank: StructureBank, curve: WeightedCurve, rg_angstrom: float, count: int, *,
                      contrasts: tuple[float, ...] = hydration.CONTRASTS, radius: float | None = None,
                      rg_known: bool = True, background: bool = False,
                      equal_atoms: bool = False) -> tuple[ChosenStructures, int]:
    """Returns the structures that fit a curve best, each once, and how many structures of the bank fit it.

    Args:
      bank: the structures.
      curve: the curve.
      rg_angstrom: its radius of gyration, A.
      count: how many are chosen.
      contrasts: contrasts of the shell that are tried, e/A^3.
      radius: r_max in A where it is known.
      rg_known: whether `rg_angstrom` was measured; otherwise it may be off by a third.
      background: whether a constant is fitted as well.
      equal_atoms: whether the curve was computed from equal atoms.

    Returns:
      The chosen structures, and the number of structures whose misfit is below 1: within noise and model error.
    """
    own = bank.r_max_angstrom
    profiles = jnp.asarray(bank.profiles_of(equal_atoms))
    if radius is not None:
        radii = np.full((len(own), 1), radius, np.float32)  # (N, S)
        rg_of_each = jnp.asarray(bank.rg_angstrom * radius / own)
        tables = [np.asarray(_score_at_sizes(profiles, curve, rg_of_each, jnp.float32(contrast), background))[:, None]
                  for contrast in contrasts]
    else:
        steps = _SIZE_STEPS if rg_known else _WIDE_SIZE_STEPS
        radii = rg_angstrom * (1 + steps) / bank.rg_angstrom[:, None] * own[:, None]
        tables = [np.asarray(_score(profiles, curve, jnp.float32(rg_angstrom), jnp.float32(contrast), steps,
                                    background)) for contrast in contrasts]
    misfit = np.nan_to_num(np.stack(tables), nan=np.inf)  # (C, N, S); NaN of structures that are left out
    rank = min(_STRETCH_RANK, int(np.isfinite(misfit).all((0, 2)).sum()) - 1)
    floor = max(float(np.sort(misfit.min(2), axis=1)[:, rank].min()), LEAST_MISFIT)
    cost = misfit + _STRETCH_COST * (np.log(radii / own[:, None]) / _STRETCH)**2 * floor
    # No Zernike order describes the profile of a longer body. If all bodies are too long, q is too large instead.
    too_long = radii > hydration.largest_radius(float(curve.q_inv_angstrom.max()))
    cost = np.where(too_long & ~too_long.all(), np.inf, cost)
    rows = np.argsort(cost.min((0, 2)), kind="stable")[:count]
    contrast_index, size_index = np.unravel_index(
        cost[:, rows].transpose(1, 0, 2).reshape(len(rows), -1).argmin(1), (len(contrasts), radii.shape[1]))
    chosen = ChosenStructures(rows, radii[rows, size_index], np.array(contrasts)[contrast_index],
                              misfit[contrast_index, rows, size_index])
    return chosen, int((misfit.min((0, 2)) < FITS).sum())
