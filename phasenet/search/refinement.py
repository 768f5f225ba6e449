"""Least squares of positions on squared amplitudes: coarse to fine with point atoms, at last with the voxels.

    E = sum over s of w_s^2 (k |F_s|^2 - |F_obs,s|^2)^2

The lower the resolution, the wider the valley around the truth and the cheaper a step. Levenberg and Marquardt's
damping decides each step; the number of steps is fixed, so that all vmaps.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from phasenet.maps import density, point_atoms
from phasenet.maps.point_atoms import PointModel
from phasenet.maps.synthesis import Problem

_LONGEST_STEP = 1.0  # voxels, of the atom that moves farthest
_LEAST_DAMPING, _MOST_DAMPING = 1e-7, 1e5
# Keeps the atoms' mean, which intensities do not see, in its place; of the normal matrix' mean diagonal.
_GAUGE = 1e-2


class Observations(NamedTuple):
    """What atoms are refined against. R reflections.

    Attributes:
      intensities: (R,) |F_obs|^2, on the atoms' scale.
      weights: (R,) w, one over a standard deviation up to a common factor; 0 where not measured.
    """

    intensities: jax.Array
    weights: jax.Array


class Atoms(NamedTuple):
    """What is refined.

    Attributes:
      positions: (n, 3) voxels.
      scale: () k of the calculated intensities.
      b_factor: () what is added to the model's own B, voxels^2.
    """

    positions: jax.Array
    scale: jax.Array
    b_factor: jax.Array


class NormalEquations(NamedTuple):
    """The linearized problem at some atoms: p = 3n + 2 parameters, all x, all y, all z, ln k, B.

    cost: () E; matrix: (p, p) and gradient: (p,) of E / 2.
    """

    cost: jax.Array
    matrix: jax.Array
    gradient: jax.Array


class Level(NamedTuple):
    """Resolutions |s|, cycles a voxel, one after the other, and the steps at each. All static."""

    cuts: tuple[float, ...]
    steps: int


# The lowest resolutions cost next to nothing. Those of a level share a program, of the finest one's size.
COARSE_TO_FINE = (Level((0.0625, 0.075, 0.0875, 0.1), 30), Level((0.125, 0.15), 20), Level((0.2,), 10),
                  Level((0.3,), 10))


def atoms_at(positions: jax.Array) -> Atoms:
    """Atoms (n, 3) on the data's scale."""
    return Atoms(positions, jnp.float32(1.0), jnp.float32(0.0))


def linearize(atoms: Atoms, data: Observations, model: PointModel, fit: tuple[str, ...] = ()) -> NormalEquations:
    """E and its normal equations for point atoms.

    fit: of "scale" and "b_factor" those that are refined too.
    """
    cosines, sines = point_atoms.waves(atoms.positions, model)
    intensities = _factor(atoms, model) * (cosines.sum(0) ** 2 + sines.sum(0) ** 2)
    return _normal(atoms, data, model, fit, (cosines, sines), intensities)


def refine(atoms: Atoms, data: Observations, model: PointModel, steps: int, fit: tuple[str, ...] = ()) -> tuple[Atoms, NormalEquations]:
    """So many steps of Levenberg and Marquardt with point atoms; and the normal equations where they end."""
    return _descend(atoms, lambda trial: linearize(trial, data, model, fit), steps, damping=1e-2)


def coarse_to_fine(starts: jax.Array, data: Observations, model: PointModel, levels: tuple[Level, ...] = COARSE_TO_FINE,
                   ) -> tuple[jax.Array, jax.Array]:
    """(S, n, 3) positions refined from the first level's resolution to the last's: the best (n, 3), and E there."""
    def refined(positions):
        cost = jnp.float32(jnp.inf)
        for level in levels:
            positions, cost = refine_level(positions, data, model, level)
        return positions, cost

    positions, costs = jax.lax.map(refined, starts)
    best = costs.argmin()
    return positions[best], costs[best]


