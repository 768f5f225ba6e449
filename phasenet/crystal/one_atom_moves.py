"""Phases small crystals by moving one atom at a time to its best place, in the known space group.

At low resolution a map does not show atoms, but the composition still says how many there are. Each atom in turn moves
to the grid point where the amplitudes of all atoms correlate best with the measured ones. If no move helps, the best
set of places is perturbed: about a third of its atoms are put at random places. `solve` calls this module after
`phasing` has failed.

1. `prepare`: points of the asymmetric unit and the structure factor of an atom at each.
2. `draw_start`, `run_sweeps`: the search, one `lax` loop.
3. `positions_of`: the atoms, for `refinement`.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phasenet.crystal.grids import CrystalGrid
from phasenet.crystal.lattice import SpaceGroupOperators
from phasenet.crystal.refinement.least_squares import ScatteringModel

_STEP_ANGSTROM = 0.36
_STEP_OF_D_MIN = 0.26
_MIN_SEPARATION = 1.15  # Angstrom between two atoms
_MIN_GAIN = 1e-5  # of the fit
_PERTURBED_SHARE = 0.35  # probability that a perturbation puts an atom at a random place
_MAX_FAILURES = 12  # perturbations without a gain, after which all atoms start anew
MAX_ATOMS = 14  # in the asymmetric unit
_MAX_ELEMENTS = 3e7  # of the table of waves
_GENERAL_TOLERANCE = 0.02  # by which atoms over operators may differ from a whole number


class MoveProblem(NamedTuple):
    """What a search needs. P points, N reflections, n atoms, M operators, centring included.

    Attributes:
      points: (P, 3) fractional.
      images: (M, P, 3) fractional, the mates of each point.
      waves: (P, N) sum over the mates of exp(2 pi i h . x); complex64, or float32 with an inversion at the origin.
      factors: (n, N) form factor of each atom over the root of the sum of f^2 in the cell.
      target: (N,) normalised amplitudes.
      metric_root: (3, 3) fractional rows @ metric_root are Angstrom.
    """

    points: jax.Array
    images: jax.Array
    waves: jax.Array
    factors: jax.Array
    target: jax.Array
    metric_root: jax.Array


class MoveState(NamedTuple):
    """State of a search between two sweeps. A place is the number of a point of `MoveProblem`.

    When a sweep gains no more, some atoms are put at random places (a perturbation). After more than 12 perturbations
    without a gain, all atoms start anew at random places.

    Attributes:
      key: typed random key of the next draws.
      places: (n,) int32, the place of each atom.
      fit: () float32, correlation of the amplitudes after the last sweep.
      last_fit: () float32, `fit` that the next sweep has to exceed; 0 after a perturbation.
      kept: (n,) int32, the places of the highest fit since all atoms last started anew, from which a perturbation
        begins. After such a start they are the places kept before, until sweeps first gain no more.
      kept_fit: () float32, the fit at `kept`; 0 after all atoms started anew.
      failures: () int32, perturbations since `kept` last gained.
      best: (n,) int32, the places of the highest fit of the whole search.
      best_fit: () float32, the fit at `best`.
    """

    key: jax.Array
    places: jax.Array
    fit: jax.Array
    last_fit: jax.Array
    kept: jax.Array
    kept_fit: jax.Array
    failures: jax.Array
    best: jax.Array
    best_fit: jax.Array


def list_atoms(counts: Sequence[float], elements: Sequence[str], num_operators: int) -> tuple[str, ...] | None:
    """Returns the elements of the atoms in the asymmetric unit, or None where the method does not apply.

    The method applies if all atoms lie on general positions and there are at most 14 of them.

    Args:
      counts: atoms of each element in the primitive cell.
      elements: symbols of the elements.
      num_operators: number of operators without centring translations.
    """
    shares = np.array(counts) / num_operators
    if (np.abs(shares - np.rint(shares)) > _GENERAL_TOLERANCE).any() or not 0 < np.rint(shares).sum() <= MAX_ATOMS:
        return None
    return tuple(element for element, share in zip(elements, np.rint(shares).astype(int), strict=True)
                 for _ in range(share))


def prepare(atoms: Sequence[str], amplitudes: np.ndarray, d_min: float, model: ScatteringModel,
            operators: SpaceGroupOperators, grid: CrystalGrid) -> MoveProblem | None:
    """Returns the problem of atoms in the asymmetric unit, or None where its tables would be too large.

    Args:
      atoms: elements of the asymmetric unit.
      amplitudes: (N,) normalised amplitudes, epsilon left in.
      d_min: resolution in Angstrom.
      model: scattering of the N reflections.
      operators: of the space group.
      grid: gives the primitive operators and the metric.
    """
    points = _asymmetric_points(max(_STEP_ANGSTROM, _STEP_OF_D_MIN * d_min), grid)
    if len(points) * len(amplitudes) > _MAX_ELEMENTS:
        return None
    waves = np.zeros((len(points), len(amplitudes)), np.complex64)
    for mates, phases in zip(model.mates, model.phases, strict=True):
        angle = 2 * np.pi * (points @ mates.T + phases)
        waves += np.cos(angle) if model.centrosymmetric else np.exp(1j * angle)
    table = model.scattering[[model.elements.index(element) for element in atoms]]
    norm = np.sqrt(len(operators.rotations) * np.square(table).sum(0))
    images = np.einsum("mij,pj->mpi", grid.rotations, points) + grid.translations[:, None]
    images = (images[None] + grid.centring[:, None, None]).reshape(-1, len(points), 3)
    return MoveProblem(jnp.asarray(points, jnp.float32), jnp.asarray(images, jnp.float32),
                       jnp.asarray(waves.real if model.centrosymmetric else waves),
                       jnp.asarray(table / norm, jnp.float32), jnp.asarray(amplitudes, jnp.float32),
                       jnp.asarray(grid.metric_root, jnp.float32))


@jax.jit
def draw_start(key: jax.Array, problem: MoveProblem) -> MoveState:
    """Returns the state before the first sweep, with all atoms at random places."""
    key, key_places = jax.random.split(key)
    places = jax.random.randint(key_places, (len(problem.factors),), 0, len(problem.points))
    zero = jnp.float32(0.0)
    return MoveState(key, places, zero, zero, places, zero, jnp.int32(0), places, zero)


@functools.partial(jax.jit, static_argnames="sweeps")
def run_sweeps(state: MoveState, problem: MoveProblem, sweeps: int) -> MoveState:
    """Returns the state after a number of sweeps, in each of which every atom moves once."""
    return jax.lax.fori_loop(0, sweeps, lambda _, carry: _perturb(_sweep(carry, problem), problem), state)


def positions_of(places: jax.Array, problem: MoveProblem) -> np.ndarray:
    """Returns the fractional positions (n, 3) of places (n,)."""
    return np.asarray(problem.points, np.float64)[np.asarray(places)]


def _sweep(state: MoveState, problem: MoveProblem) -> MoveState:
    """Moves each atom, in random order, to the point of the best fit."""
    key, key_order = jax.random.split(state.key)
    order = jax.random.permutation(key_order, len(state.places))
    total = (problem.factors * problem.waves[state.places]).sum(0)

    def body_fun(number: jax.Array, carry: tuple) -> tuple:
        places, total, _ = carry
        atom = order[number]
        rest = total - problem.factors[atom] * problem.waves[places[atom]]
        fit = jnp.where(_is_free(places, atom, problem),
                        _fit(rest + problem.factors[atom] * problem.waves, problem.target), -1.0)
        place = fit.argmax().astype(places.dtype)
        return places.at[atom].set(place), rest + problem.factors[atom] * problem.waves[place], fit[place]

    places, _, fit = jax.lax.fori_loop(0, len(state.places), body_fun, (state.places, total, state.fit))
    return state._replace(key=key, places=places, fit=fit)


def _perturb(state: MoveState, problem: MoveProblem) -> MoveState:
    """Once sweeps gain no more, keeps their places if better, and puts some of the kept atoms, or all, elsewhere."""
    key, key_which, key_where = jax.random.split(state.key, 3)
    ended = state.fit <= state.last_fit + _MIN_GAIN
    gained = ended & (state.fit > state.kept_fit + _MIN_GAIN)
    kept = jnp.where(gained, state.places, state.kept)
    kept_fit = jnp.where(gained, state.fit, state.kept_fit)
    failures = jnp.where(ended, jnp.where(gained, 0, state.failures + 1), state.failures)
    better = kept_fit > state.best_fit
    best, best_fit = jnp.where(better, kept, state.best), jnp.maximum(kept_fit, state.best_fit)
    anew = failures > _MAX_FAILURES
    chosen = jax.random.uniform(key_which, kept.shape) < jnp.where(anew, 1.0, _PERTURBED_SHARE)
    elsewhere = jax.random.randint(key_where, kept.shape, 0, len(problem.points), kept.dtype)
    places = jnp.where(ended, jnp.where(chosen, elsewhere, kept), state.places)
    return MoveState(key, places, state.fit, jnp.where(ended, 0.0, state.fit), kept, jnp.where(anew, 0.0, kept_fit),
                     jnp.where(anew, 0, failures), best, best_fit)


def _fit(factors: jax.Array, target: jax.Array) -> jax.Array:
    """Returns the correlation (...,) of amplitudes of structure factors (..., N) with measured ones, about zero."""
    size = jnp.abs(factors)
    return (size @ target) * jax.lax.rsqrt(jnp.square(size).sum(-1) * jnp.square(target).sum() + 1e-12)


def _is_free(places: jax.Array, atom: jax.Array, problem: MoveProblem) -> jax.Array:
    """Returns which points (P,) lie far enough from the mates of all atoms but one."""
    others = problem.images[:, places]  # (M, n, 3)
    offset = problem.points[:, None, None] - others[None]
    squared = jnp.square((offset - jnp.round(offset)) @ problem.metric_root).sum(-1)
    far = (squared > _MIN_SEPARATION**2).all(1)  # (P, n)
    return (far | (jnp.arange(len(places)) == atom)).all(-1)


def _asymmetric_points(step: float, grid: CrystalGrid) -> np.ndarray:
    """Returns one point (P, 3) of each set of mates of a grid of even steps, with edges of `step` Angstrom at most."""
    edges = np.linalg.norm(grid.metric_root, axis=1)
    # The operators need not map this grid onto itself: the mates of a point are rounded to it.
    shape = np.maximum(2 * np.ceil(edges / step / 2), 2).astype(int)
    voxels = np.stack(np.meshgrid(*[np.arange(size) for size in shape], indexing="ij"), -1).reshape(-1, 3)
    first = np.arange(len(voxels))
    for centring in grid.centring:
        for turn, shift in zip(grid.rotations, grid.translations, strict=True):
            mates = np.rint((voxels / shape @ turn.T + shift + centring) * shape).astype(int) % shape
            first = np.minimum(first, np.ravel_multi_index(tuple(mates.T), tuple(shape)))
    return voxels[first == np.arange(len(voxels))] / shape
