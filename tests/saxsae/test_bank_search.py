"""From a curve to densities of the bank, with the released weights and a sphere whose curve is known."""

import numpy as np
import pytest
from made_bodies import sphere_curve

from phasenet.errors import InputError
from saxsae import confidence, pretrained, reconstruction
from saxsae.bank.descent import DescentSettings
from saxsae.reconstruction import reconstruct
from saxsae.superposition import baselines, metrics

pytestmark = [pytest.mark.slow, pytest.mark.optimized]

BARE = {"contrasts": (0.0,), "equal_atoms": True}  # of a curve of a uniform body
RADIUS = 25.0
STEPS = 6


@pytest.fixture(scope="module")
def weights():
    return pretrained.load()


@pytest.fixture(scope="module")
def seen():
    return []


@pytest.fixture(scope="module")
def found(weights, seen):
    return reconstruct(sphere_curve(RADIUS), weights, num_models=4, **BARE,
                       descent=DescentSettings(steps=STEPS), progress=seen.append)


@pytest.fixture(scope="module")
def of_bank(weights):
    return reconstruct(sphere_curve(RADIUS), weights, num_models=4, **BARE, stages=("bank",))


def overlap(found):
    """Correlation with the sphere, at 15 A."""
    true, pitch = baselines.sphere_map(np.sqrt(3 / 5) * RADIUS)
    moved = metrics.alignment.superpose(found.density, found.pitch_angstrom, true, pitch)
    return float(moved.correlation)


def test_the_sphere_is_found(found, of_bank):
    assert overlap(of_bank) > 0.9 and overlap(found) > 0.93
    assert RADIUS < found.radius_angstrom < 1.5 * RADIUS  # no protein is as round as a sphere
    assert found.rg_angstrom == pytest.approx(np.sqrt(3 / 5) * RADIUS, rel=0.05)
    assert found.verdict.status != "no shape"


def test_steps_lower_the_misfit_and_the_best_come_first(found, of_bank, seen):
    assert found.history.best[0, 0] > 2 * found.history.best[0, -1]
    assert (np.diff(found.history.best[0]) <= 0).all() and (np.diff(found.history.median[0]) <= 0).all()
    assert found.generations.tolist() == [STEPS] * 4
    assert found.chi_squared < 0.5 * of_bank.chi_squared
    last = seen[-1]
    assert last.generation[0] == STEPS and (np.diff(last.chi_squared[0]) >= 0).all()
    assert last.radii.shape == (1, 4)


def test_the_confidence_takes_the_share_of_models_that_began_as_made_shapes(weights, found):
    share = found.features[confidence.FEATURES.index("made_share")]
    assert share == np.mean([source.startswith("made ") for source in found.sources])
    assert 0 < weights.bank.is_made.mean() < 1 and not any(np.array(weights.bank.pdb_ids)[weights.bank.is_made])


def test_maps_are_densities_on_one_grid(found):
    assert found.models.shape == (4, 31, 31, 31) and found.density.shape == (31, 31, 31)
    assert found.density.min() >= 0 and found.density.max() <= 1 and found.models.max() <= 1
    assert found.rsc.min() > 0.8
    volume = found.models[0].sum() * found.pitch_angstrom**3
    assert volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.25)


@pytest.mark.parametrize("steps", [1, 9])
def test_there_are_as_many_steps_as_were_asked_for(weights, steps):
    seen = []
    found = reconstruct(sphere_curve(RADIUS), weights, num_models=4, **BARE,
                        descent=DescentSettings(steps=steps), progress=seen.append)
    assert found.history.best.shape == (1, steps + 1) and seen[-1].generation[0] == steps


def test_a_bank_smaller_than_the_number_of_models_gives_fewer(weights):
    few = weights.bank._replace(**{
        name: getattr(weights.bank, name)[:3] for name in weights.bank._fields})
    found = reconstruct(sphere_curve(RADIUS), weights._replace(bank=few), num_models=4, **BARE,
                        stages=("bank",))
    assert len(found.models) == len(found.generations) == len(found.sources) == 3