def draw_starts_near(key: jax.Array, positions: jax.Array, count: int = 8, rms: float = 1.0) -> jax.Array:
    """(count, n, 3): positions (n, 3), and these with each atom displaced, by rms voxels in the mean square.

    Descents from 1.5 voxels off go astray now and then, from 2.5 one in twenty; one of the next then does not.
    """
    shifts = rms / 3**0.5 * jax.random.normal(key, (count, *positions.shape))
    return positions + shifts.at[0].set(0.0)


def refine_level(positions: jax.Array, data: Observations, model: PointModel, level: Level) -> tuple[jax.Array, jax.Array]:
    """(n, 3) positions refined at each resolution of a level, and E at the last."""
    model = point_atoms.within(model, level.cuts[-1])
    data = truncate_to(data, model)

    def body_fun(carry, cut):
        seen = data._replace(weights=data.weights * (model.radius.astype("float32") <= cut + 1e-6))
        atoms, normal = refine(atoms_at(carry[0]), seen, model, level.steps)
        return (atoms.positions, normal.cost), None

    return jax.lax.scan(body_fun, (positions, jnp.float32(0.0)), jnp.asarray(level.cuts, jnp.float32))[0]


def levels_up_to(levels: tuple[Level, ...], finest: float) -> tuple[Level, ...]:
    """The levels as far as there are reflections, up to |s| = finest, which is the last."""
    kept = []
    for level in levels:
        cuts = tuple(cut for cut in level.cuts if cut < 0.95 * finest)
        if len(cuts) < len(level.cuts):
            return (*kept, level._replace(cuts=(*cuts, finest)))
        kept.append(level)
    return (*kept, levels[-1]._replace(cuts=(finest,)))


def truncate_to(data: Observations, model: PointModel) -> Observations:
    """The data of a model that `point_atoms.within` cut."""
    return jax.tree.map(lambda part: part[..., :len(model.index)], data)


def exact_intensities(atoms: Atoms, problem: Problem, model: PointModel) -> jax.Array:
    """k |F|^2 of the voxelized density, aliases and all, at the model's reflections: (R,)."""
    values = density.density(atoms.positions, model.grid, form_factor=problem.form_factor, b_factor=problem.b_factor)
    factors = jnp.fft.rfftn(values).ravel()[model.index]
    return _factor(atoms, model) * (factors.real**2 + factors.imag**2)


def refine_exact(atoms: Atoms, data: Observations, model: PointModel, problem: Problem, steps: int = 6,
                 fit: tuple[str, ...] = ("scale",)) -> tuple[Atoms, NormalEquations]:
    """Refinement against the voxelized density, from where point atoms converged.

    The intensities are exact, the slopes those of point atoms, some percent off: each step divides the error by
    some twenty. The aliases depend on where the atoms lie within their voxels: their mean stays as it is, 0 by
    the rules of `atoms.AtomRules`.
    """
    def evaluate(trial):
        waves = point_atoms.waves(trial.positions, model)
        return _normal(trial, data, model, fit, waves, exact_intensities(trial, problem, model))

    return _descend(atoms, evaluate, steps, damping=1e-4)


def standard_deviations(atoms: Atoms, data: Observations, model: PointModel, deviations: jax.Array,
                  fit: tuple[str, ...] = ("scale",)) -> jax.Array:
    """Standard deviation of each refined coordinate about the atoms' mean, voxels: (n, 3).

    deviations: (R,) standard deviations of the measured intensities, whatever the weights are. With the normal
    matrix N = J^T W J of the refinement it is that of N^-1 J^T W (noise).
    """
    normal = linearize(atoms, data, model, fit).matrix
    noise = linearize(atoms, data._replace(weights=data.weights**2 * deviations), model, fit).matrix
    # A parameter that is not refined has an empty row.
    matrix = _with_gauge(normal) + jnp.diag(jnp.where(jnp.diag(normal) > 0, 0.0, 1.0))
    scale = jax.lax.rsqrt(jnp.diag(matrix))  # to a unit diagonal, for float32
    inverse = jnp.linalg.inv(matrix * scale[:, None] * scale) * scale[:, None] * scale
    variance = jnp.diag(inverse @ noise @ inverse)[:-2]
    return jnp.sqrt(jnp.maximum(variance, 0.0)).reshape(3, -1).T


