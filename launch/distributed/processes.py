"""Several processes that work as one: who speaks and writes, and how all of them decide alike."""

import jax
import numpy as np
from jax.experimental import multihost_utils

_LONGEST_MILLISECONDS = 30 * 24 * 3600 * 1000  # that one waits for another; who has died is told of by other ways


def index() -> int:
    """Which of them this is, from 0."""
    return jax.process_index()


def count() -> int:
    """How many there are."""
    return jax.process_count()


def is_chief() -> bool:
    """Whether this process speaks, and writes what is written once."""
    return index() == 0


def agree_on_any(wishes: list[bool]) -> list[bool]:
    """Each wish, granted where any process has it: clocks and signals differ, deeds must not."""
    if count() == 1:
        return wishes
    return multihost_utils.process_allgather(np.array(wishes)).any(axis=0).tolist()


def wait_for_all(name: str) -> None:
    """Returns when every process has come here, be it in days."""
    if count() > 1:
        from orbax.checkpoint import multihost  # slow to import

        multihost.get_barrier_sync_fn()(key=name, timeout_ms=_LONGEST_MILLISECONDS)
