"""Computes the Fourier shell correlation of two superposed maps, and the resolution at which it falls to one half.

The method is that of G. Harauz, M. van Heel, Optik 73, 146 (1986). A blur that both maps share does not change the
correlation.
"""

import numpy as np

HALF = 0.5


def fourier_shell_correlation(first: np.ndarray, second: np.ndarray, pitch: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the correlation of the Fourier coefficients of two maps in shells.

    Args:
      first: (N, N, N).
      second: (N, N, N), superposed on the first.
      pitch: edge of the voxels of both, A.

    Returns:
      The shells' spatial frequencies (N // 2 + 1,) in 1/A and the correlations (N // 2 + 1,); 0 in a shell where a map
      has no power.
    """
    size = first.shape[0]
    a, b = (np.fft.rfftn(one) for one in (first, second))
    index = np.fft.fftfreq(size) * size
    shell = np.rint(np.sqrt(index[:, None, None]**2 + index[:, None]**2 + np.arange(size // 2 + 1)**2)).astype(int)
    shells = size // 2 + 1
    # Of the half that rfftn returns, all planes but the first (and for even N the last) stand for two coefficients.
    twice = np.full(size // 2 + 1, 2.0)
    twice[0] = 1
    if size % 2 == 0:
        twice[-1] = 1
    inside = shell < shells

    def sum_shells(values: np.ndarray) -> np.ndarray:
        return np.bincount(shell[inside], (values * twice)[inside], minlength=shells)

    power = np.sqrt(sum_shells(np.abs(a)**2) * sum_shells(np.abs(b)**2))
    correlation = np.divide(sum_shells((a * b.conj()).real), power, out=np.zeros(shells), where=power > 0)
    return np.arange(shells) / (size * pitch), correlation


def resolution_at_half(frequency: np.ndarray, correlation: np.ndarray) -> float:
    """Returns the resolution (A) where the correlation first falls to 0.5; that of the last shell if it never does.

    Args:
      frequency: (S,) spatial frequencies of the shells, 1/A, from 0.
      correlation: (S,) from `fourier_shell_correlation`.
    """
    below = np.flatnonzero(correlation[1:] < HALF)
    if not below.size:
        return float(1 / frequency[-1])
    last = int(below[0]) + 1
    if last == 1:
        return float(1 / frequency[1])
    above = correlation[last - 1]
    step = (above - HALF) / (above - correlation[last])
    return float(1 / (frequency[last - 1] + step * (frequency[last] - frequency[last - 1])))


def resolution_of(first: np.ndarray, second: np.ndarray, pitch: float) -> float:
    """Returns `resolution_at_half` of two maps (N, N, N) with voxels of `pitch` A."""
    return resolution_at_half(*fourier_shell_correlation(first, second, pitch))
