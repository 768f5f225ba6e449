"""What to reconstruct: measured curves with their models, or curves computed from models."""

import csv
import json
import pathlib
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from phasenet.errors import InputError
from phasenet.io.npz import read_npz
from saxsae.io.curves.measured_curves import read_curve
from saxsae.io.structures.corpus import read_references
from saxsae.io.structures.structure_files import Structure, nearest_neighbour_spacing, read_structure
from saxsae.profiles import simulation

_PUBLISHED_MODELS = 20  # each voxel of a published map counts them
_PUBLISHED_VOXELS = 31  # along the edge of its cell


class Case(NamedTuple):
    """One curve and its answer.

    id, label: for people; the solver sees neither.
    load: () -> curve (q_inv_angstrom, intensity, sigma) and the reference Structure.
    published: numbers that others published for it; copied into its item.
    published_map: () -> their map (31, 31, 31) and its pitch (A), or None.
    """

    id: str
    label: str
    load: Callable[[], tuple[Any, Structure]]
    published: dict[str, float | None] = {}
    published_map: Callable[[], tuple[Any, float]] | None = None


def measured_pairs(folder: str) -> list[Case]:
    """The sub-folders with a profile.* and a reference.*; of source.json only the names are used.

    Raises:
        InputError: no such folder, or none in it.
    """
    path = pathlib.Path(folder)
    if not path.is_dir():
        fault = "is a file" if path.exists() else "no such folder"
        raise InputError(f"{folder}: {fault}; a folder of folders with profile.* and reference.* "
                         "is needed")
    cases, taken = [], set()
    for inner in sorted(item for item in path.iterdir() if any(item.glob("profile.*"))):
        names = _names(inner / "source.json")
        name = str(names.get("id") or inner.name)
        name = inner.name if name in taken else name
        taken.add(name)
        cases.append(Case(name, str(names.get("protein", "")), _Pair(inner)))
    if not cases:
        raise InputError(f"{folder}: no folder in it holds a profile.*")
    return cases


class _Pair(NamedTuple):
    """Reads a curve and its reference when called: a fault in one pair is that pair's alone."""

    folder: pathlib.Path

    def __call__(self) -> tuple[Any, Structure]:
        profile, reference = self._file("profile"), self._file("reference")
        return read_curve(profile), read_structure(reference, assembly=None)

    def _file(self, name: str) -> pathlib.Path:
        found = sorted(self.folder.glob(f"{name}.*"))
        if len(found) != 1:
            raise InputError(f"{self.folder}: {len(found)} files {name}.*, one is needed")
        return found[0]


def _names(path: pathlib.Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def simulated(references: str, given_radius: bool, published_maps: bool) -> list[Case]:
    """A computed curve for each structure of an archive, its noise fixed by its name.

    Args:
        references: .npz; a published.csv beside it gives published correlations, where present.
        given_radius: which of the published results to compare with.
        published_maps: offer the maps of a published_maps.npz beside it, where present.
    """
    folder = pathlib.Path(references).parent
    which = "with" if given_radius else "without"
    correlations = _read_published(folder / "published.csv", which)
    maps = folder / "published_maps.npz"
    pictures = _read_published_maps(maps, which) if published_maps and maps.exists() else {}
    return [Case(s.name, s.kind, _Simulated(s), correlations.get(s.name, {}), pictures.get(s.name))
            for s in read_references(references)]


class _Simulated(NamedTuple):
    structure: Structure

    def __call__(self) -> tuple[Any, Structure]:
        xyz, volume = self.structure.xyz_angstrom, simulation.ATOM_VOLUME_ANGSTROM3
        if self.structure.kind == "beads":
            volume = simulation.bead_volume(nearest_neighbour_spacing(xyz))
        seed = zlib.crc32(self.structure.name.encode())
        return simulation.simulate_curve(xyz, seed, volume), self.structure


def _read_published(path: pathlib.Path, which: str) -> dict[str, dict[str, float | None]]:
    """published_correlation, and published_radius_angstrom where it was free, by id."""
    if not path.exists():
        return {}
    columns = {"published_correlation": f"cc_{which}_rmax"}
    if which == "without":
        columns["published_radius_angstrom"] = "rmax_found_A"
    try:
        rows = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
        lacking = {"id", *columns.values()} - set(rows.fieldnames or ())
        table = [(rows.line_num, row) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a table in CSV ({error})") from None
    if lacking:
        raise InputError(f"{path}: no column {sorted(lacking)[0]!r}")
    found = {}
    for line, row in table:
        try:
            found[row["id"]] = {key: float(row[column]) if row[column] else None for key, column in columns.items()}
        except ValueError as error:
            raise InputError(f"{path}, line {line}: {error}") from None
    return found


def _read_published_maps(path: pathlib.Path, which: str) -> dict[str, Callable]:
    map_key, cell_key = f"map_{which}rmax", f"cell_{which}rmax"
    arrays = read_npz(path, ("names", map_key, cell_key))
    count = len(arrays["names"]) if arrays["names"].ndim else 0
    for key, shape in ((map_key, (count,) + (_PUBLISHED_VOXELS,) * 3), (cell_key, (count,))):
        if arrays[key].shape != shape or arrays[key].dtype.kind not in "fiu" or not np.isfinite(arrays[key]).all():
            raise InputError(f"{path}: {key!r} is {arrays[key].dtype} {arrays[key].shape}; finite numbers {shape} are "
                             "needed")
    return {str(name): lambda i=i: (arrays[map_key][i] / _PUBLISHED_MODELS,
                                    float(arrays[cell_key][i]) / _PUBLISHED_VOXELS)
            for i, name in enumerate(arrays["names"]) if arrays[map_key][i].any()}
