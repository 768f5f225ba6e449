"""Figures 2d and 2e of the SAXS paper: they show what the evaluations hold, ours beside the published results."""

import contextlib

import numpy as np
import pytest

from launch.plotting import style
from launch.plotting.missing import MissingInput
from launch.plotting.saxs_figures import all_figures

ITEMS = [
    {"correlation": 0.9, "published_map_correlation": 0.7, "reference_radius_angstrom": 40.0, "radius_angstrom": 42.0,
     "published_radius_angstrom": 50.0},
    {"correlation": 0.8, "published_map_correlation": None, "reference_radius_angstrom": 30.0, "radius_angstrom": 29.0},
    {"error": "no such file"}]
FREE = {"task": "simulated", "items": ITEMS}
GIVEN = {"task": "simulated", "given_radius": True, "items": [{"correlation": 0.95}]}


@pytest.fixture
def drawn(monkeypatch):
    """The figures, which are kept when they are written."""
    figures, figure = [], style.figure

    @contextlib.contextmanager
    def keep(*arguments):
        with figure(*arguments) as made:
            figures.append(made)
            yield made

    monkeypatch.setattr(style, "figure", keep)
    return figures


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_correlations_stand_beside_the_published_ones(drawn, tmp_path):
    all_figures.saxs2d(tmp_path / "2d.png", [FREE, GIVEN])
    assert labels(drawn[0].axes[0]) == [
        "saxsae, simulated curves, radius free, mean 0.850", "decodeSAXS's maps, radius free, mean 0.700",
        "saxsae, simulated curves, radius given, mean 0.950"]
    assert (tmp_path / "2d.png").stat().st_size > 1000


def test_measured_curves_and_those_of_the_models_bear_their_names(drawn, tmp_path):
    measured = {"task": "reconstruction", "items": ITEMS}
    all_figures.saxs2e(tmp_path / "2e.png", [measured, measured | {"from_models": True}])
    names = labels(drawn[0].axes[0])
    assert "saxsae, measured curves" in names and "saxsae, curves of the models" in names


def test_no_correlation_falls_off_the_histogram(drawn, tmp_path):
    values = [-0.11, 0.2, 0.999, 1.0]
    all_figures.saxs2d(tmp_path / "2d.png", [{"task": "simulated", "items": [{"correlation": v} for v in values]}])
    assert sum(bar.get_height() for bar in drawn[0].axes[0].patches) == len(values)


def test_the_radii_found_stand_against_the_true_ones(drawn, tmp_path):
    all_figures.saxs2e(tmp_path / "2e.png", [GIVEN, FREE])
    axes = drawn[0].axes[0]
    ours, published = axes.lines[:2]
    np.testing.assert_array_equal(ours.get_xydata(), [[40, 42], [30, 29]])
    np.testing.assert_array_equal(published.get_xydata(), [[40, 50]])
    assert labels(axes) == ["saxsae, simulated curves", "decodeSAXS"]


def test_what_is_missing_is_named(tmp_path):
    for draw in (all_figures.saxs2d, all_figures.saxs2e):
        with pytest.raises(MissingInput, match="results"):
            draw(tmp_path / "a.png", [{"task": "phasing", "items": []}])
    with pytest.raises(MissingInput, match="free radius"):
        all_figures.saxs2e(tmp_path / "a.png", [GIVEN])
