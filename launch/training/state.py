"""Defines the state of a training, and names its arrays."""

from typing import Any, NamedTuple

import jax

PyTree = Any


class TrainState(NamedTuple):
    """Everything that a training step reads and changes. The state is the same on all devices and has no device axis.

    Attributes:
      step: () int32, number of steps done.
      params: the task's parameters, a pytree of floating-point arrays.
      opt_state: the optimizer's state, a pytree of arrays.
      average: running average of `params`, of the same structure; None when config.ema_decay is 0.
      key: () typed key of all randomness of the training. The key is constant: each step folds its number in.
    """

    step: jax.Array
    params: PyTree
    opt_state: PyTree
    average: PyTree | None
    key: jax.Array


def named_leaves(tree: PyTree) -> list[tuple[str, Any]]:
    """Returns (name, array) of each leaf; `leaf_name` gives the name, such as "encoder/kernel"."""
    return [(leaf_name(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def leaf_name(path: tuple[Any, ...]) -> str:
    """Returns a path of `jax.tree_util` (dict keys, field names and indices) joined by "/"."""
    return "/".join(str(next(getattr(part, field) for field in ("key", "name", "idx")
                             if hasattr(part, field))) for part in path)
