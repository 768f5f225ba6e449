"""Lists the cases of an evaluation: measured curves with known models, or curves computed from models.

`launch.evaluate --task=reconstruction` and `--task=simulated` call this module.
"""

import csv
import dataclasses
import functools
import json
import pathlib
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from launch.datasets import held_out
from phasenet.errors import InputError
from phasenet.io.npz import read_npz
from saxsae.io.curves.measured_curves import read_curve
from saxsae.io.structures.corpus import read_archive
from saxsae.io.structures.structure_files import Structure, nearest_neighbour_spacing, read_structure
from saxsae.profiles import excess_electrons, simulation
from saxsae.shapes import densities

_MODELS_PER_PUBLISHED_MAP = 20  # a voxel of a published map holds the number of models that fill it
_PUBLISHED_VOXELS = 31  # voxels per edge of a published map


class Case(NamedTuple):
    """One curve and the known structure behind it.

    Attributes:
      id: name of the case, unique in a list.
      label: name of the protein, or the kind of the structure; "" where unknown.
      load: returns the curve (with q_inv_angstrom, intensity and sigma) and the reference structure.
      published: published results for this case by name, which are copied into its item.
      published_map: returns a published map (31, 31, 31), 0 to 1, and its pitch in Angstrom; None without one.
    """

    id: str
    label: str
    load: Callable[[], tuple[Any, Structure]]
    published: dict[str, float | None] = {}
    published_map: Callable[[], tuple[np.ndarray, float]] | None = None


def list_measured_pairs(folder: str) -> list[Case]:
    """Returns a case for each subfolder that holds a measured curve profile.* and its model reference.*.

    Args:
      folder: folder of the subfolders. A source.json in a subfolder may give its "id" and "protein".

    Raises:
      InputError: there is no such folder, or no profile.* in any subfolder. A missing or surplus reference.* is raised
        when the case is loaded.
    """
    path = pathlib.Path(folder)
    if not path.is_dir():
        fault = "is a file" if path.exists() else "no such folder"
        raise InputError(f"{folder}: {fault}; expected a folder of folders with profile.* and reference.*")
    cases: list[Case] = []
    taken: set[str] = set()
    for inner in sorted(item for item in path.iterdir() if any(item.glob("profile.*"))):
        names = _read_names(inner / "source.json")
        name = str(names.get("id") or inner.name)
        name = inner.name if name in taken else name
        taken.add(name)
        cases.append(Case(name, str(names.get("protein", "")), _Pair(inner)))
    if not cases:
        raise InputError(f"{folder}: no folder in it holds a profile.*")
    return cases


@dataclasses.dataclass(frozen=True)
class _Pair:
    """Reads a curve and its reference when it is called, so that an error in one pair does not affect the others."""

    folder: pathlib.Path

    def __call__(self) -> tuple[Any, Structure]:
        profile, reference = self._file("profile"), self._file("reference")
        return read_curve(profile), read_structure(reference, assembly=None)

    def _file(self, name: str) -> pathlib.Path:
        """Returns the one file NAME.* in the folder; raises InputError where there is none or more than one."""
        found = sorted(self.folder.glob(f"{name}.*"))
        if len(found) != 1:
            raise InputError(f"{self.folder}: expected one file {name}.*, but there are {len(found)}")
        return found[0]


def _read_names(path: pathlib.Path) -> dict[str, Any]:
    """Returns the content of a source.json; {} where there is none, or no JSON object in it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def replace_measured_curves(pairs: list[Case]) -> list[Case]:
    """Returns pairs whose curves are computed from their models (`launch.datasets.held_out.simulate`).

    The name of a pair seeds its curve, so that the curve is the same in every run. A model of beads, or a trace of
    alpha carbons, has no elements: `load` raises InputError.
    """
    return [case._replace(load=_FromModel(case)) for case in pairs]


@dataclasses.dataclass(frozen=True)
class _FromModel:
    """Computes the curve of a pair's model when it is called."""

    pair: Case

    def __call__(self) -> tuple[Any, Structure]:
        _, structure = self.pair.load()
        if not excess_electrons.are_elements_known(structure.atomic_number):
            raise InputError("the model has no elements (beads, or a trace of alpha carbons), so no curve with bound "
                             "water can be computed from it")
        return held_out.simulate(structure, zlib.crc32(self.pair.id.encode())), structure


