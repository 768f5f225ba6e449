"""What launch.serve asks of the other launches: a random case, its truth, and the stream of progress."""

import base64
import json

import launched
import numpy as np
import pytest
from served import HERE

from launch.reconstruction import stream
from launch.serving import truth
from saxsae import genetic_search, pretrained
from saxsae.shapes import voxels

pytestmark = pytest.mark.optimized

ROOT = HERE.parents[1]


def make(folder, *flags):
    return launched.run("launch.datasets.make_patterson_example", f"--output={folder}", "--name=case",
                        "--weights=dual_space", *flags)


def test_a_random_case_is_as_it_was_asked_for(tmp_path):
    done = make(tmp_path, "--num_atoms=4", "--inner_box=8", "--h_max=6", "--noise=0.1", "--seed=3")
    assert done.returncode == 0, done.stderr
    patterson = np.load(tmp_path / "case.npy")
    atoms = np.loadtxt(tmp_path / "case.csv", delimiter=",", skiprows=1)[:, 1:]
    assert patterson.shape == (40, 40, 40) and atoms.shape == (4, 3) and np.abs(atoms).max() <= 4
    reach = np.sqrt(sum(np.square(axis) for axis in np.meshgrid(*[np.fft.fftfreq(40, 1 / 40)] * 3)))
    power = np.abs(np.fft.fftn(patterson))
    assert power[reach > 6.001].max() < 1e-5 * power.max()
    # Without noise it is real, and another map.
    assert make(tmp_path, "--num_atoms=4", "--inner_box=8", "--h_max=6", "--seed=3").returncode == 0
    assert 0.01 < np.abs(np.load(tmp_path / "case.npy") - patterson).max() / patterson.max() < 0.3


def test_a_case_that_cannot_be_is_told_in_one_line(tmp_path):
    done = make(tmp_path, "--num_atoms=60", "--inner_box=6")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "num_atoms=60: too many for min_distance=2.0 in a box of 6.0 voxels" in done.stderr


def test_the_truth_is_told_in_the_found_hand(tmp_path):
    true = np.array([[0.0, 0, 0], [3, 0, 0], [0, 4, 0], [1, 1, 5]])
    found = np.array([3.0, 5, 7]) - true[[2, 0, 3, 1]]
    found[0] += [0.1, 0, 0]
    for path, atoms in ((tmp_path / "case.csv", true), (tmp_path / "positions.csv", found)):
        rows = "".join(f"{i},{x},{y},{z},0.1\n" for i, (x, y, z) in enumerate(atoms, 1))
        path.write_text(f"atom,x,y,z,deviation\n{rows}")
    truth.main(str(tmp_path / "case.csv"), str(tmp_path))
    told = json.loads((tmp_path / truth.NAME).read_text())
    assert told["matched"] == [True] * 4 and told["mean_error"] == pytest.approx(0.0375, abs=0.01)
    np.testing.assert_allclose(told["true"], true - true.mean(0), atol=1e-6)
    np.testing.assert_allclose(np.array(told["found"])[[1, 3, 0, 2]], true - true.mean(0), atol=0.11)


def test_progress_tells_the_shape_that_the_numbers_mean(tmp_path):
    weights = pretrained.load("lean")
    latent = np.asarray(weights.latents.bank[0], np.float32)
    path = tmp_path / "progress.jsonl"
    path.write_text("of an earlier run\n")
    write = stream.progress_writer(str(path), weights)
    write({"generation": 0}, latent, 27.0)
    write({"generation": 5}, latent, 54.0)
    first, second = map(json.loads, path.read_text().splitlines())
    (shape,) = np.asarray(genetic_search.decode_shapes(weights.network, weights.params, weights.threshold,
                                                       latent[None]))
    told = np.unpackbits(np.frombuffer(base64.b64decode(first["shape"]), np.uint8))[:voxels.GRID**3]
    np.testing.assert_array_equal(told.reshape(shape.shape).astype(bool), shape)
    assert first["generation"] == 0 and first["pitch_angstrom"] == pytest.approx(27 / 13.5)
    # The same shape is not told twice, its new size is.
    assert "shape" not in second and second["pitch_angstrom"] == pytest.approx(54 / 13.5)
