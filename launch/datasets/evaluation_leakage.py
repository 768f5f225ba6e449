"""Keeps the evaluation's references, and what looks like them, out of a training corpus."""

import json
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from launch.datasets.structure_sources import structure_files
from phasenet.errors import InputError
from saxsae.io.structures.corpus import read_references
from saxsae.io.structures.structure_files import PDB_ID, Structure, bead_spacing, read_structure
from saxsae.shapes import duplicates

_ID_IN_TEXT = re.compile(rf"(?<![a-z0-9]){PDB_ID.pattern}(?![a-z0-9])")


class EvaluationReference(NamedTuple):
    """A structure that must not be trained on, with every PDB id mentioned beside it."""

    structure: Structure
    pdb_ids: frozenset[str]


class Kept(NamedTuple):
    """structures: those that no reference matches; dropped: why, and how many for each reason."""

    structures: list[Structure]
    dropped: dict[str, int]


def references(sources: Sequence[str]) -> list[EvaluationReference]:
    """The evaluation's structures: archives, or folders of pairs as `launch.evaluate` takes them.

    Of a pair (a folder with reference.* and source.json) PDB ids are taken from the structure, the
    folder's name and the texts of source.json. A folder of mere PDB and mmCIF files serves as well.

    Raises:
      InputError: a source without any structure.
    """
    found = []
    for source in map(pathlib.Path, sources):
        if not source.is_dir():
            found += [EvaluationReference(s, mentioned_ids(f"{s.name} {s.pdb_id}"))
                      for s in read_references(source)]
            continue
        files = structure_files(source)
        files = [f for f in files if f.name.startswith("reference.")] or files
        if not files:
            raise InputError(f"{source}: no reference structure in this folder")
        for file in files:
            structure, texts = read_structure(file, assembly=None), []
            if file.name.startswith("reference."):
                structure = structure._replace(name=file.parent.name)
                texts = _texts(file.with_name("source.json"))
            texts += [structure.name, structure.pdb_id]
            found.append(EvaluationReference(structure, mentioned_ids(" ".join(texts))))
    return found


def mentioned_ids(text: str) -> frozenset[str]:
    """Every word that could be a PDB id: 3kfo of "nup133_3KFO", 2epe of "tests/files/2epe.pdb"."""
    return frozenset(_ID_IN_TEXT.findall(text.lower()))


def without(
    structures: list[Structure], kept_out: list[EvaluationReference], limit: float,
    say: Callable[[str], None], progress: Callable[[int], None],
) -> Kept:
    """What has neither the PDB id nor the shape of a reference.

    Args:
      structures: the corpus.
      kept_out: the references.
      limit: a structure that correlates better with one of them, superposed, is dropped.
      say: told of each structure dropped for its shape. progress: of references compared.
    """
    ids = frozenset().union(*(reference.pdb_ids for reference in kept_out))
    left = [s for s in structures if s.pdb_id not in ids]
    values: dict[int, float] = {}
    shapes = [_shape(s) for s in left] if kept_out else []
    for done, reference in enumerate(kept_out, 1):
        shape = _shape(reference.structure)
        for i in map(int, duplicates.candidates(shape, shapes)):
            value = duplicates.best_correlation(shape, shapes[i])
            if value > limit:
                if i not in values:
                    name = reference.structure.name
                    say(f"dropped: {left[i].name} resembles {name} ({value:.3f})")
                values[i] = max(value, values.get(i, 0.0))
        progress(done)
    same = sum(value > duplicates.CORRELATION for value in values.values())
    return Kept([s for i, s in enumerate(left) if i not in values],
                {"same_pdb_id": len(structures) - len(left),
                 f"same_shape_above_{duplicates.CORRELATION:g}": same,
                 f"similar_shape_above_{limit:g}": len(values) - same})


def _shape(structure: Structure) -> duplicates.Shape:
    return duplicates.shape_of(structure.xyz_angstrom, bead_spacing(structure))


def _texts(file: pathlib.Path) -> list[str]:
    if not file.is_file():
        return []
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        paths = facts.get("original_paths", {})
        return [str(facts.get(key, "")) for key in ("id", "protein", "notes")] + [
            str(path) for path in paths.values()]
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{file}: not a JSON object as expected ({error})") from None
