"""Computes the principal components of occupancy maps: a linear code of shapes.

The training of the lean auto-encoder (`launch.tasks.autoencoder`) starts from this code; the result is compared with
it. The method is randomized subspace iteration (N. Halko, P. G. Martinsson, J. A. Tropp, SIAM Rev. 53, 217, 2011).
"""

from typing import Any, NamedTuple

import numpy as np

LINEAR_GAIN = 8.0  # logits per unit of decoded occupancy


class Components(NamedTuple):
    """A linear code of K numbers for the 14,147 voxels of the unit sphere.

    Attributes:
      mean: (14147,) mean occupancy.
      basis: (14147, K) orthonormal columns, the largest variance first.
      sd: (K,) standard deviation of each coefficient.
      threshold: decoded occupancy above which a voxel counts as filled.
    """

    mean: np.ndarray
    basis: np.ndarray
    sd: np.ndarray
    threshold: float

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Returns the codes (N, K), coefficients of unit variance, of occupancies (N, 14147)."""
        return (values - self.mean) @ self.basis / self.sd

    def decode(self, code: Any) -> Any:
        """Returns the decoded occupancies (N, 14147) of codes (N, K): NumPy or JAX arrays, as the codes are."""
        return (code * self.sd) @ self.basis.T + self.mean

    def logits(self, code: Any) -> Any:
        """Returns logits (N, 14147) of codes (N, K): `LINEAR_GAIN` times decoded occupancy minus threshold."""
        return LINEAR_GAIN * (self.decode(code) - self.threshold)


def fit_components(values: np.ndarray, count: int, seed: int = 0, oversampling: int = 60,
                   rounds: int = 4) -> Components:
    """Returns the leading principal components of maps.

    The threshold of the result is 0.5; the caller can choose a better one on held-out maps.

    Args:
      values: (N, D) float32, one map in each row.
      count: number of components K.
      seed: seed of the random start.
      oversampling: number of additional components in the iteration, for accuracy; they are then dropped.
      rounds: number of iterations.
    """
    rng = np.random.default_rng(seed)
    mean = values.mean(0)
    centred = values - mean
    q = np.linalg.qr(centred.T @ rng.standard_normal((len(values), count + oversampling), np.float32))[0]
    for _ in range(rounds):
        q = np.linalg.qr(centred.T @ (centred @ q))[0]
    _, scale, rotation = np.linalg.svd(centred @ q, full_matrices=False)
    sd = scale[:count] / np.sqrt(len(values))
    return Components(mean, (q @ rotation.T)[:, :count], sd, 0.5)
