"""States how close a reconstructed density is to the true one: an expected correlation and resolution with intervals.

1. `measure` computes features that are known without the true structure: how well the models agree, how well they and
   the structures of the bank fit, how far the curve reaches.
2. `predict` applies two linear models of these features, one of log(1 - correlation) and one of the logarithm of the
   resolution; their residuals give the intervals. `calibrate_occupancy` turns the share of models that fill a voxel
   into a probability.

`launch.datasets.fit_confidence` fits the constants to curves that were simulated from held-out structures, and
`launch.evaluate --task=confidence` counts how often the intervals hold. `saxsae.reconstruction` calls this module.
"""

from typing import NamedTuple

import numpy as np

from saxsae.shapes.densities import FILLED

OCCUPANCIES = np.linspace(0, 1, 11)  # shares of models between which probabilities are interpolated
FEATURES = ("rsc", "bank_misfit", "misfit", "made_share", "q_max_times_rg", "rg", "radius_spread",
            "radius_over_rg")
_QUANTILES = (0.05, 0.95)
_RIDGE = 1.0  # added to the diagonal of the normal equations, in units of one structure
# Added before a logarithm is taken, because differences of smaller values mean nothing.
_LEAST_MISFIT, _LEAST_SPREAD, _LEAST_DISTANCE = 0.1, 0.01, 1e-3


class ConfidenceModel(NamedTuple):
    """The fitted constants.

    Attributes:
      centre: (F,) mean of each of `FEATURES` over the structures of the fit.
      spread: (F,) their standard deviations.
      correlation: (F + 1,) weights of log(1 - correlation), the constant last.
      correlation_residuals: (2,) 5% and 95% quantiles of the residuals of this fit.
      resolution: (F + 1,) weights of the logarithm of the resolution in A.
      resolution_residuals: (2,) the same quantiles of the residuals of this fit.
      occupancy: (11,) probability that a voxel is filled where `OCCUPANCIES` of the models fill it.
    """

    centre: np.ndarray
    spread: np.ndarray
    correlation: np.ndarray
    correlation_residuals: np.ndarray
    resolution: np.ndarray
    resolution_residuals: np.ndarray
    occupancy: np.ndarray


class Confidence(NamedTuple):
    """What can be expected of a density.

    Attributes:
      expected_correlation: with the true density at 15 A, as `saxsae.superposition.metrics` defines it.
      expected_correlation_90: its 90% interval.
      resolution_angstrom: expected resolution, where the Fourier shell correlation with the truth falls to 0.5.
      resolution_angstrom_90: its 90% interval.
    """

    expected_correlation: float
    expected_correlation_90: tuple[float, float]
    resolution_angstrom: float
    resolution_angstrom_90: tuple[float, float]


def measure(rsc: np.ndarray, bank_misfit: float, misfit: float, made_share: float, q_max: float,
            rg_angstrom: float, model_radii: np.ndarray) -> np.ndarray:
    """Returns the features (F,) of a result from the bank, in the order of `FEATURES`.

    Args:
      rsc: (K,) correlation of each model with the mean.
      bank_misfit: lowest misfit of a structure of the bank.
      misfit: chi^2 of the best model with the error of `saxsae.verdict`.
      made_share: share of the models that began as synthetic shapes.
      q_max: largest q that was fitted, 1/A.
      rg_angstrom: radius of gyration.
      model_radii: (K,) r_max of the models, A.
    """
    return np.array([
        np.log(1 + _LEAST_DISTANCE - np.mean(rsc)), np.log(bank_misfit + _LEAST_MISFIT),
        np.log(min(misfit, 1e6) + _LEAST_MISFIT), made_share, np.log(q_max * rg_angstrom), np.log(rg_angstrom),
        np.log(np.std(np.log(model_radii)) + _LEAST_SPREAD), np.mean(model_radii) / rg_angstrom])


def fit(features: np.ndarray, correlations: np.ndarray, resolutions: np.ndarray, voxels: np.ndarray,
        filled: np.ndarray) -> ConfidenceModel:
    """Returns the constants from N structures.

    Args:
      features: (N, F) from `measure`.
      correlations: (N,) of the densities with the true ones.
      resolutions: (N,) at which their Fourier shell correlation is 0.5, A.
      voxels: (11,) number of voxels at each of `OCCUPANCIES`, over all structures.
      filled: (11,) how many of them are filled in the true densities.
    """
    centre, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    design = _design(features, centre, spread)
    penalty = _RIDGE * np.diag(np.append(np.ones(len(FEATURES)), 0.0))
    inverse = np.linalg.inv(design.T @ design + penalty)
    leverage = np.einsum("nf,fg,ng->n", design, inverse, design)

    def regress(target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights = inverse @ design.T @ target
        # Each residual is that of a fit without its structure.
        return weights, np.quantile((target - design @ weights) / (1 - leverage), _QUANTILES)

    share = np.where(voxels > 0, filled / np.maximum(voxels, 1), OCCUPANCIES)
    return ConfidenceModel(
        centre, spread, *regress(np.log(1 + _LEAST_DISTANCE - correlations)),
        *regress(np.log(resolutions)), np.maximum.accumulate(share))


def predict(model: ConfidenceModel, features: np.ndarray) -> Confidence:
    """Returns what can be expected of a density with these features (F,)."""
    design = _design(features[None], model.centre, model.spread)[0]
    distance = float(design @ model.correlation)
    low, high = (float(np.clip(1 + _LEAST_DISTANCE - np.exp(distance + residual), -1, 1))
                 for residual in model.correlation_residuals[::-1])
    logarithm = float(design @ model.resolution)
    finest, coarsest = (float(np.exp(logarithm + residual)) for residual in model.resolution_residuals)
    return Confidence(float(np.clip(1 + _LEAST_DISTANCE - np.exp(distance), -1, 1)), (low, high),
                      float(np.exp(logarithm)), (finest, coarsest))


def filled_share(maps: np.ndarray) -> np.ndarray:
    """Returns the share (N, N, N) of models (K, N, N, N), densities near 1 inside a protein, that fill each voxel."""
    return (maps > FILLED).mean(0)


def calibrate_occupancy(model: ConfidenceModel, share: np.ndarray) -> np.ndarray:
    """Returns the probability (N, N, N) that a voxel is filled, from `filled_share` (N, N, N)."""
    return np.interp(share, OCCUPANCIES, model.occupancy)


def _design(features: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Returns the rows (N, F + 1) of the linear models; features beyond four standard deviations count as these."""
    scaled = np.clip((features - centre) / spread, -4, 4)
    return np.concatenate([scaled, np.ones((len(scaled), 1))], axis=1)
