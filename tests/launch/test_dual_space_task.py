"""Training the dual-space network: its batch, its loss, resume, and what is released."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import phasenet_dual_space
from launch.tasks.dual_space import DualSpaceTask
from launch.training import train
from phasenet import pretrained
from phasenet.errors import InputError
from phasenet.networks import dual_space, losses


def tiny():
    """Two problems and a training of seconds."""
    config = phasenet_dual_space.get_config()
    config.problem.grid = 16
    config.problem.atoms.num_atoms, config.problem.atoms.inner_box = 3, 5.0
    config.model.width, config.model.filters, config.model.projected_filters = 4, 1, 1
    config.model.rounds = 6
    config.mixture = ((3, 5.0, 0.0, 0.0), (2, 4.0, 6.0, 0.1))
    config.training_grid, config.rounds_before, config.rounds = 12, 4, 1
    config.batch_size, config.num_steps, config.log_every, config.eval_every = 4, 4, 1, 0
    config.validation.count = 3
    return config


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(result, workdir) of four steps on two devices."""
    workdir = tmp_path_factory.mktemp("dual")
    return train(tiny(), workdir, print_line=lambda _: None), workdir


def test_a_batch_holds_all_problems_and_what_the_loss_needs():
    task = DualSpaceTask(tiny())
    assert [problem.h_max for problem in task.mixture] == [None, pytest.approx(4.5)]  # 6 of 16, on maps of 12
    batch = jax.jit(lambda keys: task.batch(keys, 0, ()))(jax.random.split(jax.random.key(0), 24))
    assert bool(batch["valid"].all())
    whole = np.asarray(batch["data"].measured.all((1, 2, 3)))
    assert 3 < whole.sum() < 21
    rounds = np.asarray(batch["rounds_before"])
    assert set(rounds) == {0, 1, 2, 3, 4}
    # The true map's amplitudes are the measured ones where nothing is noisy.
    near = np.abs(np.asarray(batch["transform"])[whole] - 0)[:, :3, :3, :3]
    measured = np.asarray(batch["data"].amplitudes)[whole][:, :3, :3, :3]
    np.testing.assert_allclose(near, measured, atol=0.05 * near.max())


def test_the_loss_is_that_of_the_rounds_behind_those_without_gradients():
    config = tiny()
    config.rounds = 2
    task = DualSpaceTask(config)
    params = jax.jit(task.init)(jax.random.key(1))
    keys = jax.random.split(jax.random.key(2), 3)
    make_batch = jax.jit(lambda keys: task.batch(keys, 0, ()))
    batch = make_batch(keys)
    # An example depends on its own key alone, so any number of devices may share a batch.
    jax.tree.map(lambda leaf, backwards: np.testing.assert_array_equal(leaf[::-1], backwards),
                 batch, make_batch(keys[::-1]))
    loss, metrics = jax.jit(task.loss)(params, batch, keys)
    expected, last = [], []
    one_round = jax.jit(task.round.apply)
    for number in range(3):
        data = jax.tree.map(lambda leaf, number=number: leaf[number], batch["data"])
        state = dual_space.draw_start(keys[number], data)
        found = []
        for _ in range(int(batch["rounds_before"][number]) + 2):
            state, density = one_round(params, state, data)
            found.append(float(losses.correlation_of_maps(density, batch["transform"][number])))
        expected.append(1 - (found[-2] + 2 * found[-1]) / 3)
        last.append(found[-1])
    assert float(loss) == pytest.approx(np.mean(expected), abs=1e-3)
    assert float(metrics["correlation"]) == pytest.approx(np.mean(last), abs=1e-3)


def test_resume_is_bit_for_bit(trained, tmp_path):
    config = tiny()
    config.optimizer.decay_steps, config.num_steps = 4, 2
    train(config, tmp_path, print_line=lambda _: None)
    config.num_steps = 4
    resumed = train(config, tmp_path, print_line=lambda _: None)
    jax.tree.map(np.testing.assert_array_equal, resumed.state.params, trained[0].state.params)
    assert resumed.metrics == trained[0].metrics


def test_the_release_is_what_was_evaluated(trained):
    result, workdir = trained
    release = pretrained.load(str(workdir))
    task = DualSpaceTask(tiny())
    assert release.problem == task.problem and release.architecture == task.architecture
    assert release.info["validation"] == result.metrics and release.info["step"] == 4
    names = {"correlation", "solved", "solved_3_5", "solved_2_4_h4.5_n0.1"}
    assert set(result.metrics) == names and all(0 <= value <= 1 for value in result.metrics.values())
    again = task.evaluate(release.params)
    assert again["correlation"] == pytest.approx(result.metrics["correlation"], abs=0.02)
    assert jax.eval_shape(release.compute_occupancy, jnp.zeros((16,) * 3)).shape == (16,) * 3


@pytest.mark.parametrize(("change", "message"), [
    ({"mixture": ()}, "config: expected a mixture of at least one problem"),
    ({"mixture": ((0, 5.0, 0.0, 0.0),)}, "config: num_atoms=0: expected"),
    ({"mixture": ((3, 5.0),)}, "config: "),
    ({"mixture": ((3, 5.0, 0.0, -1.0),)}, "config: noise=-1.0: expected"),
    ({"rounds": 0}, "config: expected a mixture"),
    ({"training_grid": 10}, "config: grid=10: expected"),
])
def test_a_config_that_cannot_be_is_told(change, message):
    config = tiny()
    config.update(change)
    with pytest.raises(InputError) as caught:
        DualSpaceTask(config)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_a_target_of_both_hands_is_refused():
    config = tiny()
    config.problem.target = "pair"
    with pytest.raises(InputError, match="a dual-space network needs target=single"):
        DualSpaceTask(config)
