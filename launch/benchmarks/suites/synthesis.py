"""Suite "synthesis": `phasenet.maps.synthesis` against vectorized NumPy, and its share of a training step.

The NumPy program takes a batch at a time too: it draws places for all atoms of all examples at once, integrates the
covered fractions of voxels over slices of the sphere with exact areas, and uses real transforms in float32.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from configs import phasenet_small
from configs.patterson_paper import published
from launch.benchmarks import bars
from launch.benchmarks.timing import Row, compare
from launch.tasks.patterson import PattersonTask
from launch.training import step as steps
from launch.training.optimizer import make_optimizer
from phasenet.maps import synthesis
from phasenet.maps.atoms import AtomRules

LEAST_RATIO = 20.0  # required ratio of NumPy's time over ours, on the larger maps
MOST_SHARE = 0.05  # largest share of a training step that making its examples may take
BATCH = 64
PROBLEMS = {
    "10 atoms, box 12, maps of 40": synthesis.Problem(),
    "6 atoms, box 8, maps of 24": synthesis.Problem(AtomRules(6, 8.0), 24),
}
_SLICES = 12  # of a voxel; the errors of the fractions are then below 1e-3
_PLACES = 4  # drawn for each atom


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """Measures both problems, then the share of the examples in two training steps.

    Args:
      report: receives each row as soon as it is measured.

    Returns:
      Examples per second, ratios, largest relative differences ("deviation"), shares, and bars.
    """
    summary: dict[str, float] = {}
    for name, problem in PROBLEMS.items():
        row = examples(name, problem, BATCH)
        report(row)
        size = f"grid_{problem.grid}"
        summary |= {f"ratio_{size}": row.ratio, f"examples_per_second_{size}": BATCH / row.seconds,
                    f"numpy_examples_per_second_{size}": BATCH / row.peer_seconds,
                    f"deviation_{size}": row.details["deviation"]}
    shares = {}
    for name, config in (("phasenet_published", published.get_config()),
                         ("phasenet_small", phasenet_small.get_config())):
        if name == "phasenet_published":
            config.batch_size = 4
        row = training_step(f"of a step of {name}.py", config)
        report(row)
        shares[name] = 1 / row.ratio
    return summary | {f"share_of_{name}": share for name, share in shares.items()} | {"bars": [
        bars.at_least("NumPy's time over ours, maps of 40", summary["ratio_grid_40"], LEAST_RATIO),
        *(bars.at_most(f"share of a step of {name}.py", share, MOST_SHARE) for name, share in shares.items())]}


def examples(name: str, problem: synthesis.Problem, batch: int, seconds: float = 8.0) -> Row:
    """Times the making of a batch of examples, ours against NumPy.

    Args:
      name: name of the row.
      problem: the problem whose examples are made.
      batch: number of examples.
      seconds: about how many seconds are measured.

    Returns:
      The row; its detail "deviation" is the largest relative difference of both programs' maps of the same atoms.
    """
    plain = Plain(problem)
    keys = jax.random.split(jax.random.key(0), batch)
    ours = jax.jit(jax.vmap(lambda key: synthesis.make_example(key, problem))).lower(keys).compile()
    made = ours(keys)
    # The largest difference is part of the row: times are comparable only where the same atoms give the same maps.
    patterson_maps, targets = plain.maps(np.asarray(made.positions))
    deviation = max(_deviation(patterson_maps, made.patterson), _deviation(targets, made.target))
    # At least the two float32 maps of each example are written.
    return compare(name, "NumPy", lambda: ours(keys), lambda: plain.run(batch), seconds=seconds,
                   moved_bytes=2 * 4 * batch * problem.grid**3, batch=batch, deviation=deviation)


def training_step(name: str, config: Any, seconds: float = 10.0) -> Row:
    """Times the examples of a training step ("ours") beside the whole step ("peer"); their share is 1 / ratio.

    Args:
      name: name of the row.
      config: config of the training, as in `configs/`.
      seconds: about how many seconds are measured.
    """
    task = PattersonTask(config)
    params = steps.init_params(config, task)
    trainable = task.trainable(params)
    optimizer = make_optimizer(config, trainable)
    state = steps.replicate(steps.init_state(config, optimizer, params))
    step = steps.make_step(config, task, optimizer, trainable)
    numbers = steps.example_indices(config.batch_size)
    keys = jax.random.split(jax.random.key(0), numbers.shape)
    batch = jax.pmap(lambda keys: task.batch(keys, jnp.int32(0), task.data))

    def train() -> Any:
        nonlocal state
        state, metrics = step(state, task.data, numbers)
        return metrics

    jax.block_until_ready((train(), batch(keys)))
    return compare(name, "step", lambda: batch(keys), train, seconds=seconds, batch=config.batch_size)


def _deviation(theirs: np.ndarray, ours: jax.Array) -> float:
    """Returns the largest difference, relative to the largest value of ours."""
    values = np.asarray(ours)
    return float(np.abs(theirs - values).max() / np.abs(values).max())


class Plain:
    """Makes examples in NumPy, many at a time: sphere atoms, targets of atoms and their inverse, all reflections.

    Args:
      problem: the problem; only its rules for atoms and its grid are used.
      seed: seed of the atoms.
    """

    def __init__(self, problem: synthesis.Problem, seed: int = 0) -> None:
        self.rules, self.grid = problem.atoms, problem.grid
        self.random = np.random.default_rng(seed)

    def run(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns Patterson maps, origin in the middle, and targets, (count, N, N, N) each."""
        return self.maps(self.draw(count))

    def draw(self, count: int) -> np.ndarray:
        """Returns positions (count, n, 3), voxels, centred on their mean; those that break the rules are redrawn."""
        drawn, have = [], 0
        while have < count:
            positions, good = self._place(2 * count)
            positions -= positions.mean(1, keepdims=True)
            good &= (np.abs(positions) <= self.rules.inner_box / 2).all((1, 2))
            drawn.append(positions[good])
            have += len(drawn[-1])
        return np.concatenate(drawn)[:count]

    def _place(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Puts atoms at free random places; returns positions (count, n, 3) and whether all n are placed."""
        atoms, half = self.rules.num_atoms, self.rules.inner_box / 2
        places = self.random.uniform(-half, half, (count, _PLACES * atoms, 3)).astype(np.float32)
        positions = np.full((count, atoms, 3), np.inf, np.float32)  # far from all
        placed = np.zeros(count, int)
        for place in places.swapaxes(0, 1):
            near = np.square(positions - place[:, None]).sum(-1) < self.rules.min_distance**2
            free = np.flatnonzero(~near.any(1) & (placed < atoms))
            positions[free, placed[free]] = place[free]
            placed[free] += 1
        good = placed == atoms
        positions[~good] = 0.0
        return positions, good

    def maps(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns Patterson maps, origin in the middle, and targets (B, N, N, N) of positions (B, n, 3), voxels."""
        corner = positions.astype(np.float32) + self.grid / 2
        middle = np.floor(corner)
        voxel = (middle.astype(int)[..., None] + np.arange(-1, 2)) % self.grid  # (B, n, axis, 3)
        density = np.zeros((len(positions), *(self.grid,) * 3), np.float32)
        example = np.arange(len(positions))[:, None, None, None, None]
        np.add.at(density, (example, voxel[:, :, 0, :, None, None], voxel[:, :, 1, None, :, None],
                            voxel[:, :, 2, None, None, :]), covered_fractions(corner - middle))
        axes, size = (1, 2, 3), (self.grid,) * 3
        factors = np.fft.rfftn(density, axes=axes)
        patterson_maps = np.fft.irfftn(np.square(factors.real) + np.square(factors.imag), size, axes)
        return np.fft.fftshift(patterson_maps, axes), (density + density[:, ::-1, ::-1, ::-1]) / 2


def covered_fractions(offset: np.ndarray) -> np.ndarray:
    """Returns the fractions of 3^3 voxels that a sphere of radius 1 covers, by Gauss-Legendre quadrature over slices.

    Args:
      offset: (..., 3) place of the sphere's centre in the middle voxel, 0 to 1.

    Returns:
      (..., 3, 3, 3) fractions, 0 to 1.
    """
    node, weight = (a.astype(np.float32) for a in np.polynomial.legendre.leggauss(_SLICES))
    edges = np.arange(-1, 3, dtype=np.float32)
    planes = np.clip(edges - offset[..., :1], -1, 1)  # slices outside the sphere get thickness 0
    thickness = np.diff(planes)[..., None]
    height = (planes[..., :-1, None] + thickness * (node + 1) / 2).reshape(*offset.shape[:-1], -1)
    radius2 = np.maximum(1 - height**2, 1e-12)[..., None]  # of the sphere's slices: (..., 3 _SLICES, 1)
    y, z = (np.clip(edges - offset[..., axis, None, None], -np.sqrt(radius2), np.sqrt(radius2)) for axis in (1, 2))
    below_y, below_z = (t * np.sqrt(np.maximum(radius2 - t**2, 0)) / 2
                        + radius2 / 2 * np.arcsin(np.clip(t / np.sqrt(radius2), -1, 1)) for t in (y, z))
    y, z, below_y, below_z = y[..., :, None], z[..., None, :], below_y[..., :, None], below_z[..., None, :]
    # Signed area of the slice between its centre and the corner (y, z); inside the slice it is a rectangle's, y z.
    radius2 = radius2[..., None]
    beyond = np.copysign(1, z) * below_y + np.copysign(1, y) * below_z - np.copysign(np.pi / 4 * radius2, y * z)
    area = np.where(y * y + z * z < radius2, y * z, beyond)
    area = np.diff(np.diff(area, axis=-1), axis=-2)
    area = area.reshape(*offset.shape[:-1], 3, _SLICES, 3, 3)
    return np.einsum("...isjk,...is->...ijk", area, thickness * weight / 2)
