"""The verdict on a curve and on a result: shape, doubtful or no shape, with the reason that is meant."""

import types

import numpy as np
import pytest
from scipy import stats

from saxsae.profiles.guinier import fit_guinier
from saxsae.verdict import (
    DOUBTFUL,
    LIMITS,
    NO_SHAPE,
    RESULT_MEASURES,
    SHAPE,
    cormap_probability,
    judge_curve,
    judge_result,
)

Q = np.linspace(0.01, 0.35, 250)
X = Q * 30.0
SPHERE = (3 * (np.sin(X) - X * np.cos(X)) / X**3) ** 2
SIGMA = 0.002 * np.sqrt(SPHERE + 0.05)
RNG = np.random.default_rng(0)
NOISE = SIGMA * RNG.standard_normal(Q.size)


def curve(intensity=SPHERE, q=Q, **more):
    return types.SimpleNamespace(q_inv_angstrom=q, intensity=intensity + NOISE[-q.size:], sigma=SIGMA[-q.size:], **more)


def judge(made, **options):
    return judge_curve(made, fit_guinier(made.q_inv_angstrom, made.intensity, made.sigma), **options)


def result(fit=SPHERE, rsc=(1.0, 0.8, 0.9), sources=(), bank_misfit=np.nan, negative_density=np.nan, symmetry=None,
           **more):
    made = curve(**more)
    return types.SimpleNamespace(**vars(made), fit=fit, rsc=np.array(rsc), sources=sources,
                                 bank_misfit=bank_misfit, negative_density=negative_density, symmetry=symmetry,
                                 guinier=fit_guinier(made.q_inv_angstrom, made.intensity, made.sigma))


def test_limits_are_in_order():
    for name, limit in LIMITS.items():
        assert limit.no_shape[0] <= limit.doubtful[0] and limit.no_shape[1] >= limit.doubtful[1], name
        for end, text in zip(limit.doubtful, (limit.below, limit.above), strict=True):
            assert np.isfinite(end) == bool(text), name
            assert text.format(0.5) != text or not text


def test_a_good_curve_and_a_good_fit():
    before = judge(curve())
    assert before.status == SHAPE and before.reasons == ()
    found = judge_result(result(), 30 * 0.6**0.5, before)
    assert found.status == SHAPE and found.sentence.startswith("shape: ")
    unknown = {"rsc_with_mean", "symmetry_chi_squared", "symmetry_evidence"}
    assert set(RESULT_MEASURES) - set(found.measures) == unknown and found.measures["misfit"] < 1
    assert found.measures["rg_ratio"] == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("intensity", "status", "reason"), [
    (SPHERE + 0.1, DOUBTFUL, "levels off at 9% of I(0)"),
    (SPHERE + 2, NO_SHAPE, "levels off at 67% of I(0)"),
    (np.ones_like(Q), NO_SHAPE, "Guinier"),
    (SPHERE - 0.02, DOUBTFUL, "too much buffer is subtracted"),
    (0.8 * SPHERE - (3 * (np.sin(29 * Q) - 29 * Q * np.cos(29 * Q)) / (29 * Q) ** 3) ** 2, NO_SHAPE, "negative"),
    (0 * Q, NO_SHAPE, "lost in noise"),
    (0.3 * (Q / 0.01) ** -4, NO_SHAPE, "no Guinier region")])
def test_unfit_curves_get_their_reason(intensity, status, reason):
    found = judge(curve(intensity))
    assert found.status == status and reason in "; ".join(found.reasons) and found.sentence.startswith(f"{status}: ")


def test_sizes_that_no_protein_has():
    assert judge(curve(q=10 * Q)).status == NO_SHAPE  # Rg 2.3 A
    assert "larger than that of a protein complex" in judge(curve(q=Q / 20)).sentence


def test_wide_angles_alone_have_no_shape_unless_the_size_is_known():
    wide = Q > 0.09
    assert judge(curve(SPHERE[wide], Q[wide])).status == NO_SHAPE
    assert judge(curve(SPHERE[wide], Q[wide]), radius=30.0).status == DOUBTFUL


