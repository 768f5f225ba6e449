"""A toy task and its config for the tests of launch.training: a line through noisy points."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from launch.training import Task, base_config

SLOPE = (2.0, -1.0, 0.5)


class LineTask(Task):
    """y = x . SLOPE + noise, made from keys; with config.corpus the points come from task.data."""

    free_fields = ("note",)

    def __init__(self, config) -> None:
        self.config = config
        if config.corpus:
            x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
            self.data = {"x": x, "y": x @ np.array(SLOPE, np.float32)}

    def init(self, key):
        return {"dense": {"kernel": jax.random.normal(key, (3, 1)), "bias": jnp.zeros(1)}}

    def batch(self, keys, step, data):
        def example(key):
            key_x, key_noise = jax.random.split(key)
            if self.config.corpus:
                row = jax.random.randint(key_x, (), 0, len(data["x"]))
                return data["x"][row], data["y"][row]
            x = jax.random.normal(key_x, (3,))
            return x, x @ jnp.array(SLOPE) + 0.1 * jax.random.normal(key_noise)

        return jax.vmap(example)(keys)

    def loss(self, params, batch, keys):
        x, y = batch
        drop = jax.vmap(lambda key: jax.random.bernoulli(key, 0.9, (3,)))(keys)
        guess = ((x * drop) @ params["dense"]["kernel"] + params["dense"]["bias"])[:, 0]
        loss = jnp.mean((guess - y) ** 2) * self.config.loss_scale
        return loss, {"mean_error": jnp.mean(jnp.abs(guess - y))}

    def evaluate(self, params):
        error = params["dense"]["kernel"][:, 0] - jnp.array(SLOPE)
        return {"slope_error": float(jnp.abs(error).max())}

    def trainable(self, params):
        return {"dense": {"kernel": True, "bias": not self.config.freeze_bias}}

    def export(self, params, workdir: pathlib.Path, step: int) -> None:
        arrays = {f"dense/{name}": leaf for name, leaf in params["dense"].items()}
        np.savez(workdir / "weights.npz", **arrays)


def get_config():
    config = base_config()
    config.task = "toy_training:LineTask"
    config.batch_size = 8
    config.num_steps = 6
    config.log_every = 2
    config.eval_every = 3
    config.checkpoint_every = 3
    config.optimizer.learning_rate = 0.05
    config.corpus = False  # points from task.data instead of from keys
    config.freeze_bias = False
    config.loss_scale = 1.0
    config.note = ""  # may differ between runs
    return config
