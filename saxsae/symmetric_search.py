"""Imposes a point group on the models of the bank, and compares them with models without symmetry.

`saxsae.reconstruction` calls:

1. `choose_symmetric` finds the frame of the group in each of the structures that fit best without symmetry, averages
   the structures over the group, and returns those whose averages fit best. An average over rotations about the centre
   keeps the radius of gyration, so the sizes stay.
2. `bank_search.fit_structures` fits the models with the symmetry, and as many models without it.
3. `compare_with_c1` compares both sets of models.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from saxsae import bank_search
from saxsae.bank import scoring
from saxsae.bank.descent import ASYMMETRY_WEIGHT
from saxsae.bank_search import BankModels, BankSearch, FittedStructures
from saxsae.profiles import zernike
from saxsae.profiles.fitting import fit_measured_points
from saxsae.profiles.rebinning import CurveLike
from saxsae.superposition import symmetry

CANDIDATES_PER_MODEL = 16


class SymmetryEvidence(NamedTuple):
    """What a curve says about an imposed symmetry.

    Attributes:
      name: Schoenflies symbol of the group.
      chi_squared: chi^2 of the best model with the symmetry, over the measured points.
      chi_squared_c1: chi^2 of the best model without the symmetry.
      misfit: lowest misfit of a model with the symmetry, see `bank_search.BankModels`.
      misfit_c1: lowest misfit of a model without the symmetry.
      log_evidence_against: see `log_evidence_against`.
    """

    name: str
    chi_squared: float
    chi_squared_c1: float
    misfit: float
    misfit_c1: float
    log_evidence_against: float


def choose_symmetric(search: BankSearch, candidates: BankModels, count: int) -> BankModels:
    """Returns the candidates that fit best after the average over the group, at most `count`, the best first.

    The average can smear any shape into a symmetric one that fits. As in the gradient steps, a candidate is therefore
    penalized by the share of the power of its moments that the average removes.

    Args:
      search: with a group.
      candidates: structures of the bank, from `bank_search.choose`.
      count: how many are returned.
    """
    bank, group = search.pretrained.bank, search.group
    assert bank is not None and group is not None
    usable = candidates.chosen.take(np.isfinite(candidates.misfit))  # others are excluded from the bank
    frames, rated = [], []
    for first in range(0, len(usable.rows), count):  # the number of models later, so that one program serves both
        part = bank_search.make_models(bank, usable.take(slice(first, first + count)), candidates.num_fitting)
        decoded = bank_search.decode(search, part)
        moments = zernike.moments(jnp.asarray(decoded[:, 0]), symmetry.ORDER)
        frames.append(symmetry.find_frames(moments, symmetry.ORDER, group)[0])
        rated.append(bank_search.rate_densities(search, decoded, part._replace(frames=frames[-1])))
    misfit, asymmetry = (np.concatenate(parts) for parts in zip(*rated, strict=True))
    cost = np.log(misfit + scoring.LEAST_MISFIT) + ASYMMETRY_WEIGHT * asymmetry
    best = np.argsort(cost, kind="stable")[:count]
    best = best[np.argsort(misfit[best], kind="stable")]
    return bank_search.make_models(bank, usable._replace(misfit=misfit).take(best), candidates.num_fitting,
                                np.concatenate(frames)[best])


def compare_with_c1(curve: CurveLike, q_range: tuple[float, float], found: FittedStructures,
                    without: FittedStructures) -> SymmetryEvidence:
    """Returns what a curve says about the symmetry of models, beside as many models without symmetry.

    Args:
      curve: the measured curve.
      q_range: smallest and largest q that are fitted, 1/A.
      found: the models with the symmetry.
      without: the models without.
    """
    group = found.search.group
    assert group is not None
    chi_squared, chi_squared_c1 = (
        fit_measured_points(curve, q_range, one.profile, one.search.options.background)["chi_squared"]
        for one in (found, without))
    misfit, misfit_c1 = (
        float(bank_search.rate_densities(one.search, one.decoded, one.models)[0].min()) for one in (found, without))
    return SymmetryEvidence(
        group.name, chi_squared, chi_squared_c1, misfit, misfit_c1,
        log_evidence_against(found.search, found.structures, without.search, without.structures))


def log_evidence_against(search: BankSearch, models: BankModels, search_c1: BankSearch,
                         models_c1: BankModels) -> float:
    """Returns the natural logarithm of the mean likelihood of structures without symmetry over that with the symmetry.

    A value above 0 speaks against the symmetry; a value near 0 means that the curve allows the symmetry. Structures are
    compared before the gradient steps, which fit almost any symmetry with 200 numbers. The number of independent points
    in the likelihood is the number of Shannon channels of the curve, because the error of the model is smooth in q.

    Args:
      search: the inputs with the symmetry.
      models: the models from `choose_symmetric`.
      search_c1: the inputs without the symmetry.
      models_c1: as many models from `bank_search.choose`.
    """
    q = np.asarray(search.curve.q_inv_angstrom)[np.asarray(search.curve.weight) > 0]
    channels = (q.max() - q.min()) * 2 * models_c1.r_max_angstrom[0] / np.pi
    # The misfits are those of decoded densities, as in `models`; the structures themselves fit a little better.
    misfit_c1, _ = bank_search.rate_densities(search_c1, bank_search.decode(search_c1, models_c1), models_c1)
    misfit = models.misfit
    return _log_mean_exp(-0.5 * channels * misfit_c1) - _log_mean_exp(-0.5 * channels * misfit)


def _log_mean_exp(values: np.ndarray) -> float:
    """Returns the logarithm of the mean of the exponentials."""
    return float(np.max(values) + np.log(np.mean(np.exp(values - np.max(values)))))
