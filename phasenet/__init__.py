"""Atom positions from Patterson maps.

    from phasenet import pretrained, solve
    answer = solve(patterson_map, pretrained.load("small"))

The call is `phasenet.pipeline.solve`; the weights come from `phasenet.pretrained.load`.
"""

import importlib


def __getattr__(name: str):
    """`phasenet.solve`, imported when it is asked for: an error message should not wait for jax."""
    if name == "solve":
        return importlib.import_module("phasenet.pipeline").solve
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
