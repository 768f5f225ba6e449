"""Computes the normalized spatial discrepancy (NSD) of superposed shapes.

For each of two sets of points, the squared distances to the nearest point of the other set are averaged and divided by
the squared fineness of the other set; NSD^2 is the mean of both results (M. Kozin, D. Svergun, J. Appl. Cryst. 34, 33,
2001). Here the points are filled voxels, whose fineness is the edge of a voxel. Equal shapes have an NSD of 0, similar
ones less than about 1.
"""

import numpy as np

_FAR = 1e6  # squared voxels; more than any distance within a grid


def squared_distances(filled: np.ndarray) -> np.ndarray:
    """Returns the squared distance (N, N, N) of each voxel from the nearest filled one, in voxels.

    The minimum over all filled voxels separates: one axis after the other, as in P. Felzenszwalb, D. Huttenlocher,
    Theory Comput. 8, 415 (2012).
    """
    found = np.where(filled, 0.0, _FAR)
    axis = np.arange(filled.shape[0])
    steps = (axis[:, None] - axis)**2.0
    for _ in range(3):  # each pass works along the last axis and puts it first
        found = np.moveaxis((found[..., None, :] + steps).min(-1), -1, 0)
    return found


def pairwise_nsd(filled: np.ndarray) -> np.ndarray:
    """Returns the NSD (K, K) of superposed shapes (K, N, N, N) bool, each with a filled voxel."""
    squares = [squared_distances(one) for one in filled]
    # [i, j]: mean squared distance of the points of i from the nearest of j
    means = np.array([[of_other[one].mean() for of_other in squares] for one in filled])
    return np.sqrt((means + means.T) / 2)
