"""Training the learned iteration for crystals: its examples, its loss, and what is released."""

import jax
import numpy as np
import pytest

from configs import phasenet_crystals
from launch.crystals import weights
from launch.tasks import crystals
from launch.tasks.crystals import CrystalsTask
from launch.training import train
from phasenet import crystal_pretrained
from phasenet.crystal.learned import examples
from phasenet.crystal.made import arrays
from phasenet.crystal.made.crystals import draw_crystal
from phasenet.errors import InputError
from phasenet.networks import losses

SHAPE = (12, 16, 20)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Some crystals that fit the grid of the tests."""
    made = [draw_crystal(np.random.default_rng((2, number)), (220.0, 400.0)) for number in range(12)]
    path = tmp_path_factory.mktemp("structures") / "crystals.npz"
    np.savez(path, **arrays.pack(made))
    return path


@pytest.fixture
def tiny(archive):
    """One grid and a training of seconds."""
    config = phasenet_crystals.get_config()
    config.structures, config.shapes = str(archive), (SHAPE,)
    config.model.width, config.model.filters = 4, 1
    config.rounds_before, config.rounds, config.validation.count, config.validation.rounds = 3, 1, 2, 4
    config.batch_size, config.num_steps, config.log_every, config.eval_every = 4, 2, 1, 0
    config.optimizer.warmup_steps = 0
    return config


def test_the_loss_is_that_of_the_rounds_behind_those_without_gradients(tiny):
    tiny.rounds = 2
    task = CrystalsTask(tiny)
    params = jax.jit(task.init)(jax.random.key(1))
    keys = jax.random.split(jax.random.key(2), 4)
    batch = jax.jit(task.batch)(keys, 0, task.data)
    assert (np.asarray(batch["rounds_before"]) <= 3).all() and (np.asarray(batch["variant"])[:, 0] >= 1.8).all()
    loss, metrics = jax.jit(task.loss)(params, batch, keys)
    make, one_round = jax.jit(examples.make_example, static_argnums=3), jax.jit(task.round.apply)
    expected, last = [], []
    for number, key in enumerate(keys):
        case = jax.tree.map(lambda leaf, number=number: leaf[number], batch)
        example = make(case["key"], case["structure"], case["resolutions"], SHAPE)
        state = crystals.draw_start(key, example, case["variant"], SHAPE)
        found = []
        for _ in range(int(case["rounds_before"]) + 2):
            state, density = one_round(params, state, example.data)
            found.append(float(losses.correlation_of_maps(density, example.transform)))
        expected.append(1 - (found[-2]**4 + 2 * found[-1]**4) / 3)
        last.append(found[-1])
    assert float(loss) == pytest.approx(np.mean(expected), abs=1e-3)
    assert float(metrics["correlation"]) == pytest.approx(np.mean(last), abs=1e-3)


def test_the_release_is_what_was_evaluated(tiny, tmp_path):
    result = train(tiny, tmp_path, print_line=lambda _: None)
    assert {"correlation", "solved"} < set(result.metrics)
    assert all(0 <= value <= 1 for value in result.metrics.values())
    network, described = weights.load(str(tmp_path))
    assert network.architecture == CrystalsTask(tiny).architecture
    assert described["validation"] == result.metrics and described["step"] == 2
    average = jax.tree.map(np.asarray, result.state.average)
    jax.tree.map(lambda kept, value: np.testing.assert_allclose(kept, value, atol=2e-3), network.params, average)
    assert np.asarray(network.params["params"]["out_kernel"]).any()


def test_examples_are_drawn_as_often_as_their_resolutions_are_wanted():
    ranges = np.array([[[1.0, 1.1], [0.0, 0.0]], [[1.3, 1.4], [1.5, 1.6]]], np.float32)
    drawn = crystals._list_pairs(ranges)
    np.testing.assert_array_equal(drawn["pairs"], [[0, 0], [1, 0], [1, 1]])
    np.testing.assert_allclose(np.diff(drawn["cumulative"], prepend=0), np.array([1, 3, 5]) / 9, rtol=1e-4)


def test_weights_that_do_not_serve_are_told(tmp_path):
    assert weights.load("none") == (None, None)
    with pytest.raises(InputError, match="not the weights of an iteration for crystals"):
        weights.load("dual_space")
    with pytest.raises(InputError, match="neither a released name"):
        weights.load(str(tmp_path / "absent"))


@pytest.mark.parametrize(("fields", "message"), [
    ({"width": 0}, "width=0: expected a whole number from 1"), ({"width": 8.0}, "width=8.0: expected"),
    ({"depth": 3}, "no field 'depth'"), ({"filters": 10**9}, "filters=1000000000: expected")])
def test_an_architecture_that_cannot_be_is_told(fields, message):
    with pytest.raises(InputError, match=message):
        crystal_pretrained.architecture_from(fields)


@pytest.mark.parametrize(("change", "message"), [
    ({"rounds": 0}, "config: expected rounds"), ({"structures": "absent.npz"}, "absent.npz: no such file"),
    ({"shapes": ((12, 16, 19),)}, "config.shapes")])
def test_a_config_that_cannot_be_is_told(change, message, tiny):
    tiny.update(change)
    with pytest.raises(InputError, match=message):
        CrystalsTask(tiny)


def test_a_file_of_too_few_crystals_is_told(tiny):
    tiny.validation.count = 1000
    with pytest.raises(InputError, match=r"config.validation.count=1000 are kept apart; make more"):
        CrystalsTask(tiny)