def test_the_structures_are_named(found, weights):
    assert len(found.sources) == 4
    names = set(weights.bank.names)
    assert all(line.split(" (PDB")[0].split(": misfit")[0] in names for line in found.sources)


def test_a_known_radius_is_kept(weights):
    given = reconstruct(sphere_curve(RADIUS), weights, radius=27.0, num_models=4, **BARE,
                        descent=DescentSettings(steps=STEPS))
    np.testing.assert_allclose(given.model_radii, 27.0, rtol=1e-5)


def test_the_result_is_the_same_again(found, weights):
    again = reconstruct(sphere_curve(RADIUS), weights, num_models=4, **BARE,
                        descent=DescentSettings(steps=STEPS))
    np.testing.assert_array_equal(again.density, found.density)


@pytest.mark.parametrize(("options", "message"), [
    ({"stages": ("search",)}, "expected one of bank; bank,search"), ({"contrasts": ()}, "contrasts"),
    ({"contrasts": (0.5,)}, "contrasts"), ({"num_models": 0}, "num_models"),
    ({"initial": "distribution"}, "for the stages 'evolve' alone"), ({"descent": DescentSettings(steps=0)}, "steps 0"),
    ({"radius": 4.0}, "smaller than any structure of the bank")])
def test_mistakes_are_named(weights, options, message):
    with pytest.raises(InputError, match=message):
        reconstruct(sphere_curve(RADIUS), weights, **options)


def test_weights_without_a_bank_evolve(weights):
    bare = weights._replace(bank=None)
    with pytest.raises(InputError, match="no bank"):
        reconstruct(sphere_curve(RADIUS), bare, stages=("bank",))


@pytest.mark.parametrize(("radius", "statuses"), [(15.0, {"no shape"}), (60.0, {"doubtful", "no shape"})])
def test_a_radius_that_contradicts_the_curve_gives_no_shape(weights, radius, statuses):
    """Steps in 200 numbers fit any curve with some density; before them nothing in the bank does."""
    found = reconstruct(sphere_curve(RADIUS), weights, radius=radius, num_models=4, **BARE,
                        descent=DescentSettings(steps=STEPS))
    assert found.verdict.status in statuses and found.bank_misfit > 5


def test_models_among_each_other(found):
    assert found.ensemble.correlations.shape == found.ensemble.nsd.shape == (4, 4)
    assert found.ensemble.clusters.tolist() == [0] * 4 and (found.ensemble.resolution_angstrom > 0).all()
    assert found.occupancy.min() >= 0 and found.occupancy.max() <= 1
    assert (found.occupancy * found.pitch_angstrom**3).sum() == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.3)
    assert 1 <= found.num_fitting <= 6608


@pytest.mark.parametrize(("fewest", "options"), [(16, {}), (4, {"radius": 30.0})])
def test_no_confidence_is_stated_where_it_was_not_measured(weights, monkeypatch, fewest, options):
    """One model agrees with itself, which says nothing about the truth."""
    assert weights.confidence is not None and reconstruction._FEWEST_MODELS == 16
    monkeypatch.setattr(reconstruction, "_FEWEST_MODELS", fewest)
    found = reconstruct(sphere_curve(RADIUS), weights, num_models=4, descent=DescentSettings(steps=1), **options)
    assert found.confidence is None and "no confidence is stated" in found.notes[-1]
    np.testing.assert_allclose(found.occupancy, (found.models > 0.5).mean(0))


def test_a_confidence_is_stated_for_enough_models(weights, monkeypatch):
    monkeypatch.setattr(reconstruction, "_FEWEST_MODELS", 4)
    found = reconstruct(sphere_curve(RADIUS), weights, num_models=4, descent=DescentSettings(steps=1))
    low, high = found.confidence.expected_correlation_90
    assert low < found.confidence.expected_correlation < high
