"""Training phasenet on made-up examples, and the evaluation of what was trained."""

import importlib
import json
import pathlib

import jax
import jax.numpy as jnp
import launched
import numpy as np
import pytest

from configs import phasenet_published, phasenet_small
from configs.patterson_paper import comparison, twin
from launch.evaluation import phasing, report
from launch.tasks.patterson import PattersonTask
from launch.training import step as steps
from launch.training import train
from launch.training.optimizer import make_optimizer
from phasenet import pretrained
from phasenet.errors import InputError
from phasenet.maps import synthesis
from phasenet.networks import published as model
from phasenet.networks import published_symmetric
from phasenet.search import annealing, network_stage

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The iterations for maps and for crystals have tasks, and tests, of their own.
CONFIGS = sorted([f"configs.{path.stem}" for path in (ROOT / "configs").glob("phasenet_*.py")
                  if path.stem not in ("phasenet_dual_space", "phasenet_crystals")]
                 + [f"configs.patterson_paper.{path.stem}" for path in (ROOT / "configs/patterson_paper").glob("*.py")
                    if path.stem != "__init__"])


def tiny(config):
    """A problem and a training of seconds."""
    config.problem.grid = 16
    config.problem.atoms.num_atoms, config.problem.atoms.inner_box = 3, 5.0
    if config.model.kind == "dense":
        config.model.width, config.model.blocks = 16, 1
        config.model.patterson_reach, config.model.density_reach = 7, 4
    else:
        config.model.features, config.model.outer_kernel, config.model.inner_kernel = 4, 3, 3
        config.model.inner_layers = 2
    config.batch_size, config.num_steps, config.log_every, config.eval_every = 4, 4, 1, 0
    config.validation.count, config.optimizer.warmup_steps = 6, 1
    return config


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(result, workdir) of four steps of the dense network on two devices."""
    workdir = tmp_path_factory.mktemp("small")
    return train(tiny(phasenet_small.get_config()), workdir, print_line=lambda _: None), workdir


@pytest.mark.parametrize("name", [*CONFIGS, *(f"configs.patterson_paper.twin:{v}" for v in (
    "single10", "single20", "box18", "box24", "batch_norm"))])
def test_every_config_is_a_task_of_its_network(name):
    module, _, variant = name.partition(":")
    get_config = importlib.import_module(module).get_config
    config = get_config(variant) if variant else get_config()
    task = PattersonTask(config)
    shapes = jax.eval_shape(task.init, jax.random.key(0))
    count = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes))
    others = ("phasenet_small", "phasenet_dense", "phasenet_small_convolutional", "twin", "batch_norm")
    published = module.rpartition(".")[2] not in others
    assert (count == model.PUBLISHED_WEIGHTS) == published


def test_one_device_and_two_train_alike():
    losses = []
    for devices in (1, 2):
        config = tiny(phasenet_small.get_config())
        task = PattersonTask(config)
        params = steps.init_params(config, task)
        optimizer = make_optimizer(config, task.trainable(params))
        state = steps.init_state(config, optimizer, params)
        step_fn = steps.make_step(config, task, optimizer, task.trainable(params))
        examples = np.arange(4, dtype=np.int32).reshape(devices, -1)
        for _ in range(3):
            state, metrics = step_fn(state, task.data, examples)
            losses.append(float(metrics["loss"]))
    np.testing.assert_allclose(losses[:3], losses[3:], rtol=1e-5)
    assert len(set(losses[:3])) == 3


@pytest.mark.parametrize("name", ["small", "paper"])
def test_the_trainings_of_the_published_network_are_for_its_problem(name):
    config = phasenet_published.get_config(name)
    task = PattersonTask(config)
    assert task.problem.grid == 40 and task.symmetry == "cube"
    # The window holds the Patterson map: beyond it both maps are empty.
    assert task.architecture == model.PUBLISHED._replace(window=synthesis.crop_to_patterson(task.problem).grid)


@pytest.fixture(scope="module")
def symmetric():
    """(config, task, parameters) of a small network with centrosymmetric kernels."""
    config = tiny(comparison.get_config())
    config.model.symmetry, config.model.start = "inversion", "identity"
    task = PattersonTask(config)
    return config, task, jax.jit(task.init)(jax.random.key(0))


def test_half_maps_have_the_loss_of_whole_ones(symmetric):
    _, task, params = symmetric
    batch = jax.jit(task.batch)(jax.random.split(jax.random.key(5), 4), 0, task.data)
    loss, _ = jax.jit(task.loss)(params, batch, None)
    answer = jax.jit(task.network.apply)(params, batch["patterson"])
    assert loss == pytest.approx(np.square(numbers(answer) - numbers(batch["target"])).mean(), rel=1e-4)
    scores = task.evaluate(params)
    answer = jax.jit(task.network.apply)(params, task._validation[0].patterson)
    expected = np.square(numbers(answer) - numbers(task._validation[0].target)).mean()
    assert scores["loss"] == pytest.approx(expected, rel=1e-4)


def test_a_network_with_symmetric_kernels_is_released_as_any_other(symmetric, tmp_path):
    _, task, params = symmetric
    noise = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + 0.01 * noise.standard_normal(leaf.shape, np.float32), params)
    task.export(params, tmp_path, 1)
    loaded = pretrained.load(str(tmp_path / "weights"))
    kernel = np.asarray(loaded.params["params"]["Conv3D_2"]["kernel"])
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1, ::-1], atol=1e-6)
    half = published_symmetric.apply_to_half(loaded.params, task._validation[0].patterson[:1], task.architecture)
    np.testing.assert_allclose(loaded.compute_occupancy(task._validation[0].patterson[0])[8:], half[0], atol=1e-5)


@pytest.mark.parametrize("change, line", [
    ({"model.symmetry": "mirror"}, "model.symmetry='mirror': expected one of none, inversion, cube"),
    ({"model.start": "zero"}, "model.start='zero': expected random or identity"),
    ({"model.symmetry": "cube", "model.skip": True}, "not with skip or batch_norm"),
    ({"model.symmetry": "cube", "problem.target": "single"}, "needs problem.target='pair'"),
    ({"model.symmetry": "cube", "model.dtype": "bfloat16"}, "needs model.dtype='float32'"),
    ({"model.symmetry": "cube", "model.lowering": "direct"}, "model.lowering='auto'"),
    ({"model.symmetry": "cube", "model.outer_kernel": 1}, "must be odd, and at least 3"),
    ({"model.symmetry": "cube", "problem.h_max": 5.0}, "needs a window that holds the Patterson map"),
    ({"model.symmetry": "cube", "model.window": 8}, "needs a window that holds the Patterson map: spheres that stay in "
     "an inner_box of at most 2"),
    ({"model.symmetry": "cube", "problem.atoms.inner_box": 7.0}, "needs a window that holds the Patterson map"),
    ({"model.start": "identity", "model.batch_norm": True}, "not with batch_norm"),
])
def test_a_symmetry_that_is_not_possible_is_one_line(change, line):
    config = tiny(comparison.get_config())
    config.update_from_flattened_dict(change)
    with pytest.raises(InputError, match=f"config: .*{line}"):
        PattersonTask(config)


def numbers(arrays):
    return np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in jax.tree.leaves(arrays)])


@pytest.mark.parametrize("get_config", [phasenet_small.get_config, comparison.get_config])
def test_bfloat16_matches_float32_to_its_rounding(get_config):
    losses, gradients = [], []
    for dtype in ("float32", "bfloat16"):
        config = tiny(get_config())
        config.model.dtype = dtype
        task = PattersonTask(config)
        rng = np.random.default_rng(0)  # the dense network's last layer would start at zero
        params = jax.tree.map(lambda leaf, rng=rng: leaf + 0.05 * rng.standard_normal(leaf.shape, np.float32),
                              jax.jit(task.init)(jax.random.key(0)))
        batch = jax.jit(task.batch)(jax.random.split(jax.random.key(5), 8), 0, task.data)

        def loss_fn(params, task=task, batch=batch):
            answer = task._trained_network.apply(params, batch["patterson"])
            return task.loss(params, batch, None)[0], answer

        (loss, answer), gradient = jax.jit(jax.value_and_grad(loss_fn, has_aux=True))(params)
        # The answer and the mean of its errors are float32: in bfloat16 the mean would be up to 2e-3 off.
        assert loss.dtype == answer.dtype == jnp.float32
        assert loss == pytest.approx(np.square(numbers(answer) - numbers(batch["target"])).mean(), rel=1e-4)
        losses.append(float(loss))
        gradients.append(gradient)
    assert losses[1] == pytest.approx(losses[0], rel=2**-8) and losses[1] != losses[0]
    for (path, leaf), narrow in zip(jax.tree_util.tree_leaves_with_path(gradients[0]), jax.tree.leaves(gradients[1]),
                                    strict=True):
        assert narrow.dtype == jnp.float32
        deviation = np.linalg.norm(numbers(leaf) - numbers(narrow)) / np.linalg.norm(numbers(leaf))
        assert 1e-4 < deviation < 0.03, jax.tree_util.keystr(path)


@pytest.mark.parametrize("get_config", [phasenet_small.get_config])
def test_bfloat16_trains_as_float32_does_and_leaves_a_state_of_float32(get_config):
    ends = []
    for dtype in ("float32", "bfloat16"):
        config = tiny(get_config())
        config.model.dtype, config.micro_batches, config.ema_decay = dtype, 2, 0.9
        config.optimizer.schedule = "constant"
        config.optimizer.learning_rate = 1e-2
        task = PattersonTask(config)
        params = steps.init_params(config, task)
        optimizer = make_optimizer(config, task.trainable(params))
        state = steps.init_state(config, optimizer, params)
        step_fn = steps.make_step(config, task, optimizer, task.trainable(params))
        losses = []
        for _ in range(30):
            state, metrics = step_fn(state, task.data, np.arange(4, dtype=np.int32)[None])
            losses.append(float(metrics["loss"]))
        for leaf in jax.tree.leaves((state.params, state.opt_state, state.average)):
            assert leaf.dtype in (jnp.float32, jnp.int32)  # int32: the optimizer's count of steps
        ends.append(np.mean(losses[-5:]))
        assert ends[-1] < 0.9 * losses[0]
    assert ends[1] == pytest.approx(ends[0], rel=0.05)


def test_it_is_evaluated_in_float32_whatever_it_is_trained_in(trained):
    _, workdir = trained
    config = tiny(phasenet_small.get_config())
    params = pretrained.load(str(workdir)).params
    expected = PattersonTask(config).evaluate(params)
    config.model.dtype = "bfloat16"
    assert PattersonTask(config).evaluate(params) == expected
    del config.model.dtype  # as configs were before
    assert PattersonTask(config)._trained_network.dtype == jnp.float32


def test_resume_is_bit_for_bit(trained, tmp_path):
    result, _ = trained
    config = tiny(phasenet_small.get_config())
    config.optimizer.decay_steps = 4
    config.num_steps = 2
    train(config, tmp_path, print_line=lambda _: None)
    config.num_steps = 4
    resumed = train(config, tmp_path, print_line=lambda _: None)
    whole = tiny(phasenet_small.get_config())
    whole.optimizer.decay_steps = 4
    at_once = train(whole, tmp_path / "whole", print_line=lambda _: None)
    jax.tree.map(np.testing.assert_array_equal, resumed.state.params, at_once.state.params)
    assert resumed.metrics == at_once.metrics and result.reason == "finished"


def test_the_release_is_what_was_evaluated(trained):
    result, workdir = trained
    release = pretrained.load(str(workdir))
    config = tiny(phasenet_small.get_config())
    task = PattersonTask(config)
    assert release.problem == task.problem and release.architecture == task.architecture
    assert release.info["validation"] == result.metrics and release.info["step"] == 4
    metrics = task.evaluate(release.params)
    assert metrics["loss"] == pytest.approx(result.metrics["loss"], rel=1e-3)
    assert 0 <= metrics["atoms_found"] <= 1


def test_the_papers_schedule_draws_from_a_set_and_remakes_it():
    config = tiny(comparison.get_config())
    config.examples.count, config.examples.steps_a_set = 3, 5
    task = PattersonTask(config)
    make = jax.jit(lambda keys, step: task.batch(keys, step, ())["target"])

    def maps(step):
        keys = jax.random.split(jax.random.fold_in(jax.random.key(9), step), 12)
        return {np.asarray(target).tobytes() for target in make(keys, jnp.int32(step))}

    sets = [maps(step) for step in (0, 4, 5, 9)]
    assert all(len(one) == 3 for one in sets)  # 12 draws of 3: none is missed here
    assert sets[0] == sets[1] and sets[2] == sets[3] and not sets[0] & sets[2]


def test_validation_is_fixed_and_apart_from_training():
    config = tiny(comparison.get_config())
    config.problem.atoms.corner, config.problem.atoms.corner_rule = 2.0, "empty"
    config.validation.corner_rule = "filled"
    task, again = PattersonTask(config), PattersonTask(config)
    positions = np.concatenate([chunk.positions for chunk in task._validation])
    np.testing.assert_array_equal(positions, np.concatenate([chunk.positions for chunk in again._validation]))
    edge = 2.5 - 2.0
    corner = ((positions > edge).all(-1) | (positions < -edge).all(-1)).any(-1)
    assert corner.all() and len(positions) == 6


@pytest.mark.parametrize("change, message", [
    ({"problem.grid": 18}, "grid=18: expected a multiple of 4"),
    ({"problem.atoms.num_atoms": 0}, "num_atoms=0: expected a whole number, at least 1"),
    ({"model.dtype": "float16"}, "config.model.dtype='float16': expected one of float32, bfloat16"),
    ({"model.kind": "cubic"}, "kind='cubic': expected one of convolutional, dense"),
    ({"model.patterson_reach": 8}, "patterson_reach=8: expected less than half the map's edge"),
    ({"problem.target": "single"}, "a dense network needs target=pair"),
    ({"validation.corner_rule": "full"}, "corner_rule='full'"),
    ({"validation.corner_rule": "filled"}, "corner=0.0: expected more than 0"),
    ({"examples.count": 5}, "config.examples.count=5, steps_a_set=0"),
    ({"validation.count": 0}, "config.validation.count=0"),
])
def test_a_config_that_cannot_be_is_one_line(change, message):
    config = tiny(phasenet_small.get_config())
    config.update_from_flattened_dict(change)
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        PattersonTask(config)


def test_twins_keep_what_the_variant_changes():
    twins = {name: twin.get_config(name) for name in ("baseline", "single10", "single20", "box24")}
    assert twins["single10"].problem.target == twins["single20"].problem.target == "single"
    assert twins["single20"].problem.atoms.num_atoms == 2 * twins["single10"].problem.atoms.num_atoms
    assert twins["box24"].problem.atoms.inner_box == 2 * twins["baseline"].problem.atoms.inner_box
    for config in twins.values():  # 3 epochs a set, 100 epochs in all
        assert config.num_steps == 100 * config.examples.steps_a_set / 3


PROBLEM = synthesis.Problem(atoms=synthesis.AtomRules(3, 5.0), grid=16)
SETTINGS = network_stage.NetworkSettings(schedule=annealing.Schedule(60, 0.0), num_chains=2)


def test_the_annealer_alone_solves_exact_candidates():
    seen = []
    items = phasing.evaluate(PROBLEM, SETTINGS, None, ["anneal"], 5, 3, seen.append)
    summary = phasing.summarize(items)
    assert seen == items and [item["id"] for item in items] == ["0000", "0001", "0002", "0003", "0004"]
    assert summary["fraction_solved"] == 1 and summary["matched"] == summary["atoms"] == 15
    assert summary["mean_error_voxels"] < 1e-3 and summary["mean_patterson_correlation"] > 0.999
    # A case depends on its number and the seed alone, not on how many there are. Rounding errors tell the cases apart.
    assert len({tuple(item["distances"]) for item in items}) == 5
    fewer = phasing.evaluate(PROBLEM, SETTINGS, None, ["anneal"], 2, 3, lambda _: None)
    assert [item["distances"] for item in fewer] == [item["distances"] for item in items[:2]]


def test_the_search_alone_is_exact_and_says_so():
    items = phasing.evaluate(PROBLEM, SETTINGS, None, ["refine"], 4, 3, lambda _: None)
    summary = phasing.summarize(items)
    assert summary["matched"] == 12 and summary["mean_error_voxels"] < 1e-3
    assert summary["fraction_called_solved"] == 1 and summary["wrong_called_solved"] == 0
    assert sum(summary["found_by"].values()) == 4 and summary["within_2_deviations"] > 0.9
    assert {item["certificate"]["status"] for item in items} == {"solved"}
    assert "called solved    100.0%, 0 of them wrong (" in report.format_phasing(summary)
    # An item that was called wrongly would be counted.
    assert phasing.summarize([items[0], items[1] | {"solved": False}])["wrong_called_solved"] == 1


def test_a_perfect_network_is_read_exactly_where_atoms_clash():
    class Perfect:
        def answer(self, patterson_map):
            return synthesis.network_target(self.positions, PROBLEM)

    example = synthesis.make_example(jax.random.key(2), PROBLEM)
    # An atom half a voxel from another one's inverse: their peaks are one.
    positions = example.positions.at[0].set(-example.positions[1] + jnp.array([0.5, 0.0, 0.0]))
    positions = positions - positions.mean(0)
    perfect = Perfect()
    perfect.positions = positions
    measured = synthesis.simulate_patterson(jax.random.key(1), positions, PROBLEM)
    found = jax.jit(lambda: network_stage.solve_with_network(
        jax.random.key(0), measured, perfect.answer, PROBLEM, SETTINGS))()
    distance = np.abs(np.asarray(found.candidates.positions)[None] - np.asarray(positions)[:, None]).max(-1).min(1)
    assert distance.max() < 0.02 and found.agreement.correlation > 0.999


def run(*args):
    done = launched.run("launch.evaluate", *args)
    return done.returncode, done.stdout, done.stderr


def test_evaluate_phasing_writes_the_contracts_keys(trained, tmp_path):
    _, workdir = trained
    code, out, error = run("--task=phasing", f"--weights={workdir}", "--num_cases=3", "--seed=1", "--num_swaps=40",
                           "--noise=0.01", f"--json={tmp_path / 'r.json'}")
    assert (code, error) == (0, "") and "3 cases of 3 atoms in a box of 5 voxels, maps of 16" in out
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["problem"]["noise"] == 0.01 and result["stages"] == ["network", "anneal"]
    assert {"atoms", "matched", "matched_within_1_voxel", "mean_error_voxels", "fraction_solved"} <= set(
        result["summary"])
    for item in result["items"]:
        assert {"matched", "mean_error_voxels", "solved", "certificate", "cpu_seconds"} <= set(item)
        assert len(item["distances"]) == item["matched"]


@pytest.mark.parametrize("args, line", [
    (["--stages=anneal,network"],
     "--stages=anneal,network: expected one of network,anneal; network,anneal,refine; refine; anneal"),
    (["--num_atoms=0"], "num_atoms=0: expected a whole number, at least 1"),
    (["--grid=12"], "--grid=12"),
    (["--weights=nowhere"], "weights 'nowhere': neither a released name"),
    (["--given_radius"], "--given_radius has no meaning for --task=phasing"),
])
def test_a_phasing_mistake_is_one_line(trained, args, line):
    given = args if args[0].startswith("--weights") else [f"--weights={trained[1]}", *args]
    code, _, error = run("--task=phasing", "--num_cases=1", *given)
    assert code == 1 and error.startswith(f"evaluate: {line}") and error.count("\n") == 1
