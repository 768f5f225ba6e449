"""launch.reconstruct: what it writes, says and refuses."""

import functools
import json
import os
import pathlib
import shutil
import types

import gemmi
import jax
import launched
import mrcfile
import numpy as np
import pytest
from report_pages import payload_of
from same_files import assert_same_files

from launch import app
from launch.machine import cpu_devices, provenance
from launch.plotting.saxs_figures import shapes
from launch.reconstruction import files, report
from phasenet.errors import InputError
from phasenet.io.ccp4 import read_map
from saxsae import genetic
from saxsae.bank.descent import DescentSettings
from saxsae.io.curves.measured_curves import read_curve
from saxsae.io.structures.structure_files import read_structure
from saxsae.pretrained import WEIGHTS

pytestmark = pytest.mark.optimized

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "saxsae" / "examples" / "three_lobes.dat"
REFERENCE = EXAMPLE.with_suffix(".pdb")


launch = functools.partial(launched.run, "launch.reconstruct")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A short run of the shipped example: two models, three steps."""
    folder = tmp_path_factory.mktemp("reconstruct")
    # A cache of its own shows what a launch compiles; it begins with what other tests have compiled.
    shutil.copytree(os.environ["JAX_COMPILATION_CACHE_DIR"], folder / "cache", copy_function=os.symlink)

    def again():
        finished = launch(
            f"--profile={EXAMPLE}", f"--reference={REFERENCE}", f"--output={folder / 'made' / 'here'}",
            "--num_models=2", "--generations=3", "--seed=1", f"--json={folder / 'also.json'}",
            JAX_COMPILATION_CACHE_DIR=str(folder / "cache"))
        assert finished.returncode == 0, finished.stderr
        return finished

    finished = again()
    return types.SimpleNamespace(
        output=finished.stdout, errors=finished.stderr, folder=folder / "made" / "here",
        also=folder / "also.json", programs=folder / "cache", again=again)


def test_it_says_what_it_read_and_did(done):
    assert done.errors == ""
    curve = read_curve(EXAMPLE)
    log = json.loads((done.folder / "log.json").read_text())
    assert done.output.rstrip().splitlines()[-1].startswith(f"{log['status']}: ")
    for words in (f"{len(curve.q_inv_angstrom)} points", "sigma from the file", "Guinier: Rg 2",
                  *curve.notes, "step   3/3", "made of", "correlation with reference",
                  "RSC of the models", "wall seconds", f"written to {done.folder}"):
        assert words in done.output


def test_all_files_are_there(done):
    names = {file.name for file in done.folder.iterdir()}
    assert names == {
        "density.ccp4", "density_sd.ccp4", "occupancy.ccp4", "model_01.ccp4", "model_02.ccp4",
        "density_on_reference.ccp4", "beads.pdb",
        "fit.fit", "reference_fit.fit", "log.json", "report.html", "shape.png", "fit.png", "convergence.png"}
    for name in ("shape.png", "fit.png", "convergence.png"):
        assert (done.folder / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_same_seed_gives_the_same_files(done, tmp_path):
    shutil.copytree(done.folder, tmp_path / "before")
    done.again()
    assert_same_files(tmp_path / "before", done.folder)


def test_the_log_is_whole(done):
    log = json.loads((done.folder / "log.json").read_text())
    assert log == json.loads(done.also.read_text())
    shown = payload_of((done.folder / "report.html").read_text(encoding="utf-8"))
    assert shown["summary"] == log["summary"] and shown["models"] == log["models"]
    assert log["flags"]["seed"] == 1 and log["flags"]["num_models"] == 2
    assert log["flags"]["background"] is False and len(log["flags"]) == 18
    assert log["weights"]["sha256"] == provenance.weights_digest(WEIGHTS / "lean") and log["weights"]["kind"] == "lean"
    assert log["revision"]
    assert log["versions"]["jax"] == jax.__version__ and log["settings"]["steps"] == 3
    assert log["guinier"]["valid"] and log["curve"]["unit"] == "1/A" and log["notes"]
    assert log["stages"] == ["bank", "search"] and len(log["sources"]) == 2
    assert len(log["models"]) == 2 and log["models"][0]["generations"] == 3
    assert [len(run) for run in log["history"]["best"]] == [4]
    summary = log["summary"]
    assert 0.4 < summary["single_chosen"] <= 1
    assert 0.4 < summary["correlation"] <= 1 and log["timing"]["wall_seconds"] > 0
    assert summary["chi_squared"] > 0 and 0.3 < summary["rsc"] <= 1
    assert f"{summary['chi_squared']:.3f}" in done.output


def test_maps_open_elsewhere_about_the_origin(done):
    log = json.loads((done.folder / "log.json").read_text())
    pitch = log["pitch_angstrom"]
    for name in ("density.ccp4", "model_01.ccp4", "model_02.ccp4"):
        ccp4 = gemmi.read_ccp4_map(str(done.folder / name))
        assert ccp4.grid.unit_cell.a == pytest.approx(31 * pitch, rel=1e-5)
        with mrcfile.open(done.folder / name) as opened:
            assert opened.voxel_size.x == pytest.approx(pitch, rel=1e-5)
            assert opened.data.shape == (31, 31, 31)
        found = read_map(done.folder / name)
        np.testing.assert_allclose(found.origin_angstrom, -15 * pitch, rtol=1e-5)
        assert 0 <= found.density.min() and 0.5 < found.density.max() < 1.01


def test_the_placed_map_covers_the_reference_in_its_own_frame(done):
    density, pitch, origin = read_map(done.folder / "density_on_reference.ccp4")
    np.testing.assert_allclose(origin / pitch, np.rint(origin / pitch), atol=1e-3)
    xyz = read_structure(REFERENCE, assembly=None).xyz_angstrom
    index = np.rint((xyz - origin) / pitch).astype(int)
    assert (index >= 0).all() and (index < density.shape[0]).all()
    at_atoms = density[tuple(index.T)]
    log = json.loads((done.folder / "log.json").read_text())
    assert (at_atoms > log["bead_level"]).mean() > 0.5
    assert at_atoms.mean() > 5 * density.mean()
    # Nothing was cut off on the way.
    assert density.sum() == pytest.approx(read_map(done.folder / "density.ccp4").density.sum(), rel=0.02)


def test_beads_are_the_densest_voxels(done):
    density, pitch, _ = read_map(done.folder / "density.ccp4")
    beads = read_structure(done.folder / "beads.pdb", assembly=None)
    assert beads.kind == "beads"
    assert len(beads.xyz_angstrom) == pytest.approx(density.sum(), abs=2)
    index = np.rint(beads.xyz_angstrom / pitch + 15).astype(int)
    np.testing.assert_allclose(beads.xyz_angstrom, (index - 15) * pitch, atol=2e-3)
    assert density[tuple(index.T)].min() >= np.sort(density.reshape(-1))[-len(index)]


def test_another_curve_compiles_nothing_new(done, tmp_path):
    # Other points, other size, other seed, and a reference of other atoms: the programs of the first launch do.
    rows, atoms = np.loadtxt(EXAMPLE)[1:140:2] * [1.15, 3.0, 3.0], REFERENCE.read_text().splitlines()
    np.savetxt(tmp_path / "other.dat", rows)
    (tmp_path / "other.pdb").write_text("\n".join(line for line in atoms[::3] if line.startswith("ATOM")))
    before = {file.name for file in done.programs.glob("*-cache")}
    assert before
    finished = launch(f"--profile={tmp_path / 'other.dat'}", f"--reference={tmp_path / 'other.pdb'}",
                      f"--output={tmp_path}", "--num_models=2", "--generations=3", "--seed=7",
                      JAX_COMPILATION_CACHE_DIR=str(done.programs))
    assert finished.returncode == 0, finished.stderr
    log = json.loads((tmp_path / "log.json").read_text())
    assert log["curve"]["points"] == 70 and log["guinier"]["rg_angstrom"] < 20
    assert {file.name for file in done.programs.glob("*-cache")} == before


def test_the_fit_file_is_read_as_a_curve_again(done):
    rows = np.loadtxt(done.folder / "fit.fit")
    curve = read_curve(EXAMPLE)
    np.testing.assert_allclose(rows[:, 0], curve.q_inv_angstrom[:len(rows)], rtol=1e-6)
    np.testing.assert_allclose(rows[:, 1], curve.intensity[:len(rows)], rtol=1e-6)
    log = json.loads((done.folder / "log.json").read_text())
    chi_squared = np.mean(((rows[:, 1] - rows[:, 3]) / rows[:, 2]) ** 2)
    assert chi_squared == pytest.approx(log["summary"]["chi_squared"], rel=1e-4)


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """A folder of what people give by mistake."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty.dat").write_text("")
    (folder / "words.dat").write_text("hello world\n")
    (folder / "three.dat").write_text("0.01 1\n0.02 0.9\n0.03 0.8\n")
    (folder / "no_atoms.pdb").write_text("HEADER    NOTHING\nEND\n")
    for name in ("truncated", "misfit"):
        (folder / name).mkdir()
        for file in (WEIGHTS / "lean").iterdir():
            content = file.read_bytes()
            if name == "truncated" and file.name == "decoder.npz":
                content = content[:5000]
            if name == "misfit" and file.name == "config.json":
                content = content.replace(b'"latent_size": 200', b'"latent_size": 100')
            (folder / name / file.name).write_bytes(content)
    return folder


