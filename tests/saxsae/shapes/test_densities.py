"""Densities of atoms and of their shell of bound water."""

import numpy as np
import pytest
from made_bodies import make_atoms

from saxsae.shapes import densities
from saxsae.shapes.densities import ATOM_VOLUME_ANGSTROM3
from saxsae.shapes.voxels import CENTRE, GRID


@pytest.mark.parametrize("axes", [(14, 14, 14), (30, 18, 12), (90, 60, 60)])
def test_a_protein_is_near_one_inside_and_keeps_its_volume(axes):
    xyz, r_max = make_atoms(axes)
    density = densities.atom_density(xyz, r_max)
    volume = density.sum() * densities.density_pitch(r_max)**3
    assert volume == pytest.approx(len(xyz) * ATOM_VOLUME_ANGSTROM3, rel=2e-3)
    middle = density[CENTRE - 1:CENTRE + 2, CENTRE - 1:CENTRE + 2, CENTRE - 1:CENTRE + 2]
    assert 0.8 < middle.mean() < 1.2


def test_the_distances_to_the_nearest_atom_are_those_of_a_brute_force():
    xyz, r_max = make_atoms((20, 14, 10))
    h = densities.density_pitch(r_max)
    found = densities.nearest_atom_distances(xyz, h, 6.0)
    places = (np.moveaxis(np.indices((GRID,) * 3), 0, -1) - CENTRE)[::5, ::3, ::2] * h
    expected = np.linalg.norm(places[..., None, :] - xyz, axis=-1).min(-1)
    near = expected < 6.0
    assert near.sum() > 100
    np.testing.assert_allclose(found[::5, ::3, ::2][near], expected[near], rtol=1e-4)
    assert (found[::5, ::3, ::2][~near] >= 6.0).all()


def test_the_shell_has_the_volume_of_a_layer_of_three_angstrom():
    radius = 25.0
    xyz, r_max = make_atoms((radius,) * 3)
    h = densities.density_pitch(r_max)
    volume = densities.shell_density(xyz, r_max).sum() * h**3
    smooth = 4 / 3 * np.pi * ((radius + 5)**3 - (radius + 2)**3)  # atoms at random leave crevices, too
    assert smooth < volume < 1.7 * smooth


@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_resampling_keeps_sum_and_width(scale):
    x = (np.arange(GRID) - CENTRE) * 2.0
    body = np.exp(-0.5 * (x[:, None, None]**2 + x[:, None]**2 / 2 + x**2 / 3) / 16)
    new = np.asarray(densities.resample(body, 2.0, 2.0 * scale, 3.0))
    assert new.sum() * scale**3 == pytest.approx(body.sum(), rel=2e-3)
    place = (np.arange(GRID) - CENTRE) * 2.0 * scale
    for axis, variance in enumerate((16, 32, 48)):
        along = new.sum(tuple({0, 1, 2} - {axis}))
        assert along @ place**2 / along.sum() == pytest.approx(variance + 9.0, rel=0.01)
