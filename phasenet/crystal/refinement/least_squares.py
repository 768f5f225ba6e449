"""Refines atoms with their symmetry by least squares on amplitudes, by the method of Levenberg and Marquardt.

    E = sum over h of w_h^2 (k |F_h| - |F_obs,h|)^2

For a twin, |F_h| stands for the root of (1 - a) |F_h|^2 + a |F_h'|^2 (`twinning`). An atom stands for all its symmetry
mates, and an atom on a special position moves only as its site symmetry allows. NumPy computes in float64, because
with JAX a program would have to be compiled for each crystal. `completion` calls these functions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from phasenet.crystal import form_factors, grids
from phasenet.crystal.lattice import SpaceGroupOperators, orthogonalization_matrix
from phasenet.crystal.normalisation import UniqueReflections

_MAX_SHIFT = 0.35  # Angstrom, of the atom that moves farthest in a step
_MIN_B, _MAX_B = 0.2, 20.0
_MAX_B_STEP = 3.0
_MIN_OCCUPANCY, _MAX_OCCUPANCY = 0.05, 4.0
_RELATIVE_ERROR = 0.05  # of |F|, what a model of isotropic atoms without hydrogens cannot fit
_ERROR_OF_MEAN = 0.05  # of the root mean square |F|
_MIN_RELATIVE_GAIN = 1e-4  # of E, below which a refinement ends


class CrystalAtoms(NamedTuple):
    """Symmetry-unique atoms. n atoms.

    Attributes:
      positions: (n, 3) fractional.
      elements: n symbols.
      b_iso: (n,) Angstrom^2.
      occupancies: (n,) 1 for a full atom, on a special position too.
      projections: (n, 3, 3) of fractional shifts onto those that the site symmetry allows.
      site_orders: (n,) int, number of operators of the primitive group that leave an atom where it is.
    """

    positions: np.ndarray
    elements: tuple[str, ...]
    b_iso: np.ndarray
    occupancies: np.ndarray
    projections: np.ndarray
    site_orders: np.ndarray


class OverlappingReflections(NamedTuple):
    """The N reflections h' of a twin's second component that overlap with h; the arrays are those of `ScatteringModel`.

    Attributes:
      mates: (P, N, 3).
      cartesian_mates: (P, N, 3).
      phases: (P, N).
      squared_spacing: (N,).
      scattering: (E, N).
    """

    mates: np.ndarray
    cartesian_mates: np.ndarray
    phases: np.ndarray
    squared_spacing: np.ndarray
    scattering: np.ndarray


class ScatteringModel(NamedTuple):
    """What structure factors of N unique reflections need besides atoms.

    P is the number of operators without centring; an inversion at the origin halves it.

    Attributes:
      mates: (P, N, 3) h @ rotation.
      cartesian_mates: (P, N, 3) the same in 1/A, along the axes of `lattice.orthogonalization_matrix`.
      phases: (P, N) h @ translation.
      factor: centring translations, times two where an inversion at the origin makes F real.
      centrosymmetric: whether there is an inversion at the origin.
      squared_spacing: (N,) 1/d^2 in 1/A^2.
      elements: E symbols.
      scattering: (E, N) form factors.
      orthogonalization: (3, 3) from fractional coordinates to Angstrom.
      partner: of a twin by a rotation, the reflections of the second component.
      twin_fraction: a, the share of the second component; 0 without one.
    """

    mates: np.ndarray
    cartesian_mates: np.ndarray
    phases: np.ndarray
    factor: float
    centrosymmetric: bool
    squared_spacing: np.ndarray
    elements: tuple[str, ...]
    scattering: np.ndarray
    orthogonalization: np.ndarray
    partner: OverlappingReflections | None = None
    twin_fraction: float = 0.0


class MeasuredAmplitudes(NamedTuple):
    """Amplitudes of N unique reflections.

    Attributes:
      amplitude: (N,) |F|; 0 where F^2 is negative.
      sigma: (N,) its standard deviation.
      weight: (N,) w of a refinement.
    """

    amplitude: np.ndarray
    sigma: np.ndarray
    weight: np.ndarray


class RefinementResult(NamedTuple):
    """Refined atoms.

    Attributes:
      atoms: as refined.
      scale: k.
      factors: (N,) complex structure factors of the atoms, without k.
      amplitude: (N,) |F| of the atoms, which times k is compared with |F_obs|; for a twin, that of both components.
      cost: E over the sum of w^2 |F_obs|^2.
    """

    atoms: CrystalAtoms
    scale: float
    factors: np.ndarray
    amplitude: np.ndarray
    cost: float


def build_model(reflections: UniqueReflections, cell: np.ndarray, operators: SpaceGroupOperators,
                elements: Sequence[str], radiation: str) -> ScatteringModel:
    """Returns the model of N unique reflections.

    Args:
      reflections: of the crystal.
      cell: (6,) Angstrom and degrees.
      operators: of the space group.
      elements: symbols that atoms may have.
      radiation: "xray", "electron" or "neutron".
    """
    rotations, translations = grids.primitive_operators(operators)
    factor = len(operators.rotations) / len(rotations)
    inversion = (rotations == -np.eye(3)).all((1, 2))
    centrosymmetric = bool(inversion.any() and np.allclose(translations[inversion] % 1, 0))
    if centrosymmetric:
        flat = rotations.reshape(-1, 9)
        half = [k for k in range(len(flat)) if tuple(flat[k]) > tuple(-flat[k])]
        rotations, translations, factor = rotations[half], translations[half], 2 * factor
    orthogonalization = orthogonalization_matrix(cell)
    mates = np.einsum("nj,pjk->pnk", reflections.hkl.astype(float), rotations)
    s = reflections.inverse_spacing
    table = form_factors.scattering(form_factors.form_factors(elements, radiation), s)
    return ScatteringModel(mates, mates @ np.linalg.inv(orthogonalization), translations @ reflections.hkl.T, factor,
                           centrosymmetric, s**2, tuple(elements), table, orthogonalization)


def measure_amplitudes(reflections: UniqueReflections) -> MeasuredAmplitudes:
    """Returns amplitudes and their weights, from F^2 and sigma."""
    amplitude = np.sqrt(np.maximum(reflections.intensity, 0.0))
    sigma = reflections.sigma / (2 * np.maximum(amplitude, np.sqrt(reflections.sigma / 2)))
    rms = np.sqrt(np.square(amplitude).mean())
    variance = sigma**2 + (_RELATIVE_ERROR * amplitude)**2 + (_ERROR_OF_MEAN * rms)**2
    return MeasuredAmplitudes(amplitude, sigma, variance**-0.5)


def structure_factors(atoms: CrystalAtoms, model: ScatteringModel) -> np.ndarray:
    """Returns F, (N,) complex, of the atoms and all their mates, in the unit of the form factors."""
    waves, _ = _geometry(atoms.positions, model, derivatives=False)
    return np.asarray((waves * _atom_amplitudes(atoms, model)).sum(1), complex)


def calculate_amplitudes(factors: np.ndarray, atoms: CrystalAtoms, model: ScatteringModel) -> np.ndarray:
    """Returns the calculated |F|, (N,), of structure factors (N,) of the first component; for a twin, |F| of both."""
    if model.partner is None:
        return np.abs(factors)
    second = structure_factors(atoms, show_second_component(model))
    return _overlap(np.abs(factors), np.abs(second), model.twin_fraction)


def take_first_component(measured: np.ndarray, factors: np.ndarray, calculated: np.ndarray) -> np.ndarray:
    """Returns the part of measured |F| that the first component of a twin has, in the ratio of the calculated ones.

    Args:
      measured: (N,) |F| of both components.
      factors: (N,) structure factors of the first one.
      calculated: (N,) |F| of both, as `calculate_amplitudes` returns them.
    """
    return measured * np.abs(factors) / np.maximum(calculated, 1e-12)


def show_second_component(model: ScatteringModel) -> ScatteringModel:
    """Returns the model of the second component alone, that is of the reflections h'."""
    assert model.partner is not None
    return model._replace(**model.partner._asdict(), partner=None, twin_fraction=0.0)


