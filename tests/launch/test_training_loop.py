"""launch.training's loop: resuming bit for bit, signals, limits, damaged checkpoints, curves."""

import json
import os
import pathlib
import shutil
import signal

import jax
import numpy as np
import pytest
from toy_training import LineTask, get_config

from launch.training import checkpoint, loop, train, weights
from launch.training.writers import read_metrics
from phasenet.errors import InputError


def quiet(_: str) -> None:
    pass


def assert_same(state, other):
    def arrays(s):
        return s._replace(key=jax.random.key_data(s.key))

    assert jax.tree.structure(arrays(state)) == jax.tree.structure(arrays(other))
    jax.tree.map(np.testing.assert_array_equal, arrays(state), arrays(other))


def curves(workdir):
    """metrics.jsonl without what the clock wrote."""
    return [{k: v for k, v in row.items() if k != "examples_per_second"}
            for row in read_metrics(workdir)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(workdir, result) of six steps, saved at 3 and 6; copied by the tests that damage it."""
    workdir = tmp_path_factory.mktemp("finished")
    config = get_config()
    config.ema_decay = 0.9
    return workdir, train(config, workdir, print_line=quiet)


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished workdir, its config, and the list that say fills."""
    shutil.copytree(finished[0], tmp_path / "run")
    config = get_config()
    config.ema_decay = 0.9
    return tmp_path / "run", config, []


def test_resuming_is_bit_for_bit(finished, tmp_path):
    """Cut at 3, where no row of log_every=2 is due: the pending metrics travel too."""
    config = get_config()
    config.ema_decay = 0.9
    config.num_steps = 3
    train(config, tmp_path, print_line=quiet)
    config.num_steps = 6
    result = train(config, tmp_path, print_line=quiet)
    assert_same(result.state, finished[1].state)
    assert result.metrics == finished[1].metrics
    assert curves(tmp_path) == curves(finished[0])
    assert [row["step"] for row in curves(tmp_path)] == [2, 3, 4, 6, 6]
    assert (tmp_path / "weights.npz").read_bytes() == (finished[0] / "weights.npz").read_bytes()


def test_a_crash_leaves_no_trace_in_the_curves(copied, finished):
    """The newest checkpoint is lost, rows past the one before and half a line are there."""
    workdir, config, said = copied
    shutil.rmtree(workdir / "checkpoints" / "6")
    with (workdir / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "loss"')
    result = train(config, workdir, print_line=said.append)
    assert f"resumed from step 3 of {workdir}" in said
    assert_same(result.state, finished[1].state)
    assert curves(workdir) == curves(finished[0])


def test_a_finished_run_has_nothing_left_to_do(copied):
    workdir, config, said = copied
    result = train(config, workdir, print_line=said.append)
    assert (result.step, result.reason) == (6, loop.FINISHED)
    assert "nothing is left to do" in said[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves(finished, tmp_path, number):
    config = get_config()
    config.ema_decay = 0.9
    before = signal.getsignal(number)

    def say(message):
        if message.startswith("step 4/"):
            os.kill(os.getpid(), number)

    result = train(config, tmp_path, print_line=say)
    assert (result.step, result.reason) == (5, signal.Signals(number).name)
    assert signal.getsignal(number) == before
    assert_same(train(config, tmp_path, print_line=quiet).state, finished[1].state)
    assert curves(tmp_path) == curves(finished[0])


def test_time_limit_ends_a_slice(finished, tmp_path):
    config = get_config()
    config.ema_decay = 0.9
    config.max_minutes = 1e-9
    result = train(config, tmp_path, print_line=quiet)
    assert (result.step, result.reason) == (1, loop.TIME_LIMIT)
    assert result.metrics and (tmp_path / "weights.npz").exists()
    config.max_minutes = 0.0
    assert_same(train(config, tmp_path, print_line=quiet).state, finished[1].state)


def test_several_steps_a_call(finished, tmp_path):
    config = get_config()
    config.ema_decay = 0.9
    config.steps_a_call = config.log_every = config.eval_every = 3
    config.max_minutes = 1e-9
    result = train(config, tmp_path, print_line=quiet)
    assert (result.step, result.reason) == (3, loop.TIME_LIMIT)
    config.max_minutes = 0.0
    config.steps_a_call, config.num_steps = 2, 6
    config.log_every = config.eval_every = config.checkpoint_every = 2
    with pytest.raises(InputError, match="config.steps_a_call=2: .* stands at step 3, which is no multiple of it"):
        train(config, tmp_path, print_line=quiet)
    config.steps_a_call = config.log_every = config.eval_every = config.checkpoint_every = 3
    result = train(config, tmp_path, print_line=quiet)
    assert_same(result.state, finished[1].state)
    assert result.step == 6 and curves(tmp_path)[-1]["step"] == 6
    losses, one_by_one = ([row["loss"] for row in curves(folder) if "loss" in row]
                          for folder in (tmp_path, finished[0]))
    assert len(losses) == 2 and np.mean(losses) == pytest.approx(np.mean(one_by_one), rel=1e-6)
    config.steps_a_call = 4
    with pytest.raises(InputError, match="config.num_steps=6: expected a multiple of config.steps_a_call=4"):
        train(config, tmp_path / "other", print_line=quiet)


def test_a_state_larger_than_is_held_at_once_is_saved(tmp_path, finished):
    checkpoints = checkpoint.Checkpoints(tmp_path)
    checkpoints._gigabytes_at_once = 0  # as if every array were larger
    checkpoints.save(finished[1].state, {"a": 1}, [])
    assert checkpoints._gigabytes_at_once == 1 and checkpoints.read_config() == {"a": 1}
    state, pending = checkpoints.restore(finished[1].state, quiet)
    assert_same(state, finished[1].state)
    checkpoints.close()


def test_saving_by_minutes(tmp_path):
    config = get_config()
    config.num_steps = 3
    config.checkpoint_every = 0
    config.checkpoint_minutes = 1e-9
    train(config, tmp_path, print_line=quiet)
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"1", "2", "3"}


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    config = get_config()
    config.checkpoint_every = 1
    config.max_to_keep = 2
    train(config, tmp_path, print_line=quiet)
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"5", "6"}


def test_a_workdir_in_use_is_refused(copied):
    workdir, config, _ = copied

    def say(message):
        if message.startswith("step 8/"):
            with pytest.raises(InputError, match="run: another process is training there"):
                train(config, workdir, print_line=quiet)
            said.append(message)

    said = []
    config.num_steps = 8
    assert train(config, workdir, print_line=say).step == 8 and said
    assert train(config, workdir, print_line=quiet).step == 8


def test_another_config_is_refused(copied):
    workdir, config, _ = copied
    config.optimizer.learning_rate = 0.5
    with pytest.raises(InputError, match=r"config.optimizer.learning_rate=0.5, but \S+ was begun "
                                         "with 0.05"):
        train(config, workdir, print_line=quiet)


def test_fields_of_the_loop_and_free_fields_may_change(copied):
    workdir, config, _ = copied
    config.num_steps = 7
    config.log_every = 1
    config.micro_batches = 2
    config.note = "elsewhere"
    assert train(config, workdir, print_line=quiet).step == 7


def test_a_loss_that_is_not_finite_stops_before_it_is_saved(tmp_path):
    config = get_config()
    config.optimizer.update({"name": "sgd", "learning_rate": 1e30})
    config.checkpoint_every = 1
    with pytest.raises(InputError, match=r"(loss|grad_norm) is (nan|inf) at step 2 of LineTask "
                                         r"\(config: \S+run.json\): .*config.optimizer.learning_rate \(now 1e\+30\).*"
                                         r"last good checkpoint: \S+checkpoints/1$"):
        train(config, tmp_path, print_line=quiet)


@pytest.mark.parametrize("resumed", [False, True])
def test_a_loss_that_has_exploded_stops_the_training(tmp_path, resumed):
    """It grows about fourfold a step; after resuming, too, it is the first row of all that it is compared with."""
    config = get_config()
    config.optimizer.update({"name": "sgd", "b1": 0.0, "learning_rate": 1.5})
    config.num_steps, config.log_every, config.checkpoint_every, config.eval_every = 40, 1, 1, 0
    if resumed:
        config.max_minutes = 1e-9
        assert train(config, tmp_path, print_line=quiet).step == 1
        config.max_minutes = 0.0
    with pytest.raises(InputError, match=r"loss is \S+, more than config.max_loss_growth=100 times the first row's "
                                         r"\S+, at step \d+ of LineTask \(config: \S+run.json\): .*"
                                         r"last good checkpoint: \S+checkpoints/\d+$"):
        train(config, tmp_path, print_line=quiet)
    losses = [row["loss"] for row in curves(tmp_path) if "loss" in row]
    assert all(np.array(losses) <= 100 * losses[0]) and losses[-1] > losses[0]
    assert checkpoint.Checkpoints(tmp_path).latest_step() == len(losses)
    config.max_loss_growth = 0.0
    assert train(config, tmp_path, print_line=quiet).step == 40


def test_a_loss_may_grow_from_nothing(tmp_path):
    """Where the first row is zero there is no scale to judge by."""
    config = get_config()
    config.loss_scale = 0.0
    assert train(config, tmp_path, print_line=quiet).step == 6


def test_each_call_is_recorded(finished, tmp_path):
    config = get_config()
    config.num_steps = 3
    train(config, tmp_path, init_from=str(finished[0]), print_line=quiet)
    config.num_steps = 6
    train(config, tmp_path, print_line=quiet)
    first, second = json.loads((tmp_path / loop.RECORD).read_text())
    assert (first["from_step"], second["from_step"]) == (0, 3)
    assert (first["init_from"], second["init_from"]) == (str(finished[0]), None)
    assert first["config"]["num_steps"] == 3 and second["config"] == checkpoint.config_as_json(config)
    assert second["versions"]["jax"] == jax.__version__ and second["devices"] == f"{jax.device_count()} cpu"


@pytest.mark.parametrize("field, value", [
    ("log_every", 0), ("num_steps", 0), ("batch_size", 0), ("micro_batches", 0), ("ema_decay", 1.0),
    ("max_to_keep", 0)])
def test_values_out_of_range_are_named(tmp_path, field, value):
    config = get_config()
    config[field] = value
    with pytest.raises(InputError, match=f"config.{field}={value}: expected"):
        train(config, tmp_path / "new", print_line=quiet)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name, message", [
    ("", "expected 'package.module:Class'"), ("nothing.here:Task", "no module 'nothing'"),
    ("toy_training:Line", "toy_training has no class 'Line'")])
