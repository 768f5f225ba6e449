"""Compiles the training step, in which each device makes its own examples and gradients are averaged over devices.

1. Each example of the global batch gets a key, folded from the step and the number of the example.
2. Each device makes its share of the examples and computes loss and gradients, in config.micro_batches parts.
3. Loss, metrics and gradients are averaged over the devices; the optimizer makes the same update on each.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from launch.training.state import PyTree, TrainState
from launch.training.task import Task
from phasenet.errors import InputError

AXIS = "devices"

Metrics = dict[str, jax.Array]


def init_params(config: Any, task: Task) -> PyTree:
    """Returns the task's initial parameters; config.seed determines them."""
    return jax.jit(task.init)(jax.random.fold_in(jax.random.key(config.seed), 0))


def init_state(config: Any, optimizer: optax.GradientTransformation, params: PyTree) -> TrainState:
    """Returns the state before the first step.

    Args:
      config: see launch/training/defaults.py.
      optimizer: see `launch.training.optimizer.make_optimizer`.
      params: parameters to start with.
    """
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        opt_state=optimizer.init(params),
        # A copy, because the step donates the buffers of both, and no buffer can be donated twice.
        average=jax.tree.map(jnp.copy, params) if config.ema_decay else None,
        key=jax.random.fold_in(jax.random.key(config.seed), 1))


def example_indices(batch_size: int, micro_batches: int = 1) -> np.ndarray:
    """Returns the numbers of the examples that each device of this process makes.

    Args:
      batch_size: examples of the global batch, over all devices of all processes.
      micro_batches: parts in which a device computes its examples.

    Returns:
      (local devices, examples per device) int32.

    Raises:
      InputError: the batch does not divide evenly into the micro-batches of the devices.
    """
    devices = jax.device_count()
    if batch_size % (devices * micro_batches):
        parts = f" times config.micro_batches={micro_batches}" if micro_batches > 1 else ""
        raise InputError(f"config.batch_size={batch_size}: expected a multiple of the "
                         f"{devices} devices{parts}")
    indices = np.arange(batch_size, dtype=np.int32)
    return indices.reshape(jax.process_count(), jax.local_device_count(), -1)[jax.process_index()]


def replicate(tree: PyTree) -> PyTree:
    """Returns the tree with each array whole on every local device, as the step takes and returns its arrays.

    Arrays that are placed in another way would be copied at each call; such a state would also compile the step twice.
    """
    mesh = Mesh(np.array(jax.local_devices()), (AXIS,))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def make_step(config: Any, task: Task, optimizer: optax.GradientTransformation, trainable: PyTree,
              ) -> Callable[[TrainState, PyTree, np.ndarray], tuple[TrainState, Metrics]]:
    """Returns the compiled function that does config.steps_a_call steps.

    A key depends on the step and on the number of the example in the global batch, not on the device, so the batch is
    the same on any number of devices.

    Args:
      config: see launch/training/defaults.py.
      task: makes the examples and computes their loss.
      optimizer: see `launch.training.optimizer.make_optimizer`.
      trainable: pytree of bools, one for each parameter array; arrays with False are never changed.

    Returns:
      (state, data, example_indices) -> (state, metrics). The function consumes the buffers of the given state. Each
      metric is () float32, or (config.steps_a_call,) where steps_a_call is above 1. "loss" and "grad_norm" are among
      the metrics.
    """

    def micro_batch(state: TrainState, data: PyTree, example: jax.Array) -> PyTree:
        """Returns ((loss, metrics), gradients) of examples that are made here from their numbers (n,)."""
        key_step = jax.random.fold_in(state.key, state.step)
        keys = jax.vmap(lambda i: jax.random.split(jax.random.fold_in(key_step, i)))(example)
        keys_batch, keys_loss = keys[:, 0], keys[:, 1]
        batch = task.batch(keys_batch, state.step, data)

        def loss_fn(params: PyTree) -> tuple[jax.Array, Metrics]:
            return task.loss(_stop_gradients(params, trainable), batch, keys_loss)

        return jax.value_and_grad(loss_fn, has_aux=True)(state.params)

    def step_fn(state: TrainState, data: PyTree, example: jax.Array) -> tuple[TrainState, Metrics]:
        parts = example.reshape(config.micro_batches, -1)
        mean = _mean_over_parts(lambda part: micro_batch(state, data, part), parts)
        (loss, metrics), grads = jax.lax.pmean(mean, AXIS)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        new = TrainState(state.step + 1, params, opt_state,
                         _update_average(state, params, config.ema_decay), state.key)
        return new, {"loss": loss, **metrics, "grad_norm": optax.tree.norm(grads)}

    def steps_fn(state: TrainState, data: PyTree, example: jax.Array) -> tuple[TrainState, Metrics]:
        return jax.lax.scan(lambda state, _: step_fn(state, data, example), state, length=config.steps_a_call)

    # A single step is not put into a loop, where XLA's CPU backend is slow (https://github.com/jax-ml/jax/issues/12868).
    return jax.pmap(step_fn if config.steps_a_call == 1 else steps_fn, axis_name=AXIS,
                    in_axes=(None, None, 0), out_axes=None, donate_argnums=(0,))


def _mean_over_parts(function: Callable[[jax.Array], PyTree], parts: jax.Array) -> PyTree:
    """Returns the mean of a function over parts (n, ...), computed one after another and summed in float32."""
    if len(parts) == 1:
        return function(parts[0])

    def body_fun(total: PyTree, part: jax.Array) -> tuple[PyTree, None]:
        return jax.tree.map(jnp.add, total, function(part)), None

    shapes = jax.eval_shape(function, parts[0])
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.float32), shapes)
    total, _ = jax.lax.scan(body_fun, zeros, parts)
    return jax.tree.map(lambda leaf: leaf / len(parts), total)


def _stop_gradients(params: PyTree, trainable: PyTree) -> PyTree:
    """Returns the parameters; those whose `trainable` is False get no gradient, and none is computed for them."""
    return jax.tree.map(
        lambda leaf, on: leaf if on else jax.lax.stop_gradient(leaf), params, trainable)


def _update_average(state: TrainState, params: PyTree, decay: float) -> PyTree | None:
    """Returns the new running average; early steps get more weight, so that the initial parameters soon vanish."""
    if state.average is None:
        return None
    rate = 1.0 - jnp.minimum(decay, (1.0 + state.step) / (10.0 + state.step))
    return jax.tree.map(
        lambda old, new: old + rate.astype(new.dtype) * (new - old), state.average, params)


def params_to_evaluate(state: TrainState) -> PyTree:
    """Returns the parameters to evaluate and release, on one device: the running average where there is one."""
    params = state.params if state.average is None else state.average
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), params)