def fit_scale(amplitude: np.ndarray, observed: MeasuredAmplitudes) -> float:
    """Returns the k that minimises E for calculated |F|, (N,)."""
    weighted = np.square(observed.weight) * amplitude
    return float((weighted * observed.amplitude).sum() / max((weighted * amplitude).sum(), 1e-30))


def refine(atoms: CrystalAtoms, observed: MeasuredAmplitudes, model: ScatteringModel, steps: int,
           parameters: tuple[str, ...] = ("positions", "b_iso")) -> RefinementResult:
    """Refines atoms and the scale.

    Args:
      atoms: start.
      observed: amplitudes of N unique reflections.
      model: of the same reflections.
      steps: largest number of steps.
      parameters: those of "positions", "b_iso" and "occupancies" that are refined.

    Returns:
      The best atoms. A step that does not lower E is not taken.
    """
    norm = np.square(observed.weight * observed.amplitude).sum()
    factors = structure_factors(atoms, model)
    amplitude = calculate_amplitudes(factors, atoms, model)
    scale = fit_scale(amplitude, observed)
    cost = _cost(amplitude, scale, observed) / norm
    damping = 1e-3
    equations = None
    for _ in range(steps):
        if equations is None:
            equations = normal_equations(atoms, scale, observed, model, parameters)
        step = _solve(*equations, damping)
        trial = _apply(atoms, step[1:], model, parameters)
        trial_factors = structure_factors(trial, model)
        trial_amplitude = calculate_amplitudes(trial_factors, trial, model)
        trial_scale = fit_scale(trial_amplitude, observed)
        trial_cost = _cost(trial_amplitude, trial_scale, observed) / norm
        gain = cost - trial_cost
        if gain > 0:
            atoms, scale, factors, amplitude = trial, trial_scale, trial_factors, trial_amplitude
            cost, equations = trial_cost, None
            damping = max(damping / 5, 1e-6)
            if gain < _MIN_RELATIVE_GAIN * cost:
                break
        else:
            damping *= 10
            if damping > 1e3:
                break
    return RefinementResult(atoms, scale, factors, amplitude, float(cost))


