"""Loads structures from a folder, an archive or a list of PDB ids, and finds those of a training set again."""

import collections
import pathlib
from collections.abc import Callable

from phasenet.errors import InputError
from saxsae.io.servers import rcsb
from saxsae.io.structures.corpus import read_corpus
from saxsae.io.structures.structure_files import Structure, read_structure

_FILE_ENDINGS = (".pdb", ".ent", ".cif", ".mmcif", ".pdb1")


def load_structures(
    source: str, download_folder: str | pathlib.Path, url: str, assembly: str | None,
    protein_only: bool, report: Callable[[str], None],
) -> tuple[list[Structure], list[str]]:
    """Returns the structures that a source holds, and a line for each file or id that cannot be used.

    Args:
      source: an .npz archive; or a folder, whose .npz archives are read if it has any, otherwise its PDB and mmCIF
        files; or a text file of PDB ids, whose entries are downloaded.
      download_folder: where downloaded entries are kept.
      url: the server of the downloads.
      assembly: biological assembly of each PDB and mmCIF file, as `read_structure` takes it.
      protein_only: drops nucleic acids, carbohydrates and ligands of PDB and mmCIF files.
      report: called with a line of progress now and then.

    Returns:
      At least one structure (the second of the files with one name is called NAME~2, and so on), and the lines.

    Raises:
      InputError: the source is missing, malformed, or has no usable structure.
    """
    path = pathlib.Path(source)
    failures: list[str] = []
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_dir():
        archives = sorted(path.glob("*.npz"))
        if archives:
            report(f"reading {len(archives)} archives of {path}")
            return read_corpus(archives), []
        files = list_structure_files(path)
        if not files:
            raise InputError(f"{path}: no .npz, PDB or mmCIF file in this folder")
    elif path.suffix == ".npz":
        return read_corpus(path), []
    else:
        ids = rcsb.read_pdb_ids(path)
        report(f"downloading {len(ids)} entries into {download_folder}")
        files, missing, failed = rcsb.download_structures(ids, download_folder, url, report=report)
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
            report(f"read {done} of {len(files)} files")
    if not structures:
        raise InputError(f"{source}: no usable structure in it; the first error: {failures[0]}")
    return structures, failures


def list_structure_files(folder: str | pathlib.Path) -> list[pathlib.Path]:
    """Returns the PDB and mmCIF files under a folder at any depth, sorted, gzipped ones included."""
    return sorted(
        file for file in pathlib.Path(folder).rglob("*")
        if file.is_file() and file.name.lower().removesuffix(".gz").endswith(_FILE_ENDINGS))


def load_by_name(source: str, corpus: str) -> dict[str, Structure]:
    """Returns structures by their names.

    Args:
      source: the value of --input of `launch.prepare_structures`.
      corpus: the packed set that `launch.prepare_structures` wrote; downloaded entries are looked for beside it.

    Raises:
      InputError: as `load_structures`.
    """
    downloads = pathlib.Path(corpus).absolute().parent / "rcsb"
    structures, _ = load_structures(source, downloads, rcsb.URL, "1", True, lambda _: None)
    return {structure.name: structure for structure in structures}
