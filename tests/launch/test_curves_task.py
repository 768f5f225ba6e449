"""launch.evaluate --task=curves and the calibration of its numbers: what they compare, what they leave out."""

import json
import pathlib

import launched
import numpy as np
import pytest

from launch.datasets.held_out import simulate
from launch.evaluation import cases
from launch.evaluation.curve_tasks import curve_numbers
from launch.reconstruction import curve_rows
from saxsae.analysis.curve_report import compute_curve_numbers
from saxsae.analysis.molecular_mass import METHODS
from saxsae.io.structures.corpus import read_corpus, write_archive
from saxsae.io.structures.structure_files import Structure
from saxsae.profiles import simulation
from saxsae.shapes import atom_numbers
from saxsae.shapes.densities import ATOM_VOLUME_ANGSTROM3
from saxsae.shapes.validation_split import validation_mask

pytestmark = pytest.mark.optimized

ROOT = pathlib.Path(__file__).resolve().parents[2]


def body(axes, seed=0):
    """Atoms at protein density in an ellipsoid, A."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, (60_000, 3))
    count = int(4 / 3 * np.pi * np.prod(axes) / ATOM_VOLUME_ANGSTROM3)
    return points[(points**2).sum(1) < 1][:count] * axes


def write_pair(folder, xyz, residue, curve=None):
    """A folder of a pair whose model has one atom a residue."""
    folder.mkdir(parents=True)
    curve = simulation.simulate_curve(xyz, 0) if curve is None else curve
    np.savetxt(folder / "profile.dat", np.stack(curve[:3], 1), header="q(1/A) I sigma")
    lines = [f"ATOM  {i % 99999 + 1:5d}  CA  {residue} {chr(65 + i // 9999)}{i % 9999 + 1:4d}    "
             f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           C" for i, (x, y, z) in enumerate(xyz)]
    (folder / "reference.pdb").write_text("\n".join([*lines, "END"]) + "\n")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    write_pair(folder / "small", body((14, 17, 22)), "ALA")
    flat = np.linspace(0.01, 0.3, 60)
    write_pair(folder / "flat", body((14, 14, 14)), "ALA", (flat, np.ones(60), np.full(60, 0.01)))
    broken = folder / "broken"
    write_pair(broken, body((14, 14, 14)), "ALA")
    (broken / "reference.pdb").write_text("nothing\n")
    return folder


@pytest.fixture(scope="module")
def items(pairs):
    return {item["id"]: item for item in curve_numbers.evaluate_cases(cases.list_measured_pairs(str(pairs)))}


def test_numbers_stand_beside_those_of_the_model(items):
    found = items["small"]
    assert found["reference_d_max_angstrom"] == pytest.approx(44, rel=0.08)
    assert found["reference_rg_angstrom"] == pytest.approx(np.sqrt((14**2 + 17**2 + 22**2) / 5), rel=0.02)
    assert found["rg_real_angstrom"] == pytest.approx(found["reference_rg_angstrom"], rel=0.02)
    assert found["d_max_angstrom"] == pytest.approx(44, rel=0.12)
    assert found["d_max_interval_angstrom"][0] < found["d_max_angstrom"] < found["d_max_interval_angstrom"][1]
    for method in METHODS:
        assert found[f"mass_interval_kda_{method}"][0] < found[f"mass_kda_{method}"]


def test_the_numbers_are_those_of_a_reconstructions_log(items, pairs):
    (case,) = (case for case in cases.list_measured_pairs(str(pairs)) if case.id == "small")
    logged = curve_rows.log(compute_curve_numbers(case.load()[0]))
    numbers = {name: value for name, value in logged.items() if name not in ("p_r", "notes")}
    assert "mass_kda_porod" in numbers and numbers.items() <= items["small"].items()


def test_what_a_curve_does_not_give_is_none(items):
    found = items["flat"]
    assert found["d_max_angstrom"] is None and found["d_max_interval_angstrom"] is None
    assert found["mass_kda_calibrated"] is None and found["notes"][0].startswith("no Guinier region")
    assert "error" in items["broken"] and "reference.pdb" in items["broken"]["error"]


def test_errors_are_relative_and_leave_out_what_is_missing():
    base = {"kind": "atoms", "notes": [], "rg_guinier_angstrom": 20.0, "reference_rg_angstrom": 20.0,
            "rg_real_angstrom": 20.0, "p_r_end_angstrom": 60.0, "reference_d_max_angstrom": 60.0,
            "reference_mass_kda": 30.0, **{f"mass_kda_{m}": 30.0 for m in METHODS}}
    made = [base | {"id": "a", "d_max_angstrom": 66.0, "d_max_interval_angstrom": [61.0, 70.0]},
            base | {"id": "b", "d_max_angstrom": 54.0, "d_max_interval_angstrom": [50.0, 61.0],
                    "mass_kda_calibrated": 36.0},
            base | {"id": "beads", "kind": "beads", "reference_mass_kda": None, "d_max_angstrom": None,
                    "d_max_interval_angstrom": None}]
    summary = curve_numbers.summarize([*made, {"id": "c", "label": "", "error": "unreadable"}])
    assert summary["count"] == 4 and summary["failed"] == 1
    assert summary["count_d_max"] == 2 and summary["median_d_max_error"] == pytest.approx(0.1)
    assert summary["d_max_in_interval"] == 0.5
    assert summary["count_mass_calibrated"] == 2 and summary["median_mass_calibrated_error"] == pytest.approx(0.1)
    assert summary["count_rg_real"] == 3 and summary["median_rg_real_ratio"] == 1.0
    text = curve_numbers.format_curves([*made, {"id": "c", "label": "", "error": "unreadable"}], summary)
    assert "1 models of dummy beads have no mass" in text and "failed: c: unreadable" in text


def test_the_launch_writes_items_and_a_summary(pairs, tmp_path):
    done = launched.run("launch.evaluate", "--task=curves", f"--pairs={pairs}", "--json=out.json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "median error" in done.stdout and "flat: no Guinier region" in done.stdout
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["task"] == "curves" and [item["id"] for item in written["items"]] == ["broken", "flat", "small"]
    assert written["summary"]["count_d_max"] == 1 and written["items"][2]["d_max_angstrom"] > 30


@pytest.mark.parametrize("validation", [False, True])
def test_the_calibration_prints_constants_and_errors(tmp_path, validation):
    names = [f"body{i}" for i in range(1000)]
    mask = validation_mask(names, [""] * 1000, 0.08)
    structures = []
    for i, name in enumerate(np.array(names)[mask == validation][:20]):
        xyz = body((12 + i % 9, 15, 16 + i % 17), i)
        structures.append(Structure(xyz.astype(np.float32), np.full(len(xyz), 6, np.uint8), "atoms", str(name)))
    write_archive(tmp_path / "structures.npz", structures)
    done = launched.run("launch.datasets.calibrate_curve_numbers", "--structures=structures.npz", "--limit=20",
                        *(["--validation"] if validation else []), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for word in (METHODS if validation else (*METHODS, "_D_MAX_OVER_TAIL", "_CALIBRATION", "_TRUTH_OVER_ESTIMATE")):
        assert word in done.stdout
    assert ("in the 90% interval" in done.stdout) == validation


def test_curves_of_held_out_structures_give_size_and_mass(data_dir):
    structures = read_corpus(data_dir / "structures" / "structures_0.npz")
    mask = validation_mask([s.name for s in structures], [s.pdb_id for s in structures], 0.08)
    held_out = [s for s, held in zip(structures, mask, strict=True) if held and len(s.xyz_angstrom) < 6000][:16]
    sizes, masses, inside = [], [], []
    for seed, structure in enumerate(held_out):
        numbers = compute_curve_numbers(simulate(structure, seed))
        if numbers.notes:  # some curves are too noisy or too short
            continue
        mass = atom_numbers.atom_mass(structure.atomic_number)
        sizes.append(abs(numbers.d_max_angstrom / atom_numbers.largest_distance(structure.xyz_angstrom) - 1))
        masses.append(abs(numbers.mass().mass_kda / mass - 1))
        low, high = numbers.mass().interval_kda
        inside.append(low < mass < high)
    assert len(sizes) > 10 and np.median(sizes) < 0.07 and np.median(masses) < 0.12 and np.mean(inside) > 0.7
