"""The figures of the Patterson paper: what they claim, and that they are drawn."""

import functools
import json
import pathlib

import jax
import launched
import numpy as np
import pytest
from matplotlib.figure import Figure

from launch.plotting import style
from launch.plotting.missing import MissingInput
from launch.plotting.patterson_figures import all_figures, geometry, solutions, voxels
from launch.plotting.patterson_figures import training as patterson_training
from phasenet import pretrained
from phasenet.errors import InputError
from phasenet.maps import synthesis
from phasenet.maps.atoms import AtomRules
from phasenet.maps.patterson import patterson as patterson_map
from phasenet.maps.synthesis import Problem
from phasenet.networks import published
from phasenet.networks.dense import DenseArchitecture

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = Problem(atoms=AtomRules(num_atoms=3, inner_box=5.0), grid=16)
SMALL = published.ConvolutionalArchitecture(features=2, outer_kernel=3, inner_kernel=3, inner_layers=2)
PNG = b"\x89PNG\r\n\x1a\n"
NAMES = [f"patterson{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, "9b", 10, 11, 12)]
RESULT = {"task": "phasing", "summary": {"atoms": 6}, "items": [
    {"id": "0", "distances": [0.1, 0.3, 0.2]}, {"id": "1", "distances": [0.2, 4.0]}]}


def make_run(folder, problem=TINY, architecture=SMALL, loss_factor=1.0, examples=0):
    """A workdir as a training leaves it: losses of 4e-3, 2e-3, 1e-3 times the factor."""
    maps = np.zeros((1, *(problem.grid,) * 3), np.float32)
    shapes = jax.eval_shape(lambda: pretrained.network_of(architecture, problem).init(jax.random.key(0), maps))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape), shapes)
    pretrained.save(folder / "weights", params, architecture, problem, {"config": {
        "loss_factor": loss_factor, "batch_size": 5, "examples": {"count": examples}}})
    rows = [{"step": step, "loss": loss_factor * loss, "grad_norm": 1.0}
            for step, loss in ((10, 4e-3), (20, 2e-3), (30, 1e-3))]
    rows.append({"step": 30, "eval/loss": loss_factor * 1.5e-3, "eval/atoms_found": 0.5})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    single = TINY._replace(target="single")
    make_run(folder / "baseline")
    make_run(folder / "single10", single, loss_factor=2.0)
    make_run(folder / "single20", single._replace(atoms=AtomRules(num_atoms=6, inner_box=8.0)))
    make_run(folder / "box18", TINY._replace(atoms=AtomRules(num_atoms=3, inner_box=7.0)))
    make_run(folder / "batch_norm", architecture=SMALL._replace(batch_norm=True))
    return folder


@pytest.fixture(scope="module")
def inputs(runs):
    return all_figures.Inputs(str(runs / "baseline"), str(runs / "baseline"),
                            [f"{path.name}={path}" for path in sorted(runs.iterdir())], [RESULT], 0)


@pytest.mark.parametrize("name", NAMES)
def test_each_figure_is_drawn(name, inputs, tmp_path):
    all_figures.draw(name, tmp_path / f"{name}.png", inputs)
    assert (tmp_path / f"{name}.png").read_bytes()[:8] == PNG


def test_the_dense_network_is_drawn_too(tmp_path):
    make_run(tmp_path, architecture=DenseArchitecture(width=8, blocks=1, patterson_reach=7, density_reach=4))
    all_figures.draw("patterson2", tmp_path / "a.png", all_figures.Inputs(str(tmp_path), "", [], [], 0))
    assert (tmp_path / "a.png").read_bytes()[:8] == PNG
    run = patterson_training.read_run("baseline", str(tmp_path))
    assert patterson_training.describe_run(run).endswith("dense network, 8 wide, 1 blocks")


@pytest.mark.parametrize(("name", "flag"), [
    ("patterson8", "single10 or single20"), ("patterson9", "box18 or box24"),
    ("patterson9b", "batch_norm"), ("patterson12", "--task=phasing")])
