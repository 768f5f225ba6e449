"""Tells which of several processes prints and writes, and makes all of them take the same decision.

Training and evaluation call these functions; with a single process each returns at once.
"""

import jax
import numpy as np
from jax.experimental import multihost_utils

_MAX_WAIT_MILLISECONDS = 30 * 24 * 3600 * 1000  # in practice no limit: `cluster` notices a process that has died


def index() -> int:
    """Returns the number of this process, from 0."""
    return jax.process_index()


def count() -> int:
    """Returns the number of processes."""
    return jax.process_count()


def is_chief() -> bool:
    """Returns whether this is process 0, the only one that prints and that writes shared files."""
    return index() == 0


def agree_on_any(wishes: list[bool]) -> list[bool]:
    """Returns for each wish whether any process has it, so that all processes act in the same way.

    Clocks and signals differ between processes; their actions must not, because they wait for each other.

    Args:
      wishes: one value for each decision, in the same order on all processes.
    """
    if count() == 1:
        return wishes
    return multihost_utils.process_allgather(np.array(wishes)).any(axis=0).tolist()


def wait_for_all(name: str) -> None:
    """Returns when every process has called this with the same name, even if that takes days."""
    if count() > 1:
        from orbax.checkpoint import multihost  # slow to import

        multihost.get_barrier_sync_fn()(key=name, timeout_ms=_MAX_WAIT_MILLISECONDS)