def _factor(atoms: Atoms, model: PointModel) -> jax.Array:
    """What scale and B make of an intensity: (R,)."""
    return atoms.scale * jnp.exp(-atoms.b_factor * (0.5 * model.radius**2).astype("float32"))


def _normal(atoms: Atoms, data: Observations, model: PointModel, fit: tuple[str, ...], waves: tuple[jax.Array, jax.Array],
            intensities: jax.Array) -> NormalEquations:
    """intensities: (R,) from whichever density, scale and B in them; the slopes are those of point atoms."""
    cosines, sines = waves
    residual = data.weights * (intensities - data.intensities)
    level = 4 * jnp.pi * data.weights * _factor(atoms, model)
    slopes = level * (sines.sum(0) * cosines - cosines.sum(0) * sines)
    columns = (slopes * model.vectors[:, None]).reshape(-1, slopes.shape[-1])
    value = data.weights * intensities
    extra = [value * (1.0 if "scale" in fit else 0.0),
             value * ((-0.5 * model.radius**2).astype("float32") if "b_factor" in fit else 0.0)]
    jacobian = jnp.concatenate([columns, jnp.stack(extra)])
    return NormalEquations(residual @ residual, jacobian @ jacobian.T, jacobian @ residual)


def _descend(atoms: Atoms, evaluate: Callable[[Atoms], NormalEquations], steps: int, damping: float) -> tuple[Atoms, NormalEquations]:
    def body_fun(_, carry):
        atoms, normal, damping = carry
        trial = _moved(atoms, _step(normal, damping))
        new = evaluate(trial)
        better = new.cost < normal.cost  # False for NaN
        atoms, normal = jax.tree.map(functools.partial(jnp.where, better), (trial, new), (atoms, normal))
        damping = jnp.clip(jnp.where(better, damping / 5, damping * 5), _LEAST_DAMPING, _MOST_DAMPING)
        return atoms, normal, damping

    # The first round goes nowhere and evaluates the start: one program less to compile than doing so before the loop.
    size = 3 * len(atoms.positions) + 2
    start = NormalEquations(jnp.float32(jnp.inf), jnp.eye(size), jnp.zeros(size))
    return jax.lax.fori_loop(0, steps + 1, body_fun, (atoms, start, jnp.float32(5 * damping)))[:2]


def _step(normal: NormalEquations, damping: jax.Array) -> jax.Array:
    matrix = _with_gauge(normal.matrix)
    diagonal = jnp.diag(matrix)
    matrix += jnp.diag(damping * diagonal + 1e-6 * diagonal.mean())
    return -jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(matrix), normal.gradient)


def _with_gauge(matrix: jax.Array) -> jax.Array:
    """Intensities do not change where all atoms move alike; so no step and no error of that kind."""
    n = (len(matrix) - 2) // 3
    level = _GAUGE * jnp.diag(matrix)[:3 * n].mean()
    block = jnp.kron(jnp.eye(3), jnp.ones((n, n))) * level
    return matrix.at[:3 * n, :3 * n].add(block)


def _moved(atoms: Atoms, step: jax.Array) -> Atoms:
    shift = step[:-2].reshape(3, -1).T
    longest = jnp.sqrt(jnp.square(shift).sum(-1).max())
    share = jnp.minimum(1.0, _LONGEST_STEP / jnp.maximum(longest, 1e-12))
    return Atoms(atoms.positions + share * shift, atoms.scale * jnp.exp(share * jnp.clip(step[-2], -0.5, 0.5)),
                 atoms.b_factor + share * step[-1])
