"""The launch that fetches entries of the COD: the command that it prints solves the crystal, without its atoms."""

import json
import pathlib
import shlex

import file_server
import launched
import numpy as np
import pytest
from made_crystals import make_crystal

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYMBOL = "P 1 21/c 1"


def fetch(folder, *flags):
    return launched.run("launch.fetch_cod", *flags, cwd=folder)


def write_entry():
    """Returns structure and reflections of a made crystal as the COD keeps them; the structure holds false atoms."""
    made = make_crystal(SYMBOL)
    measured = made.reflections
    names = [f"length_{edge}" for edge in "abc"] + [f"angle_{angle}" for angle in ("alpha", "beta", "gamma")]
    cell = "".join(f"_cell_{name} {value:.4f}\n" for name, value in zip(names, made.cell, strict=True))
    formula = " ".join(f"{element}{count / 4:g}" for element, count in made.composition.items())
    places = np.random.default_rng(3).random((len(made.elements), 3))
    atoms = "".join(f"{element}{number} {x:.4f} {y:.4f} {z:.4f}\n" for number, (element, (x, y, z)) in enumerate(
        zip(made.elements, places, strict=True)))
    structure = (f"data_made\n_publ_section_title 'A made crystal'\n{cell}_symmetry_space_group_name_H-M '{SYMBOL}'\n"
                 f"_chemical_formula_sum '{formula}'\n_cell_formula_units_Z 4\n_diffrn_radiation_wavelength 0.71073\n"
                 "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n" + atoms)
    rows = "".join(f"{h} {k} {l} {value:.3f} {sigma:.3f}\n" for (h, k, l), value, sigma in zip(
        measured.hkl, measured.intensity, measured.sigma, strict=True))
    tags = ("index_h", "index_k", "index_l", "F_squared_meas", "F_squared_sigma")
    return structure.encode(), ("data_made_Fobs\nloop_\n" + "".join(f"_refln_{tag}\n" for tag in tags) + rows).encode()


@pytest.mark.slow
def test_the_printed_command_solves_the_crystal_without_its_atoms(tmp_path):
    structure, reflections = write_entry()
    (tmp_path / "ids.txt").write_text("2016452\n2016453\n2016454\n")
    with file_server.serving() as server:
        server.answers = {"2016452.cif": [structure], "2016452.hkl": ["500", reflections], "2016453.cif": [structure]}
        done = fetch(tmp_path, "--ids=ids.txt", "--output=the crystals", f"--url={server.url}", "--json=out.json")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    start = lines.index("2016452  C7 N2 O2 Cl1  A made crystal")
    number = len(make_crystal(SYMBOL).reflections.hkl)
    assert lines[start + 1] == (f"  cell 7.4 11.3 11.6 90 104 90, space group {SYMBOL}, {number} measured reflections")
    assert lines[start + 4].endswith("no measured reflections")
    assert "2016454  the data bank has no such entry" in lines
    outcome = json.loads((tmp_path / "out.json").read_text())
    assert outcome["summary"] == {
        "asked_for": 3, "with_reflections": 1, "without_reflections": 1, "unknown": 1, "not_fetched": 0}
    assert outcome["items"][0]["num_reflections"] == number

    python, option, *command = shlex.split(lines[start + 2])
    assert (python, option) == ("python", "-m")
    done = launched.run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    log = json.loads((tmp_path / "out" / "2016452" / "log.json").read_text())
    assert log["status"] == "solved" and log["solution"]["r1"] < 0.06


@pytest.mark.parametrize("flags, code, message", [
    (["--ids=../../x", "--output=x"], 1, "'../../x' is neither a COD id nor a file"),
    (["--ids=2016452", "--output=x", "--url=crystallography.net"], 1, "must begin with http://"),
    (["--ids=2016452"], 2, "flag --output is missing"),
])
def test_mistakes_are_one_line(flags, code, message, tmp_path):
    done = fetch(tmp_path, *flags)
    assert done.returncode == code and message in done.stderr and done.stderr.count("\n") == 1


def test_no_reflections_at_all_is_one_line(tmp_path):
    with file_server.serving() as server:
        server.answers = {"2016453.cif": [write_entry()[0]]}
        done = fetch(tmp_path, "--ids=2016453,2016454", "--output=x", f"--url={server.url}")
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert "no entry has reflections that can be read" in done.stderr
        assert [path.name for path in (tmp_path / "x").iterdir()] == ["2016453"]
        done = fetch(tmp_path, "--ids=2016454", "--output=x", f"--url={server.url}")
    assert done.returncode == 1 and done.stderr == "fetch_cod: --ids=2016454: the data bank has no such entry\n"
