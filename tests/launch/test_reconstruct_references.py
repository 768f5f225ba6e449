"""launch.reconstruct --reference: known structures, predicted models and ranked candidates."""

import json
import os
import pathlib
import types

import launched
import numpy as np
import pytest
from report_pages import payload_of

from launch.pages import scales
from launch.reconstruction import files, input_files
from launch.reconstruction import reference as known
from launch.reconstruction.input_files import StructureFile
from phasenet.errors import InputError
from saxsae.io.curves.measured_curves import read_curve, write_curve
from saxsae.io.structures.structure_files import Structure
from saxsae.profiles import simulation
from saxsae.shapes import densities

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOBES = ROOT / "saxsae" / "examples" / "three_lobes.pdb"
Q = np.linspace(0.01, 0.25, 120)


def make_protein(axes, seed=0):
    """Positions (N, 3) and elements (N,) of atoms at protein density in an ellipsoid."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, (60000, 3))
    xyz = points[(points**2).sum(1) < 1][:int(4 / 3 * np.pi * np.prod(axes) / 17.2)] * axes
    return xyz, rng.choice((6, 7, 8), len(xyz), p=(0.63, 0.17, 0.2))


def write_prediction(path, xyz, numbers, plddt):
    """A ModelCIF file; five atoms make a residue."""
    columns = ("group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_entity_id "
               "label_seq_id Cartn_x Cartn_y Cartn_z occupancy B_iso_or_equiv auth_seq_id auth_asym_id").split()
    names, symbols = ("N", "CA", "C", "O", "CB"), {6: "C", 7: "N", 8: "O"}
    rows = [f"ATOM {i + 1} {symbols[numbers[i]]} {names[i % 5]} . ALA A 1 {i // 5 + 1} {x:.3f} {y:.3f} {z:.3f} 1.0 "
            f"{plddt[i // 5]:.2f} {i // 5 + 1} A" for i, (x, y, z) in enumerate(xyz)]
    path.write_text("data_model\nloop_\n_ma_qa_metric.id\n_ma_qa_metric.name\n1 pLDDT\nloop_\n" +
                    "".join(f"_atom_site.{name}\n" for name in columns) + "\n".join(rows) + "\n")


def write_measurement(path, xyz, numbers):
    """The curve of a structure with its shell, and the noise of a good measurement."""
    intensity = simulation.solution_intensity(xyz, numbers, np.concatenate([[0.0], Q]), 0.02)
    exact = intensity[1:] / intensity[0]
    sigma = simulation.noise_sigma(Q, exact, 17.2 * len(xyz))
    write_curve(path, Q, exact + sigma * np.random.default_rng(1).normal(size=len(Q)), sigma)


def launch(*flags):
    return launched.run_in_turn("launch.reconstruct", *flags, "--stages=bank", "--num_models=2")


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    """A run with two predicted models and beads as candidates; the curve is that of the second."""
    folder = tmp_path_factory.mktemp("candidates")
    models = folder / "models"
    (models / "deep").mkdir(parents=True)
    for place, axes in (("a_round.cif", (22, 21, 20)), ("deep/b_long.cif", (34, 16, 14))):
        xyz, numbers = make_protein(axes)
        count = len(xyz) // 5 * 5
        xyz, numbers = xyz[:count], numbers[:count]
        plddt = np.linspace(30, 96, count // 5)
        write_prediction(models / place, xyz, numbers, plddt)
    write_measurement(folder / "long.dat", xyz, numbers)
    (models / "c_beads.pdb").write_text(LOBES.read_text())
    (models / "scores.json").write_text("{}")
    (models / "tables.cif").write_text("data_x\n_entry.id X\n")
    finished = launch(f"--profile={folder / 'long.dat'}", "--unit=1/A", f"--reference={models}",
                      f"--output={folder / 'out'}")
    assert finished.returncode == 0, finished.stderr
    return types.SimpleNamespace(output=finished.stdout, folder=folder / "out", models=models, plddt=plddt,
                                 log=json.loads((folder / "out" / "log.json").read_text()))


def test_candidates_are_ranked_by_the_fit_of_their_own_curves(ranked):
    names = [entry["name"] for entry in ranked.log["references"]]
    assert names[0] == "b_long.cif" and set(names) == {"a_round.cif", "b_long.cif", "c_beads.pdb"}
    chi_squared = [entry["chi_squared"] for entry in ranked.log["references"]]
    assert chi_squared == sorted(chi_squared) and 0.6 < chi_squared[0] < 1.5 and chi_squared[1] > 5
    assert len({entry["points"] for entry in ranked.log["references"]}) == 1
    best = ranked.log["reference"]
    assert best == ranked.log["references"][0]
    assert best["path"] == str(ranked.models / "deep" / "b_long.cif") and best["cormap_p"] > 1e-3
    assert best["contrast"] == pytest.approx(0.02, abs=0.006)
    assert best["correlation"] == pytest.approx(ranked.log["summary"]["correlation"])
    assert best["mirrored"] == ranked.log["summary"]["mirrored"]


def test_the_table_and_the_page_show_the_ranking(ranked):
    payload = payload_of((ranked.folder / "report.html").read_text(encoding="utf-8"))
    rows = [row for row in payload["rows"] if row[0] in ("curve of the reference", "candidate")]
    assert [row[0] for row in rows] == ["curve of the reference", *["candidate"] * 3]
    assert rows[0][1] == rows[1][1] == f"{ranked.log['reference']['chi_squared']:.3f}"
    assert "1. b_long.cif: chi^2; CorMap p" in rows[1][2] and "correlation 0." in rows[1][2]
    for row in rows:
        assert row[2] in ranked.output and scales.SCALES[row[0]]
    curve, model = np.array(payload["fit"]["reference"]), np.loadtxt(ranked.folder / "reference_fit.fit")
    np.testing.assert_allclose(payload["fit"]["q"], model[:len(curve), 0], rtol=1e-5)
    np.testing.assert_allclose(curve, model[:len(curve), 3], rtol=1e-5)


def test_the_fit_file_has_the_numbers_of_the_best(ranked):
    text = (ranked.folder / "reference_fit.fit").read_text()
    assert "b_long.cif" in text.splitlines()[0] and "CorMap p" in text
    q, intensity, sigma, fit = np.loadtxt(ranked.folder / "reference_fit.fit").T
    assert np.mean(((intensity - fit) / sigma) ** 2) == pytest.approx(ranked.log["reference"]["chi_squared"], rel=1e-4)
    assert len(q) == ranked.log["reference"]["points"]


def test_it_says_how_sure_the_prediction_is(ranked):
    note, = (note for note in ranked.log["notes"] if note.startswith("b_long.cif"))
    below = int((ranked.plddt < 50).sum())
    assert f"mean pLDDT {ranked.plddt.mean():.0f} over {len(ranked.plddt)} residues; {below} are below 50" in note
    assert note in ranked.output
    assert ranked.log["reference"]["confidence"]["residues_below_50"] == below
    assert any(note.startswith("c_beads.pdb: beads have no elements") for note in ranked.log["notes"])


def test_a_file_of_the_folder_that_is_no_structure_is_left_out_and_named(ranked):
    assert f"left out: {ranked.models / 'tables.cif'}: " in ranked.output and "scores.json" not in ranked.output


@pytest.mark.parametrize(("value", "words"), [
    ("{folder}/no.pdb", "no.pdb: no ATOM or HETATM record"), ("{lobes},{folder}/no.pdb", "no.pdb: no ATOM"),
    ("{lobes},{folder}/missing.cif", "missing.cif: no such file"), ("{folder}/empty", "empty: no structure in"),
    ("{folder}", "none of the 1 files is a structure")])
def test_what_is_no_structure_is_one_line(tmp_path, value, words):
    (tmp_path / "no.pdb").write_text("HEADER    NOTHING\nEND\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=words) as raised:
        found = input_files.find_structures(value.format(folder=tmp_path, lobes=LOBES), "out")
        known.read_references(found, lambda line: None)
    assert "\n" not in str(raised.value)


def test_a_path_that_exists_is_taken_whole_and_each_file_once(tmp_path):
    for name in ("a,b.pdb", "c.CIF.gz", ".hidden.pdb", "d.json"):
        (tmp_path / name).touch()
    whole = str(tmp_path / "a,b.pdb")
    assert input_files.find_structures(whole, "out") == [StructureFile(whole, True)]
    assert input_files.find_structures(str(tmp_path), str(tmp_path / "out")) == [
        StructureFile(whole, False), StructureFile(str(tmp_path / "c.CIF.gz"), False)]
    found = input_files.find_structures(f"{tmp_path / 'c.CIF.gz'},{tmp_path}", "out")
    assert [file.listed for file in found] == [True, False]


def test_our_own_results_are_no_candidates(tmp_path):
    """beads.pdb of an earlier run would be ranked as a structure that explains the curve."""
    for folder in ("out", "earlier"):
        (tmp_path / folder).mkdir()
        for name in ("beads.pdb", "log.json", "report.html", "density.ccp4", "fit.fit"):
            (tmp_path / folder / name).touch()
    (tmp_path / "mine.pdb").touch()
    found = input_files.find_structures(str(tmp_path), str(tmp_path / "out"))
    assert [file.path for file in found] == [str(tmp_path / "mine.pdb")]


def make_reference(path, xyz, numbers):
    structure = Structure(xyz.astype(np.float32), numbers.astype(np.uint8), "atoms", "made", source=path)
    return known.Reference(structure, xyz.mean(0), float(np.linalg.norm(xyz - xyz.mean(0), axis=1).max()), None)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A structure, one of the same name and thirty times the size, a trace, and a nucleic acid's elements."""
    path = tmp_path_factory.mktemp("scored") / "curve.dat"
    xyz, numbers = make_protein((30, 16, 15))
    write_measurement(path, xyz, numbers)
    phosphorus = np.where(np.arange(len(numbers)) % 20 == 0, 15, numbers)
    references = [
        make_reference("large/same.pdb", 30 * xyz, numbers), make_reference("own/same.pdb", xyz, numbers),
        make_reference("trace.pdb", xyz[::8], np.full(len(xyz[::8]), 6)), make_reference("acid.pdb", xyz, phosphorus)]
    r_max = references[1].r_max
    density = densities.atom_density(xyz - xyz.mean(0), r_max)
    return known.score_references(references, read_curve(path, "1/A"), (0.01, 0.2), density,
                                  float(densities.density_pitch(r_max)))


