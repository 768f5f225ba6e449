"""Finds the curves that `--profile` of `launch.reconstruct` names, and the structures that `--reference` names.

A file of a folder whose name shows another kind is not opened. A file that may be a table or text of any kind (.csv,
.txt, .cif ...) is left out, with the reader's reason, if the reader finds no curve in it. Any other file of a folder,
and each file that the flag names itself, counts as a curve; if it cannot be read, the reason becomes its row.
"""

import collections
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from phasenet.errors import InputError
from saxsae.io.curves.measured_curves import read_curve
from saxsae.io.curves.units import UndecidedUnitError

RESERVED_NAMES = ("batch.csv", "batch.html")
# Files of these names are not opened; the keys say what they are.
_OTHER_KINDS = {
    "a structure": (".pdb", ".ent", ".mmcif", ".pdbx", ".mol2", ".sdf", ".xyz", ".gro", ".psf", ".dcd"),
    "a picture or a page": (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".svg", ".eps", ".ps", ".pdf", ".html", ".htm",
                            ".css"),
    "a detector image": (".tif", ".tiff", ".edf", ".cbf", ".mccd", ".img"),
    "a map": (".ccp4", ".mrc", ".map", ".mtz", ".situs"),
    "a document": (".md", ".rst", ".doc", ".docx", ".odt", ".rtf", ".tex", ".bib", ".ppt", ".pptx"),
    "a spreadsheet": (".xls", ".xlsx", ".ods"),
    "an archive": (".zip", ".gz", ".bz2", ".xz", ".tar", ".tgz", ".7z", ".rar"),
    "settings or a program": (".json", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".py", ".pyc", ".ipynb", ".sh", ".js",
                              ".m", ".r", ".bat", ".npz", ".npy", ".pkl", ".mat")}
_KINDS_BY_SUFFIX = {suffix: kind for kind, suffixes in _OTHER_KINDS.items() for suffix in suffixes}
_STRUCTURE_SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif", ".pdbx")  # of files in a folder; plain or with .gz
# Suffixes of curves as well as of anything else.
_UNCERTAIN_SUFFIXES = ("", ".txt", ".csv", ".tsv", ".log", ".cif", ".xml", ".h5", ".hdf5", ".nxs", ".lst", ".asc")
_GENERIC_NAME = "profile"  # of the curve in a folder of an entry, as launch.fetch_sasbdb writes it
# What a folder of results of launch.reconstruct holds, also of an interrupted run.
_RESULTS = ("density.ccp4", "fit.fit")


class CurveFile(NamedTuple):
    """A curve of a batch.

    Attributes:
      name: name of its row and of its output folder, unique in the batch, also where letter case does not count.
      path: the file.
    """

    name: str
    path: str


class SkippedFile(NamedTuple):
    """A file of a folder that is left out.

    Attributes:
      path: the file.
      reason: why, in one line.
    """

    path: str
    reason: str


class StructureFile(NamedTuple):
    """A file with a reference structure.

    Attributes:
      path: the file.
      listed: whether the flag names the file itself, not its folder.
    """

    path: str
    listed: bool


def split_paths(values: Sequence[str]) -> list[str]:
    """Returns the paths that the values of a flag name.

    Args:
      values: each a path, or several with commas between them. A path that exists is taken whole, commas included.
    """
    paths: list[str] = []
    for value in values:
        whole = "," not in value or os.path.exists(value)
        paths += [value] if whole else [part.strip() for part in value.split(",") if part.strip()] or [value]
    return paths


def find_structures(value: str, output: str) -> list[StructureFile]:
    """Returns the structures that `--reference` names, in order, each file once.

    Args:
      value: a file, a folder, or several with commas between them. A folder stands for the PDB and mmCIF files in it
        and in the folders below it, in alphabetical order, without results of this program.
      output: the output folder, which is not searched.

    Raises:
      InputError: a folder holds no such file.
    """
    found: dict[str, StructureFile] = {}
    for path in split_paths([value]):
        if not os.path.isdir(path):
            found.setdefault(os.path.realpath(path), StructureFile(path, True))
            continue
        files = sorted(filter(_may_be_structure, _walk(pathlib.Path(path), pathlib.Path(output).resolve())))
        if not files:
            raise InputError(f"{path}: no structure in this folder: files named {', '.join(_STRUCTURE_SUFFIXES)} are "
                             "looked for")
        for file in files:
            found.setdefault(os.path.realpath(file), StructureFile(str(file), False))
    return list(found.values())


def _may_be_structure(file: pathlib.Path) -> bool:
    """Returns whether a file of a folder is named as a structure."""
    name = file.name.lower().removesuffix(".gz")
    return name.endswith(_STRUCTURE_SUFFIXES) and not name.startswith(".") and file.is_file()


