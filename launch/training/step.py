"""One training step on all devices: state in, state out, batches made on the device."""

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


def new_params(config: Any, task: Task) -> PyTree:
    """The task's fresh parameters for config.seed."""
    return jax.jit(task.init)(jax.random.fold_in(jax.random.key(config.seed), 0))


def new_state(config: Any, optimizer: optax.GradientTransformation, params: PyTree) -> TrainState:
    """The state before the first step, with params as given."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        opt_state=optimizer.init(params),
        # A copy: both are donated, and no buffer can be donated twice.
        average=jax.tree.map(jnp.copy, params) if config.ema_decay else None,
        key=jax.random.fold_in(jax.random.key(config.seed), 1))


def example_indices(batch_size: int, micro_batches: int = 1) -> np.ndarray:
    """(local devices, examples a device) int32: which examples of the batch each device makes.

    Raises InputError where they do not divide into the devices' micro-batches.
    """
    devices = jax.device_count()
    if batch_size % (devices * micro_batches):
        parts = f" times config.micro_batches={micro_batches}" if micro_batches > 1 else ""
        raise InputError(f"config.batch_size={batch_size}: expected a multiple of the "
                         f"{devices} devices{parts}")
    indices = np.arange(batch_size, dtype=np.int32)
    return indices.reshape(jax.process_count(), jax.local_device_count(), -1)[jax.process_index()]


def replicate(tree: PyTree) -> PyTree:
    """Puts arrays whole on every local device, as the step takes and leaves them.

    Anything else would be copied at each call, and a state would have the step compiled twice.
    """
    mesh = Mesh(np.array(jax.local_devices()), (AXIS,))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def make_step(config: Any, task: Task, optimizer: optax.GradientTransformation, trainable: PyTree,
              ) -> Callable[[TrainState, PyTree, np.ndarray], tuple[TrainState, Metrics]]:
    """The compiled steps of a call: (state, data, example_indices) -> (state, metrics); consumes the state.

    Keys are folded by step and by example of the global batch, not by device: the same batch arises
    on any number of devices. metrics: () float32 each, `loss` and `grad_norm` among them; with
    several steps in a call (config.steps_a_call,).
    """

    def micro_batch(state: TrainState, data: PyTree, example: jax.Array) -> PyTree:
        """((loss, metrics), gradients) of the examples, which are made here and left behind."""
        key_step = jax.random.fold_in(state.key, state.step)
        keys = jax.vmap(lambda i: jax.random.split(jax.random.fold_in(key_step, i)))(example)
        keys_batch, keys_loss = keys[:, 0], keys[:, 1]
        batch = task.batch(keys_batch, state.step, data)

        def loss_fn(params: PyTree) -> tuple[jax.Array, Metrics]:
            return task.loss(_freeze(params, trainable), batch, keys_loss)

        return jax.value_and_grad(loss_fn, has_aux=True)(state.params)

    def step_fn(state: TrainState, data: PyTree, example: jax.Array) -> tuple[TrainState, Metrics]:
        parts = example.reshape(config.micro_batches, -1)
        mean = _mean(lambda part: micro_batch(state, data, part), parts)
        (loss, metrics), grads = jax.lax.pmean(mean, AXIS)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        new = TrainState(state.step + 1, params, opt_state,
                         _average(state, params, config.ema_decay), state.key)
        return new, {"loss": loss, **metrics, "grad_norm": optax.tree.norm(grads)}

    def steps_fn(state: TrainState, data: PyTree, example: jax.Array) -> tuple[TrainState, Metrics]:
        return jax.lax.scan(lambda state, _: step_fn(state, data, example), state, length=config.steps_a_call)

    # One alone without a loop: in one, XLA's CPU backend is slow (https://github.com/jax-ml/jax/issues/12868).
    return jax.pmap(step_fn if config.steps_a_call == 1 else steps_fn, axis_name=AXIS,
                    in_axes=(None, None, 0), out_axes=None, donate_argnums=(0,))


def _mean(function: Callable[[jax.Array], PyTree], parts: jax.Array) -> PyTree:
    """The mean of function over parts (n, ...), one after the other; sums in float32."""
    if len(parts) == 1:
        return function(parts[0])

    def body_fun(total: PyTree, part: jax.Array) -> tuple[PyTree, None]:
        return jax.tree.map(jnp.add, total, function(part)), None

    shapes = jax.eval_shape(function, parts[0])
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.float32), shapes)
    total, _ = jax.lax.scan(body_fun, zeros, parts)
    return jax.tree.map(lambda leaf: leaf / len(parts), total)


def _freeze(params: PyTree, trainable: PyTree) -> PyTree:
    """params through which no gradient flows where trainable is False: none is computed there."""
    return jax.tree.map(
        lambda leaf, on: leaf if on else jax.lax.stop_gradient(leaf), params, trainable)


def _average(state: TrainState, params: PyTree, decay: float) -> PyTree | None:
    """The running average; the first steps weigh more, or the initial parameters would linger."""
    if state.average is None:
        return None
    rate = 1.0 - jnp.minimum(decay, (1.0 + state.step) / (10.0 + state.step))
    return jax.tree.map(
        lambda old, new: old + rate.astype(new.dtype) * (new - old), state.average, params)


def best_params(state: TrainState) -> PyTree:
    """The parameters to evaluate and release, on one device: the average where there is one."""
    params = state.params if state.average is None else state.average
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), params)
