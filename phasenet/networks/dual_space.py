"""A network unrolled as a dual-space iteration: measured amplitudes and a learned prior, turn by turn.

Each round a small network, the same one in every round and every voxel, makes from the current map a density
and a map to project; the projection gives that map the measured amplitudes and leaves its phases (and what was not
measured). At first this is the relaxed-reflect-reflect iteration (Elser, Lan, Bendory, arXiv:1706.00399) with
a soft threshold for a density; training changes it. It starts from random phases, and shows the atoms in one of
the two hands. Of the map's size, the number of atoms and the resolution it knows but a few numbers.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from phasenet.maps import density, patterson, reflections, synthesis
from phasenet.maps.synthesis import Problem

# Standard deviations, voxels, of the Gaussians that a learned filter is a sum of.
_WIDTHS = np.array([0.4, 0.7, 1.1, 1.7, 2.6, 4.0])
# Atoms' own transforms are not divided by less than this share of their total.
_LEAST_FACTOR = 0.025
_CONDITIONS = 5


class DualSpaceArchitecture(NamedTuple):
    """Sizes of the network and of its use. All static.

    Attributes:
      width: of the two hidden layers in each voxel.
      filters: learned isotropic filters of the current map.
      projected_filters: of the last map of the measured amplitudes.
      atom_width: standard deviation of the Gaussian atoms that the iteration works on, voxels.
      rounds: from one start, at most.
      starts: from random phases, at most.
      good: the `correlate_amplitudes` that ends the search.
    """

    width: int = 16
    filters: int = 4
    projected_filters: int = 2
    atom_width: float = 0.75
    rounds: int = 60
    starts: int = 16
    good: float = 0.998


class PhasingInput(NamedTuple):
    """What is known of a map of N voxels an edge.

    Attributes:
      amplitudes: (N, N, N/2 + 1) as Gaussian atoms of height 1 would have them; 0 where not measured.
      measured: (N, N, N/2 + 1) bool.
      conditions: (3,) number of atoms, resolution and noise, of order 1.
    """

    amplitudes: jax.Array
    measured: jax.Array
    conditions: jax.Array


class IterationState(NamedTuple):
    """projected (N, N, N): the last map with the measured amplitudes; transform (N, N, N/2 + 1): its own;
    memory (N, N, N): what the next round adds to it."""

    projected: jax.Array
    transform: jax.Array
    memory: jax.Array


class Round(nn.Module):
    """One round: (state, data) to (state, density (N, N, N))."""

    architecture: DualSpaceArchitecture = DualSpaceArchitecture()

    @nn.compact
    def __call__(self, state: IterationState, data: PhasingInput) -> tuple[IterationState, jax.Array]:
        arch, grid = self.architecture, len(data.amplitudes)
        step = self.param("step", nn.initializers.constant(0.5), ())
        cut = self.param("cut", nn.initializers.constant(2.2), ())
        steepness = self.param("steepness", nn.initializers.constant(4.0), ())
        current = state.memory + step * state.projected
        spread = _rms(current)
        # The root mean square of the solution, which its amplitudes tell.
        unit = _rms_of_transform(data.amplitudes, grid)
        conditions = jnp.concatenate([data.conditions, jnp.stack([spread, _rms(jax.nn.relu(current))]) / unit])

        seen = [current, state.projected, _highest_around(current)]
        seen += self._filtered("filters", arch.filters, jnp.fft.rfftn(current), grid)
        seen += self._filtered("projected_filters", arch.projected_filters, state.transform, grid)
        # Channels first: one voxel after another would be slow on a CPU.
        hidden = jnp.stack(seen).reshape(len(seen), -1) / (5 * unit)
        for number in range(2):
            hidden = jax.nn.relu(self._mixed(f"hidden_{number}", hidden, arch.width, conditions))
        # Zeros at first: then this is relaxed-reflect-reflect with a soft threshold.
        out = self._mixed("out", hidden, 3, None, nn.initializers.zeros).reshape(3, grid, grid, grid)

        share = jax.nn.sigmoid(steepness * (current / (cut * spread) - 1) + out[0])
        found = current * share + unit * out[1]
        projected, transform = impose_amplitudes(2 * found - current + unit * out[2], data)
        return IterationState(projected, transform, current - step * found), found

    def _filtered(self, name: str, count: int, transform: jax.Array, grid: int) -> list[jax.Array]:
        weights = self.param(name, nn.initializers.normal(0.5), (count, len(_WIDTHS)))
        profiles = jnp.einsum("cj,jxyz->cxyz", weights, _gaussian_profiles(grid))
        return [jnp.fft.irfftn(transform * profile, s=(grid,) * 3) for profile in profiles]

    def _mixed(self, name: str, channels: jax.Array, width: int, conditions: jax.Array | None,
               init=nn.initializers.lecun_normal()) -> jax.Array:
        kernel = self.param(f"{name}_kernel", init, (channels.shape[0], width))
        bias = self.param(f"{name}_bias", nn.initializers.zeros, (width,))
        if conditions is not None:
            bias = bias + conditions @ self.param(f"{name}_conditions", nn.initializers.normal(0.3),
                                                  (len(conditions), width))
        return kernel.T @ channels + bias[:, None]


class DualSpaceNetwork(NamedTuple):
    """The iteration from a Patterson map to a map of the atoms; no flax module, for it is a search.

    Attributes:
      architecture: its sizes.
      problem: what the atoms are like, and what was measured of them.
    """

    architecture: DualSpaceArchitecture
    problem: Problem

    def init(self, key: jax.Array, patterson_maps: jax.Array) -> dict:
        """Fresh parameters; they do not depend on the maps' size."""
        del patterson_maps
        shapes = (8, 8, 8), (8, 8, 5)
        data = PhasingInput(jnp.ones(shapes[1]), jnp.ones(shapes[1], bool), jnp.zeros(_CONDITIONS - 2))
        state = IterationState(jnp.ones(shapes[0]), jnp.ones(shapes[1], jnp.complex64), jnp.ones(shapes[0]))
        return Round(self.architecture).init(key, state, data)

    def apply(self, params: dict, patterson_maps: jax.Array) -> jax.Array:
        """Centred Patterson maps (B, N, N, N) on the atoms' scale to maps (B, N, N, N) of half their density,
        in one of the two hands, in the middle of the box."""
        return jax.lax.map(lambda one: self._answer(params, one), patterson_maps)

    def _answer(self, params: dict, patterson_map: jax.Array) -> jax.Array:
        problem = synthesis.crop_to_patterson(self.problem)
        which = reflections.reflections(problem.grid)
        observed = reflections.observed_intensities(jnp.fft.ifftshift(patterson_map), which)
        data = prepare_input(observed.reshape(problem.grid, problem.grid, -1), problem, self.architecture.atom_width)
        found = find_map(params, data, self.architecture).density
        answer = move_atoms_to_centre(render_as_target(found, problem, self.architecture.atom_width), problem.atoms.inner_box)
        return jnp.pad(answer, (self.problem.grid - problem.grid) // 2)


def prepare_input(intensities: jax.Array, problem: Problem, atom_width: float) -> PhasingInput:
    """Squared amplitudes (N, N, N/2 + 1) of the problem's atoms, on their scale, as the iteration takes them."""
    grid = intensities.shape[0]
    sharper = gaussian_transform(grid, atom_width) / _atom_transform(grid, problem)
    measured = np.ones(intensities.shape, bool)
    if problem.h_max is not None:
        measured = patterson.index_radius(grid) <= problem.h_max
    amplitudes = jnp.where(measured, jnp.sqrt(jnp.maximum(intensities, 0.0)) * sharper, 0.0)
    finest = min(0.5, (problem.h_max or grid) / grid)
    conditions = jnp.array([problem.atoms.num_atoms / 20 - 1, 4 * finest - 1, 10 * problem.noise])
    return PhasingInput(amplitudes, jnp.asarray(measured), conditions)


def draw_start(key: jax.Array, data: PhasingInput) -> IterationState:
    """The measured amplitudes with random phases."""
    grid = len(data.amplitudes)
    noise = jnp.fft.rfftn(jax.random.normal(key, (grid,) * 3))
    transform = data.amplitudes * noise / (jnp.abs(noise) + 1e-6)
    projected = jnp.fft.irfftn(transform, s=(grid,) * 3)
    return IterationState(projected, transform, 0.5 * projected)


def impose_amplitudes(values: jax.Array, data: PhasingInput) -> tuple[jax.Array, jax.Array]:
    """A map (N, N, N) with the measured amplitudes in place of its own, and that map's transform."""
    transform = jnp.fft.rfftn(values)
    power = transform.real**2 + transform.imag**2
    transform = jnp.where(data.measured, data.amplitudes * jax.lax.rsqrt(power + 1e-8) * transform, transform)
    return jnp.fft.irfftn(transform, s=values.shape), transform


class NetworkMap(NamedTuple):
    """density (N, N, N); agreement: () of its amplitudes with those measured; starts: () how many were made."""

    density: jax.Array
    correlate_amplitudes: jax.Array
    starts: jax.Array


def find_map(params: dict, data: PhasingInput, architecture: DualSpaceArchitecture) -> NetworkMap:
    """The density that agrees best with the amplitudes, each start's last; the first good one ends the search."""
    one_round = Round(architecture)
    nothing = jnp.zeros((len(data.amplitudes),) * 3)

    def trial(key):
        def cond_fun(carry):
            number, _, _, value = carry
            return (number < architecture.rounds) & (value < architecture.good)

        def body_fun(carry):
            number, state, _, _ = carry
            state, density = one_round.apply(params, state, data)
            return number + 1, state, density, correlate_amplitudes(density, data)

        begin = 0, draw_start(key, data), nothing, jnp.float32(-1.0)
        return jax.lax.while_loop(cond_fun, body_fun, begin)[2:]

    def cond_fun(best):
        return (best.starts < architecture.starts) & (best.agreement < architecture.good)

    def body_fun(best):
        density, value = trial(jax.random.fold_in(jax.random.key(0), best.starts))
        better = value > best.agreement
        return NetworkMap(jnp.where(better, density, best.density), jnp.where(better, value, best.agreement),
                     best.starts + 1)

    return jax.lax.while_loop(cond_fun, body_fun, NetworkMap(nothing, jnp.float32(-1.0), jnp.int32(0)))


def correlate_amplitudes(found: jax.Array, data: PhasingInput) -> jax.Array:
    """Correlation () of a density's (N, N, N) Patterson map with the measured one, of Gaussian atoms, without F000."""
    grid = len(data.amplitudes)
    transform = jnp.fft.rfftn(found)
    weights = jnp.where(data.measured, patterson.multiplicity(grid), 0.0).at[0, 0, 0].set(0.0)
    calculated = transform.real**2 + transform.imag**2
    return reflections.weighted_agreement(calculated, data.amplitudes**2, weights).correlation


def transform_of_atoms(positions: jax.Array, grid: int, atom_width: float) -> jax.Array:
    """Transform (N, N, N/2 + 1) of the map that the iteration looks for: Gaussian atoms of height 1.

    positions: (n, 3) voxels from voxel 0, where `density.density` has them from the map's middle.
    """
    index = jnp.fft.fftfreq(grid, 1 / grid), jnp.fft.fftfreq(grid, 1 / grid), jnp.fft.rfftfreq(grid, 1 / grid)
    waves = [jnp.exp(-2j * jnp.pi / grid * positions[:, axis, None] * index[axis]) for axis in range(3)]
    # In this order of products its last index runs fastest. XLA may otherwise ask the same of a Fourier transform that
    # meets it, which jaxlib 0.12.0.1 refuses to do on a CPU.
    planes = waves[0][:, :, None] * waves[1][:, None]
    return jnp.einsum("nxy,nz->xyz", planes, waves[2]) * gaussian_transform(grid, atom_width)


def render_as_target(found: jax.Array, problem: Problem, atom_width: float) -> jax.Array:
    """Gaussian atoms of height 1 as half the density of the problem's atoms: (N, N, N) to (N, N, N)."""
    grid = len(found)
    back = _atom_transform(grid, problem) / gaussian_transform(grid, atom_width)
    # What the Gaussian hardly holds is not blown up.
    back = np.where(back < 4 * back[0, 0, 0], back, 0.0)
    return jnp.fft.irfftn(jnp.fft.rfftn(found) * back, s=found.shape) / 2


def move_atoms_to_centre(values: jax.Array, inner_box: float) -> jax.Array:
    """A periodic map turned by whole voxels so that the atoms' mean, as far as it shows them, is in its middle.

    They are what lies in the box where most of the map is: a map of a crystal has no other end.
    """
    grid = len(values)
    inside = np.abs(np.arange(grid) + 0.5 - grid / 2) <= inner_box / 2 + 1
    box = (inside[:, None, None] & inside[:, None] & inside).astype(np.float32)
    held = jnp.fft.irfftn(jnp.fft.rfftn(values) * np.conj(np.fft.rfftn(box)), s=values.shape)
    shift = jnp.stack(jnp.unravel_index(jnp.argmax(held), values.shape))
    values = jnp.roll(values, -shift, axis=(0, 1, 2))
    weights = jnp.square(jnp.maximum(values, 0.0)) * box
    place = jnp.arange(grid) + 0.5 - grid / 2
    mean = jnp.stack([(weights.sum(axes) * place).sum() for axes in ((1, 2), (0, 2), (0, 1))])
    return jnp.roll(values, -jnp.round(mean / jnp.maximum(weights.sum(), 1e-12)).astype(int), axis=(0, 1, 2))


def check_dual_space(architecture: DualSpaceArchitecture) -> None:
    """Raises ValueError for sizes that make no network."""
    for name in ("width", "filters", "projected_filters", "rounds", "starts"):
        value, least = getattr(architecture, name), 0 if name.endswith("filters") else 1
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name}={value}: expected a whole number, at least {least}")
    for name in ("atom_width", "good"):
        if not 0 < getattr(architecture, name) < 100:
            raise ValueError(f"{name}={getattr(architecture, name)}: expected more than 0")