def test_what_was_not_given_is_named(name, flag, tmp_path):
    without = all_figures.Inputs("small", "", ["baseline=somewhere"], [{"task": "simulated", "items": []}], 0)
    with pytest.raises(MissingInput, match=flag):
        all_figures.draw(name, tmp_path / "a.png", without)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("workdir", ["published", pretrained.WEIGHTS / "published"])
def test_the_losses_of_released_weights_are_read(workdir):
    run = patterson_training.read_run("baseline", str(workdir))
    assert run.steps[-1] == 5000 and run.loss[-40:].mean() < run.loss[0] / 2
    assert (run.problem.grid, run.edge) == (40, 28)
    assert "10 atoms" in patterson_training.describe_run(run)
    assert patterson_training.describe_run(run).endswith("the published network")


def test_discs_cover_what_they_should():
    # About a corner of four pixels, then in the middle of one, which it covers whole.
    quarter = geometry.covered_pixels(np.array([[2.0, 2.0]]), 4)
    np.testing.assert_allclose(quarter[1:3, 1:3], np.pi / 4, atol=1e-4)
    assert quarter.sum() == pytest.approx(np.pi, abs=4e-4)
    middle = geometry.covered_pixels(np.array([[1.5, 2.5]]), 5)
    assert middle[1, 2] == 1 and middle[1, 1] == pytest.approx(middle[0, 2])
    # The integral of sqrt(1 - y^2) - 1/2 over y from -1/2 to 1/2.
    assert middle[2, 2] == pytest.approx(np.pi / 6 + np.sqrt(3) / 4 - 0.5, abs=2e-3)


def test_the_two_sets_have_one_patterson_map_and_different_shapes():
    problem = Problem()
    sets = [np.insert(atoms, 2, 0.0, axis=1) for atoms in geometry.ambiguous_sets(problem.grid)]
    maps = [synthesis.atom_map(atoms, problem) for atoms in sets]
    np.testing.assert_allclose(*(patterson_map(one) for one in maps), atol=1e-4)
    # Neither the same nor inverses, nor of the same distances.
    for other in (maps[1], np.flip(maps[1])):
        assert np.abs(np.asarray(maps[0]) - other).max() > 0.5
    lengths = [np.sort(np.linalg.norm(geometry.vectors(atoms), axis=1)) for atoms in sets]
    assert np.abs(lengths[0] - lengths[1]).max() > 5


def test_end_points_tell_other_sets_apart():
    first, second = geometry.ambiguous_sets(40)
    np.testing.assert_array_equal(geometry.end_points(first, 40), geometry.end_points(second, 40))
    second[2, 0] += 1
    assert (geometry.end_points(first, 40) != geometry.end_points(second, 40)).any()


def test_voxels_are_red_blue_or_green_and_faint_ones_are_left_out():
    first, second = np.zeros((2, 3, 3, 3))
    first[0, 0, 0], second[1, 1, 1] = 1.0, 0.4
    first[2, 2, 2], second[2, 2, 2] = 0.3, 0.6
    first[0, 1, 2] = 0.09
    occupancy, colours = voxels.colour_sets(first, second)
    assert occupancy[0, 1, 2] == 0 and (occupancy > 0).sum() == 3
    reds, blues, greens = colours[0, 0, 0], colours[1, 1, 1], colours[2, 2, 2]
    assert reds.argmax() == 0 and blues.argmax() == 2 and greens.argmax() == 1
    assert occupancy[2, 2, 2] == 0.6


def test_cubes_are_drawn_from_far_to_near():
    occupancy = np.zeros((4, 4, 4))
    occupancy[3, 3, 3], occupancy[0, 0, 0], occupancy[1, 2, 3] = 1.0, 0.5, 0.05
    axes = Figure().subplots()
    voxels.draw_voxels(axes, occupancy, style.ORANGE)
    faces = axes.collections[-1]
    assert len(faces.get_paths()) == 6  # three of each cube
    opacity = faces.get_facecolor()[:, 3]
    assert (opacity[:3] < opacity[3:]).all()


