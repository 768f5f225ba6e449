"""Several processes, one training: who speaks and writes, and how all of them decide alike."""

import os

import jax
import numpy as np
from jax.experimental import multihost_utils


def join() -> None:
    """Joins the processes that JAX_COORDINATOR_ADDRESS, _NUM_PROCESSES and _PROCESS_ID describe.

    Without the first it does nothing. Call it before anything else of jax.
    """
    if "JAX_COORDINATOR_ADDRESS" in os.environ:
        jax.distributed.initialize(
            num_processes=int(os.environ["JAX_NUM_PROCESSES"]),
            process_id=int(os.environ["JAX_PROCESS_ID"]))


def is_chief() -> bool:
    """Whether this process speaks, and writes what Orbax does not."""
    return jax.process_index() == 0


def any_of(wishes: list[bool]) -> list[bool]:
    """Each wish, granted where any process has it: clocks and signals differ, deeds must not."""
    if jax.process_count() == 1:
        return wishes
    return multihost_utils.process_allgather(np.array(wishes)).any(axis=0).tolist()


def wait_for_all(name: str) -> None:
    """Returns when every process has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
