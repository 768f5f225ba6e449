"""Lists structures of the validation split, simulates their curves, and removes their relatives from a bank.

`launch.evaluate --task=confidence` calls this module; `--task=reconstruction --from_models` calls its `simulate`.
Curves are those of atoms with the amplitudes of their elements in a shell of bound water
(`saxsae.profiles.simulation.solution_intensity`); exposure, range of q, contrast of the shell and small errors of the
subtracted buffer and of the detector are drawn for each.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from launch.datasets import structure_sources
from phasenet.errors import InputError
from saxsae.io.structures.structure_files import Structure
from saxsae.io.structures.voxelized_corpus import read_voxelized
from saxsae.pretrained import Pretrained
from saxsae.profiles import simulation
from saxsae.profiles.simulation import SimulatedCurve
from saxsae.shapes import densities, voxels
from saxsae.superposition import alignment

RELATIVE = 0.85  # structures whose shapes correlate at least this much are relatives
_MOST_ATOMS = 12_000  # for larger structures the sum over pairs takes minutes
_Q_RG_START = (0.15, 0.8)
_Q_MAX = (0.18, 0.35)  # 1/A
_POINTS = (120, 600)
_CONTRAST, _CONTRAST_SPREAD = 0.02, 0.01  # of the shell, e/A^3
_EXPOSURE = (0.1, 3.0)  # relative to that of `simulation.noise_sigma`
_SMOOTH_ERROR, _SMOOTH_WIDTH = 0.012, 0.03  # relative, and its width in q, 1/A
_BUFFER_ERROR = 3e-4  # of I(0)
_COMPARED = 64  # structures of the bank, nearest in size, that are compared with a held-out one


class HeldOut(NamedTuple):
    """A structure that no training saw; `seed` draws its curve."""

    structure: Structure
    seed: int

    @property
    def id(self) -> str:
        """Name of the structure."""
        return self.structure.name


def list_held_out(structures: str, corpus: str) -> list[HeldOut]:
    """Returns the structures of the validation split, in a fixed random order.

    Args:
      structures: the value of --input of launch.prepare_structures.
      corpus: the packed set that launch.prepare_structures wrote.

    Raises:
      InputError: a file is missing or malformed, or no structure is of the validation split.
    """
    packed = read_voxelized(corpus)
    known = structure_sources.load_by_name(structures, corpus)
    rows = np.random.default_rng(0).permutation(np.flatnonzero(packed.split == 1))
    found = [HeldOut(known[str(packed.names[row])], int(row)) for row in rows if str(packed.names[row]) in known]
    found = [one for one in found if len(one.structure.xyz_angstrom) <= _MOST_ATOMS]
    if not found:
        raise InputError(f"{structures}: no structure of the validation split of {corpus} in it")
    return found


def simulate(structure: Structure, seed: int) -> SimulatedCurve:
    """Returns a curve of a structure as it might be measured, with bound water, noise and errors of the measurement.

    Args:
      structure: atoms whose elements are known.
      seed: draws the range of q, the contrast of the shell, the exposure, the noise and the errors.

    Returns:
      The curve, 120 to 599 points.
    """
    xyz, atomic_number = structure.xyz_angstrom, structure.atomic_number
    rng = np.random.default_rng([seed, 21])
    rg = float(np.sqrt(((xyz - xyz.mean(0))**2).sum(-1).mean()))
    q = np.linspace(rng.uniform(*_Q_RG_START) / rg, rng.uniform(*_Q_MAX), int(rng.integers(*_POINTS)))
    contrast = max(rng.normal(_CONTRAST, _CONTRAST_SPREAD), 0.0)
    intensity = simulation.solution_intensity(xyz, atomic_number, np.concatenate([[0.0], q]), contrast)
    exact = intensity[1:] / intensity[0]
    exposure = np.exp(rng.uniform(*np.log(_EXPOSURE)))
    sigma = simulation.noise_sigma(q, exact, densities.ATOM_VOLUME_ANGSTROM3 * len(xyz)) / np.sqrt(exposure)
    waves = np.exp(-0.5 * ((q[:, None] - np.arange(0, q[-1] + _SMOOTH_WIDTH, _SMOOTH_WIDTH)) / _SMOOTH_WIDTH)**2)
    smooth = waves @ rng.normal(size=waves.shape[1]) / np.sqrt((waves**2).sum(1).mean())
    wrong = exact * np.exp(_SMOOTH_ERROR * smooth) + _BUFFER_ERROR * rng.normal()
    return SimulatedCurve(q, wrong + sigma * rng.normal(size=len(q)), sigma, exact)


def without_relatives(pretrained: Pretrained, structure: Structure) -> Pretrained:
    """Returns weights whose bank lacks the structures that resemble `structure` or have its PDB id."""
    bank = pretrained.bank
    if bank is None:
        raise InputError("these weights have no bank of structures")
    occupancy, r_max = voxels.voxelize_structure(structure.xyz_angstrom, None)
    rg = float(np.sqrt(((structure.xyz_angstrom - structure.xyz_angstrom.mean(0))**2).sum(-1).mean()))
    unlike = np.abs(np.log(bank.r_max_angstrom / r_max)) + np.abs(np.log(bank.rg_angstrom / rg))
    near = np.argsort(unlike)[:_COMPARED]
    maps = np.asarray(_decode(pretrained, jnp.asarray(bank.codes[near])))
    found = [alignment.superpose(one, voxels.pitch(radius), np.asarray(occupancy, np.float32), voxels.pitch(r_max),
                                 effort=alignment.FAST).correlation
             for one, radius in zip(maps, bank.r_max_angstrom[near], strict=True)]
    same = [row for row, pdb_id in enumerate(bank.pdb_ids) if pdb_id and pdb_id == structure.pdb_id]
    relatives = np.concatenate([near[np.asarray(found) > RELATIVE], np.array(same, int)])
    return pretrained._replace(bank=bank.without(relatives))


def _decode(pretrained: Pretrained, codes: jax.Array) -> jax.Array:
    """Returns the binary shapes (N, 31, 31, 31) of codes (N, K)."""
    logits = pretrained.network.decode(pretrained.params, codes)[:, :voxels.GRID, :voxels.GRID, :voxels.GRID]
    return (jax.nn.sigmoid(logits) * voxels.sphere_mask() > pretrained.threshold).astype(jnp.float32)
