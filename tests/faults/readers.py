"""Every reader of a user's files: the good files to begin with, the call, and what must hold of what it returns."""

import pathlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags

from launch import app, train
from launch.training import weights
from launch.training.defaults import check_config
from launch.training.optimizer import make_optimizer
from launch.training.step import example_indices, init_state
from launch.training.task import load_task_class
from phasenet import preparation
from phasenet import pretrained as phasenet_weights
from phasenet.io.amplitudes import read_amplitudes
from phasenet.io.ccp4 import read_map
from phasenet.io.patterson_maps import read_patterson
from saxsae import pretrained as saxsae_weights
from saxsae.io.curves.measured_curves import read_curve
from saxsae.io.curves.units import TO_INVERSE_ANGSTROM
from saxsae.io.servers.rcsb import read_pdb_ids
from saxsae.io.structures.corpus import read_archive
from saxsae.io.structures.structure_files import read_structure
from saxsae.io.structures.voxelized_corpus import read_voxelized
from tests.faults import good_files


class Reader(NamedTuple):
    """One reader.

    Attributes:
      make: writes good files, or folders of files, into a folder.
      read: the call; what is no good file is an InputError.
      check: asserts what must hold of what it returns.
      share: of the mutations, relative to the others.
      data: patterns of further good files in the collection of measured data.
      flags: the mistakes are told as `launch.app` tells them, by one line on standard error; they name the flag.
    """

    make: Callable[[pathlib.Path], None]
    read: Callable[[str], Any]
    check: Callable[[Any], None]
    share: float = 1.0
    data: tuple[str, ...] = ()
    flags: bool = False


def finite(*arrays) -> None:
    for array in arrays:
        array = np.asarray(array)
        assert array.dtype.kind in "fiu" and np.isfinite(array).all(), "values that are not finite"


def told(notes) -> None:
    for note in notes:
        assert isinstance(note, str) and "\n" not in note and len(note) < 400, f"a note: {note[:200]!r}"


def check_curve(curve):
    q, intensity, sigma = curve.q_inv_angstrom, curve.intensity, curve.sigma
    finite(q, intensity, sigma)
    assert q.shape == intensity.shape == sigma.shape and q.ndim == 1 and len(q) >= 10
    assert (np.diff(q) > 0).all() and q[0] > 0 and (sigma > 0).all() and curve.unit in TO_INVERSE_ANGSTROM
    told(curve.notes)


def check_structure(structure):
    finite(structure.xyz_angstrom)
    count = len(structure.xyz_angstrom)
    assert structure.xyz_angstrom.shape == (count, 3) and structure.xyz_angstrom.dtype == np.float32 and count
    assert structure.atomic_number.shape == (count,) and structure.atomic_number.dtype == np.uint8
    assert 1 <= structure.atomic_number.min() <= structure.atomic_number.max() <= 118
    assert structure.kind in ("atoms", "beads") and isinstance(structure.name, str)
    told(structure.notes)


def check_references(structures):
    assert structures
    for structure in structures:
        check_structure(structure)


def check_packed(shapes):
    count = len(shapes.occupancy)
    assert shapes.occupancy.shape == (count, 3724) and shapes.occupancy.dtype == np.uint8
    finite(shapes.r_max_angstrom.astype(np.float32))
    assert all(len(column) == count for column in shapes) and (shapes.r_max_angstrom > 0).all()
    assert np.isin(shapes.split, (0, 1)).all()
    [str(name) for column in (shapes.names, shapes.pdb_ids, shapes.sources) for name in column]


def read_prepared(path):
    measured = read_patterson(path)
    return measured, preparation.prepare(measured.values, good_files.PROBLEM, path, estimate_num_atoms=True,
                                         adapt_problem=True)


def check_prepared(found):
    measured, prepared = found
    check_measured(measured)
    n = prepared.problem.grid
    finite(prepared.patterson)
    assert prepared.patterson.shape == (n, n, n) and prepared.patterson.dtype == np.float32
    told(prepared.notes)


def check_measured(measured):
    finite(measured.values)
    n = len(measured.values)
    assert measured.values.shape == (n, n, n) and measured.values.dtype == np.float64
    assert measured.pitch_angstrom is None or 0 < measured.pitch_angstrom < np.inf
    told(measured.notes)


def check_map(found):
    finite(*found)
    assert found.density.ndim == 3 and found.density.dtype == np.float32 and found.density.size
    assert found.pitch_angstrom.shape == found.origin_angstrom.shape == (3,) and (found.pitch_angstrom > 0).all()


