"""The training loop: owns the clock, the files and the signals; the step owns the arithmetic."""

import datetime
import math
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from launch import app
from launch.training import checkpoint, step as step_lib, task as task_lib
from launch.training.defaults import FREE_FIELDS
from launch.training.optimizer import make_optimizer
from launch.training.preemption import StopRequest
from launch.training.writers import MetricsWriter
from phasenet.errors import InputError


class TrainResult(NamedTuple):
    """How a call of train ended.

    Attributes:
      state: the last state, as saved.
      step: steps done.
      reason: 'finished', 'time limit', or the signal's name.
      metrics: the last evaluation of this call, empty if there was none.
    """

    state: step_lib.TrainState
    step: int
    reason: str
    metrics: dict[str, float]


def train(config: Any, workdir: str | pathlib.Path, *, init_from: str | None = None,
          task: task_lib.Task | None = None, say: Callable[[str], None] = app.say) -> TrainResult:
    """Trains to config.num_steps, resuming from workdir; see launch/training/defaults.py for the config.

    task: instead of the one that config.task names. Raises InputError for a config that cannot be, one that
    differs from the workdir's, damaged checkpoints, weights that do not fit, and a loss that is not finite.
    """
    workdir = pathlib.Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    saved_config = checkpoint.plain_config(config)
    checkpoints = checkpoint.Checkpoints(workdir, config.max_to_keep)
    try:
        before = checkpoints.restore_config()
        task_class = task_lib.task_class(config.task) if task is None else type(task)
        if before is not None:
            free = FREE_FIELDS + tuple(task_class.free_fields)
            checkpoint.check_same_config(before, saved_config, free, workdir)
        examples = step_lib.example_indices(config.batch_size)
        task = task_class(config) if task is None else task
        run = _Run(config, saved_config, workdir, task, checkpoints, examples, say)
        with StopRequest() as stop:
            return run.go(stop, init_from)
    finally:
        checkpoints.close()


class _Run:
    """One call of train: the pieces, and the order in which they work."""

    def __init__(self, config, saved_config, workdir, task, checkpoints, examples, say) -> None:
        self.config, self.saved_config, self.workdir = config, saved_config, workdir
        self.task, self.checkpoints, self.examples, self.say = task, checkpoints, examples, say
        self.pending: list[dict[str, jax.Array | float]] = []  # metrics of the steps since the last row

    def go(self, stop: StopRequest, init_from: str | None) -> TrainResult:
        config = self.config
        state, step_fn = self._start(init_from)
        step = logged_step = int(state.step)
        writer = MetricsWriter(self.workdir, step)
        begin = saved = logged = time.monotonic()
        metrics: dict[str, float] = {}
        reason = "finished"
        try:
            while step < config.num_steps:
                state, values = step_fn(state, self.task.data, self.examples)
                step += 1
                self.pending.append(values)
                last = step == config.num_steps
                if step % config.log_every == 0:
                    row = self._row(step)
                    now = time.monotonic()
                    rate = (step - logged_step) / max(now - logged, 1e-9)
                    examples_rate = rate * config.batch_size
                    writer.write(step, {**row, "examples_per_second": examples_rate})
                    self.say(f"step {step}/{config.num_steps}  loss {row['loss']:.6g}  "
                             f"{examples_rate:.3g} examples/s  "
                             f"{_clock((config.num_steps - step) / rate)} left")
                    logged, logged_step = now, step
                now = time.monotonic()
                if stop.signal_name:
                    reason = stop.signal_name
                elif not last and config.max_minutes and now - begin > 60 * config.max_minutes:
                    reason = "time limit"
                ends = last or reason == "time limit"
                if ends or (config.eval_every and step % config.eval_every == 0):
                    metrics = self._evaluate(state, step, writer)
                due = config.checkpoint_every and step % config.checkpoint_every == 0
                old = config.checkpoint_minutes and now - saved > 60 * config.checkpoint_minutes
                if due or old or last or reason != "finished":
                    self._save(state, step)
                    saved = time.monotonic()
                if reason != "finished":
                    self.say(f"{reason}: saved step {step} of {config.num_steps}; "
                             "the same command goes on from there")
                    break
        finally:
            writer.close()
        return TrainResult(state, step, reason, metrics)

    def _start(self, init_from: str | None):
        """The state to begin with, restored or fresh, and the compiled step."""
        config, task = self.config, self.task
        params = jax.eval_shape(task.init, jax.random.key(0))
        trainable = task.trainable(params)
        optimizer = make_optimizer(config, trainable)
        like = jax.eval_shape(lambda p: step_lib.new_state(config, optimizer, p), params)
        restored = self.checkpoints.restore(like, self.say)
        if restored is not None:
            state, self.pending = restored
            self.say(f"resumed from step {int(state.step)} in {self.workdir}")
        else:
            params = step_lib.new_params(task, config)
            if init_from is not None:
                params = task.adopt(params, task.read_weights(pathlib.Path(init_from)))
                self.say(f"parameters taken from {init_from}")
            state = step_lib.new_state(config, optimizer, params)
        count = sum(leaf.size for leaf in jax.tree.leaves(params))
        self.say(f"{type(task).__name__}: {count:,} parameters, batch {config.batch_size} on "
                 f"{jax.device_count()} {jax.default_backend()} device(s); writing to {self.workdir}")
        return state, step_lib.make_step(task, config, optimizer, trainable)

    def _row(self, step: int) -> dict[str, float]:
        """The mean of each metric over the steps since the last row, which it clears."""
        self._check_finite(step)
        rows, self.pending = self.pending, []
        return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}

    def _check_finite(self, step: int) -> None:
        """Brings the pending metrics to the host; a step that went astray ends the run before it is saved."""
        self.pending = [{name: float(value) for name, value in row.items()}
                        for row in jax.device_get(self.pending)]
        for index, row in enumerate(self.pending):
            bad = [name for name in ("loss", "grad_norm") if not math.isfinite(row[name])]
            if bad:
                at = step - len(self.pending) + index + 1
                good = self.checkpoints.latest_step()
                last = "there is no checkpoint" if good is None else (
                    f"last good checkpoint: {self.checkpoints.folder / str(good)}")
                opt = self.config.optimizer
                raise InputError(
                    f"{bad[0]} is {row[bad[0]]} at step {at}; try a lower config.optimizer.learning_rate (now "
                    f"{opt.learning_rate:g}) or a config.optimizer.clip_norm (now {opt.clip_norm:g}); {last}")

    def _evaluate(self, state: step_lib.TrainState, step: int, writer: MetricsWriter) -> dict[str, float]:
        params = step_lib.best_params(state)
        metrics = {name: float(value) for name, value in self.task.evaluate(params).items()}
        if metrics:
            writer.write(step, {f"eval/{name}": value for name, value in metrics.items()})
            self.say(f"step {step}/{self.config.num_steps}  evaluation: "
                     + "  ".join(f"{name} {value:.6g}" for name, value in metrics.items()))
        self.task.export(params, self.workdir, step)
        return metrics

    def _save(self, state: step_lib.TrainState, step: int) -> None:
        self._check_finite(step)
        self.checkpoints.save(state, self.saved_config, self.pending)


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
