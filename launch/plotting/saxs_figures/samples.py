"""Draws shapes decoded from random codes, to show whether they look like proteins. The paper has no such figure."""

import pathlib
from typing import Any

import numpy as np

from launch.plotting import style
from launch.plotting.saxs_figures import shapes
from saxsae import pretrained
from saxsae.genetic_search import decode_shapes
from saxsae.shapes import descriptors

_ACROSS = 4  # shapes in a row and in a column
_MANY = 200  # largest number of maps in a histogram
_BATCH = 50  # codes decoded at a time
_SHOWN = {"filled_fraction": "filled share of the sphere", "surface_fraction": "surface voxels",
          "anisotropy": "longest over shortest axis"}


def saxs_samples(path: pathlib.Path, weights_name: str, seed: int) -> None:
    """Draws 16 shapes of random codes above histograms that compare such shapes with the training maps.

    The codes come from a Gaussian with the mean and covariance of the training maps' codes. Good: the histograms agree.

    Args:
      path: the picture to write.
      weights_name: name or folder of the auto-encoder's weights.
      seed: seed of the codes.
    """
    weights = pretrained.load(weights_name)
    rng = np.random.default_rng(seed)
    bank = weights.latents.bank
    drawn = rng.multivariate_normal(bank.mean(0), np.cov(bank.T), _MANY).astype(np.float32)
    kept = bank[rng.choice(len(bank), min(_MANY, len(bank)), replace=False)]
    random, known = (_decoded(weights, codes) for codes in (drawn, kept))
    traits = [[_described(shape) for shape in group] for group in (known, random)]
    with style.figure(path, 6.6, 8.4) as figure:
        parts: Any = figure.subfigures(2, 1, height_ratios=(3.6, 1))  # an array, as there are several
        upper, lower = parts
        for axes, shape in zip(upper.subplots(_ACROSS, _ACROSS).flat, random, strict=False):  # more are decoded
            density = shape.astype(np.float32)
            shapes.draw_view(axes, shapes.principal_frame(density, 1.0, 0.5), "front", density, 1.0, 0.5, pixels=160)
        for axes, (name, label) in zip(lower.subplots(1, len(_SHOWN)), _SHOWN.items(), strict=True):
            values = [[described[name] for described in group] for group in traits]
            edges = np.histogram_bin_edges(np.concatenate(values), 20)
            for group, colour, who in zip(values, (style.LIGHT, style.BLUE), ("training maps", "random codes"),
                                          strict=True):
                axes.hist(group, edges, color=colour, alpha=0.75, label=who)
            axes.set_xlabel(label)
            axes.set_yticks([])
        axes.legend()


def _decoded(weights: pretrained.Pretrained, codes: np.ndarray) -> list[np.ndarray]:
    """Returns the binary map (31, 31, 31) of each code (N, K); maps of less than two voxels are left out."""
    import jax

    decode = jax.jit(lambda codes: decode_shapes(weights.network, weights.params, weights.threshold, codes))
    found = [np.asarray(decode(codes[start:start + _BATCH])) for start in range(0, len(codes), _BATCH)]
    return [shape for shape in np.concatenate(found) if shape.sum() > 1]


def _described(shape: np.ndarray) -> dict[str, float]:
    """Returns the descriptors of a binary map (31, 31, 31), and the ratio of its longest to its shortest axis."""
    spread = np.linalg.eigvalsh(np.cov(np.argwhere(shape).T) + 1e-3 * np.eye(3))
    return descriptors.describe(shape)._asdict() | {"anisotropy": float(np.sqrt(spread[-1] / spread[0]))}
