"""A folder, an archive or a list of PDB ids to structures."""

import collections
import pathlib
from collections.abc import Callable

from phasenet.errors import InputError
from saxsae.io.servers import rcsb
from saxsae.io.structures.corpus import read_corpus
from saxsae.io.structures.structure_files import Structure, read_structure

_ENDINGS = (".pdb", ".ent", ".cif", ".mmcif", ".pdb1")


def gather(
    source: str, download_folder: str | pathlib.Path, url: str, assembly: str | None,
    protein_only: bool, say: Callable[[str], None],
) -> tuple[list[Structure], list[str]]:
    """The structures that `source` names, and a line for each file or id that gave none.

    It may be an .npz archive; a folder, whose archives are read if it has any, else its PDB and
    mmCIF files; or a text file of PDB ids, which are downloaded.

    Raises:
      InputError: nothing there, or nothing usable in it.
    """
    path = pathlib.Path(source)
    failures: list[str] = []
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_dir():
        archives = sorted(path.glob("*.npz"))
        if archives:
            say(f"reading {len(archives)} archives of {path}")
            return read_corpus(archives), []
        files = structure_files(path)
        if not files:
            raise InputError(f"{path}: no .npz, PDB or mmCIF file in this folder")
    elif path.suffix == ".npz":
        return read_corpus(path), []
    else:
        ids = rcsb.read_id_list(path)
        say(f"downloading {len(ids)} entries into {download_folder}")
        files, missing, failed = rcsb.download_structures(ids, download_folder, url, say=say)
        failures += [f"{pdb_id}: the server has no such entry" for pdb_id in missing]
        failures += [f"{pdb_id}: not downloaded ({reason})" for pdb_id, reason in failed]
    structures = []
    seen: collections.Counter[str] = collections.Counter()
    for done, file in enumerate(files, 1):
        try:
            structure = read_structure(file, assembly, protein_only)
            seen[structure.name] += 1
            copy = seen[structure.name]
            name = structure.name if copy == 1 else f"{structure.name}~{copy}"
            structures.append(structure._replace(name=name))
        except InputError as error:
            failures.append(str(error))
        if done % 200 == 0:
            say(f"read {done} of {len(files)} files")
    if not structures:
        raise InputError(f"{source}: no usable structure in it; the first fault: {failures[0]}")
    return structures, failures


def structure_files(folder: str | pathlib.Path) -> list[pathlib.Path]:
    """PDB and mmCIF files under a folder, sorted, gzipped ones included."""
    return sorted(
        file for file in pathlib.Path(folder).rglob("*")
        if file.is_file() and file.name.lower().removesuffix(".gz").endswith(_ENDINGS))