def test_a_task_that_is_not_there(tmp_path, name, message):
    config = get_config()
    config.task = name
    with pytest.raises(InputError, match=message):
        train(config, tmp_path / "new", print_line=quiet)


@pytest.mark.parametrize("name", ["", "weights.npz"])
def test_init_from_a_workdir_or_a_release(finished, tmp_path, name):
    """Both hold the averaged parameters; the toy releases them as .npz."""
    source = finished[0] / name
    config = get_config()
    config.optimizer.learning_rate = 0.0
    config.num_steps = 1
    result = train(config, tmp_path, init_from=str(source), print_line=quiet)
    jax.tree.map(np.testing.assert_array_equal, result.state.params, finished[1].state.average)


def test_a_task_given_as_an_object(tmp_path):
    config = get_config()
    config.task = "not needed"
    assert train(config, tmp_path, task=LineTask(config), print_line=quiet).step == 6


def spoil(path: pathlib.Path, how: str) -> None:
    content = path.read_bytes()
    middle = len(content) // 2
    if how == "gone":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(content[:middle])
    else:
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1:])


@pytest.mark.parametrize("how", ["gone", "truncated", "altered"])
def test_whatever_file_of_a_checkpoint_is_spoilt_it_is_seen(copied, how):
    folder = copied[0] / "checkpoints" / "6"
    assert checkpoint.find_damage(folder) is None
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        if content or how == "gone":
            spoil(path, how)
            assert checkpoint.find_damage(folder), path
            path.write_bytes(content)
    assert checkpoint.find_damage(folder) is None


