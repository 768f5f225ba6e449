"""launch.evaluate --task=verdicts and --task=units: what they count, and what they print."""

import json
import pathlib

import numpy as np
import pytest

from launch.evaluation.curve_tasks import made_curves, verdicts
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


@pytest.mark.parametrize("name", LIMITS)
def test_the_guide_shows_each_limit(name):
    guide = pathlib.Path(verdicts.__file__).parents[3] / "saxsae" / "README.md"
    lines = guide.read_text(encoding="utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith(f"| `{name}`")]
    limits = [verdicts.format_range(limit) for limit in (LIMITS[name].doubtful, LIMITS[name].no_shape)]
    assert [row[1:3] for row in rows] == [limits]


def test_spheroids_are_spheres_and_follow_guinier():
    found = made_curves.spheroid_intensity(made_curves.Q, 30.0, 30.0)
    x = made_curves.Q * 30
    np.testing.assert_allclose(found, (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2, atol=1e-12)
    for across, along in ((25.0, 12.0), (10.0, 30.0)):
        low = made_curves.spheroid_intensity(np.array([1e-3]), across, along)
        np.testing.assert_allclose(-3 * np.log(low) / 1e-6, (2 * across**2 + along**2) / 5, rtol=1e-3)
