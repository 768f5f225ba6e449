"""Reads config.model.dtype, the type in which a network computes while it is trained."""

from typing import Any

import jax.numpy as jnp
from jax.typing import DTypeLike

from phasenet.errors import InputError

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def compute_dtype(config: Any) -> DTypeLike:
    """Returns the type that config.model.dtype names; float32 where the config does not have the field.

    Parameters, loss, summed gradients, optimizer, running average, evaluation and release are float32 in any case.

    Raises:
      InputError: the name is not one of `DTYPES`.
    """
    name = config.model.get("dtype", "float32")
    if name not in DTYPES:
        raise InputError(f"config.model.dtype={name!r}: expected one of {', '.join(DTYPES)}")
    return DTYPES[name]
