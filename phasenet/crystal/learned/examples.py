"""Makes training examples of the learned iteration: made crystals, measured on a grid, from random keys.

`launch.tasks.crystals` calls `make_example`, which takes these steps:

1. Draw a resolution that suits the grid; in some examples put a heavy atom in the place of another atom.
2. Compute the structure factors on the grid, in P1.
3. Draw the errors of the intensities, and the reflections that are missing: some at random, those at low angle, in a
   cone, weak or overloaded.
4. Sharpen as `normalisation` does, with a random error of the Wilson B.
5. Compute the true map: point atoms with the same taper.
"""

from typing import NamedTuple

import gemmi
import jax
import jax.numpy as jnp
import numpy as np

from phasenet.crystal import form_factors, phasing
from phasenet.crystal.grids import half_multiplicity
from phasenet.crystal.learned import features
from phasenet.crystal.learned.features import LearnedInput
from phasenet.crystal.learned.structures import TrainingStructures
from phasenet.crystal.normalisation import ATOM_WIDTH
from phasenet.crystal.phasing import AmplitudeConstraint

_ELEMENTS = [gemmi.Element(number).name for number in range(1, 93)]
_FACTORS = form_factors.form_factors(_ELEMENTS)
_HEAVY = tuple(form_factors.atomic_number(symbol) for symbol in ("Na", "S", "Cl", "Fe", "Cu", "Br", "Ru", "I", "Pt"))
_HEAVY_SHARE = 0.2  # of examples in which a heavy atom takes the place of another
_WILSON_B_ERROR = 0.4  # Angstrom^2, standard deviation


class CrystalExample(NamedTuple):
    """The input of the iteration, and the true map.

    Attributes:
      data: amplitudes and conditions.
      transform: (X, Y, Z/2 + 1) complex64, the `rfftn` of the true sharpened map on any scale.
      d_min: () resolution, Angstrom.
    """

    data: LearnedInput
    transform: jax.Array
    d_min: jax.Array


def make_example(key: jax.Array, structure: TrainingStructures, resolutions: jax.Array,
                 shape: tuple[int, int, int]) -> CrystalExample:
    """Makes an example of one crystal.

    Args:
      key: typed key of the example.
      structure: one crystal, its arrays without the axis S.
      resolutions: (2,) smallest and largest d_min, Angstrom.
      shape: (X, Y, Z) of the grid.
    """
    keys = dict(zip(("d_min", "heavy", "noise", "missing", "wilson"), jax.random.split(key, 5), strict=True))
    d_min = jax.random.uniform(keys["d_min"], minval=resolutions[0], maxval=resolutions[1])
    elements, kinds = _put_heavy_atom(keys["heavy"], structure)
    s = _inverse_spacing(structure.reciprocal, shape)
    inside = (s > 0) & (s <= 1 / d_min)
    waves = _waves(structure.positions, shape)
    factors = _scattering(elements, s)
    present = kinds > 0
    planes = waves[0][:, :, None, None] * waves[1][:, None, :, None]
    falling = factors[kinds] * jnp.exp(-structure.b_iso[:, None, None, None] * s**2 / 4)
    structure_factors = (planes * waves[2][:, None, None] * falling).sum(0)
    counts = jnp.zeros(len(elements)).at[kinds].add(jnp.where(present, 1.0, 0.0))
    squares = jnp.einsum("k,kxyz->xyz", counts, factors**2)
    mean_b = (structure.b_iso * present).sum() / present.sum()
    expected = squares * jnp.exp(-mean_b * s**2 / 2)

    intensity, noise = _add_errors(keys["noise"], jnp.abs(structure_factors)**2, expected, inside)
    measured = inside & _draw_measured(keys["missing"], intensity, s, structure.reciprocal, inside)
    wilson_b = mean_b + _WILSON_B_ERROR * jax.random.normal(keys["wilson"])
    taper = jnp.exp(-2 * (jnp.pi * ATOM_WIDTH * d_min * s)**2)
    # The scale does not matter, because the map is brought to a root mean square of 1.
    sharpened = jnp.sqrt(jnp.maximum(intensity, 0.0) / squares) * jnp.exp(wilson_b * s**2 / 4) * taper
    constraint = _constrain(jnp.where(measured, sharpened, 0.0), measured, inside, d_min, shape)

    is_placed = elements[kinds] > 1
    numbers = jnp.where(is_placed, elements[kinds], 0).astype(jnp.float32)
    # In this order of products the last index of the result runs fastest, as Fourier transforms want it.
    transform = jnp.einsum("axy,az->xyz", numbers[:, None, None] * planes[..., 0], waves[2]) * taper
    volume = 1 / jnp.abs(jnp.linalg.det(structure.reciprocal))
    conditions = features.scale_conditions(
        d_min=d_min, volume=volume, num_atoms=is_placed.sum(), completeness=measured.sum() / inside.sum(), noise=noise,
        contrast=numbers.max() / jnp.sqrt((numbers**2).sum() / is_placed.sum()))
    return CrystalExample(LearnedInput(constraint, features.filter_profiles(s), conditions), transform, d_min)


def _put_heavy_atom(key: jax.Array, structure: TrainingStructures) -> tuple[jax.Array, jax.Array]:
    """Returns elements (10,), the last a heavy one, and kinds (A,); in some examples an atom and its images get it."""
    key_whether, key_which, key_kind = jax.random.split(key, 3)
    scores = jax.random.uniform(key_which, structure.kinds.shape)
    chosen = jnp.argmax(jnp.where(structure.elements[structure.kinds] > 1, scores, -1.0))
    replaced = (structure.independent == structure.independent[chosen]) & (structure.kinds > 0)
    elements = jnp.append(structure.elements, jax.random.choice(key_kind, jnp.array(_HEAVY)))
    return elements, jnp.where(replaced & (jax.random.uniform(key_whether) < _HEAVY_SHARE), len(elements) - 1,
                               structure.kinds)


