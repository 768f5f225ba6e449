"""Rotations and frames of three axes, as matrices."""

import numpy as np


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Returns a rotation (3, 3), uniformly distributed."""
    q = rng.normal(size=4)
    w, x, y, z = q / np.linalg.norm(q)
    return np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                     [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                     [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]])


def frame(direction: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Returns a right-handed orthonormal basis as columns (3, 3).

    Args:
      direction: (3,) unit vector, the first column.
      normal: (3,) vector, whose part perpendicular to `direction` gives the second column.
    """
    across = normal - direction * (direction @ normal)
    if np.linalg.norm(across) < 0.1:
        across = np.eye(3)[np.abs(direction).argmin()]
        across = across - direction * (direction @ across)
    across = across / np.linalg.norm(across)
    return np.stack([direction, across, np.cross(direction, across)], 1)


def about_first_axis(turn: float) -> np.ndarray:
    """Returns the rotation (3, 3) by an angle, radians, about the first axis."""
    cosine, sine = np.cos(turn), np.sin(turn)
    return np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])


def axis_of(rotation: np.ndarray) -> np.ndarray:
    """Returns the axis (3,) of a rotation, or the normal of a mirror plane; any direction of an inversion.

    Args:
      rotation: (3, 3) Cartesian, proper or improper.
    """
    proper = rotation * np.sign(np.linalg.det(rotation))
    values, vectors = np.linalg.eig(proper)
    axis = np.real(vectors[:, np.abs(values - 1).argmin()])
    return axis / np.linalg.norm(axis)
