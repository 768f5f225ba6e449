"""Makes the training set of the shape autoencoder from structures.

    python -m launch.prepare_structures --input=DIR --output=corpus.npz --exclude=PAIRS_DIR,REFERENCES.npz

DIR holds .npz archives of structures, or PDB and mmCIF files; --input may also be an .npz archive, or a text file of
PDB ids, which are downloaded from RCSB. With --poses=4 --made=8000 the set has each structure in four random poses,
and 8000 synthetic shapes: the training set of configs/saxsae_lean_refined.py. The steps:

1. load the structures (launch/datasets/structure_sources.py);
2. remove the evaluation's references and structures that resemble them (launch/datasets/evaluation_leakage.py);
3. split training from validation by PDB entry (saxsae/shapes/validation_split.py);
4. turn structures at random and add synthetic shapes, if asked (launch/datasets/random_poses.py);
5. voxelize, pack and write (saxsae/io/structures/voxelized_corpus.py).
"""

import pathlib
import time

import numpy as np
from absl import flags

from launch import app
from launch.datasets import evaluation_leakage, random_poses
from launch.datasets.structure_sources import load_structures
from launch.machine import provenance
from phasenet.errors import InputError
from saxsae.io.servers import rcsb
from saxsae.io.structures import voxelized_corpus
from saxsae.io.structures.structure_files import bead_spacing
from saxsae.shapes.batches import voxelize_many
from saxsae.shapes.validation_split import validation_mask

_INPUT = flags.DEFINE_string(
    "input", None, "Folder, .npz archive or text file of PDB ids.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The packed set (.npz) to write.", required=True)
_EXCLUDE = flags.DEFINE_list(
    "exclude", [], "Evaluation references to keep out of the set: .npz archives, folders of pairs.")
_MAX_CORRELATION = flags.DEFINE_float(
    "max_correlation", 0.85, "Largest allowed correlation with a reference after superposition; a structure above "
    "it is dropped. Above 0.95 it is the same model; other crystals of one protein reach 0.87 to 0.95.",
    0.0, 1.0)
_VALIDATION = flags.DEFINE_float(
    "validation_fraction", 0.08, "Expected fraction of the structures that is held out for validation.", 0.0, 0.9)
_ASSEMBLY = flags.DEFINE_string(
    "assembly", "1", 'Biological assembly of PDB and mmCIF files; "none" takes the atoms as listed.')
_PROTEIN_ONLY = flags.DEFINE_bool(
    "protein_only", True, "Leave out nucleic acids and ligands of PDB and mmCIF files.")
_DOWNLOADS = flags.DEFINE_string(
    "download_dir", None, "Folder of downloaded entries; by default rcsb/ beside the output.")
_URL = flags.DEFINE_string("rcsb_url", rcsb.URL, "Server of the downloads.")
_POSES = flags.DEFINE_integer(
    "poses", 0, "Random poses of each training structure; 0 keeps one pose, that of the file.", 0)
_MADE = flags.DEFINE_integer("made", 0, "Number of synthetic shapes; needs --poses.", 0)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the poses and the synthetic shapes.")
_JSON = flags.DEFINE_string("json", None, "JSON file to write the counts to, with flags and versions.")


def main(_: list[str]) -> None:
    """Writes the training set and prints what was read, dropped and written."""
    output = pathlib.Path(_OUTPUT.value)
    if output.suffix != ".npz":
        raise InputError(f"--output={output}: a file name that ends in .npz is needed")
    if _MADE.value and not _POSES.value:
        raise InputError(f"--made={_MADE.value}: give --poses too")
    references = evaluation_leakage.load_references(_EXCLUDE.value)  # first, so that a wrong path fails at once
    structures, failures = load_structures(
        _INPUT.value, _DOWNLOADS.value or output.absolute().parent / "rcsb", _URL.value,
        None if _ASSEMBLY.value.lower() == "none" else _ASSEMBLY.value, _PROTEIN_ONLY.value,
        app.print_line)
    app.print_line(f"{len(structures)} structures read")
    for line in failures:
        app.print_line(f"left out: {line}")
    counts = {"read": len(structures), "unreadable": len(failures)}
    extended = [s for s in structures if np.ptp(s.xyz_angstrom, axis=0).max() > 0]
    counts["of_one_point"] = len(structures) - len(extended)
    structures, dropped = evaluation_leakage.exclude_references(
        extended, references, _MAX_CORRELATION.value, app.print_line,
        _Progress("references compared", len(references)))
    counts |= dropped
    if not structures:
        raise InputError(f"{_INPUT.value}: no structure is left to train on ({counts})")

    validation = validation_mask([s.name for s in structures], [s.pdb_id for s in structures], _VALIDATION.value)
    if _POSES.value:
        structures, spacings, validation = random_poses.draw_poses(
            structures, validation, _POSES.value, _MADE.value, np.random.default_rng(_SEED.value), app.print_line)
    else:
        spacings = [bead_spacing(s) for s in structures]
    bits, r_max = voxelize_many(
        [s.xyz_angstrom for s in structures], spacings, _Progress("voxelized", len(structures)))
    names, ids, sources = (np.array(column) for column in zip(
        *((s.name, s.pdb_id, s.source) for s in structures), strict=True))
    voxelized_corpus.write_voxelized(output, voxelized_corpus.VoxelizedCorpus(
        bits, r_max, names, ids, sources, validation.astype(np.uint8)))

    counts |= {"written": len(structures), "training": int((validation == 0).sum()),
               "validation": int(validation.sum())}
    for what, count in counts.items():
        app.print_line(f"{count:8d}  {what.replace('_', ' ')}")
    app.print_line(f"wrote {output} ({output.stat().st_size / 2**20:.1f} MiB)")
    if _JSON.value:
        app.write_json(_JSON.value, counts | provenance.describe_run())


class _Progress:
    """Prints a line of progress every few seconds, and at the end."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.last = what, total, time.monotonic()

    def __call__(self, done: int) -> None:
        if time.monotonic() - self.last > 5 or done == self.total:
            app.print_line(f"{self.what}: {done} of {self.total}")
            self.last = time.monotonic()


if __name__ == "__main__":
    app.run(main)
