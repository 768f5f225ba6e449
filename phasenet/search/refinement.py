"""Least-squares refinement of atoms on squared amplitudes, by the method of Levenberg and Marquardt.

    E = sum over s of w_s^2 (k |F_s|^2 - |F_obs,s|^2)^2

The refinement starts at low resolution with point atoms, where the minimum around the right atoms is wide and a step is
cheap, and ends with the exact density on voxels. The number of steps is fixed, so the functions can be vmapped.
`atom_search` (the product) uses this module.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from phasenet.maps import density, point_atoms
from phasenet.maps.point_atoms import PointModel
from phasenet.maps.synthesis import Problem

_MAX_STEP = 1.0  # voxels, of the atom that moves farthest
_MIN_DAMPING, _MAX_DAMPING = 1e-7, 1e5
# Added curvature that holds the atoms' mean, on which intensities do not depend; relative to the mean of the diagonal
# of the normal matrix.
_MEAN_STIFFNESS = 1e-2


class Observations(NamedTuple):
    """The intensities against which atoms are refined. R reflections.

    Attributes:
      intensities: (R,) |F_obs|^2, on the scale of the atoms.
      weights: (R,) w, one over the standard deviation, up to a common factor; 0 where not measured.
    """

    intensities: jax.Array
    weights: jax.Array


class Atoms(NamedTuple):
    """The refined parameters.

    Attributes:
      positions: (n, 3), voxels.
      scale: () k, the factor of the calculated intensities.
      b_factor: () B of all atoms in addition to that of the model, voxels^2.
    """

    positions: jax.Array
    scale: jax.Array
    b_factor: jax.Array


class NormalEquations(NamedTuple):
    """E and its linearization at some atoms, in p = 3n + 2 parameters: all x, all y, all z, ln k, B.

    Attributes:
      cost: () E.
      matrix: (p, p) J^T J, J the derivatives of the weighted residuals.
      gradient: (p,) of E / 2.
    """

    cost: jax.Array
    matrix: jax.Array
    gradient: jax.Array


class Level(NamedTuple):
    """One level of the coarse-to-fine refinement. All fields are static.

    Attributes:
      resolutions: largest |s| of the reflections, cycles per voxel, one after another, ascending.
      steps: number of steps at each resolution.
    """

    resolutions: tuple[float, ...]
    steps: int


# All resolutions of a level share one compiled program, so each step costs as much as at the finest resolution of the
# level. At the first level a step costs next to nothing, because there are few reflections.
COARSE_TO_FINE = (Level((0.0625, 0.075, 0.0875, 0.1), 30), Level((0.125, 0.15), 20), Level((0.2,), 10),
                  Level((0.3,), 10))


def atoms_at(positions: jax.Array) -> Atoms:
    """Returns atoms at positions (n, 3), voxels, on the scale of the observations and with the B of the model."""
    return Atoms(positions, jnp.float32(1.0), jnp.float32(0.0))


def linearize(atoms: Atoms, observations: Observations, model: PointModel,
              extra_parameters: tuple[str, ...] = ()) -> NormalEquations:
    """Returns E and its normal equations for point atoms.

    Args:
      atoms: n atoms.
      observations: at the R reflections of the model.
      model: reflections and form factor.
      extra_parameters: "scale", "b_factor" or both, if they are refined with the positions. The equations of parameters
        that are not refined are zero.
    """
    real, imaginary = point_atoms.atom_structure_factors(atoms.positions, model)
    intensities = _scale_factors(atoms, model) * (real.sum(0) ** 2 + imaginary.sum(0) ** 2)
    return _normal_equations(atoms, observations, model, extra_parameters, (real, imaginary), intensities)


def refine(atoms: Atoms, observations: Observations, model: PointModel, steps: int,
           extra_parameters: tuple[str, ...] = ()) -> tuple[Atoms, NormalEquations]:
    """Refines point atoms with a fixed number of steps.

    Args:
      atoms: start.
      observations: at the reflections of the model.
      model: reflections and form factor.
      steps: number of steps.
      extra_parameters: as in `linearize`.

    Returns:
      The refined atoms, and the normal equations there. A step that does not lower E is not taken.
    """
    return _minimize(atoms, lambda trial: linearize(trial, observations, model, extra_parameters), steps, damping=1e-2)


def refine_coarse_to_fine(starts: jax.Array, observations: Observations, model: PointModel,
                          levels: tuple[Level, ...] = COARSE_TO_FINE) -> tuple[jax.Array, jax.Array]:
    """Refines each of several starts through all levels and returns the best.

    `atom_search` calls `refine_level` instead, to keep fewer starts after each level. No launch uses this function.

    Args:
      starts: (S, n, 3), voxels.
      observations: at the reflections of the model.
      model: reflections up to the last resolution of the levels, or beyond.
      levels: static.

    Returns:
      The best positions, (n, 3), voxels, and () E at the last resolution.
    """
    def refine_start(positions):
        cost = jnp.float32(jnp.inf)
        for level in levels:
            positions, cost = refine_level(positions, observations, model, level)
        return positions, cost

    positions, costs = jax.lax.map(refine_start, starts)
    best = costs.argmin()
    return positions[best], costs[best]


def draw_starts_near(key: jax.Array, positions: jax.Array, count: int = 8, rms: float = 1.0) -> jax.Array:
    """Draws starts near approximate positions, which come first as they are.

    A single refinement from positions 2.5 voxels off (root mean square) fails in one of twenty cases. Of several
    starts near these positions one then succeeds. No launch uses this function.

    Args:
      key: random key.
      positions: (n, 3), voxels.
      count: number of starts.
      rms: root mean square displacement of an atom, voxels.

    Returns:
      (count, n, 3), voxels.
    """
    shifts = rms / 3**0.5 * jax.random.normal(key, (count, *positions.shape))
    return positions + shifts.at[0].set(0.0)


def refine_level(positions: jax.Array, observations: Observations, model: PointModel,
                 level: Level) -> tuple[jax.Array, jax.Array]:
    """Refines positions at each resolution of a level.

    Args:
      positions: (n, 3), voxels.
      observations: at the reflections of the model.
      model: reflections up to the last resolution of the level, or beyond.
      level: static.

    Returns:
      The refined positions, (n, 3), voxels, and () E at the last resolution.
    """
    model = point_atoms.truncate_model(model, level.resolutions[-1])
    observations = truncate_to(observations, model)

    def body_fun(carry, resolution):
        within = model.radius.astype("float32") <= resolution + 1e-6
        seen = observations._replace(weights=observations.weights * within)
        atoms, normal = refine(atoms_at(carry[0]), seen, model, level.steps)
        return (atoms.positions, normal.cost), None

    return jax.lax.scan(body_fun, (positions, jnp.float32(0.0)), jnp.asarray(level.resolutions, jnp.float32))[0]


def levels_up_to(levels: tuple[Level, ...], finest: float) -> tuple[Level, ...]:
    """Returns the levels cut at the resolution `finest`, cycles per voxel, which is the last one of the result."""
    kept: list[Level] = []
    for level in levels:
        resolutions = tuple(resolution for resolution in level.resolutions if resolution < 0.95 * finest)
        if len(resolutions) < len(level.resolutions):
            return (*kept, level._replace(resolutions=(*resolutions, finest)))
        kept.append(level)
    return (*kept, levels[-1]._replace(resolutions=(finest,)))


def truncate_to(observations: Observations, model: PointModel) -> Observations:
    """Returns the observations at the reflections of a model that `point_atoms.truncate_model` has cut."""
    return jax.tree.map(lambda part: part[..., :len(model.flat_index)], observations)


def exact_intensities(atoms: Atoms, problem: Problem, model: PointModel) -> jax.Array:
    """Returns the intensities (R,) of the exact density on voxels, with its aliases and with the scale of the atoms."""
    values = density.density(atoms.positions, model.grid, form_factor=problem.form_factor, b_factor=problem.b_factor)
    factors = jnp.fft.rfftn(values).ravel()[model.flat_index]
    return _scale_factors(atoms, model) * (factors.real**2 + factors.imag**2)


def refine_exact(atoms: Atoms, observations: Observations, model: PointModel, problem: Problem, steps: int = 6,
                 extra_parameters: tuple[str, ...] = ("scale",)) -> tuple[Atoms, NormalEquations]:
    """Refines atoms against the exact density on voxels, starting where the refinement of point atoms has converged.

    The intensities are exact. The derivatives are those of point atoms and some percent off, so each step divides the
    error by about twenty.

    Args:
      atoms: start, centred on its mean as `atoms.draw_atoms` centres. The mean is kept; the exact intensities depend on
        the mean through the place of the atoms within their voxels.
      observations: at the reflections of the model.
      model: reflections, and the form factor for the derivatives.
      problem: form factor of the density.
      steps: number of steps.
      extra_parameters: as in `linearize`.

    Returns:
      The refined atoms, and the normal equations there.
    """
    def evaluate(trial):
        factors = point_atoms.atom_structure_factors(trial.positions, model)
        intensities = exact_intensities(trial, problem, model)
        return _normal_equations(trial, observations, model, extra_parameters, factors, intensities)

    return _minimize(atoms, evaluate, steps, damping=1e-4)


def position_standard_deviations(atoms: Atoms, observations: Observations, model: PointModel, sigma: jax.Array,
                                 extra_parameters: tuple[str, ...] = ("scale",)) -> jax.Array:
    """Returns the standard deviations of the refined positions about their mean, by propagation of errors.

    With the normal matrix N = J^T W J of the refinement, the errors of the parameters are N^-1 J^T W (noise).

    Args:
      atoms: refined atoms.
      observations: as in the refinement; its weights W need not be those of the noise.
      model: as in the refinement.
      sigma: (R,) standard deviations of the measured intensities, in the unit of the intensities.
      extra_parameters: as in the refinement.

    Returns:
      (n, 3), voxels.
    """
    normal = linearize(atoms, observations, model, extra_parameters).matrix
    weighted = observations._replace(weights=observations.weights**2 * sigma)
    noise = linearize(atoms, weighted, model, extra_parameters).matrix
    # The row of a parameter that is not refined is zero; 1 on its diagonal makes the matrix invertible.
    matrix = _hold_mean(normal) + jnp.diag(jnp.where(jnp.diag(normal) > 0, 0.0, 1.0))
    scale = jax.lax.rsqrt(jnp.diag(matrix))  # to a unit diagonal, for float32
    inverse = jnp.linalg.inv(matrix * scale[:, None] * scale) * scale[:, None] * scale
    variance = jnp.diag(inverse @ noise @ inverse)[:-2]
    return jnp.sqrt(jnp.maximum(variance, 0.0)).reshape(3, -1).T


def _scale_factors(atoms: Atoms, model: PointModel) -> jax.Array:
    """Returns the factors (R,) that scale and B apply to the intensities."""
    return atoms.scale * jnp.exp(-atoms.b_factor * (0.5 * model.radius**2).astype("float32"))


def _normal_equations(atoms: Atoms, observations: Observations, model: PointModel, extra_parameters: tuple[str, ...],
                      factors: tuple[jax.Array, jax.Array], intensities: jax.Array) -> NormalEquations:
    """Returns E for intensities (R,) of any density, scale and B included, with the derivatives of point atoms.

    `factors` are real and imaginary parts (n, R) of the structure factors of the point atoms.
    """
    real, imaginary = factors
    residual = observations.weights * (intensities - observations.intensities)
    prefactor = 4 * jnp.pi * observations.weights * _scale_factors(atoms, model)
    slopes = prefactor * (imaginary.sum(0) * real - real.sum(0) * imaginary)
    columns = (slopes * model.vectors[:, None]).reshape(-1, slopes.shape[-1])
    value = observations.weights * intensities
    extra = [value * (1.0 if "scale" in extra_parameters else 0.0),
             value * ((-0.5 * model.radius**2).astype("float32") if "b_factor" in extra_parameters else 0.0)]
    jacobian = jnp.concatenate([columns, jnp.stack(extra)])
    return NormalEquations(residual @ residual, jacobian @ jacobian.T, jacobian @ residual)


def _minimize(atoms: Atoms, evaluate: Callable[[Atoms], NormalEquations], steps: int,
              damping: float) -> tuple[Atoms, NormalEquations]:
    """Returns the atoms after `steps` steps of Levenberg and Marquardt, and their normal equations."""
    def body_fun(_, carry):
        atoms, normal, damping = carry
        trial = _apply_step(atoms, _solve_step(normal, damping))
        new = evaluate(trial)
        better = new.cost < normal.cost  # False for NaN
        atoms, normal = jax.tree.map(functools.partial(jnp.where, better), (trial, new), (atoms, normal))
        damping = jnp.clip(jnp.where(better, damping / 5, damping * 5), _MIN_DAMPING, _MAX_DAMPING)
        return atoms, normal, damping

    # The first round has a zero step and evaluates the start. So `evaluate` is compiled once, not twice.
    size = 3 * len(atoms.positions) + 2
    start = NormalEquations(jnp.float32(jnp.inf), jnp.eye(size), jnp.zeros(size))
    return jax.lax.fori_loop(0, steps + 1, body_fun, (atoms, start, jnp.float32(5 * damping)))[:2]


def _solve_step(normal: NormalEquations, damping: jax.Array) -> jax.Array:
    """Returns the damped step (p,) of the parameters."""
    matrix = _hold_mean(normal.matrix)
    diagonal = jnp.diag(matrix)
    matrix += jnp.diag(damping * diagonal + 1e-6 * diagonal.mean())
    return -jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(matrix), normal.gradient)


def _hold_mean(matrix: jax.Array) -> jax.Array:
    """Returns a normal matrix (p, p) with curvature along shifts of all atoms, which intensities do not determine."""
    n = (len(matrix) - 2) // 3
    stiffness = _MEAN_STIFFNESS * jnp.diag(matrix)[:3 * n].mean()
    block = jnp.kron(jnp.eye(3), jnp.ones((n, n))) * stiffness
    return matrix.at[:3 * n, :3 * n].add(block)


def _apply_step(atoms: Atoms, step: jax.Array) -> Atoms:
    """Returns the atoms after a step (p,), which is shortened where an atom would move more than `_MAX_STEP`."""
    shift = step[:-2].reshape(3, -1).T
    longest = jnp.sqrt(jnp.square(shift).sum(-1).max())
    fraction = jnp.minimum(1.0, _MAX_STEP / jnp.maximum(longest, 1e-12))
    return Atoms(atoms.positions + fraction * shift, atoms.scale * jnp.exp(fraction * jnp.clip(step[-2], -0.5, 0.5)),
                 atoms.b_factor + fraction * step[-1])
