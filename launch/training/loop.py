"""Runs a training: calls the compiled step, logs, evaluates, saves, resumes, and ends on time limits and signals.

`launch.train` and the notebooks call `train`. The arithmetic of a step is in `launch.training.step`.
"""

import contextlib
import datetime
import json
import math
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from launch import app
from launch.distributed import processes
from launch.machine import provenance
from launch.training import checkpoint, weights
from launch.training import step as steps
from launch.training.defaults import FREE_FIELDS, check_config
from launch.training.lock import locking
from launch.training.optimizer import make_optimizer
from launch.training.preemption import StopRequest
from launch.training.state import TrainState
from launch.training.task import Task, load_task_class
from launch.training.writers import MetricsWriter, exporting, read_metrics
from phasenet.errors import InputError

FINISHED = "finished"
TIME_LIMIT = "time limit"
RECORD = "run.json"


class TrainResult(NamedTuple):
    """How a call of `train` ended.

    Attributes:
      state: the last state, as it was saved.
      step: number of steps done.
      reason: "finished", "time limit", or the name of the signal that ended the training.
      metrics: the last evaluation of this call, empty where there was none.
    """

    state: TrainState
    step: int
    reason: str
    metrics: dict[str, float]


def train(config: Any, workdir: str | pathlib.Path, *, init_from: str | None = None,
          task: Task | None = None, print_line: Callable[[str], None] = app.print_line) -> TrainResult:
    """Trains until config.num_steps steps are done, from the workdir's newest checkpoint where there is one.

    Each call is recorded in WORKDIR/run.json.

    Args:
      config: see launch/training/defaults.py.
      workdir: folder for checkpoints, metrics and weights; it is made where it is missing.
      init_from: weights to start from, see `Task.read_weights`; ignored when the training is resumed.
      task: used instead of the one that config.task names.
      print_line: receives the messages; only those of process 0 are printed.

    Returns:
      How the training ended; the state is on all devices.

    Raises:
      InputError: the config is invalid or differs from the workdir's, all checkpoints are damaged, the weights do not
        fit, the loss is not finite or has exploded, or another process trains in the workdir.
      OSError: the disk is full, or the file system has another error; the error names the workdir or a file in it.
    """
    check_config(config)
    print_line = print_line if processes.is_chief() else _print_nothing
    kind: Any = load_task_class(config.task) if task is None else type(task)  # called with the config
    examples = steps.example_indices(config.batch_size, config.micro_batches)
    workdir = pathlib.Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    # An error of the disk names the workdir, also where TensorBoard or the export of a task raises the error.
    with app.adding_path_to_errors(workdir), contextlib.ExitStack() as stack:
        if processes.is_chief():
            stack.enter_context(locking(workdir))
        checkpoints = checkpoint.Checkpoints(workdir, config.max_to_keep)
        stack.callback(checkpoints.close)
        before = checkpoints.read_config()
        if before is not None:
            checkpoint.check_same_config(
                before, checkpoint.config_as_json(config), FREE_FIELDS + kind.free_fields, workdir)
        run = _Run(config, workdir, kind(config) if task is None else task, checkpoints, print_line)
        state, step_fn = run.start(init_from)
        with StopRequest() as stop:
            return run.run_steps(state, step_fn, examples, stop)