def read_prepared_amplitudes(path):
    measured = read_amplitudes(path, good_files.GRID)
    return measured, preparation.prepare(measured.values, good_files.PROBLEM, path, estimate_num_atoms=True,
                                         adapt_problem=True)


def check_phasenet_weights(found):
    finite(*jax.tree.leaves(found.params))
    shapes = jax.eval_shape(lambda: phasenet_weights.init_params(jax.random.key(0), found.architecture, found.problem))
    assert jax.tree.map(np.shape, found.params) == jax.tree.map(lambda leaf: leaf.shape, shapes)


def check_saxsae_weights(found):
    finite(*jax.tree.leaves(found.params), *found.latents, found.components.mean, found.components.basis,
           found.components.sd, found.components.threshold, found.threshold, *found.refinement)
    shapes = jax.eval_shape(found.network.init, jax.random.key(0))
    assert jax.tree.map(np.shape, found.params) == jax.tree.map(lambda leaf: leaf.shape, shapes)


def check_tree(tree):
    assert isinstance(tree, dict)
    assert all(np.asarray(leaf).dtype.kind in "biufcUS" for leaf in jax.tree.leaves(tree))


def check_params(params):
    assert jax.tree.map(np.shape, params) == {"dense": {"kernel": (3, 2), "bias": (2,)}}


def check_ids(ids):
    assert ids and all(len(pdb_id) == 4 and pdb_id.isascii() and pdb_id == pdb_id.lower() for pdb_id in ids)


def read_config(path):
    return begin(f"--config={path}")


def read_overrides(path):
    lines = pathlib.Path(path).read_text("latin-1").replace("\0", " ").split("\n")
    return begin(f"--config={good_files.ROOT / 'configs' / 'phasenet_small.py'}", *filter(None, lines[:20]))


def begin(*given):
    """A training's beginning, to where arrays would be made: flags, config, task, the shapes of its state.

    Raises SystemExit as `launch.app` does, InputError as `launch.training.train`.
    """
    values = flags.FLAGS
    for name in [name for name in values if name.startswith("config.")]:
        delattr(values, name)
    values.unparse_flags()
    sys.argv = ["train", *given, "--workdir=nowhere"]  # where ml_collections looks for overrides
    app._parse_flags(sys.argv)
    config = train._CONFIG.value
    check_config(config)
    kind = load_task_class(config.task)
    example_indices(config.batch_size, config.micro_batches)
    task = kind(config)
    shapes = jax.eval_shape(task.init, jax.random.key(0))
    optimizer = make_optimizer(config, task.trainable(shapes))
    return jax.eval_shape(lambda params: init_state(config, optimizer, params), shapes)


def check_state(state):
    assert jax.tree.leaves(state.params)


READERS = {
    "curve": Reader(good_files.make_curves, read_curve, check_curve, 3,
                    ("saxs/SASDA28/profile.out", "saxs/*/profile.dat")),
    "structure": Reader(good_files.make_structures, read_structure, check_structure, 3,
                        ("saxs/*/reference.pdb", "structures/raw/1CRN.cif", "structures/raw/1A8O.cif")),
    "references": Reader(good_files.make_references, read_archive, check_references, 1.5,
                         ("decodesaxs/reference_models.npz",)),
    "packed": Reader(good_files.make_packed, read_voxelized, check_packed),
    "patterson": Reader(good_files.make_patterson, read_prepared, check_prepared, 2),
    "map": Reader(good_files.make_maps, read_map, check_map),
    "amplitudes": Reader(good_files.make_amplitudes, read_prepared_amplitudes, check_prepared, 1.5),
    "phasenet_weights": Reader(good_files.make_phasenet_weights, phasenet_weights.load, check_phasenet_weights),
    "saxsae_weights": Reader(good_files.make_saxsae_weights, saxsae_weights.load, check_saxsae_weights),
    "init_from": Reader(good_files.make_arrays, weights.read_weights, check_tree, 0.7),
    "checkpoint": Reader(good_files.make_checkpoint, weights.read_weights, check_params, 0.7),
    "ids": Reader(good_files.make_ids, read_pdb_ids, check_ids, 0.7),
    "config": Reader(good_files.make_config, read_config, check_state, flags=True),
    "overrides": Reader(good_files.make_overrides, read_overrides, check_state, flags=True),
}
