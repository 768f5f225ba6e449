"""The training loop: owns the clock, the files and the signals; the step owns the arithmetic."""

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
from launch.training.lock import locked
from launch.training.optimizer import make_optimizer
from launch.training.preemption import StopRequest
from launch.training.task import Task, task_class
from launch.training.writers import MetricsWriter, read_metrics, whole_export
from phasenet.errors import InputError

FINISHED = "finished"
TIME_LIMIT = "time limit"
RECORD = "run.json"


class TrainResult(NamedTuple):
    """How a call of train ended.

    Attributes:
      state: the last state, as saved.
      step: steps done.
      reason: 'finished', 'time limit', or the name of the signal that ended it.
      metrics: the last evaluation of this call, empty if there was none.
    """

    state: steps.TrainState
    step: int
    reason: str
    metrics: dict[str, float]


def train(config: Any, workdir: str | pathlib.Path, *, init_from: str | None = None,
          task: Task | None = None, say: Callable[[str], None] = app.print_line) -> TrainResult:
    """Trains to config.num_steps, going on from workdir's newest checkpoint where there is one.

    config: see launch/training/defaults.py. task: instead of the one that config.task names. Each call is noted in
    workdir/run.json. Raises InputError for a config that cannot be, or that differs from the workdir's; for damaged
    checkpoints; for weights that do not fit; for a loss that is not finite, or has exploded; where another process
    trains in the workdir.
    """
    check_config(config)
    say = say if processes.is_chief() else _nothing
    kind = task_class(config.task) if task is None else type(task)
    examples = steps.example_indices(config.batch_size, config.micro_batches)
    workdir = pathlib.Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    # Whatever finds the disk full (TensorBoard's file, a task's export), the line names the workdir.
    with app.naming(workdir), contextlib.ExitStack() as stack:
        if processes.is_chief():
            stack.enter_context(locked(workdir))
        checkpoints = checkpoint.Checkpoints(workdir, config.max_to_keep)
        stack.callback(checkpoints.close)
        before = checkpoints.read_config()
        if before is not None:
            checkpoint.check_same_config(
                before, checkpoint.plain_config(config), FREE_FIELDS + kind.free_fields, workdir)
        run = _Run(config, workdir, kind(config) if task is None else task, checkpoints, say)
        state, step_fn = run.start(init_from)
        with StopRequest() as stop:
            return run.go(state, step_fn, examples, stop)