def list_simulated_cases(references: str, given_radius: bool, published_maps: bool) -> list[Case]:
    """Returns a case for each structure of an archive, with a curve computed from the structure.

    The name of the structure seeds the noise, so that the curve is the same in every run.

    Args:
      references: path of the archive (.npz). A published.csv beside it gives published correlations.
      given_radius: whether the published results with or without a given radius are taken.
      published_maps: whether the cases get the maps of a published_maps.npz beside the archive.

    Raises:
      InputError: one of the files cannot be used. The .csv and the maps may be absent.
    """
    folder = pathlib.Path(references).parent
    which = "with" if given_radius else "without"
    correlations = _read_published(folder / "published.csv", which)
    maps = folder / "published_maps.npz"
    density_maps = _read_published_maps(maps, which) if published_maps and maps.exists() else {}
    return [Case(s.name, s.kind, _Simulated(s), correlations.get(s.name, {}), density_maps.get(s.name))
            for s in read_archive(references)]


@dataclasses.dataclass(frozen=True)
class _Simulated:
    """Computes the curve of a structure when it is called."""

    structure: Structure

    def __call__(self) -> tuple[Any, Structure]:
        xyz, volume = self.structure.xyz_angstrom, densities.ATOM_VOLUME_ANGSTROM3
        if self.structure.kind == "beads":
            volume = simulation.bead_volume(nearest_neighbour_spacing(xyz))
        seed = zlib.crc32(self.structure.name.encode())
        return simulation.simulate_curve(xyz, seed, volume), self.structure


def _read_published(path: pathlib.Path, which: str) -> dict[str, dict[str, float | None]]:
    """Returns by id "published_correlation" and, for results without a given radius, "published_radius_angstrom"."""
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
        raise InputError(f"{path}: not a CSV table ({error})") from None
    if lacking:
        raise InputError(f"{path}: no column {sorted(lacking)[0]!r}")
    found = {}
    for line, row in table:
        try:
            found[row["id"]] = {key: float(row[column]) if row[column] else None for key, column in columns.items()}
        except ValueError as error:
            raise InputError(f"{path}, line {line}: {error}") from None
    return found


def _read_published_maps(path: pathlib.Path, which: str) -> dict[str, Callable[[], tuple[np.ndarray, float]]]:
    """Returns by name functions for `Case.published_map`; names with an empty map are left out."""
    map_key, cell_key = f"map_{which}rmax", f"cell_{which}rmax"
    arrays = read_npz(path, ("names", map_key, cell_key))
    count = len(arrays["names"]) if arrays["names"].ndim else 0
    for key, shape in ((map_key, (count,) + (_PUBLISHED_VOXELS,) * 3), (cell_key, (count,))):
        if arrays[key].shape != shape or arrays[key].dtype.kind not in "fiu" or not np.isfinite(arrays[key]).all():
            raise InputError(f"{path}: {key!r} is {arrays[key].dtype} {arrays[key].shape}; expected finite numbers of "
                             f"shape {shape}")
    return {str(name): functools.partial(_occupancy_and_pitch, arrays[map_key], arrays[cell_key], i)
            for i, name in enumerate(arrays["names"]) if arrays[map_key][i].any()}


def _occupancy_and_pitch(counts: np.ndarray, cells: np.ndarray, index: int) -> tuple[np.ndarray, float]:
    """Returns the occupancy map (31, 31, 31) of one published map and the edge of its voxels in Angstrom."""
    return counts[index] / _MODELS_PER_PUBLISHED_MAP, float(cells[index]) / _PUBLISHED_VOXELS
