"""The dual-space network, an unrolled projection algorithm; `launch.solve` runs it by default.

The network iterates from random phases to a density of the atoms in one of the two hands. Untrained, it is the
relaxed-reflect-reflect iteration (Elser, Lan, Bendory, arXiv:1706.00399) with a soft threshold. Its 682 weights do not
depend on the grid size, and all rounds and voxels share them. One round (`Round`) takes these steps:

1. Form the current map: memory + step * the last projected map.
2. Describe each voxel by the current map, the projected map, the highest value around it, and filtered maps.
3. Pass these through a perceptron of two hidden layers, conditioned on the number of atoms, the resolution and the
   noise, to three corrections per voxel.
4. Form the density: the current map under a soft threshold, with the first two corrections.
5. Reflect: 2 * density - current map, with the third correction.
6. Project: give the reflected map the measured amplitudes, and keep its phases and its unmeasured reflections.
7. Set memory = current map - step * density.

`find_map` runs up to `rounds` rounds from each of up to `starts` starts, until a density agrees with the amplitudes.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from phasenet.maps import density, patterson, reflections, synthesis
from phasenet.maps.synthesis import Problem
from phasenet.voxel_layers import highest_around, mix_channels

# Standard deviations, in voxels, of the Gaussians whose weighted sum is a learned filter.
_FILTER_WIDTHS = np.array([0.4, 0.7, 1.1, 1.7, 2.6, 4.0])
# Amplitudes are divided by the transform of an atom, which is kept above this fraction of an atom's volume.
_MIN_ATOM_TRANSFORM = 0.025
# The number of atoms, the resolution, the noise, and two root mean squares of the current map.
_NUM_CONDITIONS = 5


class DualSpaceArchitecture(NamedTuple):
    """Sizes of the network and of its search. All static.

    Attributes:
      width: channels of the two hidden layers.
      filters: number of learned isotropic filters of the current map.
      projected_filters: number of learned isotropic filters of the last projected map.
      atom_width: standard deviation of the Gaussian atoms of the density, voxels.
      rounds: largest number of rounds from one start.
      starts: largest number of starts from random phases.
      good: the correlation (`correlate_patterson_maps`) that ends the search.
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
      amplitudes: (N, N, N/2 + 1) amplitudes of the density's Gaussian atoms of height 1; 0 where not measured.
      measured: (N, N, N/2 + 1) bool, whether a reflection was measured.
      conditions: (3,) number of atoms, resolution and noise, scaled to order 1.
    """

    amplitudes: jax.Array
    measured: jax.Array
    conditions: jax.Array


class IterationState(NamedTuple):
    """What one round hands to the next.

    Attributes:
      projected: (N, N, N) the last map with the measured amplitudes.
      transform: (N, N, N/2 + 1) complex, the rfftn of `projected`.
      memory: (N, N, N) the map that the next round adds step * `projected` to.
    """

    projected: jax.Array
    transform: jax.Array
    memory: jax.Array


class Round(nn.Module):
    """One round of the iteration (the steps above); its parameters are those of the whole network."""

    architecture: DualSpaceArchitecture = DualSpaceArchitecture()

    @nn.compact
    def __call__(self, state: IterationState, data: PhasingInput) -> tuple[IterationState, jax.Array]:
        """Returns the next state and the density (N, N, N) of Gaussian atoms of height 1."""
        arch, grid = self.architecture, len(data.amplitudes)
        step = self.param("step", nn.initializers.constant(0.5), ())
        cut = self.param("cut", nn.initializers.constant(2.2), ())
        steepness = self.param("steepness", nn.initializers.constant(4.0), ())
        current = state.memory + step * state.projected
        current_rms = _rms(current)
        # By Parseval, the amplitudes give the root mean square of the true density.
        unit = _rms_of_amplitudes(data.amplitudes, grid)
        conditions = jnp.concatenate([data.conditions, jnp.stack([current_rms, _rms(jax.nn.relu(current))]) / unit])

        features = [current, state.projected, highest_around(current, (0, 1, 2))]
        features += self._filter("filters", arch.filters, jnp.fft.rfftn(current), grid)
        features += self._filter("projected_filters", arch.projected_filters, state.transform, grid)
        hidden = jnp.stack(features).reshape(len(features), -1) / (5 * unit)
        for number in range(2):
            hidden = jax.nn.relu(mix_channels(self, f"hidden_{number}", hidden, arch.width, conditions))
        # The corrections are zero before training: then this is relaxed-reflect-reflect with a soft threshold.
        corrections = mix_channels(self, "out", hidden, 3, None, nn.initializers.zeros).reshape(3, grid, grid, grid)

        kept_share = jax.nn.sigmoid(steepness * (current / (cut * current_rms) - 1) + corrections[0])
        density_map = current * kept_share + unit * corrections[1]
        projected, transform = impose_amplitudes(2 * density_map - current + unit * corrections[2], data)
        return IterationState(projected, transform, current - step * density_map), density_map

    def _filter(self, name: str, count: int, transform: jax.Array, grid: int) -> list[jax.Array]:
        """Returns `count` learned isotropic filters, (N, N, N) each, of the map with this transform."""
        weights = self.param(name, nn.initializers.normal(0.5), (count, len(_FILTER_WIDTHS)))
        profiles = jnp.einsum("cj,jxyz->cxyz", weights, _gaussian_profiles(grid))
        return [jnp.fft.irfftn(transform * profile, s=(grid,) * 3) for profile in profiles]


class DualSpaceNetwork(NamedTuple):
    """The network from a Patterson map to an occupancy map: `init` and `apply` like a Flax module, around a search.

    Attributes:
      architecture: its sizes.
      problem: what the atoms are like, and which reflections were measured with what noise.
    """

    architecture: DualSpaceArchitecture
    problem: Problem

    def init(self, key: jax.Array, patterson_maps: jax.Array | None) -> Mapping[str, Any]:
        """Draws fresh parameters; they do not depend on the maps, so `patterson_maps` may be None."""
        del patterson_maps
        shapes = (8, 8, 8), (8, 8, 5)
        data = PhasingInput(jnp.ones(shapes[1]), jnp.ones(shapes[1], bool), jnp.zeros(_NUM_CONDITIONS - 2))
        state = IterationState(jnp.ones(shapes[0]), jnp.ones(shapes[1], jnp.complex64), jnp.ones(shapes[0]))
        return Round(self.architecture).init(key, state, data)

    def apply(self, params: Mapping[str, Any], patterson_maps: jax.Array) -> jax.Array:
        """Returns half the density of the atoms (B, N, N, N), in one of the two hands, in the middle of each map.

        Args:
          params: parameters, see `init`.
          patterson_maps: (B, N, N, N), N = problem.grid, the origin in the middle, on the scale of the atoms.
        """
        return jax.lax.map(lambda patterson_map: self._apply_to_one(params, patterson_map), patterson_maps)

    def _apply_to_one(self, params: Mapping[str, Any], patterson_map: jax.Array) -> jax.Array:
        """Returns `apply` for one map (N, N, N)."""
        problem, width = synthesis.crop_to_patterson(self.problem), self.architecture.atom_width
        which = reflections.select_reflections(problem.grid)
        observed = reflections.observed_intensities(jnp.fft.ifftshift(patterson_map), which)
        data = prepare_input(observed.reshape(problem.grid, problem.grid, -1), problem, width)
        density_map = find_map(params, data, self.architecture).density
        shown = move_atoms_to_centre(render_as_target(density_map, problem, width), problem.atoms.inner_box)
        return jnp.pad(shown, (self.problem.grid - problem.grid) // 2)


def prepare_input(intensities: jax.Array, problem: Problem, atom_width: float) -> PhasingInput:
    """Returns what the iteration works on: amplitudes of Gaussian atoms of height 1, from the problem's intensities.

    Args:
      intensities: (N, N, N/2 + 1) squared amplitudes of the problem's atoms, on the scale of the atoms.
      problem: gives the atoms' form factor, the resolution and the noise; its `grid` is not used.
      atom_width: standard deviation of the Gaussian atoms, voxels.
    """
    grid = intensities.shape[0]
    sharpening = gaussian_transform(grid, atom_width) / _atom_transform(grid, problem)
    measured = np.ones(intensities.shape, bool)
    if problem.h_max is not None:
        measured = patterson.index_radius(grid) <= problem.h_max
    amplitudes = jnp.where(measured, jnp.sqrt(jnp.maximum(intensities, 0.0)) * sharpening, 0.0)
    highest_frequency = min(0.5, (problem.h_max or grid) / grid)  # cycles per voxel
    conditions = jnp.array([problem.atoms.num_atoms / 20 - 1, 4 * highest_frequency - 1, 10 * problem.noise])
    return PhasingInput(amplitudes, jnp.asarray(measured), conditions)


def draw_start(key: jax.Array, data: PhasingInput) -> IterationState:
    """Draws a state with the measured amplitudes and random phases."""
    grid = len(data.amplitudes)
    noise = jnp.fft.rfftn(jax.random.normal(key, (grid,) * 3))
    transform = data.amplitudes * noise / (jnp.abs(noise) + 1e-6)
    projected = jnp.fft.irfftn(transform, s=(grid,) * 3)
    return IterationState(projected, transform, 0.5 * projected)


def impose_amplitudes(values: jax.Array, data: PhasingInput) -> tuple[jax.Array, jax.Array]:
    """Projects a map (N, N, N) onto the measured amplitudes; phases and reflections not measured stay.

    Returns:
      The projected map (N, N, N), and its rfftn (N, N, N/2 + 1).
    """
    transform = jnp.fft.rfftn(values)
    power = transform.real**2 + transform.imag**2
    transform = jnp.where(data.measured, data.amplitudes * jax.lax.rsqrt(power + 1e-8) * transform, transform)
    return jnp.fft.irfftn(transform, s=values.shape), transform


class NetworkMap(NamedTuple):
    """The best density of a search.

    Attributes:
      density: (N, N, N) Gaussian atoms of height 1.
      correlation: () of its Patterson map with the measured one, see `correlate_patterson_maps`.
      starts: () number of starts that were run.
    """

    density: jax.Array
    correlation: jax.Array
    starts: jax.Array


def find_map(params: Mapping[str, Any], data: PhasingInput, architecture: DualSpaceArchitecture) -> NetworkMap:
    """Returns the density that agrees best with the amplitudes, among the last densities of all starts.

    A start ends after `architecture.rounds` rounds, the search after `architecture.starts` starts, and both as soon as
    the correlation reaches `architecture.good`. The starts are the same at each call.
    """
    one_round = Round(architecture)
    empty = jnp.zeros((len(data.amplitudes),) * 3)

    def run_start(key):
        def cond_fun(carry):
            number, _, _, correlation = carry
            return (number < architecture.rounds) & (correlation < architecture.good)

        def body_fun(carry):
            number, state, _, _ = carry
            state, density_map = one_round.apply(params, state, data)
            return number + 1, state, density_map, correlate_patterson_maps(density_map, data)

        initial = 0, draw_start(key, data), empty, jnp.float32(-1.0)
        return jax.lax.while_loop(cond_fun, body_fun, initial)[2:]

    def cond_fun(best):
        return (best.starts < architecture.starts) & (best.correlation < architecture.good)

    def body_fun(best):
        density_map, correlation = run_start(jax.random.fold_in(jax.random.key(0), best.starts))
        better = correlation > best.correlation
        return NetworkMap(jnp.where(better, density_map, best.density),
                          jnp.where(better, correlation, best.correlation), best.starts + 1)

    return jax.lax.while_loop(cond_fun, body_fun, NetworkMap(empty, jnp.float32(-1.0), jnp.int32(0)))


def correlate_patterson_maps(density_map: jax.Array, data: PhasingInput) -> jax.Array:
    """Returns the Pearson correlation () of a density's Patterson map with the measured one, without F000.

    Only measured reflections count. The density (N, N, N) is one of Gaussian atoms of height 1, like `data.amplitudes`.
    """
    grid = len(data.amplitudes)
    transform = jnp.fft.rfftn(density_map)
    weights = jnp.where(data.measured, patterson.multiplicity(grid), 0.0).at[0, 0, 0].set(0.0)
    calculated = transform.real**2 + transform.imag**2
    return reflections.weighted_agreement(calculated, data.amplitudes**2, weights).correlation


def transform_of_atoms(positions: jax.Array, grid: int, atom_width: float) -> jax.Array:
    """Returns the transform of the true density, Gaussian atoms of height 1.

    Args:
      positions: (n, 3) voxels from voxel 0 (in `density.density` they are from the middle of the map).
      grid: N, voxels an edge.
      atom_width: standard deviation of the atoms, voxels.

    Returns:
      (N, N, N/2 + 1) complex.
    """
    index = jnp.fft.fftfreq(grid, 1 / grid), jnp.fft.fftfreq(grid, 1 / grid), jnp.fft.rfftfreq(grid, 1 / grid)
    waves = [jnp.exp(-2j * jnp.pi / grid * positions[:, axis, None] * index[axis]) for axis in range(3)]
    # With this order of products, the last index of the result runs fastest in memory. With another order, XLA may ask
    # for that order in a Fourier transform that uses the result, which jaxlib 0.12.0.1 refuses on a CPU.
    planes = waves[0][:, :, None] * waves[1][:, None]
    return jnp.einsum("nxy,nz->xyz", planes, waves[2]) * gaussian_transform(grid, atom_width)


def render_as_target(density_map: jax.Array, problem: Problem, atom_width: float) -> jax.Array:
    """Returns half the density of the problem's atoms (N, N, N), as networks are trained to show it.

    Args:
      density_map: (N, N, N) the same atoms as Gaussian atoms of height 1.
      problem: gives the atoms' form factor.
      atom_width: standard deviation of the Gaussian atoms, voxels.
    """
    grid = len(density_map)
    ratio = _atom_transform(grid, problem) / gaussian_transform(grid, atom_width)
    # Where the transform of a Gaussian atom is close to 0, the ratio would only enlarge errors.
    ratio = np.where(ratio < 4 * ratio[0, 0, 0], ratio, 0.0)
    return jnp.fft.irfftn(jnp.fft.rfftn(density_map) * ratio, s=density_map.shape) / 2


def move_atoms_to_centre(values: jax.Array, inner_box: float) -> jax.Array:
    """Returns a periodic map (N, N, N) shifted by whole voxels so that the atoms' centroid is in its middle.

    The atoms of a periodic map may lie across its boundary. They are taken to be in the cube, of edge `inner_box` + 2
    voxels, over which the map's sum is largest.
    """
    grid = len(values)
    inside = np.abs(np.arange(grid) + 0.5 - grid / 2) <= inner_box / 2 + 1
    box = (inside[:, None, None] & inside[:, None] & inside).astype(np.float32)
    box_sums = jnp.fft.irfftn(jnp.fft.rfftn(values) * np.conj(np.fft.rfftn(box)), s=values.shape)
    shift = jnp.stack(jnp.unravel_index(jnp.argmax(box_sums), values.shape))
    values = jnp.roll(values, -shift, axis=(0, 1, 2))
    weights = jnp.square(jnp.maximum(values, 0.0)) * box
    place = jnp.arange(grid) + 0.5 - grid / 2
    mean = jnp.stack([(weights.sum(axes) * place).sum() for axes in ((1, 2), (0, 2), (0, 1))])
    return jnp.roll(values, -jnp.round(mean / jnp.maximum(weights.sum(), 1e-12)).astype(int), axis=(0, 1, 2))


def check_dual_space(architecture: DualSpaceArchitecture) -> None:
    """Checks the sizes of a network.

    Raises:
      ValueError: a size is not possible.
    """
    for name in ("width", "filters", "projected_filters", "rounds", "starts"):
        value, least = getattr(architecture, name), 0 if name.endswith("filters") else 1
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name}={value}: expected a whole number, at least {least}")
    for name in ("atom_width", "good"):
        if not 0 < getattr(architecture, name) < 100:
            raise ValueError(f"{name}={getattr(architecture, name)}: expected more than 0 and less than 100")


def gaussian_transform(grid: int, atom_width: float) -> np.ndarray:
    """Returns the transform (N, N, N/2 + 1), real, of a Gaussian atom at voxel 0 whose map has the height 1.

    `grid` is N, and `atom_width` the standard deviation of the atom in voxels.
    """
    values = np.exp(-2 * (np.pi * atom_width * patterson.index_radius(grid) / grid) ** 2)
    return (values * grid**3 / (patterson.multiplicity(grid) * values).sum()).astype(np.float32)


def _atom_transform(grid: int, problem: Problem) -> np.ndarray:
    """Returns the transform (N, N, N/2 + 1) of a problem's atom, the mean over its places in a voxel, kept above 0."""
    values = density.mean_transform(grid, problem.form_factor, problem.b_factor)
    return np.maximum(values, _MIN_ATOM_TRANSFORM * density.ATOM_VOLUME).astype(np.float32)


def _gaussian_profiles(grid: int) -> np.ndarray:
    """Returns the transforms of the Gaussians of `_FILTER_WIDTHS`, each of sum 1: (6, N, N, N/2 + 1)."""
    radius = patterson.index_radius(grid) / grid
    return np.exp(-2 * (np.pi * _FILTER_WIDTHS[:, None, None, None] * radius) ** 2).astype(np.float32)


def _rms(values: jax.Array) -> jax.Array:
    """Returns the root mean square () of a map, with a finite gradient at 0."""
    return jnp.sqrt(jnp.square(values).mean() + 1e-10)


def _rms_of_amplitudes(amplitudes: jax.Array, grid: int) -> jax.Array:
    """Returns the root mean square () of a map (N, N, N) with these amplitudes (N, N, N/2 + 1)."""
    return jnp.sqrt((patterson.multiplicity(grid) * jnp.square(amplitudes)).sum()) / grid**3
