"""Checks of the two packages on cases with a known answer, run by `launch.selftest`.

The released weights are checked on the shipped examples.
"""

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
_GRID = 24  # voxels per edge of the maps


def covered_fraction_of_an_atom() -> Measured:
    """Checks that an atom's voxels sum to its volume, and that at a voxel corner eight voxels hold an eighth each."""
    anywhere = np.random.default_rng(0).uniform(-5, 5, (20, 1, 3)).astype(np.float32)
    make = jax.jit(jax.vmap(lambda atom: density.density(atom, _GRID)))
    at_a_corner = np.zeros((_GRID,) * 3)
    at_a_corner[(slice(_GRID // 2 - 1, _GRID // 2 + 1),) * 3] = np.pi / 6
    sums = make(anywhere).sum((1, 2, 3))
    found = np.concatenate([sums, np.ravel(make(np.zeros((1, 1, 3), np.float32)))])
    return Measured(found, np.concatenate([np.full(20, density.ATOM_VOLUME), at_a_corner.ravel()]), 1e-5)


def patterson_map_of_two_atoms() -> Measured:
    """Checks the Patterson map of two atoms at voxel corners, a whole number of voxels apart.

    Each atom fills eight voxels equally, so the map has three peaks of 27 voxels.
    """
    half = np.array([3, 1, 2])
    found = jax.jit(lambda atoms: patterson.patterson(density.density(atoms, _GRID)))(
        np.array([half, -half], np.float32))
    profile = np.zeros(_GRID)
    profile[[-1, 0, 1]] = 1, 2, 1
    peak = (np.pi / 6) ** 2 * profile[:, None, None] * profile[:, None] * profile
    expected = 2 * peak + sum(np.roll(peak, side * 2 * half, (0, 1, 2)) for side in (-1, 1))
    return Measured(found, expected, 1e-5)


def gradient_against_finite_differences() -> Measured:
    """Checks the gradient of a Patterson map's misfit in the atoms' positions against finite differences.

    The slopes along three random directions are compared, relative to the length of the gradient.
    """
    true, start, *drawn = np.random.default_rng(0).uniform(-4, 4, (5, 4, 3)).astype(np.float32)
    observed = patterson.patterson(density.density(true, _GRID))

    @jax.jit
    def misfit(atoms: jax.Array) -> jax.Array:
        difference = patterson.patterson(density.density(atoms, _GRID)) - observed
        return jnp.square(difference).sum() / jnp.square(observed).sum()

    gradient = np.asarray(jax.jit(jax.grad(misfit))(start), np.float64)
    directions = [vector / np.linalg.norm(vector) for vector in drawn]
    slopes = [(float(misfit(start + 0.02 * unit)) - float(misfit(start - 0.02 * unit))) / 0.04 for unit in directions]
    length = np.linalg.norm(gradient)
    along = np.array([(gradient * unit).sum() for unit in directions])
    return Measured(along / length, np.array(slopes) / length, 0.01)


def scattering_of_a_ball() -> Measured:
    """Checks I(q) of a ball by Zernike moments against Rayleigh's (3 (sin x - x cos x) / x^3)^2, x = q times radius."""
    radius, r_max, order = 11.5, 40.0, 20  # voxels, Angstrom, largest order of the moments
    distance = np.sqrt(np.square(np.indices((voxels.GRID,) * 3) - voxels.CENTRE).sum(0))
    ball = np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32)  # nearly the covered fraction of each voxel
    q = np.linspace(0.004, 0.2, 50, dtype=np.float32)  # 1/Angstrom
    profile = jax.jit(lambda ball, q: scattering.profile_from_moments(zernike.moments(ball, order), q, r_max, order))
    found = np.asarray(profile(ball, q), np.float64)
    x = q.astype(np.float64) * radius * voxels.pitch(r_max)
    volume = 4 / 3 * np.pi * (radius / voxels.CENTRE) ** 3
    return Measured(found / volume**2, (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2, 0.01)


def released_patterson_network() -> Measured:
    """Checks that the network's map of phasenet/examples/six_atoms.npy correlates with the true atoms' map."""
    weights = load_patterson_network()
    atoms = np.loadtxt(_SIX_ATOMS.with_suffix(".csv"), delimiter=",", skiprows=1, usecols=(1, 2, 3), dtype=np.float32)
    prepared = preparation.prepare(np.load(_SIX_ATOMS), weights.problem, _SIX_ATOMS.name, estimate_num_atoms=True,
                                   adapt_problem=True)
    problem = prepared.problem

    @jax.jit
    def correlation(params, patterson_map, atoms):
        network = weights._replace(params=params, problem=problem)
        found = network.compute_occupancy(synthesis.network_input(patterson_map, problem))
        return losses.correlation_of_maps(found, jnp.fft.rfftn(synthesis.network_target(atoms, problem)))

    return Measured(correlation(weights.params, jnp.float32(prepared.patterson), atoms), 1, 0.03)


def released_autoencoder() -> Measured:
    """Checks that the shape of saxsae/examples/three_lobes.pdb correlates with itself after encoding and decoding."""
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
    """Checks that no number of a training state differs after the state is saved and read.

    Raises:
      RuntimeError: the checkpoint is not found.
    """
    values = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    state = TrainState(jnp.int32(7), {"w": jnp.array(values)}, {"mean": jnp.array(values[0])}, None, jax.random.key(5))
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(pathlib.Path(folder))
        checkpoints.save(state, {}, [])
        restored = checkpoints.restore(state, lambda line: None)
        checkpoints.close()
    if restored is None:
        raise RuntimeError("the checkpoint that was just saved is not found")
    found, _ = restored
    leaves = (jax.tree.leaves(tree._replace(key=jax.random.key_data(tree.key))) for tree in (state, found))
    return Measured(sum(np.sum(np.asarray(a) != np.asarray(b)) for a, b in zip(*leaves, strict=True)), 0, 0)


CHECKS = (covered_fraction_of_an_atom, patterson_map_of_two_atoms, gradient_against_finite_differences,
          scattering_of_a_ball, released_patterson_network, released_autoencoder, checkpoint_written_and_read)