class _Run:
    """One call of train: its pieces, and the order in which they work."""

    def __init__(self, config: Any, workdir: pathlib.Path, task: Task,
                 checkpoints: checkpoint.Checkpoints, say: Callable[[str], None]) -> None:
        self.config, self.workdir, self.task = config, workdir, task
        self.checkpoints, self.say = checkpoints, say
        self.pending: list[dict[str, Any]] = []  # metrics of the steps, or calls, since the last row
        self.first_loss = 0.0  # of the first row of metrics.jsonl, once there is one

    def start(self, init_from: str | None) -> tuple[steps.TrainState, Callable]:
        """The state to begin with, restored or fresh, and the compiled step."""
        config, task = self.config, self.task
        shapes = jax.eval_shape(task.init, jax.random.key(0))
        trainable = task.trainable(shapes)
        optimizer = make_optimizer(config, trainable)
        like = jax.eval_shape(lambda params: steps.new_state(config, optimizer, params), shapes)
        restored = self.checkpoints.restore(like, self.say)
        if restored is not None:
            state, self.pending = restored
            if int(state.step) % config.steps_a_call:
                raise InputError(f"config.steps_a_call={config.steps_a_call}: {self.workdir} stands at step "
                                 f"{int(state.step)}, which is no multiple of it")
            self.say(f"resumed from step {int(state.step)} of {self.workdir}"
                     + (f"; {init_from} was its beginning" if init_from else ""))
        else:
            params = steps.new_params(config, task)
            if init_from is not None:
                params = weights.take_over(params, init_from, task.read_weights, task.adopt)
                self.say(f"parameters taken from {init_from}")
            state = steps.new_state(config, optimizer, params)
        if processes.is_chief():
            _record(self.workdir, {
                "from_step": int(state.step), "init_from": init_from, "config": checkpoint.plain_config(config),
                "devices": f"{jax.device_count()} {jax.default_backend()}", **provenance.code()})
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
        self.say(f"{type(task).__name__}: {count:,} parameters, {config.batch_size} examples a "
                 f"step on {jax.device_count()} {jax.default_backend()} device(s), writing to "
                 f"{self.workdir}; the first step is compiled now")
        return steps.replicate(state), steps.make_step(config, task, optimizer, trainable)

    def go(self, state: steps.TrainState, step_fn: Callable, examples: Any,
           stop: StopRequest) -> TrainResult:
        """Steps to the end, a signal or the time limit; logs, evaluates and saves on the way."""
        config = self.config
        data = steps.replicate(self.task.data)
        step = int(state.step)
        if step >= config.num_steps:
            self.say(f"step {step} of {config.num_steps}: nothing is left to do")
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
                # Stay a step behind the device, no more: a signal must not wait for a long queue.
                jax.block_until_ready(self.pending[-2:][0])
                now = time.monotonic()
                called, slow, late = processes.agree_on_any([
                    bool(stop.signal_name),
                    0 < 60 * config.max_minutes < now - begin,
                    0 < 60 * config.checkpoint_minutes < now - saved])
                if step == config.num_steps:
                    reason = FINISHED
                elif called:
                    reason = stop.signal_name or "another process was told to stop"
                elif slow:
                    reason = TIME_LIMIT
                if step % config.log_every == 0:
                    row = self.mean_of_pending(step)
                    writer.write(step, row | {"examples_per_second": progress.rate(step)})
                    self.say(progress.line(step, row["loss"]))
                # Not after a signal: who sends one may not wait for an evaluation.
                if reason in (FINISHED, TIME_LIMIT) or (
                        not reason and _due(step, config.eval_every)):
                    metrics = self.evaluate(state, step, writer)
                if reason or late or _due(step, config.checkpoint_every):
                    self.fetch_pending(step)
                    self.checkpoints.save(
                        state, checkpoint.plain_config(config), self.pending)
                    saved = time.monotonic()
        finally:
            writer.close()
        if reason != FINISHED:
            self.say(f"{reason}: saved at step {step} of {config.num_steps}; the same command "
                     "goes on from there")
        return TrainResult(state, step, reason, metrics)

    def mean_of_pending(self, step: int) -> dict[str, float]:
        """The mean of each metric over the steps since the last row, which ends with this."""
        self.fetch_pending(step)
        rows, self.pending = self.pending, []
        means = {name: _mean(rows, name) for name in rows[0]}
        self.first_loss = self.first_loss or means["loss"]
        return means

    def fetch_pending(self, step: int) -> None:
        """Brings pending metrics to the host. Raises InputError where the training went astray."""
        calls = [{name: np.atleast_1d(values) for name, values in call.items()}
                 for call in jax.device_get(self.pending)]
        self.pending = [{name: float(values[i]) for name, values in call.items()}
                        for call in calls for i in range(len(call["loss"]))]
        for at, row in enumerate(self.pending, start=step - len(self.pending) + 1):
            for name in ("loss", "grad_norm"):
                if not math.isfinite(row[name]):
                    raise InputError(self._astray(f"{name} is {row[name]}", at))
        if self.pending:
            loss, growth = _mean(self.pending, "loss"), self.config.max_loss_growth
            # Only the chief need know the first row of an earlier call.
            if processes.agree_on_any([0 < growth * abs(self.first_loss) < loss])[0]:
                raise InputError(self._astray(f"loss is {loss:.6g}, more than config.max_loss_growth={growth:g} times "
                                              f"the first row's {self.first_loss:.6g},", step))

    def _astray(self, what: str, step: int) -> str:
        good, opt = self.checkpoints.latest_step(), self.config.optimizer
        last = f"last good checkpoint: {self.checkpoints.folder / str(good)}"
        return (f"{what} at step {step} of {type(self.task).__name__} (config: {self.workdir / RECORD}): try a lower "
                f"config.optimizer.learning_rate (now {opt.learning_rate:g}), or config.optimizer.clip_norm (now "
                f"{opt.clip_norm:g}); " + ("there is no checkpoint yet" if good is None else last))

    def evaluate(self, state: steps.TrainState, step: int, writer: MetricsWriter,
                 ) -> dict[str, float]:
        """The task's figures, written and said; then its export."""
        params = steps.best_params(state)
        metrics = {name: float(value) for name, value in self.task.evaluate(params).items()}
        if metrics:
            writer.write(step, {f"eval/{name}": value for name, value in metrics.items()})
            self.say(f"step {step}/{self.config.num_steps}  evaluation  "
                     + "  ".join(f"{name} {value:.6g}" for name, value in metrics.items()))
        if processes.is_chief():
            with whole_export(self.workdir) as folder:
                self.task.export(params, folder, step)
        return metrics


class _Progress:
    """The speed since the last line, and the time left at that speed."""

    def __init__(self, config: Any, step: int) -> None:
        self._config, self._step, self._time, self._rate = config, step, time.monotonic(), 0.0

    def rate(self, step: int) -> float:
        """Examples a second since the last call."""
        now = time.monotonic()
        self._rate = (step - self._step) / max(now - self._time, 1e-9)
        self._step, self._time = step, now
        return self._rate * self._config.batch_size

    def line(self, step: int, loss: float) -> str:
        left = datetime.timedelta(seconds=round((self._config.num_steps - step) / self._rate))
        return (f"step {step}/{self._config.num_steps}  loss {loss:.6g}  "
                f"{self._rate * self._config.batch_size:.4g} examples/s  {left} left")


def _record(workdir: pathlib.Path, call: dict[str, Any]) -> None:
    """Adds a call of train to the list of them in workdir/run.json."""
    path = workdir / RECORD
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    app.write_json(path, [*before, call])


def _mean(rows: list[dict[str, float]], name: str) -> float:
    return math.fsum(row[name] for row in rows) / len(rows)


def _nothing(_: str) -> None:
    """What the other processes say."""


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