def test_a_crop_keeps_the_centre():
    density = np.asarray(synthesis.atom_map(np.array([[2.3, -1.2, 0.4]]), TINY))
    cropped = voxels.crop(density, 8)
    assert cropped.sum() == pytest.approx(density.sum())
    np.testing.assert_array_equal(np.flip(cropped), voxels.crop(np.flip(density), 8))


def test_losses_are_read_as_mean_squared_errors(runs):
    for name in ("baseline", "single10"):  # of which one was trained with twice the loss
        run = patterson_training.read_run(name, str(runs / name))
        np.testing.assert_allclose(run.loss, [4e-3, 2e-3, 1e-3])
        assert run.steps.tolist() == [10, 20, 30] and run.eval_steps.tolist() == [30]
        np.testing.assert_allclose(run.eval_loss, [1.5e-3])


def test_sets_of_examples_make_epochs(tmp_path, runs):
    assert patterson_training.read_run("baseline", str(make_run(tmp_path, examples=50))).epoch == 10
    assert patterson_training.read_run("baseline", str(runs / "baseline")).epoch == 0


def test_small_scale_is_said(runs):
    run = patterson_training.read_run("baseline", str(runs / "baseline"))
    assert patterson_training.describe_run(run).startswith("at a small scale: 3 atoms in 5$^3$ of 16$^3$ voxels")
    full = run._replace(problem=Problem(), architecture=published.PUBLISHED)
    described = patterson_training.describe_run(full)
    assert "small" not in described and "published network" in described


def test_losses_compare_per_as_many_atoms(runs, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(patterson_training, "_curves",
                        lambda axes, run, training, validation, factor: drawn.setdefault(run.name, factor))
    some = [patterson_training.read_run(name, str(runs / name)) for name in ("baseline", "single10", "single20")]
    patterson_training.patterson8(tmp_path / "a.png", some)
    assert drawn == {"baseline": 1, "single10": 2, "single20": 1}


def test_workdirs_that_are_none_are_refused(tmp_path, runs):
    with pytest.raises(InputError, match="no metrics.jsonl"):
        patterson_training.read_run("baseline", str(tmp_path))
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "eval/loss": 1}\n')
    with pytest.raises(InputError, match="no losses"):
        patterson_training.read_run("baseline", str(tmp_path))
    (tmp_path / "metrics.jsonl").write_text('{"loss": 1}\n')
    with pytest.raises(InputError, match="not rows of a training"):
        patterson_training.read_run("baseline", str(tmp_path))
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 1}\n')
    with pytest.raises(InputError, match="no weights in it yet"):
        patterson_training.read_run("baseline", str(tmp_path))
    for wrong in (["box18"], ["box=a"], ["box18="], ["box18=a", "box18=b"]):
        with pytest.raises(InputError, match="--workdirs"):
            all_figures.check_workdirs(wrong)


def test_accuracy_counts_all_atoms():
    distances, matched, atoms = solutions.matched_distances(RESULT)
    assert (matched, atoms) == (5, 6) and distances.sum() == pytest.approx(4.8)
    for broken in ({"items": [{"id": "0"}], "summary": {"atoms": 3}}, {"items": RESULT["items"], "summary": {}},
                   {"items": [{"distances": []}], "summary": {"atoms": 3}}):
        with pytest.raises(InputError, match="--results"):
            solutions.matched_distances(broken)


def test_the_launch_draws_and_refuses(tmp_path):
    launch = functools.partial(launched.run, "launch.figures")
    (tmp_path / "phasing.json").write_text(json.dumps(RESULT))
    done = launch("--figure=patterson12", f"--output={tmp_path / 'out'}", f"--results={tmp_path / 'phasing.json'}")
    assert done.returncode == 0 and done.stderr == ""
    assert (tmp_path / "out" / "patterson12.png").read_bytes()[:8] == PNG
    refused = launch("--figure=patterson7", f"--output={tmp_path / 'out'}", f"--workdir={tmp_path}")
    assert refused.returncode == 1
    assert refused.stderr == f"figures: {tmp_path}: not a workdir of launch.train: it has no metrics.jsonl\n"
