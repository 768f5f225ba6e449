"""What the two packages make of cases whose answer is known, and their released weights of the shipped examples."""

import pathlib
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

import phasenet
import saxsae
from launch.selftests.check import Measured
from launch.training.checkpoint import Checkpoints
from launch.training.state import TrainState
from phasenet import preparation
from phasenet.maps import density, patterson, synthesis
from phasenet.networks import losses
from phasenet.pretrained import load as load_patterson_network
from saxsae.io.structures.structure_files import read_structure
from saxsae.networks.losses import binary_correlation
from saxsae.pretrained import load as load_autoencoder
from saxsae.profiles import scattering, zernike
from saxsae.shapes import voxels

_SIX_ATOMS = pathlib.Path(phasenet.__file__).parent / "examples" / "six_atoms.npy"
_THREE_LOBES = pathlib.Path(saxsae.__file__).parent / "examples" / "three_lobes.pdb"
_GRID = 24


def covered_fraction_of_an_atom() -> Measured:
    """The voxels of an atom sum up to its volume, wherever it lies; at a corner eight of them hold an eighth each."""
    anywhere = np.random.default_rng(0).uniform(-5, 5, (20, 1, 3)).astype(np.float32)
    make = jax.jit(jax.vmap(lambda atom: density.density(atom, _GRID)))
    at_a_corner = np.zeros((_GRID,) * 3)
    at_a_corner[(slice(_GRID // 2 - 1, _GRID // 2 + 1),) * 3] = np.pi / 6
    sums = make(anywhere).sum((1, 2, 3))
    found = np.concatenate([sums, np.ravel(make(np.zeros((1, 1, 3), np.float32)))])
    return Measured(found, np.concatenate([np.full(20, density.ATOM_VOLUME), at_a_corner.ravel()]), 1e-5)


def patterson_map_of_two_atoms() -> Measured:
    """Of two atoms at corners of voxels, a whole number of voxels apart: eight voxels each, so three peaks of 27."""
    half = np.array([3, 1, 2])
    found = jax.jit(lambda atoms: patterson.patterson(density.density(atoms, _GRID)))(np.float32([half, -half]))
    profile = np.zeros(_GRID)
    profile[[-1, 0, 1]] = 1, 2, 1
    peak = (np.pi / 6) ** 2 * profile[:, None, None] * profile[:, None] * profile
    expected = 2 * peak + sum(np.roll(peak, side * 2 * half, (0, 1, 2)) for side in (-1, 1))
    return Measured(found, expected, 1e-5)


def gradient_against_finite_differences() -> Measured:
    """Of the misfit of a Patterson map in the places of its atoms: its slope on three ways, relative to its length."""
    true, start, *ways = np.random.default_rng(0).uniform(-4, 4, (5, 4, 3)).astype(np.float32)
    observed = patterson.patterson(density.density(true, _GRID))

    @jax.jit
    def misfit(atoms):
        difference = patterson.patterson(density.density(atoms, _GRID)) - observed
        return jnp.square(difference).sum() / jnp.square(observed).sum()

    gradient = np.asarray(jax.jit(jax.grad(misfit))(start), np.float64)
    ways = [way / np.linalg.norm(way) for way in ways]
    slopes = [(float(misfit(start + 0.02 * way)) - float(misfit(start - 0.02 * way))) / 0.04 for way in ways]
    length = np.linalg.norm(gradient)
    return Measured([(gradient * way).sum() / length for way in ways], np.array(slopes) / length, 0.01)


def scattering_of_a_ball() -> Measured:
    """I(q) by Zernike moments against Rayleigh: (3 (sin x - x cos x) / x^3)^2, x = q times the ball's radius."""
    radius, r_max, order = 11.5, 40.0, 20
    distance = np.sqrt(np.square(np.indices((voxels.GRID,) * 3) - voxels.CENTRE).sum(0))
    ball = np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32)  # nearly the covered fraction of each voxel
    q = np.linspace(0.004, 0.2, 50, dtype=np.float32)
    profile = jax.jit(lambda ball, q: scattering.profile_from_moments(zernike.moments(ball, order), q, r_max, order))
    found = np.asarray(profile(ball, q), np.float64)
    x = q.astype(np.float64) * radius * voxels.pitch(r_max)
    volume = 4 / 3 * np.pi * (radius / voxels.CENTRE) ** 3
    return Measured(found / volume**2, (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2, 0.01)


def released_patterson_network() -> Measured:
    """The correlation of what it shows of phasenet/examples/six_atoms.npy with the atoms beside that."""
    weights = load_patterson_network()
    atoms = np.loadtxt(_SIX_ATOMS.with_suffix(".csv"), delimiter=",", skiprows=1, usecols=(1, 2, 3), dtype=np.float32)
    prepared = preparation.prepare(np.load(_SIX_ATOMS), weights.problem, _SIX_ATOMS.name, count=True, adapt=True)
    problem = prepared.problem

    @jax.jit
    def correlation(params, patterson_map, atoms):
        network = weights._replace(params=params, problem=problem)
        found = network.answer(synthesis.network_input(patterson_map, problem))
        return losses.correlation_of_maps(found, jnp.fft.rfftn(synthesis.target(atoms, problem)))

    return Measured(correlation(weights.params, jnp.float32(prepared.patterson), atoms), 1, 0.03)


def released_autoencoder() -> Measured:
    """The correlation of the shape of saxsae/examples/three_lobes.pdb with what 200 numbers keep of it."""
    weights = load_autoencoder()
    shape, _ = voxels.voxelize_structure(read_structure(_THREE_LOBES, assembly=None).xyz_angstrom)
    padded = voxels.pad(jnp.float32(shape)[None])

    @jax.jit
    def correlation(params, padded):
        network = weights._replace(params=params)
        decoded = jax.nn.sigmoid(network.network.decode(params, network.encode(padded)))
        return binary_correlation(decoded, padded, network.threshold)[0]

    return Measured(correlation(weights.params, padded), 1, 0.05)


def checkpoint_written_and_read() -> Measured:
    """How many numbers of a training's state differ after it was saved and read."""
    values = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    state = TrainState(jnp.int32(7), {"w": jnp.array(values)}, {"mean": jnp.array(values[0])}, None, jax.random.key(5))
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(pathlib.Path(folder))
        checkpoints.save(state, {}, [])
        found, _ = checkpoints.restore(state, str)
        checkpoints.close()
    leaves = (jax.tree.leaves(tree._replace(key=jax.random.key_data(tree.key))) for tree in (state, found))
    return Measured(sum(np.sum(np.asarray(a) != np.asarray(b)) for a, b in zip(*leaves, strict=True)), 0, 0)


CHECKS = (covered_fraction_of_an_atom, patterson_map_of_two_atoms, gradient_against_finite_differences,
          scattering_of_a_ball, released_patterson_network, released_autoencoder, checkpoint_written_and_read)
