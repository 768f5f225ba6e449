"""Finds atom positions from Patterson maps, and from the reflections of measured crystals.

    from phasenet import pretrained, solve
    solution = solve(patterson_map, pretrained.load())

`solve` is `phasenet.pipeline.solve`, whose module lists the stages. The weights come from `phasenet.pretrained.load`.
Measured crystals are solved by `phasenet.crystal_pipeline`.
"""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Imports `solve` when it is first asked for, so that a mistyped flag is reported before JAX is imported."""
    if name == "solve":
        return importlib.import_module("phasenet.pipeline").solve
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
