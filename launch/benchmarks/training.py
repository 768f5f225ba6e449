"""What suites train_phasenet and train_saxsae share: our step and forward pass beside PyTorch's, by turns."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from launch.benchmarks.timing import Row, compare

SAME = 1e-4  # largest deviation of outputs, relative to the largest, and of the loss


class TrainingStep(NamedTuple):
    """A network, its loss and one batch, ours and in PyTorch.

    Attributes:
      name: of the rows.
      init: key -> params; apply: (params, x) -> y; loss: (y, target) -> scalar.
      x, target: float32 arrays as ours takes them.
      peer: (params, memory format or None) -> torch_peer.Ways, on the same batch.
      formats: memory formats of PyTorch to choose the faster from.
      output: PyTorch's output to an array like ours.
      flops: multiplications and additions of the forward pass, each layer done directly; None where not counted.
    """

    name: str
    init: Callable
    apply: Callable
    loss: Callable
    x: np.ndarray
    target: np.ndarray
    peer: Callable
    formats: tuple
    output: Callable
    flops: float | None


def measure(job: TrainingStep, report: Callable[[Row], None], seconds: float) -> dict[str, Any]:
    """Rows of the step and of the forward pass; what both reach, as a share of PyTorch's time."""
    params = jax.jit(job.init)(jax.random.key(0))
    optimizer = optax.adam(1e-3)

    def step(params, opt_state):
        loss, gradient = jax.value_and_grad(lambda params: job.loss(job.apply(params, job.x), job.target))(params)
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    theirs, memory_format = _faster(job, params)
    forward = jax.jit(lambda params: job.apply(params, job.x)).lower(params).compile()
    y = np.asarray(forward(params))
    deviation = np.abs(y - job.output(theirs.forward().numpy())).max() / np.abs(y).max()
    rows = [compare(f"{job.name}, forward", "PyTorch", lambda: forward(params), theirs.forward,
                    flops=job.flops, seconds=seconds / 3, memory_format=memory_format, deviation=float(deviation))]
    # A fresh network: finding the faster format has trained the other.
    theirs = job.peer(params, memory_format)
    state = [jax.tree.map(np.array, params), optimizer.init(params)]
    compiled = jax.jit(step, donate_argnums=(0, 1)).lower(*state).compile()
    losses = []

    def ours():
        *state[:], loss = compiled(*state)
        losses.append(loss)
        return loss

    ours()
    difference = abs(float(losses[0]) - float(theirs.step())) / float(losses[0])
    if max(deviation, difference) > SAME:
        raise AssertionError(f"{job.name}: PyTorch makes something else: outputs differ by {deviation:.1g}, the loss "
                             f"by {difference:.1g}")
    rows.append(compare(f"{job.name}, training step", "PyTorch", ours, theirs.step, seconds=seconds,
                        flops=job.flops and 3 * job.flops, memory_format=memory_format))
    for row in rows:
        report(row)
    return {name: 1 / row.ratio for name, row in zip(("forward", "step"), rows, strict=True)}


def _faster(job: TrainingStep, params: dict) -> tuple[Any, str | None]:
    """PyTorch's ways in the memory format whose step takes less, by the second step of each."""
    seconds, ways = {}, {}
    for name in job.formats:
        ways[name] = job.peer(params, name)
        if len(job.formats) > 1:
            ways[name].step()
            start = time.perf_counter()
            ways[name].step()
            seconds[name] = time.perf_counter() - start
    best = min(job.formats, key=lambda name: seconds.get(name, 0.0))
    return job.peer(params, best), best
