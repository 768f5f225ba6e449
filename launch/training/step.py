"""One training step on all devices: state in, state out, batches made on the device."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from launch.training.task import PyTree, Task
from phasenet.errors import InputError

AXIS = "devices"


class TrainState(NamedTuple):
    """Everything that a step changes, and the key it draws from; never stacked over devices.

    Attributes:
      step: () int32, steps done.
      params: the task's parameters.
      opt_state: the optimizer's.
      average: running average of params, or None when config.ema_decay is 0.
      key: () typed key of all training randomness; constant, the step is folded in.
    """

    step: jax.Array
    params: PyTree
    opt_state: PyTree
    average: PyTree | None
    key: jax.Array


def new_state(config: Any, optimizer: optax.GradientTransformation, params: PyTree) -> TrainState:
    """The state before the first step, with params as given."""
    key_train = jax.random.fold_in(jax.random.key(config.seed), 1)
    average = jax.tree.map(jnp.copy, params) if config.ema_decay else None  # a copy: both are donated
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), average, key_train)


def new_params(task: Task, config: Any) -> PyTree:
    """The task's fresh parameters for config.seed."""
    return jax.jit(task.init)(jax.random.fold_in(jax.random.key(config.seed), 0))


def example_indices(batch_size: int, num_devices: int | None = None) -> np.ndarray:
    """(local devices, examples a device) int32: which examples of the global batch each device makes."""
    local = num_devices or jax.local_device_count()
    total = local * jax.process_count()
    if batch_size < 1 or batch_size % total:
        raise InputError(f"config.batch_size={batch_size}: expected a positive multiple of the {total} devices")
    return np.arange(batch_size, dtype=np.int32).reshape(jax.process_count(), local, -1)[jax.process_index()]


def make_step(task: Task, config: Any, optimizer: optax.GradientTransformation, trainable: PyTree,
              ) -> Callable[[TrainState, PyTree, np.ndarray], tuple[TrainState, dict[str, jax.Array]]]:
    """The compiled step: (state, task.data, example_indices) -> (state, metrics). The old state is consumed.

    Keys are folded by step and by example of the global batch, not by device, so the same batch arises on
    any number of devices. metrics: () float32 each, `loss` and `grad_norm` among them.
    """

    def step_fn(state: TrainState, data: PyTree, example: jax.Array) -> tuple[TrainState, dict[str, jax.Array]]:
        key_step = jax.random.fold_in(state.key, state.step)
        keys = jax.vmap(lambda i: jax.random.split(jax.random.fold_in(key_step, i)))(example)
        batch = task.batch(keys[:, 0], state.step, data)

        def loss_fn(params: PyTree) -> tuple[jax.Array, dict[str, jax.Array]]:
            held = jax.tree.map(lambda leaf, on: leaf if on else jax.lax.stop_gradient(leaf), params, trainable)
            return task.loss(held, batch, keys[:, 1])

        (loss, metrics), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        loss, metrics, grads = jax.lax.pmean((loss, metrics, grads), AXIS)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        state = TrainState(
            state.step + 1, params, opt_state, _averaged(state, params, config.ema_decay), state.key)
        return state, {"loss": loss, **metrics, "grad_norm": optax.tree.norm(grads)}

    return jax.pmap(step_fn, axis_name=AXIS, in_axes=(None, None, 0), out_axes=None, donate_argnums=(0,))


def _averaged(state: TrainState, params: PyTree, decay: float) -> PyTree | None:
    """The running average; early steps count more, or the initial parameters would linger."""
    if state.average is None:
        return None
    rate = jnp.minimum(decay, (1.0 + state.step) / (10.0 + state.step))
    return jax.tree.map(lambda old, new: old + (1.0 - rate).astype(new.dtype) * (new - old), state.average, params)


def best_params(state: TrainState) -> PyTree:
    """The parameters to evaluate and release, on one device: the average where there is one."""
    params = state.params if state.average is None else state.average
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), params)
