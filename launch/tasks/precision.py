"""config.model.dtype: the type in which a network computes while it is trained."""

from typing import Any

import jax.numpy as jnp

from phasenet.errors import InputError

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def compute_dtype(config: Any) -> Any:
    """The type that config.model.dtype names; float32 for a config from before there was the field.

    Parameters, loss, gradients' sums, optimizer and running average are float32 in any case, and so are evaluation
    and release. Raises InputError for another name.
    """
    name = config.model.get("dtype", "float32")
    if name not in DTYPES:
        raise InputError(f"config.model.dtype={name!r}: expected one of {', '.join(DTYPES)}")
    return DTYPES[name]
