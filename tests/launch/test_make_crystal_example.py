"""The shipped crystal: made by launch.datasets.make_crystal_example, byte for byte, and solved by launch.solve."""

import csv
import json
import pathlib

import gemmi
import launched
import numpy as np
import pytest

from launch.evaluation.crystals import compare_atoms
from phasenet.crystal import lattice, symmetry_copies
from phasenet.io.reflections.crystal_files import read_crystal

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "phasenet" / "examples"
REFLECTIONS = SHIPPED / "made_crystal.hkl"
OPERATORS = lattice.operators_of(gemmi.SpaceGroup("P 1 21/c 1"))


def launch(module, *flags):
    done = launched.run(module, *flags)
    done.check_returncode()
    return done


@pytest.fixture(scope="module")
def true():
    """Elements and fractional positions of the table."""
    with open(SHIPPED / "made_crystal.csv", encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    return [row["element"] for row in rows], np.array([[float(row[axis]) for axis in "xyz"] for row in rows])


def test_it_is_made_again_byte_for_byte(tmp_path):
    launch("launch.datasets.make_crystal_example", f"--output={tmp_path}")
    for made in sorted(tmp_path.iterdir()):
        assert made.read_bytes() == (SHIPPED / made.name).read_bytes()
        assert made.stat().st_size < 150_000
    assert len(list(tmp_path.iterdir())) == 3


def test_the_files_say_what_the_table_says(true):
    crystal = read_crystal(REFLECTIONS)
    assert len(crystal.operators) == 4 and not any("differ" in note for note in crystal.notes)
    assert not lattice.find_absences(crystal.hkl, OPERATORS).all()
    for element in set(true[0]):
        assert crystal.elements[element] == 4 * true[0].count(element)
    assert crystal.elements["H"] > 0
    assert 1 / lattice.inverse_spacing(crystal.hkl, crystal.cell).max() == pytest.approx(0.9, abs=0.01)


@pytest.mark.slow
def test_the_launch_finds_every_atom(true, tmp_path):
    done = launch("launch.solve", f"--reflections={REFLECTIONS}", f"--output={tmp_path}")
    assert done.stdout.rstrip().splitlines()[-1].startswith("Solved: ")
    log = json.loads((tmp_path / "log.json").read_text())
    crystal = read_crystal(REFLECTIONS)
    matrix = lattice.orthogonalization_matrix(crystal.cell)
    true_positions, true_rows = symmetry_copies.expand_to_cell(true[1], OPERATORS, crystal.cell)
    found, rows = symmetry_copies.expand_to_cell(np.array([atom["position"] for atom in log["atoms"]]), OPERATORS,
                                  crystal.cell)
    matched, right, rms = compare_atoms(found, [log["atoms"][row]["element"] for row in rows], true_positions,
                                        tuple(true[0][row] for row in true_rows), matrix, 0.3)
    assert (matched, right) == (1.0, 1.0) and rms < 0.05
    assert len(found) == len(true_positions)
