"""From a measured Patterson map to the solver's: origin, symmetry, grid, scale."""

import jax
import numpy as np
import pytest

from phasenet import preparation
from phasenet.errors import InputError
from phasenet.maps import synthesis
from phasenet.maps.atoms import AtomRules

PROBLEM = synthesis.Problem(atoms=AtomRules(num_atoms=3, inner_box=5.0), grid=16)
ATOMS = np.array([[1.3, -2.0, 0.4], [-1.9, 0.2, -1.5], [0.6, 1.8, 1.1]])


def measured(grid=16):
    return np.asarray(synthesis.simulate_patterson(jax.random.key(0), ATOMS, PROBLEM._replace(grid=grid)), np.float64)


def prepare(values, problem=PROBLEM, **options):
    return preparation.prepare(values, problem, "map.npy", **options)


def noted(found, words):
    return any(words in note for note in found.notes)


def assert_same(found, expected, tolerance=1e-5):
    assert found.shape == expected.shape and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=tolerance * expected.max())


@pytest.mark.slow
def test_any_scale_and_either_origin_come_out_alike():
    for factor in (1e-300, 1e-3, 1.0, 400.0, 1e30, 1e300):
        at_corner, centred = prepare(factor * measured()), prepare(factor * np.fft.fftshift(measured()))
        assert_same(at_corner.patterson, measured())
        assert_same(centred.patterson, measured())
        assert noted(at_corner, "at voxel (0, 0, 0)") and noted(centred, "in the middle, at voxel (8, 8, 8)")
        assert at_corner.has_f000 and noted(at_corner, "holds F000") and not noted(at_corner, "indicate")


@pytest.mark.parametrize("offset", ["no mean", "below", "far above"])
def test_without_f000_power_gives_the_scale_and_the_atoms_f000(offset):
    values = measured() - measured().mean()
    values += {"no mean": 0.0, "below": -0.3, "far above": 5.0}[offset]
    found = prepare(7 * values)
    assert not found.has_f000 and noted(found, "does not hold F000")
    # The scale is good to some percent; the sum is the atoms' own.
    assert_same(found.patterson, measured(), tolerance=0.05)
    assert found.patterson.sum() == pytest.approx((3 * 4 * np.pi / 3) ** 2, rel=1e-4)


def test_a_number_of_atoms_that_the_map_denies_is_told():
    found = prepare(measured(), PROBLEM._replace(atoms=PROBLEM.atoms._replace(num_atoms=5)))
    assert found.has_f000 and noted(found, "indicate 3.0 atoms, not 5")
    counted = prepare(measured(), PROBLEM._replace(atoms=PROBLEM.atoms._replace(num_atoms=5)), estimate_num_atoms=True)
    assert counted.problem == PROBLEM and noted(counted, "3 atoms, estimated from the map's sum and power (2.97)")
    assert_same(counted.patterson, measured())


def test_small_asymmetry_is_averaged_and_a_large_one_refused():
    rng = np.random.default_rng(0)
    noise = rng.uniform(-1, 1, (16,) * 3) * measured().max()
    found = prepare(measured() + 2e-4 * noise)
    assert noted(found, "averaged")
    mirrored = np.roll(np.flip(found.patterson), 1, axis=(0, 1, 2))
    np.testing.assert_allclose(found.patterson, mirrored, atol=1e-5)
    with pytest.raises(InputError, match=r"map.npy: not a Patterson map: P\(u\) and P\(-u\) differ"):
        prepare(measured() + 2e-3 * noise)


def test_the_highest_value_must_be_the_origin():
    for shift in ((1, 0, 0), (0, 8, 8)):
        with pytest.raises(InputError, match=rf"highest value is at voxel \({shift[0]}, {shift[1]}, {shift[2]}\)"):
            prepare(np.roll(measured(), shift, axis=(0, 1, 2)))
    for constant in (0.0, 2.5):
        with pytest.raises(InputError, match="expected a map with an origin peak"):
            prepare(np.full((16,) * 3, constant))


def test_a_symmetric_map_with_negative_intensities_is_none():
    values = np.random.default_rng(0).normal(size=(16,) * 3)
    values += np.roll(np.flip(values), 1, axis=(0, 1, 2))
    values[0, 0, 0] = 10.0
    with pytest.raises(InputError, match="% of the Fourier transform is negative"):
        prepare(values)
    # A little is noise: it is taken out.
    found = prepare(measured() + 1e-3 * values)
    assert noted(found, "set to 0") and np.fft.rfftn(found.patterson).real.min() > -1e-3


@pytest.mark.parametrize("grid", [20, 24, 32])
@pytest.mark.parametrize("level", [0.0, -0.4])
def test_a_larger_map_is_cut_where_nothing_is_lost(grid, level):
    found = prepare(np.fft.fftshift(measured(grid)) + level)
    assert_same(found.patterson, measured())
    assert noted(found, f"cut about the origin from {grid} to 16") and noted(found, "subtracted") == (level != 0)


@pytest.mark.parametrize("level", [0.0, 0.4])
def test_a_smaller_map_is_padded_where_it_has_ended(level):
    found = prepare(measured() + level, PROBLEM._replace(grid=24))
    assert_same(found.patterson, measured(24))
    assert noted(found, "padded about the origin from 16 to 24")


def test_an_odd_map_keeps_its_origin():
    values = np.fft.ifftshift(np.pad(np.fft.fftshift(measured()), (1, 2)))
    assert values.shape == (19,) * 3
    assert_same(prepare(values).patterson, measured())
    assert_same(prepare(np.fft.fftshift(values)).patterson, measured())


def test_a_map_that_would_lose_something_is_refused():
    wide = np.asarray(synthesis.simulate_patterson(jax.random.key(0), 2.0 * ATOMS, PROBLEM._replace(grid=24)))
    with pytest.raises(InputError, match="24 voxels per edge, the weights are for 16, .*cannot be cut without loss"):
        prepare(wide)
    wrapped = np.asarray(synthesis.simulate_patterson(jax.random.key(0), 2.0 * ATOMS, PROBLEM))
    with pytest.raises(InputError, match="16 voxels per edge, the weights are for 24, .*cannot be padded without loss"):
        prepare(wrapped, PROBLEM._replace(grid=24))


@pytest.mark.parametrize("grid", [16, 24])
def test_for_a_network_that_takes_any_map_the_problem_is_the_maps(grid):
    found = prepare(measured(grid), PROBLEM._replace(grid=40), adapt_problem=True)
    assert_same(found.patterson, measured(grid))
    # Atoms 3 voxels apart at most on an axis, and room for them to lie on one side of their mean.
    assert found.problem == PROBLEM._replace(grid=grid, atoms=PROBLEM.atoms._replace(inner_box=4.0))
    assert noted(found, "flat beyond 5 voxels from its origin")


def test_a_cut_resolution_is_seen():
    values = np.asarray(synthesis.simulate_patterson(jax.random.key(0), ATOMS, PROBLEM._replace(h_max=5.0)), np.float64)
    found = prepare(values, PROBLEM._replace(grid=40), adapt_problem=True)
    assert found.problem.h_max == 5.0 and noted(found, "no reflections beyond |h| = 5.00")
    assert found.problem.atoms.inner_box == 12 and noted(found, "not flat at its edges")


def test_a_map_of_an_odd_edge_goes_on_the_weights_grid():
    values = np.fft.ifftshift(np.pad(np.fft.fftshift(measured()), (1, 2)))
    assert prepare(values, adapt_problem=True).problem == PROBLEM
