"""Structures to the packed training set: voxelized, freed of evaluation references, split by PDB entry.

    python -m launch.prepare_structures --input=DIR --output=corpus.npz --exclude=PAIRS_DIR,REFERENCES.npz

DIR holds .npz archives of structures, or PDB and mmCIF files; an .npz archive or a text file of PDB ids (downloaded from
RCSB) will do as well. The result's format is told in saxsae/io/packed.py.
"""

import os
import time

import numpy as np
from absl import flags

from launch import app
from launch.structure_sources import Reference, gather, references
from phasenet.errors import InputError
from saxsae import duplicates
from saxsae.batches import voxelize_many
from saxsae.io import packed, rcsb
from saxsae.io.structures import Structure, nearest_neighbour_spacing
from saxsae.split import validation_mask

_INPUT = flags.DEFINE_string("input", None, "Folder, .npz archive or text file of PDB ids.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The packed set (.npz) to write.", required=True)
_EXCLUDE = flags.DEFINE_list("exclude", [], "Evaluation references to keep out: .npz archives, folders of pairs.")
_MAX_CORRELATION = flags.DEFINE_float(
    "max_correlation", 0.85, "A structure that correlates better with a reference, superposed, is dropped. Above 0.95 "
    "it is the same model; other crystals of the same protein reach 0.87 to 0.95.", 0.0, 1.0)
_VALIDATION = flags.DEFINE_float("validation_fraction", 0.08, "Expected share of validation.", 0.0, 0.9)
_ASSEMBLY = flags.DEFINE_string("assembly", "1", 'Biological assembly of PDB and mmCIF files; "none": as listed.')
_PROTEIN_ONLY = flags.DEFINE_bool("protein_only", True, "Leave out nucleic acids and ligands of PDB and mmCIF files.")
_DOWNLOADS = flags.DEFINE_string("download_dir", None, "Where downloads are kept; default: beside the output.")
_URL = flags.DEFINE_string("rcsb_url", rcsb.URL, "Server of the downloads.")
_JSON = flags.DEFINE_string("json", None, "Write the counts there as JSON too.")


def main(_) -> None:
    if not _OUTPUT.value.endswith(".npz"):
        raise InputError(f"--output={_OUTPUT.value}: the packed set is an .npz file")
    kept_out = references(_EXCLUDE.value)  # first: a wrong path should not cost the work before it
    folder = _DOWNLOADS.value or os.path.join(os.path.dirname(os.path.abspath(_OUTPUT.value)), "rcsb")
    assembly = None if _ASSEMBLY.value.lower() == "none" else _ASSEMBLY.value
    structures, failures = gather(_INPUT.value, folder, _URL.value, assembly, _PROTEIN_ONLY.value, app.say)
    app.say(f"{len(structures)} structures read")
    for line in failures[:20]:
        app.say(f"left out: {line}")
    counts = {"read": len(structures), "unreadable": len(failures)}

    extended = [s for s in structures if np.ptp(s.xyz_angstrom, axis=0).max() > 0]
    counts["of_one_point"] = len(structures) - len(extended)
    structures, counts["same_pdb_id"] = _without_ids(extended, kept_out)
    structures, same, close = _without_shapes(structures, kept_out, _MAX_CORRELATION.value)
    counts |= {"same_shape_above_0.95": same, "similar_shape": close}
    if not structures:
        raise InputError(f"{_INPUT.value}: no structure is left: {counts}")

    bits, r_max = voxelize_many([s.xyz_angstrom for s in structures], _spacings(structures),
                                _Progress("voxelized", len(structures)))
    names, ids = [s.name for s in structures], [s.pdb_id for s in structures]
    validation = validation_mask(names, ids, _VALIDATION.value)
    packed.write_packed(_OUTPUT.value, packed.PackedSet(
        bits, r_max, np.array(names), np.array(ids), np.array([s.source for s in structures]),
        validation.astype(np.uint8)))
    counts |= {"written": len(structures), "training": int((~validation).sum()), "validation": int(validation.sum())}
    for what, count in counts.items():
        app.say(f"{count:8d}  {what.replace('_', ' ')}")
    app.say(f"wrote {_OUTPUT.value} ({os.path.getsize(_OUTPUT.value) / 2**20:.1f} MiB)")
    if _JSON.value:
        app.write_json(_JSON.value, counts)


def _without_ids(structures: list[Structure], kept_out: list[Reference]) -> tuple[list[Structure], int]:
    ids = frozenset().union(*(reference.pdb_ids for reference in kept_out))
    left = [s for s in structures if not s.pdb_id or s.pdb_id not in ids]
    return left, len(structures) - len(left)


def _without_shapes(
    structures: list[Structure], kept_out: list[Reference], limit: float
) -> tuple[list[Structure], int, int]:
    """What no reference resembles; how many correlate above 0.95, and how many others above the limit."""
    if not kept_out:
        return structures, 0, 0
    shapes = [duplicates.shape_of(s.xyz_angstrom, d) for s, d in zip(structures, _spacings(structures))]
    spacings = _spacings([reference.structure for reference in kept_out])
    progress = _Progress("references compared", len(kept_out))
    dropped: dict[int, float] = {}
    for done, (reference, spacing) in enumerate(zip(kept_out, spacings), 1):
        shape = duplicates.shape_of(reference.structure.xyz_angstrom, spacing)
        for i in duplicates.candidates(shape, shapes):
            value = duplicates.best_correlation(shape, shapes[i])
            if value > limit:
                dropped[int(i)] = max(value, dropped.get(int(i), 0.0))
                app.say(f"dropped: {structures[i].name} resembles {reference.structure.name} ({value:.3f})")
        progress(done)
    same = sum(value > duplicates.CORRELATION for value in dropped.values())
    return [s for i, s in enumerate(structures) if i not in dropped], same, len(dropped) - same


def _spacings(structures: list[Structure]) -> list[float | None]:
    return [nearest_neighbour_spacing(s.xyz_angstrom) if s.kind == "beads" else None for s in structures]


class _Progress:
    """Says how far it is, every few seconds."""

    def __init__(self, what: str, total: int):
        self.what, self.total, self.last = what, total, time.monotonic()

    def __call__(self, done: int) -> None:
        if time.monotonic() - self.last > 5 or done == self.total:
            app.say(f"{self.what}: {done} of {self.total}")
            self.last = time.monotonic()


if __name__ == "__main__":
    app.run(main)
