"""Times our training step and forward pass in turn with PyTorch's, for suites train_phasenet and train_saxsae."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from launch.benchmarks.timing import Row, compare

MAX_RELATIVE_DIFFERENCE = 1e-4  # between ours and PyTorch's: of outputs, relative to the largest one, and of the loss


class TrainingStep(NamedTuple):
    """A network, its loss and one batch, in JAX and in PyTorch.

    Attributes:
      name: the network's name in the rows.
      init: returns the parameters drawn from a key.
      apply: returns the output of (parameters, x).
      loss: returns the scalar loss of (output, target).
      x: (B, N, N, N) float32, the input of our network.
      target: (B, N, N, N) float32, the target of our network.
      peer: returns PyTorch's programs, a `torch_peer.TorchPrograms`, from our parameters and a memory format or None.
      formats: PyTorch's memory formats, the fastest of which is measured.
      output: returns PyTorch's output in the shape and orientation of ours.
      flops: multiplications and additions of the direct forward pass; None where they are not counted.
    """

    name: str
    init: Callable[[jax.Array], Any]
    apply: Callable[[Any, jax.typing.ArrayLike], Any]
    loss: Callable[[Any, Any], jax.Array]
    x: np.ndarray
    target: np.ndarray
    peer: Callable[[Any, str | None], Any]
    formats: tuple[str | None, ...]
    output: Callable[[np.ndarray], np.ndarray]
    flops: float | None


def measure(job: TrainingStep, report: Callable[[Row], None], seconds: float) -> dict[str, Any]:
    """Measures the forward pass and the training step (Adam at 1e-3) beside PyTorch's.

    Args:
      job: what is measured.
      report: receives the row of the forward pass, then the row of the step.
      seconds: about how many seconds the step is timed; the forward pass is timed for a third of that.

    Returns:
      Our time over PyTorch's, by "forward" and "step".

    Raises:
      AssertionError: PyTorch's outputs or loss are not ours, so that the times are of different tasks.
    """
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
    # A fresh network, because the search for the faster format trained the other one.
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
    if max(deviation, difference) > MAX_RELATIVE_DIFFERENCE:
        raise AssertionError(f"{job.name}: PyTorch computes something else: relative to ours, its outputs differ by "
                             f"{deviation:.1g} and its loss by {difference:.1g}")
    rows.append(compare(f"{job.name}, training step", "PyTorch", ours, theirs.step, seconds=seconds,
                        flops=job.flops and 3 * job.flops, memory_format=memory_format))
    for row in rows:
        report(row)
    return {name: 1 / row.ratio for name, row in zip(("forward", "step"), rows, strict=True)}


def _faster(job: TrainingStep, params: dict) -> tuple[Any, str | None]:
    """Returns PyTorch's programs in its faster memory format, by the second step of each, and the format."""
    seconds: dict[str | None, float] = {}
    programs: dict[str | None, Any] = {}
    for name in job.formats:
        programs[name] = job.peer(params, name)
        if len(job.formats) > 1:
            programs[name].step()
            start = time.perf_counter()
            programs[name].step()
            seconds[name] = time.perf_counter() - start
    best = min(job.formats, key=lambda name: seconds.get(name, 0.0))
    return job.peer(params, best), best