def normal_equations(atoms: CrystalAtoms, scale: float, observed: MeasuredAmplitudes, model: ScatteringModel,
                     parameters: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Returns J^T J, (p, p), and J^T r, (p,); the p parameters are ln k, then those of `derivatives`."""
    value, jacobian = derivatives(atoms, model, parameters)
    columns = observed.weight[:, None] * scale * np.concatenate([value[:, None], jacobian], 1)
    residual = observed.weight * (scale * value - observed.amplitude)
    return columns.T @ columns, columns.T @ residual


def derivatives(atoms: CrystalAtoms, model: ScatteringModel,
                parameters: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Returns |F|, (N,), and its derivatives (N, p) by positions in Angstrom (all x, all y, all z), B, occupancies.

    Of a twin |F| is that of both components.

    Args:
      atoms: n atoms.
      model: of N reflections.
      parameters: those that are wanted, of "positions", "b_iso" and "occupancies".
    """
    waves, gradients = _geometry(atoms.positions, model, derivatives="positions" in parameters)
    amplitudes = _atom_amplitudes(atoms, model)
    contributions = waves * amplitudes
    factors = contributions.sum(1)
    value = np.abs(factors)
    direction = (np.conj(factors) / np.maximum(value, 1e-12))[:, None]
    columns = []
    if "positions" in parameters:
        columns += [(direction * gradient * amplitudes).real for gradient in gradients]
    along = (direction * contributions).real
    if "b_iso" in parameters:
        columns.append(-model.squared_spacing[:, None] / 4 * along)
    if "occupancies" in parameters:
        columns.append(along / atoms.occupancies)
    jacobian = np.concatenate(columns, 1)
    if model.partner is None:
        return value, jacobian
    other, other_jacobian = derivatives(atoms, show_second_component(model), parameters)
    both = _overlap(value, other, model.twin_fraction)
    shares = (1 - model.twin_fraction) * value, model.twin_fraction * other
    mixed = shares[0][:, None] * jacobian + shares[1][:, None] * other_jacobian
    return both, mixed / np.maximum(both, 1e-12)[:, None]


def _overlap(amplitude: np.ndarray, partner: np.ndarray, fraction: float) -> np.ndarray:
    """Returns |F| of two overlapping reflections (N,) each; `fraction` is the share of the second component."""
    return np.sqrt((1 - fraction) * amplitude**2 + fraction * partner**2)


def _geometry(positions: np.ndarray, model: ScatteringModel, derivatives: bool) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns sums over the operators of exp(2 pi i h . x), (N, n), and their three derivatives by Angstrom."""
    real: np.ndarray | float = 0.0
    imaginary: np.ndarray | float = 0.0
    slopes: list[np.ndarray | complex | float] = [0.0, 0.0, 0.0]
    for mates, cartesian, phases in zip(model.mates, model.cartesian_mates, model.phases, strict=True):
        angle = 2 * np.pi * (mates @ positions.T + phases[:, None])
        cosine, sine = np.cos(angle), np.sin(angle)
        real = real + cosine
        if not model.centrosymmetric:
            imaginary = imaginary + sine
        if derivatives:
            slope = -sine if model.centrosymmetric else 1j * cosine - sine
            slopes = [total + cartesian[:, axis, None] * slope for axis, total in enumerate(slopes)]
    waves = model.factor * (real if model.centrosymmetric else real + 1j * imaginary)
    return np.asarray(waves), [np.asarray(2 * np.pi * model.factor * slope) for slope in slopes]


def _atom_amplitudes(atoms: CrystalAtoms, model: ScatteringModel) -> np.ndarray:
    """Returns occupancy times form factor times Debye-Waller factor over the order of the site symmetry, (N, n)."""
    rows = [model.elements.index(element) for element in atoms.elements]
    damping = np.exp(-model.squared_spacing[:, None] * atoms.b_iso / 4)
    return damping * model.scattering[rows].T * (atoms.occupancies / atoms.site_orders)


def _cost(amplitude: np.ndarray, scale: float, observed: MeasuredAmplitudes) -> float:
    """Returns E of calculated |F|, (N,)."""
    return float(np.square(observed.weight * (scale * amplitude - observed.amplitude)).sum())


def _solve(matrix: np.ndarray, gradient: np.ndarray, damping: float) -> np.ndarray:
    """Returns the damped step (p,) of the parameters."""
    diagonal = np.diag(matrix)
    ridge = damping * diagonal + 1e-7 * diagonal.mean() + 1e-12
    return -np.linalg.solve(matrix + np.diag(ridge), gradient)


def _apply(atoms: CrystalAtoms, step: np.ndarray, model: ScatteringModel, parameters: tuple[str, ...]) -> CrystalAtoms:
    """Returns the atoms after a step (p - 1,), shortened where an atom would move too far, B and occupancy bounded."""
    n = len(atoms.elements)
    positions, b_iso, occupancies = atoms.positions, atoms.b_iso, atoms.occupancies
    if "positions" in parameters:
        shift, step = step[:3 * n].reshape(3, n).T, step[3 * n:]
        longest = np.sqrt(np.square(shift).sum(1).max(initial=1e-24))
        shift = shift * min(1.0, _MAX_SHIFT / longest)
        # At a special position E may have a saddle point, away from which rounding errors would grow.
        fractional = shift @ np.linalg.inv(model.orthogonalization).T
        positions = positions + np.einsum("nij,nj->ni", atoms.projections, fractional)
    if "b_iso" in parameters:
        b_iso = np.clip(b_iso + np.clip(step[:n], -_MAX_B_STEP, _MAX_B_STEP), _MIN_B, _MAX_B)
        step = step[n:]
    if "occupancies" in parameters:
        occupancies = np.clip(occupancies + np.clip(step, -0.5, 0.5), _MIN_OCCUPANCY, _MAX_OCCUPANCY)
    return atoms._replace(positions=positions, b_iso=b_iso, occupancies=occupancies)
