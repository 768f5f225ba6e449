"""Principal components of occupancy maps: the linear code that the lean network starts from and must beat."""

from typing import NamedTuple

import numpy as np

LINEAR_GAIN = 8.0  # logits per unit of occupancy of a linear code


class Components(NamedTuple):
    """A linear code of the unit sphere's voxels.

    Attributes:
      mean: (14147,) mean occupancy.
      basis: (14147, K) orthonormal columns, the largest variance first.
      sd: (K,) standard deviation of each coefficient.
      threshold: occupancy above which a voxel of the linear reconstruction counts as filled.
    """

    mean: np.ndarray
    basis: np.ndarray
    sd: np.ndarray
    threshold: float

    def encode(self, values: np.ndarray) -> np.ndarray:
        """(N, 14147) to whitened coefficients (N, K)."""
        return (values - self.mean) @ self.basis / self.sd

    def decode(self, code: np.ndarray) -> np.ndarray:
        """(N, K) to (N, 14147), not cut."""
        return (code * self.sd) @ self.basis.T + self.mean

    def logits(self, code):
        """(N, K) to (N, 14147), zero at the threshold: cut at one half they give the cut linear reconstruction."""
        return LINEAR_GAIN * (self.decode(code) - self.threshold)


def fit(values: np.ndarray, count: int, seed: int = 0, oversampling: int = 60, rounds: int = 4) -> Components:
    """The ``count`` leading components of (N, D) float32 rows by randomized subspace iteration.

    The threshold is left at 0.5: choose it on held-out maps.
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
