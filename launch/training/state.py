"""The state of a training, and the names of its arrays."""

from typing import Any, NamedTuple

import jax

PyTree = Any


class TrainState(NamedTuple):
    """Everything that a step changes, and the key it draws from; not stacked over devices.

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


def named_leaves(tree: PyTree) -> list[tuple[str, Any]]:
    """[('encoder/kernel', array), ...]."""
    return [(leaf_name(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def leaf_name(path: tuple) -> str:
    """A path of jax.tree_util joined by '/', whatever containers it leads through."""
    return "/".join(str(next(getattr(part, field) for field in ("key", "name", "idx")
                             if hasattr(part, field))) for part in path)