def find_curves(paths: Sequence[str], output: str, unit: str | None) -> tuple[list[CurveFile], list[SkippedFile]]:
    """Returns the curves that the paths name, in order, and the files of folders that are left out.

    Args:
      paths: files and folders. A folder is searched with the folders below it, in alphabetical order.
      output: the output folder, which is not searched.
      unit: unit of q in the files, for the reader.

    Raises:
      InputError: there is no curve among them.
    """
    found: dict[str, tuple[str, list[str]]] = {}  # by resolved path: the path, and names from short to long
    skipped: list[SkippedFile] = []
    for path in paths:
        if not os.path.isdir(path):
            _add(found, path, _names_of_listed_file(path))
            continue
        candidates = []
        for file in sorted(_walk(pathlib.Path(path), pathlib.Path(output).resolve()), key=lambda file: file.parts):
            reason = _reason_to_skip(file, unit)
            if reason is None:
                candidates.append(file)
            else:
                skipped.append(SkippedFile(str(file), reason))
        in_folder = collections.Counter(file.parent for file in candidates)
        for file in candidates:
            names = _names_of_found_file(file.relative_to(path), in_folder[file.parent] == 1)
            _add(found, str(file), names)
    if not found:
        why = "; ".join(summarize_skipped(skipped)) or "there are no files"
        raise InputError(f"{', '.join(paths)}: no curve found: {why}")
    names = _make_unique([names for _, names in found.values()])
    return [CurveFile(name, path) for name, (path, _) in zip(names, found.values(), strict=True)], skipped


def summarize_skipped(skipped: Sequence[SkippedFile]) -> list[str]:
    """Returns a line for each reason: the number of files, and the first names."""
    by_reason: dict[str, list[str]] = {}
    for file in skipped:
        by_reason.setdefault(file.reason, []).append(pathlib.PurePath(file.path).name)
    return [f"{len(names)} file{'s' * (len(names) > 1)} left out, {reason}: "
            f"{', '.join(list(dict.fromkeys(names))[:3])}{' ...' * (len(set(names)) > 3)}"
            for reason, names in by_reason.items()]


def _add(found: dict[str, tuple[str, list[str]]], path: str, names: list[str]) -> None:
    """Adds a file unless it is there already."""
    found.setdefault(os.path.realpath(path), (path, names))


def _walk(folder: pathlib.Path, output: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields the files of a folder and of those below it, without hidden folders and results of this program."""
    for place, folders, names in os.walk(folder):
        here = pathlib.Path(place)
        folders[:] = [name for name in folders if not name.startswith(".") and (here / name).resolve() != output]
        if not all(name in names for name in _RESULTS):
            yield from (here / name for name in names)


def _reason_to_skip(file: pathlib.Path, unit: str | None) -> str | None:
    """Returns why a file of a folder is no curve, or None if it is one or must get a row."""
    if file.name.startswith("."):
        return "hidden"
    if file.name in RESERVED_NAMES:
        return "a table of this program"
    kind = _KINDS_BY_SUFFIX.get(file.suffix.lower())
    if kind is not None:
        return kind
    if file.suffix.lower() in _UNCERTAIN_SUFFIXES:
        try:
            read_curve(file, unit)
        except UndecidedUnitError:
            return None
        except InputError as error:
            return "no curve: " + str(error).removeprefix(f"{file}: ").partition("; a curve is ")[0]
    return None


def _names_of_found_file(relative: pathlib.PurePath, alone: bool) -> list[str]:
    """Returns names from short to long: a/b.dat is a_b, a_b.dat; a/profile.dat is a, if it is the only one in a."""
    parts = [*relative.parts[:-1], relative.stem]
    short = parts[:-1] if alone and len(parts) > 1 and relative.stem == _GENERIC_NAME else parts
    return ["_".join(short), "_".join(parts), "_".join(relative.parts)]


def _names_of_listed_file(path: str) -> list[str]:
    """Returns names from short to long: a/b.dat is b, a_b, a_b.dat; a/profile.dat is a."""
    file = pathlib.Path(path)
    parent = file.resolve().parent.name
    longer = f"{parent}_{file.stem}" if parent else file.stem
    short = parent if parent and file.stem == _GENERIC_NAME else file.stem
    return [short, longer, f"{longer}{file.suffix}"]


def _make_unique(names: list[list[str]]) -> list[str]:
    """Returns one name from each list, all different: the shortest that no other list has, or one with a number."""
    chosen = [each[0] for each in names]
    for length in range(1, max(map(len, names))):
        counts = collections.Counter(name.casefold() for name in chosen)
        chosen = [each[length] if counts[name.casefold()] > 1 else name
                  for each, name in zip(names, chosen, strict=True)]
    taken = set(RESERVED_NAMES)
    unique = []
    for name in chosen:
        numbers = (f"{name}_{number}" for number in range(2, len(names) + len(RESERVED_NAMES) + 3))
        free = next(each for each in (name, *numbers) if each.casefold() not in taken)
        taken.add(free.casefold())
        unique.append(free)
    return unique
