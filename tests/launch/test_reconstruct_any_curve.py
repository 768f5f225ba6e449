"""The whole launch.reconstruct on made curves of any size, unit, noise, length and level: all files, or one line."""

import collections
import json
import shutil
import types

import launched
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.optimized

FILES = {"density.ccp4", "occupancy.ccp4", "fit.fit", "report.html", "shape.png", "fit.png", "convergence.png",
         "log.json"}
# One model and one step make a search fast. Since it fits badly, no result is refused for its misfit; its files and
# messages are those of the launch.
LENIENT = """
import math, warnings

from saxsae import verdict

for name in verdict.RESULT_MEASURES:
    verdict.LIMITS[name] = verdict.LIMITS[name]._replace(no_shape=(-math.inf, math.inf))
warnings.simplefilter("always")
"""


def sphere(x):
    x = x * np.sqrt(5 / 3)
    return (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2


def chain(x):
    return 2 * (np.exp(-(x**2)) + x**2 - 1) / x**4


SHAPES = {"sphere": sphere, "chain": chain, "shell": lambda x: np.sinc(x / np.pi) ** 2, "flat": np.ones_like,
          "rising": lambda x: x**2, "falling": lambda x: np.exp(-x), "negative": lambda x: -np.exp(-(x**2) / 3)}

OFFSETS = [0.0, 0.0, 0.02, 0.3, -0.02, -0.3, -2.0]
FLAGS = ["--background", "--radius=2", "--radius=40", "--radius=1999", "--q_max=0.05", "--q_max=3"]


def draw_curve(seed):
    """A curve, half of them good ones, of any size and in any unit of intensity; and the flags."""
    rng = np.random.default_rng(seed)
    good = rng.random() < 0.5
    made = types.SimpleNamespace(
        shape=rng.choice(["sphere", "chain"] if good else list(SHAPES)), offset=0.0 if good else rng.choice(OFFSETS),
        rg=10 ** rng.uniform(1.0 if good else 0.5, 2.78), noise=10 ** rng.uniform(-3, -1.3 if good else -0.3),
        points=int(10 ** rng.uniform(1.4 if good else 0.5, 3.5)), unit=rng.choice(["1/A", "1/nm"]),
        sigma=rng.choice(["given", "given", "absent", "zero", "tiny"]), i0=10 ** rng.uniform(-12, 12))
    first = rng.uniform(0.1, 0.6) if good else 10 ** rng.uniform(-1.3, 0.5)
    q_rg = np.linspace(first, max(10 ** rng.uniform(0.7, 1.6), 1.1 * first), made.points)
    exact = SHAPES[made.shape](q_rg) + made.offset
    sigma = made.noise * (np.abs(exact) + 0.01)
    intensity = exact + sigma * rng.standard_normal(made.points)
    sigma = {"given": [sigma], "absent": [], "zero": [0 * sigma], "tiny": [1e-12 + 0 * sigma]}[made.sigma]
    made.columns = np.stack([q_rg / made.rg * (10 if made.unit == "1/nm" else 1),
                             *(made.i0 * np.array([intensity, *sigma]))], axis=1)
    made.flags = [f"--unit={made.unit}"] if good or rng.random() < 0.5 else []
    made.flags += [rng.choice(FLAGS)] if rng.random() < 0.4 else []
    return made


@pytest.mark.slow
def test_all_files_or_one_line(tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    ends = collections.Counter()

    @settings(max_examples=9, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32 - 1))
    def check(seed):
        made = draw_curve(seed)
        np.savetxt(folder / "made.dat", made.columns, fmt="%.8g")
        shutil.rmtree(folder / "out", ignore_errors=True)
        done = launched.run_in_turn("launch.reconstruct", f"--profile={folder / 'made.dat'}",
                                    f"--output={folder / 'out'}", "--generations=1", "--num_models=1", *made.flags,
                                    setup=LENIENT)
        names = {file.name for file in (folder / "out").iterdir()} if (folder / "out").exists() else set()
        if done.returncode == 0:
            assert done.stderr == ""
            assert names - {"beads.pdb", "beads.cif"} == FILES | {"model_01.ccp4"} and len(names) == len(FILES) + 2
            log = json.loads((folder / "out" / "log.json").read_text())
            ends[f"order {log['zernike_order']}"] += 1
        else:
            assert done.returncode == 1 and done.stderr.count("\n") == 1
            assert done.stderr.startswith("reconstruct: "), done.stderr
            assert names <= {"log.json"}
            ends["refused"] += 1

    check()
    # The test would be empty if the launch refused most curves.
    assert ends.total() - ends["refused"] >= 3 and ends["refused"] >= 1, ends
