"""Training examples agree with made crystals that are measured and prepared as a user's are."""

import gemmi
import jax
import numpy as np
import pytest

from phasenet.crystal import grids, lattice, normalisation
from phasenet.crystal.learned import examples, structures
from phasenet.crystal.made import crystals, measurement
from phasenet.errors import InputError

SHAPES = ((12, 16, 20), (16, 16, 24))


@pytest.fixture(scope="module")
def drawn():
    """(crystals, packed) of a few small cells."""
    made = [crystals.draw_crystal(np.random.default_rng((3, number)), (250.0, 500.0)) for number in range(6)]
    return made, structures.pack_structures(made, 200, SHAPES)


def one(packed, number):
    return jax.tree.map(lambda array: jax.numpy.asarray(array[number]), packed)


def contents(packed, number):
    kinds, counts = np.unique(packed.kinds[number][packed.kinds[number] > 0], return_counts=True)
    return {gemmi.Element(int(packed.elements[number, kind])).name: count
            for kind, count in zip(kinds, counts, strict=True)}


def test_a_packed_crystal_is_the_whole_cell_with_ascending_axes(drawn):
    made, packed = drawn
    assert 2 <= len(packed.kinds) <= len(made)
    for number in range(len(packed.kinds)):
        edges = np.linalg.norm(np.linalg.inv(packed.reciprocal[number]), axis=0)
        assert (np.diff(edges) >= 0).all()
        assert any(contents(packed, number) == crystal.composition for crystal in made)
        independent = packed.independent[number][packed.kinds[number] > 0]
        assert len(np.unique(independent)) < len(independent)


def test_a_crystal_with_too_many_atoms_is_left_out(drawn):
    made, packed = drawn
    fewer = structures.pack_structures(made, int((packed.kinds > 0).sum(1).min()), SHAPES)
    assert len(fewer.kinds) < len(packed.kinds)
    with pytest.raises(InputError, match="none of the made crystals fits"):
        structures.pack_structures(made, 10, SHAPES)


def test_a_grid_fits_where_its_points_are_as_dense_as_a_chosen_grid_has_them(drawn):
    _, packed = drawn
    ranges = structures.find_resolutions(packed.reciprocal, SHAPES)
    p1 = lattice.SpaceGroupOperators(np.eye(3, dtype=np.int32)[None], np.zeros((1, 3)), "P 1")
    fits = np.argwhere(ranges[..., 1] > 0)
    assert len(fits)
    for crystal, shape in fits:
        low, high = ranges[crystal, shape]
        edges = np.linalg.norm(np.linalg.inv(packed.reciprocal[crystal]), axis=0)
        for d_min in (low, high):
            points = np.array(SHAPES[shape]) * d_min / edges
            assert points.min() > 2.7 and points.max() < 3.45
        chosen = grids.choose_shape(np.array([*edges, 90.0, 90, 90]), p1, low)
        assert (np.abs(np.array(chosen) - SHAPES[shape]) <= 6).all()


def test_an_example_has_the_amplitudes_of_its_true_map(drawn):
    _, packed = drawn
    crystal, shape = np.argwhere(structures.find_resolutions(packed.reciprocal, SHAPES)[..., 1] > 0)[0]
    limits = structures.find_resolutions(packed.reciprocal, SHAPES)[crystal, shape]
    make = jax.jit(lambda key: examples.make_example(key, one(packed, crystal), limits, SHAPES[shape]))
    completeness = []
    for key in jax.random.split(jax.random.key(0), 12):
        example = jax.device_get(make(key))
        amplitudes, measured, *_ = example.data.constraint
        true = np.abs(example.transform)
        assert limits[0] <= example.d_min <= limits[1]
        assert np.corrcoef(amplitudes[measured], true[measured])[0, 1] > 0.85
        assert not amplitudes[~measured].any() and not measured[0, 0, 0]
        # Friedel mates in the plane l = 0 share what was measured.
        mates = np.roll(amplitudes[::-1, ::-1, 0], 1, (0, 1))
        np.testing.assert_allclose(mates, amplitudes[..., 0], atol=1e-3 * amplitudes.max())
        density = np.fft.irfftn(amplitudes, s=SHAPES[shape], axes=(0, 1, 2))
        assert np.sqrt(np.square(density).mean()) == pytest.approx(1, abs=1e-3)
        assert np.isfinite(example.data.conditions).all()
        completeness.append(measured.sum())
    assert len(set(completeness)) > 6


def test_an_example_agrees_with_a_measured_and_normalised_crystal(drawn):
    """Without heavy atoms and errors, both sharpenings differ only by the Wilson fit."""
    made, packed = drawn
    crystal = next(crystal for crystal in made if crystal.composition == contents(packed, 0))
    ranges = structures.find_resolutions(packed.reciprocal, SHAPES)[0]
    number = int(ranges[:, 1].argmax())
    shape, d_min = SHAPES[number], float(ranges[number].mean())
    example = jax.device_get(examples.make_example(jax.random.key(5), one(packed, 0), np.array([d_min, d_min]), shape))
    conditions = measurement.MeasurementConditions("xray", d_min, 0.01, 0.001, 0.0, 1.0, 1e3, 0.0, np.eye(3)[0], 0.0,
                                                   True)
    reflections = measurement.measure(np.random.default_rng(0), crystal, conditions)
    unique = normalisation.merge_equivalents(reflections, crystal.cell, crystal.operators)
    amplitudes = normalisation.normalise(unique, crystal.composition, "xray")
    order = np.argsort(crystal.cell[:3], kind="stable")
    found, expected = [], []
    for hkl, value in zip(unique.hkl[:, order], amplitudes.sharpened, strict=True):
        index = tuple(hkl if hkl[2] >= 0 else -hkl)
        if example.data.constraint.measured[index]:
            found.append(example.data.constraint.amplitudes[index])
            expected.append(value)
    assert len(found) > 100
    assert np.corrcoef(found, expected)[0, 1] > 0.95