@pytest.mark.parametrize(("flags", "code", "words"), [
    (["--profile={bad}/missing.dat"], 1, "missing.dat: no such file"),
    (["--profile={bad}/empty.dat"], 1, "empty.dat: the file is empty"),
    (["--profile={bad}/words.dat"], 1, "no table of numbers"),
    (["--profile={bad}/three.dat"], 1, "only 3 usable points"),
    (["--profile={example}", "--radius=-3"], 1, "--radius=-3"),
    (["--profile={example}", "--radius=nan"], 1, "--radius=nan"),
    (["--profile={example}", "--q_max=0"], 1, "--q_max=0"),
    (["--profile={example}", "--num_models=0"], 1, "--num_models=0"),
    (["--profile={example}", "--unit=inch"], 1, "1/A|1/nm"),
    (["--profile={example}", "--symmetry=C13"], 1, "C12|D2"),
    (["--profile={example}", "--symmetry=C3", "--stages=bank,evolve"], 1, "not with bank,evolve"),
    (["--profile={example}", "--reference={bad}/no_atoms.pdb"], 1, "no_atoms.pdb"),
    (["--profile={example}", "--weights={bad}/truncated"], 1, "decoder.npz"),
    (["--profile={example}", "--weights={bad}/misfit"], 1, "needs"),
    (["--profile={example}", "--weights=nobodys"], 1, "nobodys"),
    ([], 2, "--profile"),
    (["--profile={example}", "--profil=x"], 2, "profil")])