def test_a_structure_too_large_for_the_curve_comes_last_without_a_fit(scored):
    names = [each.name for each in scored]
    assert set(names[:2]) == {"own/same.pdb", "acid.pdb"} and names[2:] == ["trace.pdb", "large/same.pdb"]
    assert scored[-1].fit is None and known.log(scored)["references"][-1]["chi_squared"] is None
    assert known.rows(scored)[-1][1] == "none" and "too large" in known.rows(scored)[-1][2]
    assert len(scored[0].fit.q_inv_angstrom) == (Q <= 0.2).sum()
    assert scored[0].fit.chi_squared < 1.4 and scored[0].correlation > 0.95


def test_what_was_assumed_of_the_atoms_is_said(scored):
    notes = " ".join(known.notes(scored))
    assert "acid.pdb: " in notes and "none of C, N, O and S" in notes
    assert "trace.pdb: without nitrogen and oxygen" in notes and "same.pdb" not in notes


def test_the_fit_file_is_a_result_that_a_later_run_removes(scored, tmp_path):
    files.write_reference_fit(tmp_path, scored[-1])
    assert not os.listdir(tmp_path)
    files.write_reference_fit(tmp_path, scored[0])
    (tmp_path / "log.json").touch()
    files.remove_old_results(tmp_path)
    assert not os.listdir(tmp_path)


def test_without_references_there_is_nothing_to_say():
    assert known.rows([]) == [] and known.notes([]) == ()