def _add_errors(key: jax.Array, true: jax.Array, expected: jax.Array,
                inside: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns intensities with errors like those of `made.measurement`, and the noise () that their sigmas state."""
    keys = jax.random.split(key, 5)
    relative = jax.random.uniform(keys[0], minval=0.02, maxval=0.10)
    background = jax.random.uniform(keys[1], minval=0.003, maxval=0.04)
    model_error = jax.random.uniform(keys[2], minval=0.0, maxval=0.04)
    shown = true * jnp.exp(model_error * _friedel_noise(keys[3], true.shape))
    sigma = jnp.sqrt((relative * shown)**2 + (background * expected)**2)
    intensity = shown + sigma * _friedel_noise(keys[4], true.shape)
    return intensity, (sigma * inside).sum() / (jnp.maximum(intensity, 0.0) * inside).sum()


def _draw_measured(key: jax.Array, intensity: jax.Array, s: jax.Array, reciprocal: jax.Array | np.ndarray,
                   inside: jax.Array) -> jax.Array:
    """Returns which reflections (X, Y, Z/2 + 1) are not lost; the frequencies are those of `made.measurement`."""
    keys = jax.random.split(key, 10)
    incomplete = jax.random.uniform(keys[0]) < 0.15
    completeness = jnp.where(incomplete, jax.random.uniform(keys[1], minval=0.4, maxval=0.9),
                             jax.random.uniform(keys[1], minval=0.94, maxval=1.0))
    kept = jax.scipy.stats.norm.cdf(_friedel_noise(keys[2], intensity.shape)) < completeness
    stop, cone, weak = jax.random.uniform(keys[3], (3,)) < jnp.array([0.4, 0.15, 0.15])
    kept &= ~stop | (s > 1 / jax.random.uniform(keys[4], minval=5.0, maxval=20.0))
    axis = jax.random.normal(keys[5], (3,))
    directions = _indices(_full_shape(intensity.shape)) @ reciprocal
    cosine = jnp.abs(directions @ axis) / (jnp.maximum(s, 1e-6) * jnp.linalg.norm(axis))
    kept &= ~cone | (cosine <= jnp.cos(jnp.deg2rad(jax.random.uniform(keys[6], minval=5.0, maxval=40.0))))
    mean = (intensity * inside).sum() / inside.sum()
    kept &= ~weak | (intensity >= mean * jax.random.uniform(keys[7], minval=0.005, maxval=0.1))
    overloaded = jax.random.uniform(keys[8]) < 0.15
    return kept & (~overloaded | (intensity <= mean * jax.random.uniform(keys[9], minval=4.0, maxval=15.0)))


def _constrain(sharpened: jax.Array, measured: jax.Array, within: jax.Array, d_min: jax.Array,
               shape: tuple[int, int, int]) -> AmplitudeConstraint:
    """Returns amplitudes of a map with a root mean square of 1."""
    unit = jnp.sqrt((half_multiplicity(shape) * sharpened**2).sum()) / np.prod(shape)
    return AmplitudeConstraint(sharpened / unit, measured, within, phasing.gain_at(d_min))


def _friedel_noise(key: jax.Array, half_shape: tuple[int, ...]) -> jax.Array:
    """Returns normal numbers (X, Y, Z/2 + 1) that Friedel mates share."""
    shape = _full_shape(half_shape)
    return jnp.fft.rfftn(jax.random.normal(key, shape)).real / np.sqrt(np.prod(shape) / 2)


def _scattering(elements: jax.Array, s: jax.Array) -> jax.Array:
    """Returns f of elements (E,), atomic numbers, 0 for none: (E, X, Y, Z/2 + 1) at 1/d (X, Y, Z/2 + 1)."""
    tables = (np.pad(table, ((1, 0), (0, 0))) for table in (_FACTORS.amplitudes, _FACTORS.widths))
    amplitudes, widths = (jnp.asarray(table, jnp.float32)[elements][..., None, None, None] for table in tables)
    total = jnp.zeros((len(elements), *s.shape))
    for k in range(amplitudes.shape[1]):
        total = total + amplitudes[:, k] * jnp.exp(-widths[:, k] * s**2 / 4)
    return total


def _waves(positions: jax.Array | np.ndarray, shape: tuple[int, int, int]) -> list[jax.Array]:
    """Returns exp(-2 pi i h x) of positions (A, 3) along each axis, (A, X), (A, Y) and (A, Z/2 + 1)."""
    return [jnp.exp(-2j * jnp.pi * positions[:, axis, None] * index) for axis, index in enumerate(_frequencies(shape))]


def _inverse_spacing(reciprocal: jax.Array | np.ndarray, shape: tuple[int, int, int]) -> jax.Array:
    """Returns 1/d (X, Y, Z/2 + 1) in 1/A."""
    return jnp.linalg.norm(_indices(shape) @ reciprocal, axis=-1)


def _indices(shape: tuple[int, ...]) -> np.ndarray:
    """Returns the indices (X, Y, Z/2 + 1, 3) of the half-complex transform."""
    return np.stack(np.meshgrid(*_frequencies(shape), indexing="ij"), -1).astype(np.float32)


def _frequencies(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Returns the indices h, k and l along the axes."""
    return [*(np.fft.fftfreq(edge, 1 / edge) for edge in shape[:2]), np.arange(shape[2] // 2 + 1.0)]


def _full_shape(half_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Returns the shape of the map of a half-complex transform; the last edge is even."""
    return half_shape[0], half_shape[1], 2 * (half_shape[2] - 1)
