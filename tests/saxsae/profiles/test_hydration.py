"""Profiles of densities of atoms with a shell of bound water."""

import numpy as np
import pytest
from made_bodies import make_atoms, profiles_of

from saxsae.profiles import hydration, simulation
from saxsae.shapes import densities

Q = np.linspace(0.0, 0.3, 61)
BODIES = [(24, 19, 16), (20, 15, 12), (28, 16, 16), (24, 24, 10), (40, 14, 14), (30, 25, 20), (45, 30, 20),
          (35, 35, 15), (60, 25, 20), (55, 45, 40)]


@pytest.mark.parametrize("axes", BODIES, ids=str)
def test_without_a_shell_it_is_the_debye_sum_over_the_atoms_within_one_percent(axes):
    xyz, r_max = make_atoms(axes)
    found = profiles_of(xyz, r_max, Q, order=40)[0]
    expected = simulation.debye_intensity(xyz, Q)
    error = np.abs(found - expected)[Q <= 0.2]
    assert error.max() < 0.006
    assert np.median(error / expected[Q <= 0.2]) < 0.01


def test_the_parts_make_the_profile_of_the_sum_of_amplitudes():
    xyz, r_max = make_atoms((24, 18, 14))
    atoms, shell = (make(xyz, r_max).astype(np.float32) for make in (densities.atom_density, densities.shell_density))
    parts = profiles_of(xyz, r_max, Q)
    excess = hydration.amplitude_map(atoms, shell, 0.02)
    nothing = np.zeros_like(atoms)
    direct = np.asarray(hydration.profiles_of_parts(excess / hydration.PROTEIN_EXCESS, nothing, Q.astype(np.float32),
                                                    np.float32(r_max), 30, True))[0]
    combined = np.asarray(hydration.combine_parts(parts, 0.02))
    np.testing.assert_allclose(combined / combined[0], direct, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize(("contrast", "low", "high"), [(0.02, 0.4, 1.6), (-0.02, -3.0, -0.4)])
def test_a_shell_enlarges_rg_as_is_observed(contrast, low, high):
    xyz, r_max = make_atoms((25, 20, 16))
    q = np.array([0.0, 0.02])
    rg = [np.sqrt(-3 * np.log(profile[1] / profile[0])) / 0.02
          for profile in (np.asarray(hydration.combine_parts(profiles_of(xyz, r_max, q), c)) for c in (0.0, contrast))]
    assert rg[0] == pytest.approx(np.sqrt((xyz**2).sum(1).mean()), rel=0.02)
    assert low < rg[1] - rg[0] < high


@pytest.mark.parametrize("r_max", [15.0, 60.0, 400.0])
def test_up_to_the_largest_q_an_order_is_high_enough(r_max):
    q_max = hydration.largest_q(r_max)
    assert hydration.choose_density_order(0.999 * q_max, r_max) == 40
    assert 1.1 * q_max * (r_max + densities.MARGIN_ANGSTROM) == pytest.approx(40)
