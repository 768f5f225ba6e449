"""Writes the progress of a reconstruction as lines of JSON, which another program can follow.

`launch.reconstruct --progress=FILE` writes the file; `launch.serve` reads the file.
"""

import base64
import functools
import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from saxsae import genetic_search
from saxsae.pretrained import Pretrained
from saxsae.shapes import voxels


def progress_writer(path: str, weights: Pretrained) -> Callable[[dict[str, Any], np.ndarray, float], None]:
    """Empties the file and returns a function that appends a line to the file.

    Args:
      path: the file.
      weights: weights of the auto-encoder.

    Returns:
      (numbers, latent (K,), radius in Angstrom) -> None, for the best gene so far. A line holds the numbers,
      "pitch_angstrom" and, where the shape differs from that of the line before, "shape": base64 of 31^3 bits, one for
      each voxel, in C order of (x, y, z), the first voxel in the highest bit of a byte.
    """
    decode = jax.jit(functools.partial(genetic_search.decode_shapes, weights.network))
    bits_before = b""
    with open(path, "w", encoding="utf-8"):
        pass

    def write(numbers: dict[str, Any], latent: np.ndarray, radius: float) -> None:
        nonlocal bits_before
        line = numbers | {"pitch_angstrom": float(voxels.pitch(radius))}
        bits = np.packbits(np.asarray(decode(weights.params, weights.threshold, latent[None]))[0]).tobytes()
        if bits != bits_before:
            line["shape"], bits_before = base64.b64encode(bits).decode(), bits
        # Written with one call, so that a program that reads meanwhile sees whole lines.
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    return write