def gaussian_transform(grid: int, atom_width: float) -> np.ndarray:
    """Transform (N, N, N/2 + 1), real, of a Gaussian atom at the origin whose map has the height 1."""
    values = np.exp(-2 * (np.pi * atom_width * patterson.index_radius(grid) / grid) ** 2)
    return (values * grid**3 / (patterson.multiplicity(grid) * values).sum()).astype(np.float32)


def _atom_transform(grid: int, problem: Problem) -> np.ndarray:
    """The transform of one of the problem's atoms, a mean over its places in a voxel, kept from 0."""
    values = density.mean_transform(grid, problem.form_factor, problem.b_factor)
    return np.maximum(values, _LEAST_FACTOR * density.ATOM_VOLUME).astype(np.float32)


def _gaussian_profiles(grid: int) -> np.ndarray:
    radius = patterson.index_radius(grid) / grid
    return np.exp(-2 * (np.pi * _WIDTHS[:, None, None, None] * radius) ** 2).astype(np.float32)


def _highest_around(values: jax.Array) -> jax.Array:
    """Of each voxel and its 26 neighbours, periodic, the highest value."""
    for axis in range(3):
        values = jnp.maximum(values, jnp.maximum(jnp.roll(values, 1, axis), jnp.roll(values, -1, axis)))
    return values


def _rms(values: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.square(values).mean() + 1e-10)


def _rms_of_transform(amplitudes: jax.Array, grid: int) -> jax.Array:
    return jnp.sqrt((patterson.multiplicity(grid) * jnp.square(amplitudes)).sum()) / grid**3