class _Run:
    """One call of `train`.

    1. `start` restores or makes the state, and makes the step.
    2. `run_steps` calls the step until the training ends; it logs, evaluates and saves.
    """

    def __init__(self, config: Any, workdir: pathlib.Path, task: Task,
                 checkpoints: checkpoint.Checkpoints, print_line: Callable[[str], None]) -> None:
        self.config, self.workdir, self.task = config, workdir, task
        self.checkpoints, self.print_line = checkpoints, print_line
        self.pending: list[dict[str, Any]] = []  # metrics since the last row, of each step or call of the step
        self.first_loss = 0.0  # of the first row of metrics.jsonl; 0 before there is one

    def start(self, init_from: str | None) -> tuple[TrainState, Callable[..., Any]]:
        """Returns the state to begin with, restored or new, and the compiled step (see `step.make_step`)."""
        config, task = self.config, self.task
        shapes = jax.eval_shape(task.init, jax.random.key(0))
        trainable = task.trainable(shapes)
        optimizer = make_optimizer(config, trainable)
        template = jax.eval_shape(lambda params: steps.init_state(config, optimizer, params), shapes)
        restored = self.checkpoints.restore(template, self.print_line)
        if restored is not None:
            state, self.pending = restored
            if int(state.step) % config.steps_a_call:
                raise InputError(f"config.steps_a_call={config.steps_a_call}: {self.workdir} stands at step "
                                 f"{int(state.step)}, which is no multiple of it: give a divisor of the step")
            self.print_line(f"resumed from step {int(state.step)} of {self.workdir}"
                            + (f"; --init_from={init_from} is ignored" if init_from else ""))
        else:
            params = steps.init_params(config, task)
            if init_from is not None:
                params = weights.init_from_weights(params, init_from, task.read_weights, task.adopt)
                self.print_line(f"parameters taken from {init_from}")
            state = steps.init_state(config, optimizer, params)
        if processes.is_chief():
            _append_to_record(self.workdir, {
                "from_step": int(state.step), "init_from": init_from, "config": checkpoint.config_as_json(config),
                "devices": f"{jax.device_count()} {jax.default_backend()}", **provenance.describe_code()})
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
        self.print_line(f"{type(task).__name__}: {count:,} parameters, {config.batch_size} examples a "
                        f"step on {jax.device_count()} {jax.default_backend()} device(s), writing to "
                        f"{self.workdir}; the first step is compiled now")
        return steps.replicate(state), steps.make_step(config, task, optimizer, trainable)

    def run_steps(self, state: TrainState, step_fn: Callable[..., Any], examples: np.ndarray,
                  stop: StopRequest) -> TrainResult:
        """Runs steps until the end, a signal or the time limit; logs, evaluates and saves at the config's intervals.

        Args:
          state: on all devices; its buffers are consumed.
          step_fn: the compiled step.
          examples: (local devices, examples per device) numbers of the examples, see `step.example_indices`.
          stop: notes signals.
        """
        config = self.config
        data = steps.replicate(self.task.data)
        step = int(state.step)
        if step >= config.num_steps:
            self.print_line(f"step {step} of {config.num_steps}: nothing is left to do")
            return TrainResult(state, step, FINISHED, {})
        writer = MetricsWriter(self.workdir, step)
        if processes.is_chief():
            self.first_loss = next((row["loss"] for row in read_metrics(self.workdir) if "loss" in row), 0.0)
        progress = _Progress(config, step)
        begin = saved = time.monotonic()
        metrics: dict[str, float] = {}
        reason = ""
        try:
            while not reason:
                state, values = step_fn(state, data, examples)
                step += config.steps_a_call
                self.pending.append(values)
                # Python stays at most one call ahead of the device, so that a signal need not wait for a long queue.
                jax.block_until_ready(self.pending[-2:][0])
                now = time.monotonic()
                stopped, out_of_time, checkpoint_due = processes.agree_on_any([
                    bool(stop.signal_name),
                    0 < 60 * config.max_minutes < now - begin,
                    0 < 60 * config.checkpoint_minutes < now - saved])
                if step == config.num_steps:
                    reason = FINISHED
                elif stopped:
                    reason = stop.signal_name or "another process was told to stop"
                elif out_of_time:
                    reason = TIME_LIMIT
                if step % config.log_every == 0:
                    row = self.take_mean_of_pending(step)
                    writer.write(step, row | {"examples_per_second": progress.rate(step)})
                    self.print_line(progress.line(step, row["loss"]))
                # There is no evaluation after a signal, because the process may be killed before the evaluation ends.
                if reason in (FINISHED, TIME_LIMIT) or (
                        not reason and _is_due(step, config.eval_every)):
                    metrics = self.evaluate(state, step, writer)
                if reason or checkpoint_due or _is_due(step, config.checkpoint_every):
                    self.fetch_pending(step)
                    self.checkpoints.save(
                        state, checkpoint.config_as_json(config), self.pending)
                    saved = time.monotonic()
        finally:
            writer.close()
        if reason != FINISHED:
            self.print_line(f"{reason}: saved at step {step} of {config.num_steps}; the same command "
                            "resumes from there")
        return TrainResult(state, step, reason, metrics)

    def take_mean_of_pending(self, step: int) -> dict[str, float]:
        """Returns the mean of each metric over the steps since the last row, and clears the pending metrics."""
        self.fetch_pending(step)
        rows, self.pending = self.pending, []
        means = {name: _mean(rows, name) for name in rows[0]}
        self.first_loss = self.first_loss or means["loss"]
        return means

    def fetch_pending(self, step: int) -> None:
        """Copies the pending metrics to the host, one dict for each step.

        Raises:
          InputError: the loss or the norm of the gradient is not finite, or the loss has grown too much.
        """
        calls = [{name: np.atleast_1d(values) for name, values in call.items()}
                 for call in jax.device_get(self.pending)]
        self.pending = [{name: float(values[i]) for name, values in call.items()}
                        for call in calls for i in range(len(call["loss"]))]
        for at, row in enumerate(self.pending, start=step - len(self.pending) + 1):
            for name in ("loss", "grad_norm"):
                if not math.isfinite(row[name]):
                    raise InputError(self._divergence_message(f"{name} is {row[name]}", at))
        if self.pending:
            loss, growth = _mean(self.pending, "loss"), self.config.max_loss_growth
            # Only process 0 knows the first row of an earlier call, so the processes decide together.
            if processes.agree_on_any([0 < growth * abs(self.first_loss) < loss])[0]:
                raise InputError(self._divergence_message(
                    f"loss is {loss:.6g}, more than config.max_loss_growth={growth:g} times the first row's "
                    f"{self.first_loss:.6g},", step))

    def _divergence_message(self, what: str, step: int) -> str:
        """Returns what is wrong at a step, what to try, and the last good checkpoint."""
        good, opt = self.checkpoints.latest_step(), self.config.optimizer
        last = f"last good checkpoint: {self.checkpoints.folder / str(good)}"
        return (f"{what} at step {step} of {type(self.task).__name__} (config: {self.workdir / RECORD}): try a lower "
                f"config.optimizer.learning_rate (now {opt.learning_rate:g}), or config.optimizer.clip_norm (now "
                f"{opt.clip_norm:g}); " + ("there is no checkpoint yet" if good is None else last))

    def evaluate(self, state: TrainState, step: int, writer: MetricsWriter,
                 ) -> dict[str, float]:
        """Evaluates the task, writes and prints its metrics, then exports its weights; returns the metrics."""
        params = steps.params_to_evaluate(state)
        metrics = {name: float(value) for name, value in self.task.evaluate(params).items()}
        if metrics:
            writer.write(step, {f"eval/{name}": value for name, value in metrics.items()})
            self.print_line(f"step {step}/{self.config.num_steps}  evaluation  "
                            + "  ".join(f"{name} {value:.6g}" for name, value in metrics.items()))
        if processes.is_chief():
            with exporting(self.workdir) as folder:
                self.task.export(params, folder, step)
        return metrics


