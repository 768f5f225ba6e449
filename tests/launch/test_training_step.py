"""launch.training's step, optimizer and weights, on a line through points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_training import LineTask, get_config

from launch.training import checkpoint, weights
from launch.training import step as steps
from launch.training.optimizer import make_optimizer, make_schedule
from phasenet.errors import InputError


def run_steps(config, num_steps=3, num_devices=2):
    """(last state, [(loss, mean_error, grad_norm)] by step) of a training on the first devices."""
    task = LineTask(config)
    params = steps.init_params(config, task)
    trainable = task.trainable(params)
    optimizer = make_optimizer(config, trainable)
    state = steps.init_state(config, optimizer, params)
    step_fn = steps.make_step(config, task, optimizer, trainable)
    examples = np.arange(config.batch_size, dtype=np.int32).reshape(num_devices, -1)
    rows = []
    for _ in range(num_steps):
        state, metrics = step_fn(state, task.data, examples)
        rows.append(tuple(float(metrics[name]) for name in ("loss", "mean_error", "grad_norm")))
    return state, rows


@pytest.mark.parametrize("corpus", [False, True])
def test_same_global_batch_gives_same_metrics_on_one_device_and_on_two(corpus):
    config = get_config()
    config.corpus = corpus
    one, metrics_one = run_steps(config, num_devices=1)
    two, metrics_two = run_steps(config, num_devices=2)
    np.testing.assert_allclose(metrics_one, metrics_two, rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
                 one.params, two.params)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
def test_micro_batches_change_nothing_but_rounding(optimizer):
    config = get_config()
    config.ema_decay = 0.9
    config.optimizer.name = optimizer
    whole, metrics_whole = run_steps(config)
    for parts in (2, 4):
        config.micro_batches = parts
        state, metrics = run_steps(config)
        np.testing.assert_allclose(metrics, metrics_whole, rtol=1e-6)
        for field in ("params", "opt_state", "average"):
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
                         getattr(state, field), getattr(whole, field))


def test_muon_moves_kernels_in_all_directions_alike_and_vectors_as_adam_does():
    config = get_config()
    config.optimizer.name = "muon"
    rng = np.random.default_rng(0)
    shapes = {"kernel": (3, 3, 3, 4, 6), "last": (3, 3, 3, 4, 1), "bias": (6,)}
    params = {name: jnp.zeros(shape) for name, shape in shapes.items()}
    gradient = {name: jnp.asarray(rng.standard_normal(shape), jnp.float32) for name, shape in shapes.items()}
    gradient["kernel"] *= jnp.logspace(0, -2, 6)  # some outputs have small gradients
    optimizer = make_optimizer(config, jax.tree.map(lambda _: True, params))
    moved, _ = optimizer.update(gradient, optimizer.init(params), params)
    singular = np.linalg.svd(np.asarray(moved["kernel"]).reshape(-1, 6), compute_uv=False)
    assert singular.min() > 0.5 * singular.max()
    rate = config.optimizer.learning_rate
    assert np.sqrt(np.mean(moved["kernel"] ** 2)) == pytest.approx(0.2 * rate, rel=0.3)
    for name in ("last", "bias"):  # the first step of Adam with Nesterov's momentum
        np.testing.assert_allclose(moved[name] / -np.sign(gradient[name]), 1.474 * rate, rtol=1e-3)


def test_micro_batches_are_summed_in_float32():
    # In bfloat16, 256 + 1 is 256.
    mean = jax.jit(lambda parts: steps._mean_over_parts(lambda part: part.astype(jnp.bfloat16), parts))(
        jnp.array([256.0, 1.0, 1.0, 1.0]))
    assert mean.dtype == jnp.float32 and mean == 259 / 4


def test_micro_batches_save_memory():
    config = get_config()
    config.batch_size = 4096
    bytes_needed = {}
    for parts in (1, 16):
        config.micro_batches = parts
        task = LineTask(config)
        params = steps.init_params(config, task)
        optimizer = make_optimizer(config, True)
        state = steps.replicate(steps.init_state(config, optimizer, params))
        step_fn = steps.make_step(config, task, optimizer, task.trainable(params))
        compiled = step_fn.lower(state, (), steps.example_indices(4096, parts)).compile()
        bytes_needed[parts] = compiled.memory_analysis().temp_size_in_bytes
    assert bytes_needed[16] < bytes_needed[1] / 8


def test_replicas_agree_bit_for_bit():
    config = get_config()
    config.ema_decay = 0.9
    state, _ = run_steps(config)
    for leaf in jax.tree.leaves(state._replace(key=jax.random.key_data(state.key))):
        assert leaf.is_fully_replicated
        first, second = (np.asarray(shard.data) for shard in leaf.addressable_shards)
        np.testing.assert_array_equal(first, second)


def test_batches_differ_between_steps_examples_and_seeds():
    config = get_config()
    config.optimizer.learning_rate = 0.0
    _, metrics = run_steps(config, num_steps=4)
    assert len(set(metrics)) == 4
    config.seed = 1
    assert run_steps(config, num_steps=1)[1][0] != metrics[0]


def test_the_state_is_consumed_and_the_corpus_is_not():
    config = get_config()
    config.corpus = True
    task = LineTask(config)
    optimizer = make_optimizer(config, True)
    params = steps.init_params(config, task)
    state = steps.replicate(steps.init_state(config, optimizer, params))
    data = steps.replicate(task.data)
    step_fn = steps.make_step(config, task, optimizer, {"dense": {"kernel": True, "bias": True}})
    examples = steps.example_indices(config.batch_size)
    after, _ = step_fn(state, data, examples)
    # As it was laid out at first: a second compilation would otherwise follow.
    assert jax.tree.map(lambda leaf: leaf.sharding, after) == jax.tree.map(
        lambda leaf: leaf.sharding, state)
    last, _ = step_fn(after, data, examples)
    assert state.params["dense"]["kernel"].is_deleted()
    assert after.params["dense"]["kernel"].is_deleted()
    assert not data["x"].is_deleted() and not last.params["dense"]["kernel"].is_deleted()


def test_frozen_parameters_stay_and_have_no_moments():
    config = get_config()
    config.freeze_bias = True
    config.optimizer.update({"name": "adamw", "weight_decay": 0.1, "clip_norm": 1.0})
    state, _ = run_steps(config)
    np.testing.assert_array_equal(state.params["dense"]["bias"], 0.0)
    moments = [name for name, _ in checkpoint.named_leaves(state.opt_state)]
    assert any("kernel" in name for name in moments)
    assert not any("bias" in name for name in moments)


def test_running_average_follows_the_stated_rule():
    config = get_config()
    config.ema_decay = 0.2
    task = LineTask(config)
    optimizer = make_optimizer(config, True)
    state = steps.init_state(config, optimizer, steps.init_params(config, task))
    step_fn = steps.make_step(config, task, optimizer, {"dense": {"kernel": True, "bias": True}})
    expected = np.asarray(state.average["dense"]["kernel"])
    for step in range(4):
        state, _ = step_fn(state, (), steps.example_indices(8))
        decay = min(0.2, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * np.asarray(state.params["dense"]["kernel"])
    np.testing.assert_allclose(state.average["dense"]["kernel"], expected, rtol=1e-5)
    best = steps.params_to_evaluate(state)["dense"]["kernel"]
    np.testing.assert_array_equal(best, state.average["dense"]["kernel"])
    assert len(best.devices()) == 1


def test_clipping_bounds_the_update():
    config = get_config()
    config.optimizer.update({"name": "sgd", "b1": 0.0, "clip_norm": 1e-3, "learning_rate": 1.0})
    before = steps.init_params(config, LineTask(config))
    state, _ = run_steps(config, num_steps=1)
    change = jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), before, state.params)
    np.testing.assert_allclose(sum(jax.tree.leaves(change)) ** 0.5, 1e-3, rtol=1e-3)


def test_schedule_warms_up_and_decays():
    config = get_config()
    config.num_steps = 110
    config.optimizer.update({"schedule": "cosine", "warmup_steps": 10, "learning_rate": 1.0,
                             "final_fraction": 0.1})
    rate = make_schedule(config)
    np.testing.assert_allclose([rate(s) for s in (0, 5, 10, 60, 110, 500)],
                               [0.0, 0.5, 1.0, 0.55, 0.1, 0.1], atol=1e-6)
    config.optimizer.schedule = "constant"
    np.testing.assert_allclose(make_schedule(config)(90), 1.0)


@pytest.mark.parametrize("field, value, message", [
    ("name", "adagrad", "config.optimizer.name='adagrad'"),
    ("schedule", "linear", "config.optimizer.schedule='linear'"),
    ("weight_decay", 0.1, "needs config.optimizer.name='adamw'"),
])
def test_optimizer_mistakes_are_named(field, value, message):
    config = get_config()
    config.optimizer[field] = value
    with pytest.raises(InputError, match=message):
        make_optimizer(config, True)


def test_batch_must_divide_over_the_devices():
    with pytest.raises(InputError, match="config.batch_size=7: expected a multiple of the 2 dev"):
        steps.example_indices(7)
    with pytest.raises(InputError, match="config.batch_size=6: expected a multiple of the 2 devices "
                                         "times config.micro_batches=2$"):
        steps.example_indices(6, 2)
    np.testing.assert_array_equal(steps.example_indices(8, 4), [[0, 1, 2, 3], [4, 5, 6, 7]])


def test_adopt_takes_what_fits_and_names_what_does_not():
    params = {"conv": {"kernel": jnp.zeros((2, 3))}, "dense": {"kernel": jnp.zeros((3, 4))}}
    source = {"conv": {"kernel": np.ones((2, 3))}, "dense": {"kernel": np.ones((3, 5))}, "x": 1}
    with pytest.raises(InputError, match=r"'dense/kernel' is \(3, 5\).*makes it \(3, 4\)"):
        weights.adopt(params, source)
    with pytest.raises(InputError, match="lack 'conv/kernel'"):
        weights.adopt(params, {"dense": source["dense"]})
    mixed = weights.adopt(params, source, fresh=("dense",))
    assert mixed["conv"]["kernel"].sum() == 6 and mixed["dense"]["kernel"].sum() == 0
    with pytest.raises(InputError):  # a prefix is a whole name
        weights.adopt(params, source, fresh=("den",))


def test_weights_that_are_none(tmp_path):
    with pytest.raises(InputError, match="no such weights"):
        weights.read_weights(tmp_path / "nowhere")
    with pytest.raises(InputError, match="not a workdir"):
        weights.read_weights(tmp_path)
    for content in (b"", b"PK\x03\x04 cut", b"text"):
        path = tmp_path / "weights.npz"
        path.write_bytes(content)
        with pytest.raises(InputError, match="weights.npz: (not a readable|the file is empty; an) .npz archive"):
            weights.read_weights(path)


@pytest.mark.parametrize("values", [np.full((3, 4), np.nan), np.full((3, 4), "x"), np.full((3, 4), 1e300)])
def test_weights_that_are_no_numbers(values):
    with pytest.raises(InputError, match="'kernel' in the weights holds NaN, infinity"):
        weights.adopt({"kernel": jnp.zeros((3, 4))}, {"kernel": values})


@pytest.mark.parametrize(("arrays", "message"), [
    ({"dense": np.zeros(1), "dense/kernel": np.zeros(2)}, "'dense' is an array as well as a folder"),
    ({"dense/kernel": np.array([{}], object)}, "not a readable .npz archive .*Python objects")])
def test_archives_of_weights_that_are_none_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(InputError, match=f"^{tmp_path}/w.npz: {message}"):
        weights.read_weights(tmp_path / "w.npz")
