"""Random codes decoded: do they look like proteins?"""

import pathlib

import numpy as np

from launch.plotting import style
from launch.plotting.saxs_figures import shapes
from saxsae import pretrained
from saxsae.reconstruction import decode_shapes
from saxsae.shapes import descriptors

_ACROSS = 4
_MANY = 200  # maps behind each histogram
_BATCH = 50
_SHOWN = {"filled_fraction": "filled share of the sphere", "surface_fraction": "surface voxels",
          "anisotropy": "longest over shortest axis"}


def samples(path: pathlib.Path, weights_name: str, seed: int) -> None:
    """Sixteen shapes decoded from a Gaussian of the codes' mean and covariance; below, how such shapes are distributed
    beside those that training maps' codes give."""
    weights = pretrained.load(weights_name)
    rng = np.random.default_rng(seed)
    bank = weights.latents.bank
    drawn = rng.multivariate_normal(bank.mean(0), np.cov(bank.T), _MANY).astype(np.float32)
    kept = bank[rng.choice(len(bank), min(_MANY, len(bank)), replace=False)]
    random, known = (_decoded(weights, codes) for codes in (drawn, kept))
    traits = [[_described(shape) for shape in group] for group in (known, random)]
    with style.figure(path, 6.6, 8.4) as figure:
        upper, lower = figure.subfigures(2, 1, height_ratios=(3.6, 1))
        for axes, shape in zip(upper.subplots(_ACROSS, _ACROSS).flat, random):
            density = shape.astype(np.float32)
            shapes.view(axes, shapes.principal_frame(density, 1.0, 0.5), "front", density, 1.0, 0.5, pixels=160)
        for axes, (name, label) in zip(lower.subplots(1, len(_SHOWN)), _SHOWN.items()):
            values = [[described[name] for described in group] for group in traits]
            edges = np.histogram_bin_edges(np.concatenate(values), 20)
            for group, colour, who in zip(values, (style.LIGHT, style.BLUE), ("training maps", "random codes")):
                axes.hist(group, edges, color=colour, alpha=0.75, label=who)
            axes.set_xlabel(label)
            axes.set_yticks([])
        axes.legend()


def _decoded(weights: pretrained.Pretrained, codes: np.ndarray) -> list[np.ndarray]:
    """The main region of each decoded map; empty ones are left out."""
    import jax

    decode = jax.jit(lambda codes: decode_shapes(weights.network, weights.params, weights.threshold, codes))
    found = [np.asarray(decode(codes[start:start + _BATCH])) for start in range(0, len(codes), _BATCH)]
    return [shape for shape in np.concatenate(found) if shape.sum() > 1]


def _described(shape: np.ndarray) -> dict[str, float]:
    spread = np.linalg.eigvalsh(np.cov(np.argwhere(shape).T) + 1e-3 * np.eye(3))
    return descriptors.describe(shape)._asdict() | {"anisotropy": float(np.sqrt(spread[-1] / spread[0]))}
