"""launch.evaluate --task=verdicts and --task=units: what they count, and what they print."""

import json

import numpy as np
import pytest

from launch.evaluation import made_curves, verdicts
from saxsae.verdict import LIMITS, RESULT_MEASURES


@pytest.fixture(scope="module")
def items():
    return list(verdicts.judge_made_curves(seed=5))


def test_good_curves_pass_and_unfit_ones_do_not(items):
    assert len(items) == len(made_curves.KINDS) * len(made_curves.BODIES)
    summary = verdicts.summarize(items)
    assert summary["good"] == {"shape": 15, "doubtful": 0, "no shape": 0}
    assert summary["unfit"]["shape"] == 0 and summary["unfit"]["no shape"] > summary["unfit"]["doubtful"]
    json.dumps(items)


def test_the_table_shows_limits_groups_and_counts(items):
    text = verdicts.format_verdicts(items, verdicts.summarize(items))
    for name in LIMITS:
        assert (name in text) == (name not in RESULT_MEASURES)
    for kind in made_curves.KINDS:
        assert f"made: {kind.name}" in text
    assert "15 good curves: 15 shape, 0 doubtful, 0 no shape" in text and "passed as a shape" not in text


def test_what_passes_is_named(items):
    passed = [item | {"status": "shape"} if item["group"] == "made: aggregates" else item for item in items]
    text = verdicts.format_verdicts(passed, verdicts.summarize(passed))
    assert text.count("passed as a shape: made: aggregates") == len(made_curves.BODIES)


def test_a_spheroid_is_the_sphere_it_is():
    found = made_curves.spheroid_intensity(made_curves.Q, 30.0, 30.0)
    x = made_curves.Q * 30
    np.testing.assert_allclose(found, (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2, atol=1e-12)
