"""Removes the evaluation's reference structures, and structures of their shape, from a training corpus.

`launch.prepare_structures --exclude` calls it. A structure is removed if its PDB id is mentioned beside a
reference, or if its shape correlates with a reference's after superposition (`saxsae.shapes.duplicates`).
"""

import json
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from launch.datasets.structure_sources import list_structure_files
from phasenet.errors import InputError
from saxsae.io.structures.corpus import read_archive
from saxsae.io.structures.structure_files import PDB_ID, Structure, bead_spacing, read_structure
from saxsae.shapes import duplicates

_ID_IN_TEXT = re.compile(rf"(?<![a-z0-9]){PDB_ID.pattern}(?![a-z0-9])")


class EvaluationReference(NamedTuple):
    """A structure that must not be trained on.

    Attributes:
      structure: the reference itself.
      pdb_ids: every PDB id that is mentioned beside it, in lower case.
    """

    structure: Structure
    pdb_ids: frozenset[str]


class FilteredStructures(NamedTuple):
    """What remains of a corpus.

    Attributes:
      structures: those that match no reference, in order.
      dropped: how many were dropped, by reason.
    """

    structures: list[Structure]
    dropped: dict[str, int]


def load_references(sources: Sequence[str]) -> list[EvaluationReference]:
    """Returns the evaluation's structures.

    Args:
      sources: archives of structures, or folders. In a folder of pairs, as `launch.evaluate --pairs` takes it, each
        pair has a reference.* and perhaps a source.json, and its PDB ids are those of the structure, of the folder's
        name and of the texts in source.json. In any other folder all PDB and mmCIF files are references.

    Raises:
      InputError: a source is missing or has no structure, or one of its files cannot be read.
    """
    found: list[EvaluationReference] = []
    for source in map(pathlib.Path, sources):
        if not source.is_dir():
            found += [EvaluationReference(s, find_pdb_ids(f"{s.name} {s.pdb_id}"))
                      for s in read_archive(source)]
            continue
        files = list_structure_files(source)
        files = [f for f in files if f.name.startswith("reference.")] or files
        if not files:
            raise InputError(f"{source}: no PDB or mmCIF file in this folder")
        for file in files:
            structure = read_structure(file, assembly=None)
            texts: list[str] = []
            if file.name.startswith("reference."):
                structure = structure._replace(name=file.parent.name)
                texts = _source_texts(file.with_name("source.json"))
            texts += [structure.name, structure.pdb_id]
            found.append(EvaluationReference(structure, find_pdb_ids(" ".join(texts))))
    return found


def find_pdb_ids(text: str) -> frozenset[str]:
    """Returns every word that may be a PDB id: 3kfo of "nup133_3KFO", 2epe of "tests/files/2epe.pdb"."""
    return frozenset(_ID_IN_TEXT.findall(text.lower()))


def exclude_references(
    structures: list[Structure], references: list[EvaluationReference], limit: float,
    report: Callable[[str], None], progress: Callable[[int], None],
) -> FilteredStructures:
    """Returns the structures that have neither the PDB id nor the shape of a reference.

    Args:
      structures: the corpus, each with at least two distinct positions.
      references: what must not be trained on.
      limit: largest allowed correlation with a reference after superposition, 0 to 1; a structure above it is dropped.
      report: called with a line for each structure that is dropped for its shape.
      progress: called with the number of references compared so far.
    """
    ids: frozenset[str] = frozenset().union(*(reference.pdb_ids for reference in references))
    remaining = [s for s in structures if s.pdb_id not in ids]
    correlations: dict[int, float] = {}  # above the limit, by index in `remaining`
    shapes = [_shape_of(s) for s in remaining] if references else []
    for done, reference in enumerate(references, 1):
        shape = _shape_of(reference.structure)
        for i in map(int, duplicates.find_candidates(shape, shapes)):
            value = duplicates.best_correlation(shape, shapes[i])
            if value > limit:
                if i not in correlations:
                    name = reference.structure.name
                    report(f"dropped: {remaining[i].name} resembles {name} (correlation {value:.3f})")
                correlations[i] = max(value, correlations.get(i, 0.0))
        progress(done)
    same = sum(value > duplicates.CORRELATION for value in correlations.values())
    return FilteredStructures([s for i, s in enumerate(remaining) if i not in correlations],
                              {"same_pdb_id": len(structures) - len(remaining),
                               f"same_shape_above_{duplicates.CORRELATION:g}": same,
                               f"similar_shape_above_{limit:g}": len(correlations) - same})


def _shape_of(structure: Structure) -> duplicates.ComparableShape:
    """Returns what `duplicates` compares of a structure."""
    return duplicates.make_comparable(structure.xyz_angstrom, bead_spacing(structure))


def _source_texts(file: pathlib.Path) -> list[str]:
    """Returns the texts of a source.json that may mention PDB ids; none where there is no such file."""
    if not file.is_file():
        return []
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        paths = facts.get("original_paths", {})
        return [str(facts.get(key, "")) for key in ("id", "protein", "notes")] + [
            str(path) for path in paths.values()]
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{file}: not a JSON object with the fields of a source.json ({error})") from None
