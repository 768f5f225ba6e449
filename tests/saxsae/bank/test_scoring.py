"""Structures of the bank against a curve."""

import numpy as np
import pytest
from made_bodies import make_atoms, make_bank, profiles_of

from saxsae.bank import scoring
from saxsae.profiles import hydration
from saxsae.profiles.scattering import WeightedCurve

BODIES = [(20, 20, 20), (30, 20, 16), (26, 26, 12), (45, 15, 15), (40, 20, 20), (24, 20, 18)]
Q = np.linspace(0.01, 0.2, 80)
OWN = 3
BARE = {"contrasts": (0.0,), "equal_atoms": True}  # the curves are of bare bodies of equal atoms


@pytest.fixture(scope="module")
def bank():
    return make_bank(BODIES)


def curve_of(axes, contrast=0.0, constant=0.0, noise=0.01):
    xyz, r_max = make_atoms(axes, 77)
    parts = profiles_of(xyz, r_max, Q)
    intensity = parts[0] + contrast * parts[1] + contrast**2 * parts[2]
    intensity = intensity / intensity[0] + constant
    sigma = noise * intensity + 1e-4
    noisy = intensity + sigma * np.random.default_rng(1).normal(size=len(Q))
    return scoring.add_model_error(WeightedCurve(Q, noisy, sigma**-2)), float(np.sqrt((xyz**2).sum(1).mean())), r_max


@pytest.mark.parametrize("scale", [0.9, 1.0, 1.1])
def test_the_own_shape_is_first_at_its_size(bank, scale):
    axes = tuple(scale * axis for axis in BODIES[OWN])
    curve, rg, r_max = curve_of(axes)
    found, _ = scoring.choose_structures(bank, curve, 1.02 * rg, 3, **BARE)
    assert found.rows[0] == OWN and len(set(found.rows)) == 3
    assert found.r_max_angstrom[0] == pytest.approx(r_max, rel=0.04)
    assert found.misfit[0] < 0.3 * found.misfit[1]


def test_the_shell_is_told_by_its_contrast(bank):
    curve, rg, r_max = curve_of(BODIES[OWN], contrast=0.03)
    bare, wet = (scoring.choose_structures(bank, curve, rg, 1, equal_atoms=True, contrasts=(contrast,))[0]
                 for contrast in (0.0, 0.03))
    assert bare.r_max_angstrom[0] / r_max > wet.r_max_angstrom[0] / r_max + 0.03
    assert wet.r_max_angstrom[0] == pytest.approx(r_max, rel=0.04) and wet.contrast[0] == 0.03


def test_a_known_radius_is_kept(bank):
    curve, rg, r_max = curve_of(BODIES[OWN])
    found, _ = scoring.choose_structures(bank, curve, rg, 6, **BARE, radius=r_max)
    assert found.rows[0] == OWN and (found.r_max_angstrom == np.float32(r_max)).all()
    larger, _ = scoring.choose_structures(bank, curve, rg, 6, **BARE, radius=1.2 * r_max)
    assert found.misfit[0] < 0.6 < larger.misfit[list(larger.rows).index(OWN)]  # the misfit is that at this radius


def test_bodies_too_long_for_the_profiles_are_left_out(bank):
    curve, rg, _ = curve_of((90, 20, 20))
    found, _ = scoring.choose_structures(bank, curve._replace(q_inv_angstrom=curve.q_inv_angstrom * 3), rg, 6,
                                      **BARE)
    limit = hydration.largest_radius(3 * Q[-1])
    assert found.r_max_angstrom[0] < limit


def test_a_radius_of_gyration_that_is_a_guess_may_be_off(bank):
    curve, rg, r_max = curve_of(BODIES[OWN])
    found, _ = scoring.choose_structures(bank, curve, 1.35 * rg, 1, **BARE, rg_known=False)
    assert found.rows[0] == OWN and found.r_max_angstrom[0] == pytest.approx(r_max, rel=0.05)


def test_a_constant_is_fitted_where_it_is_asked_for(bank):
    curve, rg, _ = curve_of(BODIES[OWN], constant=0.05)
    fitted, left = (scoring.choose_structures(bank, curve, rg, 1, **BARE, background=background)[0]
                    for background in (True, False))
    assert fitted.rows[0] == OWN and fitted.misfit[0] < 0.1 * left.misfit[0]


def test_misfits_are_mean_squared_residuals_with_the_best_scale():
    curve, _, _ = curve_of(BODIES[0])
    profile = np.exp(-(Q * 18)**2 / 3).astype(np.float32)
    weight, target = np.asarray(curve.weight, np.float64), np.asarray(curve.intensity, np.float64)
    design = np.stack([profile, np.ones_like(profile)], 1) * np.sqrt(weight)[:, None]
    for background in (False, True):
        columns = design[:, :1 + background]
        left = np.linalg.lstsq(columns, target * np.sqrt(weight))[1][0]
        assert float(scoring.misfits(profile, curve, background)) == pytest.approx(left / len(Q), rel=1e-3)


def test_a_structure_that_is_left_out_is_not_chosen(bank):
    curve, rg, _ = curve_of(BODIES[OWN])
    with np.errstate(invalid="ignore"):
        found, _ = scoring.choose_structures(bank.without(np.array([OWN])), curve, rg, len(BODIES) - 1, **BARE)
    assert OWN not in found.rows and np.isfinite(found.misfit).all()
