"""launch.solve --reflections: from a SHELX file to atoms, and what is not called solved."""

import functools
import json
import pathlib

import gemmi
import launched
import numpy as np
import pytest
from made_crystals import make_crystal

pytestmark = pytest.mark.optimized

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYMBOL = "P 1 21/c 1"


launch = functools.partial(launched.run, "launch.solve")


def write(folder, *, intensity=None, stretch=1.0, symmetry=True, contents=True):
    """Writes made.hkl and made.ins; returns the path of the reflections."""
    made = make_crystal(SYMBOL)
    measured = made.reflections
    values = measured.intensity if intensity is None else intensity
    factor = 9000 / values.max()
    rows = "".join(f"{h:4d}{k:4d}{l:4d}{i * factor:8.2f}{s * factor:8.2f}\n"
                   for (h, k, l), i, s in zip(measured.hkl, values, measured.sigma, strict=True))
    (folder / "made.hkl").write_text(rows + "   0   0   0    0.00    0.00\n")
    cell = made.cell * np.array([stretch, 1, 1, 1, 1, 1])
    lines = ["TITL made", "CELL 0.71073 " + " ".join(f"{value:.4f}" for value in cell), "ZERR 4 0 0 0 0 0 0"]
    lines += ["LATT 1", "SYMM -x,y+1/2,-z+1/2"] if symmetry else []
    if contents:
        lines += ["SFAC " + " ".join(made.composition), "UNIT " + " ".join(
            f"{count:g}" for count in made.composition.values())]
    (folder / "made.ins").write_text("\n".join([*lines, "HKLF 4", "END"]) + "\n")
    return folder / "made.hkl"


def check_maps(folder, log):
    """The density of other programs is high at each atom of the CIF, whose coordinates have standard deviations."""
    read = gemmi.read_ccp4_map(str(folder / "solution_density.ccp4"), setup=True).grid
    atoms = gemmi.read_small_structure(str(folder / "solution.cif"))
    assert read.spacegroup.xhm() == atoms.spacegroup.xhm() == SYMBOL
    np.testing.assert_allclose(read.unit_cell.parameters, atoms.cell.parameters, rtol=1e-5)
    heights = [read.interpolate_value(read.unit_cell.orthogonalize(site.fract)) for site in atoms.sites]
    assert min(heights) > 4 and len(heights) == 12
    deviations = np.array([atom["standard_deviation"] for atom in log["atoms"]])
    assert (deviations > 0).all() and deviations.max() < 0.002
    assert (folder / "solution.cif").read_text().count("(") == 3 * 12
    assert log["maps"]["highest"]["height"] > 0 > log["maps"]["deepest"]["height"]


@pytest.mark.slow
def test_a_made_crystal_is_solved_and_written(tmp_path):
    done = launch(f"--reflections={write(tmp_path)}", f"--output={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().splitlines()[-1].startswith("Solved: ")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "solution.res", "solution.cif", "solution.pdb", "solution_density.ccp4", "solution_difference.ccp4",
        "report.html", "log.json"}
    log = json.loads((tmp_path / "out" / "log.json").read_text())
    assert log["status"] == "solved" and log["solution"]["r1"] < 0.06
    assert sorted(atom["element"] for atom in log["atoms"]) == sorted(make_crystal(SYMBOL).elements)
    check_maps(tmp_path / "out", log)
    for words in ("highest difference", "HKLF 4", "R_int", "space group", "reflections per parameter"):
        assert words in done.stdout


@pytest.mark.slow
def test_the_group_is_found_without_being_given(tmp_path):
    done = launch(f"--reflections={write(tmp_path, symmetry=False)}", f"--output={tmp_path / 'out'}", "--unknown_group")
    assert done.returncode == 0, done.stderr
    log = json.loads((tmp_path / "out" / "log.json").read_text())
    assert log["status"] == "solved" and log["tried"][-1]["space_group"] == SYMBOL


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["permuted intensities", "a wrong cell"])
def test_what_is_no_crystal_is_never_called_solved(tmp_path, fault):
    if fault == "a wrong cell":
        path = write(tmp_path, stretch=1.2)
    else:
        intensity = make_crystal(SYMBOL).reflections.intensity
        path = write(tmp_path, intensity=np.random.default_rng(0).permutation(intensity))
    done = launch(f"--reflections={path}", f"--output={tmp_path / 'out'}", "--num_starts=2")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "log.json").read_text())["status"] != "solved"
    assert "Solved: " not in done.stdout
    for name in ("solution.res", "solution.cif", "solution.pdb"):
        assert "made: not solved" in (tmp_path / "out" / name).read_text(), name


@pytest.mark.parametrize(("flags", "words"), [
    (["--amplitudes={folder}/made.hkl"], "give the file as --reflections"),
    (["--reflections={folder}/none.hkl"], "no such file"),
    (["--reflections={folder}/alone/made.hkl"], "give --cell"),
    (["--patterson={folder}/x.npy", "--formula=C6H6"], "--formula has no meaning without --reflections"),
    (["--reflections={folder}/made.hkl", "--num_atoms=20"], "--num_atoms has no meaning with --reflections"),
    (["--reflections={folder}/made.hkl", "--norefine"], "--refine has no meaning with --reflections")])
def test_mistakes_end_in_one_line(tmp_path, flags, words):
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "made.hkl").write_text(write(tmp_path).read_text())
    done = launch(*(flag.format(folder=tmp_path) for flag in flags), f"--output={tmp_path / 'out'}")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and words in done.stderr
