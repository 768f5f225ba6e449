"""The collected crystals and the made cases are read as their notes say."""

import json

import gemmi
import numpy as np
import pytest

from phasenet.errors import InputError
from phasenet.io.reflections.crystal_files import looks_like_reflections, read_crystal

pytestmark = pytest.mark.optimized

# The file to read where a folder has several, or what no file of the folder says.
_FILES = {"cod_2016452": "2016452.hkl", "gemmi_2242624": "2242624.hkl", "cinchonine_ed": "shelxl.hkl"}
_NO_CELL = {"cuac", "cyclo", "keen_twin"}
_CASES_AS_PLAIN = ("plain.hkl", "columns_run_together.hkl", "text_after_end.hkl", "hklf3_amplitudes.hkl",
                   "hklf_matrix.hkl", "embedded_hkl.cif", "loop_in_hkl.hkl", "quote_not_closed.cif", "no_sfac.hkl",
                   "symmetry_too_low.hkl")


def reflection_file(folder):
    if folder.name in _FILES:
        return folder / _FILES[folder.name]
    found = [path for ending in (".hkl", ".fcf", ".cif", ".in") for path in sorted(folder.glob(f"*{ending}"))]
    return found[0]


def codes(hkl, operators) -> np.ndarray:
    """One number for each reflection (N,), the same for those that the Laue group makes equal."""
    rotations = {tuple(np.array(gemmi.Op(operator).rot).ravel() // 24) for operator in operators}
    turned = np.stack([hkl @ (sign * np.array(rotation).reshape(3, 3)) for rotation in rotations for sign in (1, -1)])
    return ((turned + 500) @ np.array([10**6, 10**3, 1])).max(0)


def test_every_crystal_merges_to_its_unique_reflections(data_dir):
    folders = sorted(path for path in (data_dir / "crystals").glob("*") if path.is_dir())
    if not folders:
        pytest.skip("no crystals in the collection")
    for folder in folders:
        source = json.loads((folder / "source.json").read_text())
        path = reflection_file(folder)
        if folder.name == "sgd464":
            with pytest.raises(InputError, match="CRYSTALS"):
                read_crystal(path)
            continue
        arguments = {}
        if folder.name in _NO_CELL:
            with pytest.raises(InputError, match="no unit cell"):
                read_crystal(path)
            arguments = {"cell": source["cell"], "space_group": source["space_group"]}
        if folder.name == "nh3":
            arguments = {"hklf": 3}  # nothing in the files says so
        crystal = read_crystal(path, **arguments)
        assert len(crystal.hkl) == source["n_obs_raw"], folder.name
        merged = np.loadtxt(folder / "merged.csv", delimiter=",", skiprows=1, ndmin=2)
        unique, place = np.unique(codes(crystal.hkl, crystal.operators), return_inverse=True)
        wanted = codes(merged[:, :3].astype(int), crystal.operators)
        assert np.isin(wanted, unique).all(), folder.name
        # Only absences are left out of merged.csv.
        assert len(unique) - len(wanted) <= source.get("n_absent_dropped", 0), folder.name
        deviations = []
        for weights in (crystal.sigma**-2, np.ones(len(place))):
            mean = np.bincount(place, crystal.intensity * weights) / np.bincount(place, weights)
            deviations.append(np.abs(mean[np.searchsorted(unique, wanted)] - merged[:, 3]).max())
        assert min(deviations) < 2e-4 * np.abs(merged[:, 3]).max(), folder.name
        assert looks_like_reflections(path), folder.name


@pytest.mark.parametrize("name", _CASES_AS_PLAIN)
def test_a_case_is_read_as_the_plain_one(data_dir, name):
    folder = data_dir.parent / "cases" / "crystals"
    if not folder.is_dir():
        pytest.skip("no made cases beside the collection")
    plain, crystal = read_crystal(folder / "plain.hkl"), read_crystal(folder / name)
    assert np.array_equal(crystal.hkl, plain.hkl) and np.allclose(crystal.cell, plain.cell, atol=1e-3)
    scale = (crystal.intensity @ plain.intensity) / (plain.intensity @ plain.intensity)
    assert np.allclose(crystal.intensity[plain.intensity > 1] / scale, plain.intensity[plain.intensity > 1], rtol=0.02,
                       atol=0.03)
    assert len(crystal.operators) == (2 if name.startswith("symmetry") else 4)
    assert crystal.elements == ({} if name.startswith("no_sfac") else {"C": 32, "H": 68, "N": 4, "O": 12})


@pytest.mark.parametrize("name, message", [("hklf5_twin.hkl", "HKLF 5"), ("no_cell.hkl", r"give --cell")])
def test_a_case_that_cannot_be_read_says_so_in_a_line(data_dir, name, message):
    folder = data_dir.parent / "cases" / "crystals"
    if not folder.is_dir():
        pytest.skip("no made cases beside the collection")
    with pytest.raises(InputError, match=message):
        read_crystal(folder / name)
