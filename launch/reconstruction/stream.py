"""The progress of a reconstruction as lines of JSON, for a program that looks on."""

import base64
import functools
import json
from collections.abc import Callable

import jax
import numpy as np

from saxsae import reconstruction
from saxsae.pretrained import Pretrained
from saxsae.shapes import voxels


def writer(path: str, weights: Pretrained) -> Callable[[dict, np.ndarray, float], None]:
    """Called with what is told, the best gene (K,) and its radius, appends a line to the file, begun anew.

    A line: what is told, ``pitch_angstrom`` and, where it is another shape than the line before has, ``shape``: the
    31^3 voxels in C order, x slowest, eight to a byte, the first in its highest bit; base64.
    """
    decode = jax.jit(functools.partial(reconstruction.decode_shapes, weights.network))
    before = b""
    with open(path, "w", encoding="utf-8"):
        pass

    def write(told: dict, latent: np.ndarray, radius: float) -> None:
        nonlocal before
        line = told | {"pitch_angstrom": float(voxels.pitch(radius))}
        filled = np.packbits(np.asarray(decode(weights.params, weights.threshold, latent[None]))[0]).tobytes()
        if filled != before:
            line["shape"], before = base64.b64encode(filled).decode(), filled
        # At once and in one piece: who reads meanwhile meets whole lines.
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    return write
