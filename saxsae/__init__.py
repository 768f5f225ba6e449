"""Protein shapes from small-angle scattering curves.

    from saxsae import pretrained, reconstruct
    result = reconstruct(curve, pretrained.load("lean"))

The call is `saxsae.reconstruction.reconstruct`; the weights come from `saxsae.pretrained.load`.
"""

import importlib


def __getattr__(name: str):
    """`saxsae.reconstruct`, imported when it is asked for: an error message should not wait for jax."""
    if name == "reconstruct":
        return importlib.import_module("saxsae.reconstruction").reconstruct
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