def test_a_background_that_is_fitted_is_no_doubt():
    assert judge(curve(SPHERE + 0.1), background=True).status == SHAPE
    assert judge(curve(SPHERE + 2), background=True).status == NO_SHAPE


def test_doubts_of_the_reader_count():
    found = judge(curve(doubts=("the unit would be unusual",)))
    assert found.status == DOUBTFUL and found.reasons == ("the unit would be unusual",)
    assert judge(curve(negative_share=0.5)).status == NO_SHAPE


@pytest.mark.parametrize(("more", "rg", "status", "reason"), [
    ({"fit": SPHERE * (1 + 0.15 * np.sin(80 * Q))}, 23.2, DOUBTFUL, "the best model misses the curve"),
    ({"fit": SPHERE * (1 + 0.5 * np.sin(80 * Q))}, 23.2, NO_SHAPE, "the best model misses the curve"),
    ({}, 28.0, DOUBTFUL, "Rg of the best model is 1.19"),
    ({}, 5.0, NO_SHAPE, "Rg of the best model is 0.2"),
    ({"rsc": (1.0, 0.4, 0.4)}, 23.2, DOUBTFUL, "models with the best is 0.40 only"),
    ({"rsc": (0.7, 0.7, 0.7), "sources": ("1abc",)}, 23.2, DOUBTFUL, "with their mean is 0.70 only"),
    ({"fit": SPHERE - 2 * SIGMA * np.sign(Q - 0.18)}, 23.2, DOUBTFUL, "CorMap")])
def test_results_get_their_reason(more, rg, status, reason):
    found = judge_result(result(**more), rg, judge(curve()))
    assert found.status == status and reason in "; ".join(found.reasons)


def test_one_model_has_no_correlation_with_others():
    found = judge_result(result(rsc=(1.0,)), 23.2, judge(curve()))
    assert np.isnan(found.measures["rsc_with_best"]) and found.status == SHAPE


def test_what_came_before_stays():
    before = judge(curve(SPHERE + 0.1))
    found = judge_result(result(intensity=SPHERE + 0.1, fit=SPHERE + 0.1), 22.4, before)
    assert found.reasons[:len(before.reasons)] == before.reasons and found.status == DOUBTFUL


def test_cormap_probability_is_that_of_tosses():
    tosses = RNG.choice([-1.0, 1.0], size=(20_000, 60))
    changes = np.diff(np.sign(tosses), axis=1) != 0
    longest = np.array([np.diff(np.flatnonzero(np.concatenate([[True], row, [True]]))).max() for row in changes])
    for run in (4, 7, 10):
        signs = np.concatenate([np.ones(run), np.resize([-1.0, 1.0], 60 - run)])
        expected = (longest >= run).mean()
        assert cormap_probability(signs) == pytest.approx(expected, abs=4 * stats.sem(longest >= run) + 1e-4)
    assert cormap_probability(np.resize([1.0, -1.0], 60)) == 1
    assert cormap_probability(np.ones(60)) == pytest.approx(2.0**-59, rel=1e-6, abs=0)


@pytest.mark.parametrize("chi_squared, against, status, word", [
    (1.1, 3.5, SHAPE, None), (1.6, 0.7, DOUBTFUL, "chi^2 is 1.60 times"), (1.1, 7.0, DOUBTFUL, "log evidence")])
def test_a_symmetry_against_the_curve_is_doubtful(chi_squared, against, status, word):
    evidence = types.SimpleNamespace(chi_squared=chi_squared, chi_squared_c1=1.0, log_evidence_against=against)
    found = judge_result(result(symmetry=evidence), 23.2, judge(curve()))
    assert found.status == status and found.measures["symmetry_evidence"] == against
    assert word is None or any(word in reason and "against the symmetry" in reason for reason in found.reasons)
