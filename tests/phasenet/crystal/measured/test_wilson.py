"""Scale, B and anisotropy against those the data were made with."""

import gemmi
import numpy as np
import pytest

from phasenet.crystal.form_factors import sum_of_squared_form_factors
from phasenet.crystal.lattice import Intensities, find_absences, inverse_spacing
from phasenet.crystal.measured.merging import merge, select_reflections
from phasenet.crystal.measured.packing import assess_contents
from phasenet.crystal.measured.wilson import fit_wilson, normalized_intensities, wilson_points
from phasenet.errors import InputError


def wilson_data(made, cell, scale, tensor, seed=0, noise=0.0, d_min=0.85):
    """Acentric Wilson statistics about scale * f^2 * exp(-s B s / 2) for 40 carbon atoms."""
    hkl = made.half_sphere(cell, d_min)
    s = hkl @ np.linalg.inv(np.array(gemmi.UnitCell(*cell).orth.mat.tolist()))
    mean = scale * sum_of_squared_form_factors(inverse_spacing(hkl, cell), {"C": 40}) * np.exp(
        -np.einsum("ni,ij,nj->n", s, tensor, s) / 2)
    random = np.random.default_rng(seed)
    intensity = mean * random.exponential(size=len(hkl))
    sigma = np.full(len(hkl), max(noise, 1e-6)) * mean.mean()
    return merge(Intensities(hkl, intensity + sigma * random.standard_normal(len(hkl)), sigma), np.eye(3)[None])


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_scale_and_b_are_those_of_the_data(made, noise):
    cell = made.CELLS["triclinic"]
    plot = fit_wilson(wilson_data(made, cell, 2.5, 4.0 * np.eye(3), noise=noise), cell, {"C": 40})
    assert plot.b == pytest.approx(4.0, abs=4 * plot.b_sigma) and plot.b_sigma < 0.4
    assert plot.scale == pytest.approx(2.5, rel=0.2)


def test_the_points_of_the_plot_lie_about_the_fitted_line(made):
    cell = made.CELLS["triclinic"]
    merged = wilson_data(made, cell, 2.5, 4.0 * np.eye(3))
    plot = fit_wilson(merged, cell, {"C": 40})
    s2, log = wilson_points(merged, cell, {"C": 40})
    assert len(s2) > 10 and (np.diff(s2) > 0).all() and s2[-1] < 1 / 0.85**2
    # The mean of 60 exponentially distributed intensities scatters by 13%.
    assert np.abs(log - (np.log(plot.scale) - plot.b * s2 / 2)).std() < 0.2


def test_the_stated_standard_deviation_of_b_is_its_scatter(made):
    cell = made.CELLS["triclinic"]
    plots = [fit_wilson(wilson_data(made, cell, 1.0, 3.0 * np.eye(3), seed, d_min=1.1), cell, {"C": 40})
             for seed in range(20)]
    assert np.std([plot.b for plot in plots]) == pytest.approx(np.mean([plot.b_sigma for plot in plots]), rel=0.4)


def test_anisotropy_is_found_along_its_axis(made):
    cell = made.CELLS["orthorhombic"]
    plot = fit_wilson(wilson_data(made, cell, 1.0, np.diag([2.0, 3.0, 7.0])), cell, {"C": 40},
                      rotations=made.group("P 2 2 2").rotations)
    np.testing.assert_allclose(plot.b_axes, [2, 3, 7], atol=4 * plot.anisotropy_sigma)
    assert plot.anisotropy == pytest.approx(5, abs=1) and plot.anisotropy_sigma < 0.4


def test_a_cubic_group_allows_no_anisotropy(made):
    cell = made.CELLS["cubic"]
    plot = fit_wilson(wilson_data(made, cell, 1.0, np.diag([2.0, 3.0, 7.0])), cell, {"C": 40},
                      rotations=made.group("P 2 3").rotations)
    assert plot.anisotropy == pytest.approx(0, abs=1e-6)


def test_form_factors_are_those_of_the_radiation():
    values = sum_of_squared_form_factors(np.array([0.0, 0.8]), {"C": 2, "O": 1})
    carbon, oxygen = gemmi.Element("C"), gemmi.Element("O")
    for position, stol2 in enumerate([0.0, 0.16]):
        expected = 2 * carbon.it92.calculate_sf(stol2) ** 2 + oxygen.it92.calculate_sf(stol2) ** 2
        assert values[position] == pytest.approx(expected)
    electrons = sum_of_squared_form_factors(np.array([0.5]), {"C": 1}, "electron")
    assert electrons[0] == pytest.approx(carbon.c4322.calculate_sf(0.0625) ** 2)
    # The coherent scattering length of carbon is 6.646 fm (Sears, Neutron News 3, 26, 1992).
    assert sum_of_squared_form_factors(np.array([0.5]), {"C": 1}, "neutron")[0] == pytest.approx(6.646**2, rel=1e-3)
    with pytest.raises(InputError, match="radiation"):
        sum_of_squared_form_factors(np.array([0.5]), {"C": 1}, "light")


def test_normalised_intensities_average_to_one_everywhere(made):
    reflections, cell, operators = made.crystal("P 1 21/c 1", "monoclinic", d_min=0.75, count=25)
    merged = merge(reflections, operators.rotations)
    merged = select_reflections(merged, ~find_absences(merged.hkl, operators))
    e2, sigma = normalized_intensities(merged, cell)
    order = np.argsort(inverse_spacing(merged.hkl, cell))
    for part in np.array_split(e2[order], 4):
        assert part.mean() == pytest.approx(1, abs=0.15)
    np.testing.assert_allclose(sigma / e2, merged.sigma / merged.intensity)


def test_volumes_of_real_crystals_are_usual_and_of_wrong_cells_are_not():
    # Sucrose, C12 H22 O11, P 21 with two molecules (Brown & Levy, Science 141, 921, 1963): 715 A^3.
    sucrose = np.array([7.7585, 8.7050, 10.8633, 90, 102.945, 90])
    contents = assess_contents(sucrose, {"C": 24, "H": 44, "O": 22})
    assert contents.volume_per_atom == pytest.approx(715 / 46, rel=0.01)
    assert contents.ratio == pytest.approx(715 / (24 * 13.87 + 44 * 5.08 + 22 * 11.39), rel=0.01)
    assert contents.is_organic and not contents.is_unusual
    assert assess_contents(sucrose * [1.4, 1, 1, 1, 1, 1], {"C": 24, "H": 44, "O": 22}).is_unusual
    assert assess_contents(sucrose, {"C": 48, "H": 88, "O": 44}).is_unusual
    assert assess_contents(sucrose).num_atoms == pytest.approx(715 / 18, rel=0.01)
    rock_salt = assess_contents(np.array([5.64, 5.64, 5.64, 90, 90, 90]), {"Na": 4, "Cl": 4})
    assert not rock_salt.is_unusual and not rock_salt.is_organic
