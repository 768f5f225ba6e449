"""A symmetry that is imposed on a reconstruction, with the released weights and a trimer whose curve is known."""

import numpy as np
import pytest
from made_bodies import BARE, measured, trimer_atoms
from scipy import ndimage

from phasenet.errors import InputError
from saxsae import pretrained, reconstruction
from saxsae.bank.descent import DescentSettings
from saxsae.reconstruction import reconstruct
from saxsae.shapes.voxels import CENTRE
from saxsae.superposition import metrics

pytestmark = [pytest.mark.slow, pytest.mark.optimized]


@pytest.fixture(scope="module")
def weights():
    return pretrained.load()


@pytest.fixture(scope="module")
def curve():
    return measured(trimer_atoms())


@pytest.fixture(scope="module")
def seen():
    """The reports of the progress of `found`."""
    return []


@pytest.fixture(scope="module")
def found(curve, weights, seen):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconstruction, "_FEWEST_MODELS", 4)  # so that the number of models is no reason
        return reconstruct(curve, weights, symmetry="C3", num_models=4, descent=DescentSettings(steps=6),
                           progress=seen.append, **BARE)


def test_the_map_does_not_change_when_turned_about_z(found):
    turned = ndimage.rotate(found.density, 120, axes=(0, 1), reshape=False, order=1)
    assert np.corrcoef(found.density.ravel(), turned.ravel())[0, 1] > 0.99
    weight = found.density.sum((1, 2)), found.density.sum((0, 2))
    assert np.abs([line @ (np.arange(31) - CENTRE) / line.sum() for line in weight]).max() < 0.05


def test_the_trimer_is_found_and_fits(found):
    xyz = trimer_atoms()
    r_max = np.linalg.norm(xyz - xyz.mean(0), axis=1).max()
    placed = metrics.reconstruction_correlation(found.density, found.pitch_angstrom, xyz, np.ones(len(xyz)), r_max)
    assert placed.correlation > 0.85
    assert found.symmetry.misfit < 0.5 and found.symmetry.misfit == pytest.approx(found.history.best[0, -1], rel=0.05)
    assert found.chi_squared == found.symmetry.chi_squared
    assert found.rg_angstrom == pytest.approx(found.guinier.rg_angstrom, rel=0.05)


def test_the_comparison_is_the_search_without_symmetry(found, curve, weights):
    without = reconstruct(curve, weights, num_models=4, descent=DescentSettings(steps=6), **BARE)
    assert without.symmetry is None
    assert found.symmetry.name == "C3"
    assert found.symmetry.chi_squared_c1 == pytest.approx(without.chi_squared, rel=1e-3)
    assert found.bank_misfit == without.bank_misfit
    assert found.symmetry.misfit_c1 == pytest.approx(without.history.best[0, -1], rel=0.05)


def test_both_searches_report_their_progress(found, seen):
    assert [state.generation[0] for state in seen] == [6, 6]
    best, best_c1 = (state.chi_squared.min() for state in seen)
    assert best == pytest.approx(found.history.best[0, -1])
    assert best_c1 == pytest.approx(found.symmetry.misfit_c1, rel=0.05)


def test_the_bank_alone_is_symmetric_too(curve, weights):
    alone = reconstruct(curve, weights, symmetry="c3", stages=("bank",), num_models=4, **BARE)
    turned = ndimage.rotate(alone.density, 120, axes=(0, 1), reshape=False, order=1)
    assert np.corrcoef(alone.density.ravel(), turned.ravel())[0, 1] > 0.99
    assert (np.diff(alone.history.elites) <= 0).all() and len(alone.sources) == 4


def test_no_confidence_is_stated(found, weights):
    assert weights.confidence is not None
    assert found.confidence is None and found.notes[-1].endswith("and no symmetry")


@pytest.mark.parametrize(("options", "message"), [
    ({"symmetry": "C13"}, "expected C2 to C12 or D2 to D6"),
    ({"symmetry": "C3", "stages": ("bank", "evolve")}, "stages bank and bank,search, not bank,evolve")])
def test_mistakes_are_named(curve, weights, options, message):
    with pytest.raises(InputError, match=message) as refusal:
        reconstruct(curve, weights, **options)
    assert "\n" not in str(refusal.value)