def test_mistakes_end_in_one_line(bad, tmp_path, flags, code, words):
    flags = [flag.format(bad=bad, example=EXAMPLE) for flag in flags]
    finished = launch(*flags, f"--output={tmp_path / 'out'}")
    assert finished.returncode == code
    assert finished.stderr.count("\n") == 1 and words in finished.stderr
    assert "stages" not in finished.stdout  # before the long work


def test_an_output_that_is_a_file_is_refused(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("precious")
    for path in (taken, taken / "below"):
        with pytest.raises(InputError, match="is a file"):
            app.prepare_folder(str(path))
    assert taken.read_text() == "precious"
    assert app.prepare_folder(str(tmp_path / "a" / "b")).is_dir()


def test_only_results_of_an_earlier_run_are_cleared(tmp_path):
    (tmp_path / "model_01.ccp4").touch()
    files.remove_old_results(tmp_path)
    assert (tmp_path / "model_01.ccp4").exists()  # without a log it is somebody else's
    for name in ("log.json", "report.html", "model_12.ccp4", "density_on_reference.ccp4", "model_mine.ccp4"):
        (tmp_path / name).touch()
    files.remove_old_results(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["model_mine.ccp4"]


def test_level_of_equal_volume():
    rng = np.random.default_rng(0)
    models = rng.uniform(size=(5, 9, 9, 9)) > 0.7
    density = (models * rng.uniform(0.999, 1.001, models.shape)).mean(0)
    level = shapes.equal_volume_level(density)
    assert (density > level).sum() == pytest.approx(models.sum() / 5, abs=1)


def test_progress_keeps_the_best_of_all_runs():
    said = []
    settings = genetic.EvolutionSettings(population=3, generations=9)
    progress = report.ProgressReport(settings, said.append)
    chi_squared = np.array([[4.0, 5.0, 6.0], [1.5, 2.0, 3.0]])
    latents = np.arange(12.0).reshape(2, 3, 2)
    state = genetic.EvolutionState(latents, chi_squared + 30, chi_squared, np.array([5, 5]),
                          np.array([0, 8]), np.array([5.0, 2.0]), None)
    progress(state)
    (generation, latent, radius), = progress.snapshots
    assert generation == 5 and radius == 31.5
    np.testing.assert_array_equal(latent, latents[1, 0])
    assert "generation   5/8: chi^2 1.5 4" in said[0] and "1 of 2 runs go on" in said[0]


def test_searches_that_follow_each_other_are_named():
    """The second begins anew, here at the generation at which the first ended."""
    said, written = [], []
    progress = report.ProgressReport(DescentSettings(steps=9), said.append, lambda numbers, *_: written.append(numbers),
                                     ("symmetry C3", "without symmetry"))
    for generation in (6, 9, 9):
        progress(genetic.EvolutionState(np.zeros((1, 4, 2)), np.full((1, 4), 30.0), np.ones((1, 4)),
                                        np.array([generation]), np.array([0]), np.ones(1), None))
    assert [line.partition("/")[0] for line in said] == [
        "symmetry C3: step   6", "symmetry C3: step   9", "without symmetry: step   9"]
    assert [line["search"] for line in written] == ["symmetry C3", "symmetry C3", "without symmetry"]
    assert [line["running"] for line in written] == [1, 1, 0]


@pytest.mark.parametrize(("runs", "devices_made"), [(8, 8), (1, 1), (20, 5), (7, 7), (13, 1)])
def test_the_cpu_is_split_evenly(monkeypatch, runs, devices_made):
    asked = {}
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    monkeypatch.setattr(jax.config, "update", asked.__setitem__)
    cpu_devices.split_cpu(runs)
    assert asked == {"jax_num_cpu_devices": devices_made}
    asked.clear()
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    cpu_devices.split_cpu(runs)
    assert not asked
