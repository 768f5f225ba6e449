"""Suite phasing: both ways get the same maps and are judged alike; never a time."""

import os
import sys
import types

import jax.numpy as jnp
import numpy as np
import pytest

from launch.benchmarks.suites import phasing
from launch.machine.single_core_compilation import compiling_for_one_core
from phasenet.maps.atoms import AtomRules
from phasenet.maps.synthesis import Problem

REGIME = phasing.Regime("tiny", Problem(AtomRules(3, 6.0), 16, h_max=6.0), 1, 2, 1.0)


@pytest.fixture
def peer(monkeypatch):
    """One that knows the first map's answer, somewhere in the map and inverted, and finds nothing in the second."""
    true, maps = phasing.make_cases(REGIME.problem, 2)
    seen = []

    def solve(amplitudes, num_atoms, *, seed, mask, box, dmin):
        np.testing.assert_allclose(amplitudes**2, np.fft.fftn(maps[seed]).real * mask, atol=1e-2)
        seen.append((num_atoms, int(mask.sum()), box, dmin))
        places = (9.7 - np.asarray(true[seed])) % 16 if seed == 0 else np.zeros((0, 3))
        return types.SimpleNamespace(positions=places)

    monkeypatch.setitem(sys.modules, "classical_phasing", types.SimpleNamespace(SOLVERS={"best": solve}))
    return seen


def test_a_suite_of_one_tiny_regime(peer):
    rows = []
    summary = phasing.run(rows.append, cases=9, regimes=(REGIME,))  # no more than the regime's most
    (row,) = rows
    assert row.details["solved"] == 1.0 and row.details["peer_solved"] == 0.5
    assert row.details["mean_error_voxels"] < 1e-3 and row.details["peer_mean_error_voxels"] < 1e-3
    assert row.details["called_solved"] == sum(row.details["found_by"].values()) == 2
    assert len(peer) == row.rounds == 2
    assert peer[0] == (3, 925, 6.0, 2.0)  # whole-numbered points within a radius of 6
    assert summary["wrong_called_solved"] == 0
    assert all(bar.holds for bar in summary["bars"])


def test_an_atom_off_by_more_than_a_voxel_is_not_solved():
    true = jnp.array([[2.0, 0.0, 0.0], [-2.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    assert phasing.judge(-true + 0.1, true)[0]
    solved, error = phasing.judge(true.at[0, 2].add(1.1), true)
    assert not solved and np.isnan(error)
    assert not phasing.judge(jnp.full_like(true, jnp.nan), true)[0]


def test_the_cores_come_back():
    before = os.sched_getaffinity(0)
    with pytest.raises(ZeroDivisionError), compiling_for_one_core():
        assert len(os.sched_getaffinity(0)) == 1
        1 / 0  # noqa: B018
    assert os.sched_getaffinity(0) == before
