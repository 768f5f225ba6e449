"""Compares the superposed models of one curve with each other: correlations, outliers, clusters, spread.

Outliers are models that correlate with the others less than the mean minus two standard deviations, as DENSS leaves
them out (T. Grant, Nat. Methods 15, 191, 2018). Clusters are those of average linkage on 1 - correlation, as DAMCLUST
makes them from NSD (M. Petoukhov et al., J. Appl. Cryst. 45, 342, 2012).
"""

import numpy as np

_OUTLIER_DEVIATIONS = 2.0
_FEWEST_MODELS = 5  # of fewer, none can be called an outlier


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
    while len(clusters) > 1:
        linkage = np.array([[correlations[np.ix_(a, b)].mean() if a is not b else -np.inf for b in clusters]
                            for a in clusters])
        first, second = sorted(np.unravel_index(linkage.argmax(), linkage.shape))
        if linkage[first, second] < least:
            break
        clusters[first] += clusters.pop(second)
    labels = np.zeros(len(correlations), int)
    for label, members in enumerate(sorted(clusters, key=len, reverse=True)):
        labels[members] = label
    return labels