def largest_array_file(folder: pathlib.Path) -> pathlib.Path:
    return max((path for path in (folder / "state").rglob("d/*")),
               key=lambda path: path.stat().st_size)


def test_the_checkpoint_before_a_truncated_one_is_used(copied, finished):
    workdir, config, said = copied
    spoil(largest_array_file(workdir / "checkpoints" / "6"), "truncated")
    result = train(config, workdir, print_line=said.append)
    assert any("checkpoints/6: damaged checkpoint" in line and "\n" not in line for line in said)
    assert f"resumed from step 3 of {workdir}" in said
    assert_same(result.state, finished[1].state)
    assert (workdir / "damaged" / "6").is_dir() and (workdir / "checkpoints" / "6").is_dir()


def test_no_whole_checkpoint_left(copied):
    workdir, config, _ = copied
    for step in ("3", "6"):
        spoil(largest_array_file(workdir / "checkpoints" / step), "truncated")
    with pytest.raises(InputError, match="checkpoints/6: damaged checkpoint .*no intact one before"):
        train(config, workdir, print_line=quiet)
    assert (workdir / "checkpoints" / "6").is_dir()


class WideTask(LineTask):
    """As if the task's code had changed under the same config."""

    def init(self, key):
        return {"dense": {"kernel": jax.random.normal(key, (5, 1)), "bias": jax.numpy.zeros(1)}}


def test_a_checkpoint_that_does_not_fit_the_task(copied):
    workdir, config, _ = copied
    with pytest.raises(InputError, match=r"checkpoints/6: does not fit the task: \S+kernel is "
                                         r"float32\[3, 1\] there, float32\[5, 1\] now"):
        train(config, workdir, task=WideTask(config), print_line=quiet)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 3}', '{"a": [1, 2, 3]}', "[" * 100_000])