class _Progress:
    """Measures the speed since the last printed line, and estimates the time left."""

    def __init__(self, config: Any, step: int) -> None:
        self._config, self._step, self._time, self._rate = config, step, time.monotonic(), 0.0

    def rate(self, step: int) -> float:
        """Returns the examples per second since the last call."""
        now = time.monotonic()
        self._rate = (step - self._step) / max(now - self._time, 1e-9)
        self._step, self._time = step, now
        return self._rate * self._config.batch_size

    def line(self, step: int, loss: float) -> str:
        """Returns the printed line of a step, with the speed that `rate` measured last."""
        left = datetime.timedelta(seconds=round((self._config.num_steps - step) / self._rate))
        return (f"step {step}/{self._config.num_steps}  loss {loss:.6g}  "
                f"{self._rate * self._config.batch_size:.4g} examples/s  {left} left")


def _append_to_record(workdir: pathlib.Path, call: dict[str, Any]) -> None:
    """Appends a call of `train` to the list in WORKDIR/run.json."""
    path = workdir / RECORD
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    app.write_json(path, [*before, call])


def _mean(rows: list[dict[str, float]], name: str) -> float:
    """Returns the mean of a metric over rows."""
    return math.fsum(row[name] for row in rows) / len(rows)


def _print_nothing(_: str) -> None:
    """Discards a message of a process other than 0."""


def _is_due(step: int, every: int) -> bool:
    """Returns whether something with this interval of steps is due; the interval 0 means never."""
    return every > 0 and step % every == 0
