"""What a person names, a folder, an archive or a list of PDB ids, to structures and evaluation references."""

import json
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from phasenet.errors import InputError
from saxsae.io import rcsb
from saxsae.io.corpus import read_corpus, read_references
from saxsae.io.structures import PDB_ID, Structure, read_structure

_ENDINGS = (".pdb", ".ent", ".cif", ".mmcif", ".pdb1")
_ID_IN_TEXT = re.compile(rf"(?<![a-z0-9]){PDB_ID.pattern}(?![a-z0-9])")


class Reference(NamedTuple):
    """A structure that must not be trained on, with every PDB id mentioned beside it."""

    structure: Structure
    pdb_ids: frozenset[str]


def gather(
    source: str, download_folder: str, url: str, assembly: str | None, protein_only: bool, say: Callable[[str], None]
) -> tuple[list[Structure], list[str]]:
    """The structures of a folder, an archive or a list of PDB ids, and a line for each file that gave none.

    A folder with .npz archives is a corpus of these; any other is searched for PDB and mmCIF files.

    Raises:
      InputError: nothing there, or nothing usable in it.
    """
    path = pathlib.Path(source)
    if path.suffix == ".npz":
        return read_corpus(path), []
    failures = []
    if path.is_dir():
        archives = sorted(path.glob("*.npz"))
        if archives:
            say(f"reading {len(archives)} archives of {path}")
            return read_corpus(archives), []
        files = structure_files(path)
        if not files:
            raise InputError(f"{path}: no .npz, PDB or mmCIF file in this folder")
    elif not path.exists():
        raise InputError(f"{path}: no such file or folder")
    else:
        ids = rcsb.read_id_list(path)
        say(f"downloading {len(ids)} entries into {download_folder}")
        files, missing = rcsb.download(ids, download_folder, url, say=say)
        failures += [f"{pdb_id}: no such entry on the server" for pdb_id in missing]
    structures = []
    for i, file in enumerate(files):
        try:
            structure = read_structure(file, assembly, protein_only)
            structures.append(structure._replace(name=_unique(structure.name, structures)))
        except InputError as error:
            failures.append(str(error))
        if (i + 1) % 200 == 0:
            say(f"read {i + 1} of {len(files)} files")
    if not structures:
        raise InputError(f"{source}: no usable structure in it; the first fault: {failures[0]}")
    return structures, failures


def structure_files(folder: str | pathlib.Path) -> list[pathlib.Path]:
    """PDB and mmCIF files under a folder, sorted, gzipped ones included."""
    return sorted(file for file in pathlib.Path(folder).rglob("*")
                  if file.is_file() and file.name.lower().removesuffix(".gz").endswith(_ENDINGS))


def references(sources: Sequence[str]) -> list[Reference]:
    """The evaluation's structures: archives, or folders of pairs (a folder each with reference.* and source.json).

    A plain folder of PDB and mmCIF files serves as well. PDB ids are taken from the structure, the folder's name and
    the texts of source.json.

    Raises:
      InputError: a source without any structure.
    """
    found = []
    for source in sources:
        path = pathlib.Path(source)
        if path.is_dir():
            files = [f for f in structure_files(path) if f.name.startswith("reference.")] or structure_files(path)
            if not files:
                raise InputError(f"{path}: no reference structure in this folder")
            for file in files:
                structure = read_structure(file, assembly=None)
                pair = file.name.startswith("reference.")
                texts = [file.parent.name if pair else structure.name, structure.pdb_id]
                texts += _texts(file.with_name("source.json")) if pair else []
                name = file.parent.name if pair else structure.name
                found.append(Reference(structure._replace(name=name), mentioned_ids(" ".join(texts))))
        else:
            found += [Reference(s, mentioned_ids(f"{s.name} {s.pdb_id}")) for s in read_references(path)]
    return found


def mentioned_ids(text: str) -> frozenset[str]:
    """Every word of the text that could be a PDB id: 3KFO in "nup133_3kfo", 2epe in "tests/files/2epe.pdb"."""
    return frozenset(_ID_IN_TEXT.findall(text.lower()))


def _texts(file: pathlib.Path) -> list[str]:
    if not file.is_file():
        return []
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        paths = facts.get("original_paths", {})
        return [str(facts.get(key, "")) for key in ("id", "protein", "notes")] + list(map(str, paths.values()))
    except (ValueError, AttributeError) as error:
        raise InputError(f"{file}: not a JSON object as expected ({error})") from None


def _unique(name: str, structures: list[Structure]) -> str:
    taken = {structure.name for structure in structures[-2000:]}
    if name not in taken:
        return name
    return next(f"{name}~{i}" for i in range(2, len(taken) + 3) if f"{name}~{i}" not in taken)
