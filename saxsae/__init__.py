"""Reconstructs 3D shapes of proteins from small-angle X-ray scattering (SAXS) curves.

    from saxsae import pretrained, reconstruct
    from saxsae.io.curves.measured_curves import read_curve
    result = reconstruct(read_curve("curve.dat"), pretrained.load())

In reading order:

    reconstruction   `reconstruct`: all stages from a curve to a shape, listed in order in the module's head
    preparation      the part of a curve that is fitted
    bank_search      models from the bank of structures, fitted by gradient steps
    symmetric_search   models with a point group, beside models without
    bank             the bank: codes, sizes and profiles of structures; their scores; the gradient steps
    genetic_search   models by the paper's genetic algorithm (`genetic`) over latent codes and the radius
    confidence       how close a result can be expected to be to the truth
    verdict          whether a curve and its result can be believed
    analysis         what a curve says without a model: P(r), mass, concentration series
    profiles         curves: Guinier fit, rebinning, noise; scattering profiles of shapes
    shapes           binary shapes and densities on a grid of 31^3 voxels: making, packing, comparing them
    superposition    superposition of maps, statistics of ensembles, correlation with the truth, baselines
    networks         the auto-encoders of shapes, and the head that turns decoded shapes into densities
    pretrained       the released weights
    io               readers and writers of curves and structures; clients of data banks
"""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Imports `saxsae.reconstruct` on first use, because jax would delay the error messages of the readers."""
    if name == "reconstruct":
        return importlib.import_module("saxsae.reconstruction").reconstruct
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