def test_a_broken_seal_is_a_damage(copied, text):
    folder = copied[0] / "checkpoints" / "6"
    (folder / checkpoint.CHECKSUMS).write_text(text)
    assert checkpoint.find_damage(folder) == f"{checkpoint.CHECKSUMS} was altered"


def test_a_seal_of_files_elsewhere_is_a_damage(copied):
    folder = copied[0] / "checkpoints" / "6"
    for name in ("/dev/zero", "../3/files.json", "x" * 5000):
        (folder / checkpoint.CHECKSUMS).write_text(json.dumps({name: [1, 2]}))
        assert checkpoint.find_damage(folder) == f"{name} is missing"


def test_weights_of_another_network_say_whose_they_are(copied, tmp_path):
    workdir, config, _ = copied
    with pytest.raises(InputError, match=rf"^--init_from={workdir} \(a checkpoint of toy_training:LineTask\): "
                                         r"'dense/kernel' is \(3, 1\) in the weights, but the config makes it \(5, "):
        train(config, tmp_path, init_from=str(workdir), task=WideTask(config), print_line=quiet)


def test_another_network_is_named_first(tmp_path):
    before = {"batch_size": 8, "task": "a:A", "model": {"width": 3}, "seed": 1}
    for changes, message in (({"task": "b:B", "batch_size": 9}, "config.task='b:B', but .* was begun with 'a:A'"),
                             ({"model": {"width": 4}, "batch_size": 9}, "config.model.width=4, .* was begun with 3"),
                             ({"batch_size": 9}, "config.batch_size=9")):
        with pytest.raises(InputError, match=message):
            checkpoint.check_same_config(before, before | changes, (), tmp_path)


def test_init_from_takes_the_checkpoint_before_a_truncated_one(copied, capsys):
    workdir, _, _ = copied
    before = workdir / "checkpoints" / "3"
    spoil(largest_array_file(workdir / "checkpoints" / "6"), "truncated")
    weights.read_weights(workdir)
    assert "checkpoints/6: damaged checkpoint (" in (out := capsys.readouterr().out) and "step 3 is used" in out
    spoil(largest_array_file(before), "truncated")
    with pytest.raises(InputError, match="checkpoints/6: damaged checkpoint .*no intact one before it"):
        weights.read_weights(workdir)


@pytest.mark.parametrize("kept", [1, 3])
def test_a_checkpoint_whose_saving_did_not_end(finished, tmp_path, monkeypatch, kept):
    """Killed before the seal of the second: the first is still there, whatever is kept; of the only one: begun anew."""
    def killed(folder):
        if folder.name == str(fatal):
            raise KeyboardInterrupt
        sealed(folder)

    config, sealed, said = get_config(), checkpoint.write_checksums, []
    config.ema_decay, config.max_to_keep = 0.9, kept
    monkeypatch.setattr(checkpoint, "write_checksums", killed)
    for fatal in (3, 6):  # noqa: B007  `killed` reads it
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path, print_line=said.append)
    assert any("checkpoints/3: damaged" in line
               and line.endswith("the training starts from the beginning") for line in said)
    fatal = None
    result = train(config, tmp_path, print_line=said.append)
    assert any("checkpoints/6: damaged" in line and line.endswith("the one before it is used") for line in said)
    assert f"resumed from step 3 of {tmp_path}" in said
    assert_same(result.state, finished[1].state)
    assert len(list((tmp_path / "checkpoints").iterdir())) == min(kept, 2)


def test_a_kill_in_the_removal_of_a_checkpoint_leaves_none_half_removed(finished, tmp_path, monkeypatch, capfd):
    remove = shutil.rmtree
    config = get_config()
    config.ema_decay, config.max_to_keep = 0.9, 1

    def remove_and_die(path, **options):
        for file in path.rglob("_CHECKPOINT_METADATA"):
            file.unlink()
            raise KeyboardInterrupt
        remove(path, **options)

    monkeypatch.setattr(checkpoint.shutil, "rmtree", remove_and_die)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path)
    monkeypatch.undo()
    half, whole = sorted((tmp_path / "checkpoints").iterdir())
    assert half.name == checkpoint.REMOVED and checkpoint.find_damage(whole) is None
    capfd.readouterr()
    assert_same(train(config, tmp_path).state, finished[1].state)
    assert capfd.readouterr().err == ""
    assert not half.exists()


def test_tensorboard_gets_the_curves(finished):
    pytest.importorskip("tensorboardX")
    assert any(path.stat().st_size > 100 for path in (finished[0] / "tensorboard").iterdir())
