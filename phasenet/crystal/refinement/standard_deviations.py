"""Estimates standard deviations of refined coordinates from the normal equations of least squares; for `solve`.

The covariance is the inverse of J^T J times chi^2 over the degrees of freedom, as SHELXL gives it (Sheldrick, Acta
Cryst. C71, 3, 2015). Directions that nothing fixes, such as the origin of P 1, are left out.
"""

import numpy as np

from phasenet.crystal.refinement.least_squares import (
    MeasuredAmplitudes,
    RefinementResult,
    ScatteringModel,
    normal_equations,
)

_UNDETERMINED = 1e-9  # of the largest eigenvalue of the scaled normal matrix


def estimate_standard_deviations(result: RefinementResult, observed: MeasuredAmplitudes,
                                 model: ScatteringModel) -> np.ndarray:
    """Returns the standard deviations (n, 3) of x, y and z, each times its edge a, b or c, in Angstrom.

    A coordinate that the site symmetry fixes has 0.

    Args:
      result: n atoms that were refined with their B.
      observed: amplitudes of N unique reflections.
      model: of the same reflections.
    """
    n = len(result.atoms.elements)
    places = 1 + np.arange(n)[:, None] + n * np.arange(3)  # (n, 3) among the parameters: x, y, z in Angstrom
    matrix, _ = normal_equations(result.atoms, result.scale, observed, model, ("positions", "b_iso"))
    allowed = _allowed_shifts(result, model, places)
    matrix = allowed @ matrix @ allowed
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-12 * np.diag(matrix).max()))
    inverse = np.linalg.pinv(matrix * scale[:, None] * scale, rcond=_UNDETERMINED, hermitian=True)
    residual = observed.weight * (result.scale * result.amplitude - observed.amplitude)
    freedom = max(len(residual) - np.trace(allowed), 1.0)
    covariance = inverse * scale[:, None] * scale * np.square(residual).sum() / freedom
    blocks = covariance[places[:, :, None], places[:, None, :]]
    to_fractional = np.linalg.inv(model.orthogonalization)
    variances = np.einsum("ij,njk,ik->ni", to_fractional, blocks, to_fractional)
    edges = np.linalg.norm(model.orthogonalization, axis=0)
    deviations = np.sqrt(np.maximum(variances, 0.0)) * edges
    free = np.abs(result.atoms.projections).max(2) > 1e-6
    return np.where(free, deviations, 0.0)


def _allowed_shifts(result: RefinementResult, model: ScatteringModel, places: np.ndarray) -> np.ndarray:
    """Returns the projection (p, p) of the parameters onto what the site symmetries allow; p = 1 + 4 n.

    Args:
      result: n atoms.
      model: gives the axes of the cell.
      places: (n, 3) int, the parameters that are x, y and z of each atom.
    """
    root, inverse = model.orthogonalization, np.linalg.inv(model.orthogonalization)
    projection = np.eye(1 + 4 * len(places))
    for own, fractional in zip(places, result.atoms.projections, strict=True):
        projection[np.ix_(own, own)] = root @ fractional @ inverse
    return projection
