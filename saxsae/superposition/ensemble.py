"""Compares the superposed models of one curve with each other: correlations, outliers, clusters, spread.

Outliers are models that correlate with the others less than the mean minus two standard deviations, as DENSS leaves
them out (T. Grant, Nat. Methods 15, 191, 2018). Clusters are those of average linkage on 1 - correlation, as DAMCLUST
makes them from NSD (M. Petoukhov et al., J. Appl. Cryst. 45, 342, 2012).
"""

from typing import NamedTuple

import numpy as np

from saxsae.superposition import resolution, spatial_discrepancy

LEAST_OF_A_CLUSTER = 0.7  # mean correlation between two clusters, below which they stay apart
_OUTLIER_DEVIATIONS = 2.0
_FEWEST_MODELS = 5  # with fewer models, none can be called an outlier


class EnsembleStatistics(NamedTuple):
    """How K superposed models differ.

    Attributes:
      correlations: (K, K) real-space correlations (RSC) of all pairs.
      nsd: (K, K) normalized spatial discrepancies of all pairs.
      outliers: (K,) bool, models unlike the others.
      clusters: (K,) int, 0 the largest.
      resolution_angstrom: (K,) where the Fourier shell correlation of a model with the mean of the others is 0.5; NaN
        for a single model.
    """

    correlations: np.ndarray
    nsd: np.ndarray
    outliers: np.ndarray
    clusters: np.ndarray
    resolution_angstrom: np.ndarray

def describe(maps: np.ndarray, pitch: float, filled: float, least: float = LEAST_OF_A_CLUSTER) -> EnsembleStatistics:
    """Returns the statistics of superposed models.

    Args:
      maps: (K, N, N, N).
      pitch: edge of their voxels, A.
      filled: value above which a voxel belongs to the shape; of a map that is lower, half of its highest value.
      least: mean correlation below which clusters stay apart.
    """
    correlations = pairwise_correlations(maps)
    shapes = np.array([one > min(filled, 0.5 * one.max()) if one.max() > 0 else np.ones_like(one, bool)
                       for one in maps])
    resolutions = [np.nan]
    if len(maps) > 1:
        others = (maps.sum(0) - maps) / (len(maps) - 1)
        resolutions = [resolution.resolution_of(one, rest, pitch) for one, rest in zip(maps, others, strict=True)]
    return EnsembleStatistics(correlations, spatial_discrepancy.pairwise_nsd(shapes), find_outliers(correlations),
                              find_clusters(correlations, least), np.array(resolutions))


def name_cluster(number: int) -> str:
    """Returns the name of a cluster: A, B, ..., Z, A26, ..."""
    return chr(ord("A") + number) if number < 26 else f"A{number}"


def off_diagonal(values: np.ndarray) -> np.ndarray:
    """Returns the values (K (K - 1) / 2,) of the pairs of a symmetric matrix (K, K)."""
    return values[np.triu_indices(len(values), 1)]


def pairwise_correlations(maps: np.ndarray) -> np.ndarray:
    """Returns the Pearson correlations (K, K) of superposed maps (K, N, N, N), the real-space correlations (RSC)."""
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    flat = flat - flat.mean(1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    flat = flat / np.where(norm > 0, norm, 1.0)
    return flat @ flat.T


def mean_with_others(correlations: np.ndarray) -> np.ndarray:
    """Returns the mean (K,) of each model's correlations (K, K) with the other models; 1 for a single model."""
    count = len(correlations)
    if count == 1:
        return np.ones(1)
    return (correlations.sum(1) - np.diag(correlations)) / (count - 1)


def find_outliers(correlations: np.ndarray) -> np.ndarray:
    """Returns which models (K,) bool are outliers by their correlations (K, K) with the others."""
    means = mean_with_others(correlations)
    if len(means) < _FEWEST_MODELS:
        return np.zeros(len(means), bool)
    return means < means.mean() - _OUTLIER_DEVIATIONS * means.std()


def find_clusters(correlations: np.ndarray, least: float) -> np.ndarray:
    """Returns the cluster (K,) int of each model: 0 is the largest, and so on.

    Two clusters are joined as long as the mean correlation between their models is at least `least`.

    Args:
      correlations: (K, K) of the models.
      least: mean correlation below which clusters stay apart.
    """
    clusters = [[number] for number in range(len(correlations))]
    linkage = np.array(correlations, np.float64)  # mean correlation between each two clusters
    np.fill_diagonal(linkage, -np.inf)
    while len(clusters) > 1:
        first, second = sorted(np.unravel_index(linkage.argmax(), linkage.shape))
        if linkage[first, second] < least:
            break
        sizes = len(clusters[first]), len(clusters[second])
        joined = np.average(linkage[[first, second]], axis=0, weights=sizes)
        linkage[first], linkage[:, first] = joined, joined
        linkage[first, first] = -np.inf
        linkage = np.delete(np.delete(linkage, second, 0), second, 1)
        clusters[first] += clusters.pop(second)
    labels = np.zeros(len(correlations), int)
    for label, members in enumerate(sorted(clusters, key=len, reverse=True)):
        labels[members] = label
    return labels
