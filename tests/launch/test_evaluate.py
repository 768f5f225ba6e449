"""launch.evaluate: its flags, its files, and a whole run of the auto-encoder's evaluation."""

import json
import pathlib
import shutil

import jax
import launched
import numpy as np
import pytest

from launch.machine import provenance
from saxsae import pretrained
from saxsae.io.structures.corpus import write_archive
from saxsae.io.structures.structure_files import Structure
from saxsae.networks import autoencoder
from saxsae.shapes.principal_components import Components

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*args, folder=ROOT):
    """(exit code, stdout, stderr) of launch.evaluate."""
    done = launched.run("launch.evaluate", *args, cwd=folder)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("args, code, line", [
    ([], 2, "flag --task is missing"),
    (["--task=autoencoder"], 2, "flag --references is missing"),
    (["--task=reconstruction"], 2, "flag --pairs is missing"),
    (["--task=guessing"], 1, "flag --task=guessing: value should be one of <autoencoder|"),
    (["--task=simulated", "--references=a.npz", "--limit=0"], 1, "flag --limit=0: "),
    (["--task=autoencoder", "--references=a.npz", "--given_radius"], 1,
     "--given_radius has no meaning for --task=autoencoder"),
    (["--task=simulated", "--references=a.npz", "--from_models"], 1, "--from_models has no meaning for --task=sim"),
    (["--task=autoencoder", "--references=a.npz", "--distributed", "--json=a.json"], 1,
     "--task=autoencoder runs in one process; several can share the items of --task=reconstruction, simulated, "
     "confidence, crystals"),
    (["--task=reconstruction", "--pairs=.", "--distributed"], 2, "flag --json is missing"),
    (["--task=autoencoder", "--refs=a.npz"], 2, "Unknown command line flag 'refs'"),
])
def test_a_bad_flag_is_one_line(args, code, line):
    found = run(*args)
    assert found[:2] == (code, "")
    assert found[2].startswith(f"evaluate: {line}") and found[2].count("\n") == 1


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A release of the lean network that knows nothing: zeros are quick to write."""
    folder = tmp_path_factory.mktemp("weights")
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(autoencoder.make_autoencoder("lean").init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    codes = rng.standard_normal((4, 200)).astype(np.float32)
    quantiles = np.quantile(codes, np.linspace(0, 1, 101), axis=0)
    latents = pretrained.Latents(codes.mean(0), codes.std(0), quantiles, codes)
    basis = np.linalg.qr(rng.standard_normal((14147, 8), np.float32))[0]
    linear = Components(np.full(14147, 0.1, np.float32), basis, np.ones(8, np.float32), 0.3)
    pretrained.save(folder, params, latents, linear, {
        "kind": "lean", "latent_size": 200, "threshold": 0.5, "step": 0})
    return folder


def blob(name: str, seed: int) -> Structure:
    xyz = np.random.default_rng(seed).normal(0, [8, 10, 20], (300, 3)).astype(np.float32)
    return Structure(xyz, np.full(300, 6, np.uint8), "atoms", name)


def test_the_autoencoder_of_an_archive(tmp_path, weights):
    write_archive(tmp_path / "references.npz", [blob(f"blob{i}", i) for i in range(3)])
    code, out, error = run(
        "--task=autoencoder", "--references=references.npz", f"--weights={weights}", "--limit=2",
        "--json=new/result.json", folder=tmp_path)
    assert (code, error) == (0, "")
    assert "PCA-200" in out and out.rstrip().endswith("written to new/result.json")
    result = json.loads((tmp_path / "new/result.json").read_text())
    assert [item["id"] for item in result["items"]] == ["blob0", "blob1"]
    assert {"correlation", "pca200", "filled_fraction", "rg_over_r_max", "pieces",
            "cavity_fraction", "shape"} <= set(result["items"][0])
    assert {"mean_correlation", "fraction_above_0.90", "pca200_mean_correlation", "threshold",
            "pca200_fraction_above_0.90", "weights", "count"} <= set(result["summary"])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["result.json"]
    assert result["flags"]["limit"] == 2 and result["flags"]["seed"] == 0 and "num_cases" in result["flags"]
    assert result["versions"]["jax"] == jax.__version__ and result["revision"]
    assert result["weights_sha256"] == provenance.weights_digest(weights)


@pytest.mark.parametrize("name", ["config.json", "encoder.npz", "latents.npz"])
def test_the_digest_is_of_all_files_of_the_weights(tmp_path, weights, name):
    shutil.copytree(weights, tmp_path / "weights")
    (tmp_path / "weights" / "scores.json").write_text("{}")
    assert provenance.weights_digest(tmp_path / "weights") == provenance.weights_digest(weights)
    (tmp_path / "weights" / name).write_bytes((weights / name).read_bytes() + b" ")
    assert provenance.weights_digest(tmp_path / "weights") != provenance.weights_digest(weights)


def test_a_missing_folder_is_one_line(tmp_path, weights):
    code, _, error = run(
        "--task=reconstruction", "--pairs=no", f"--weights={weights}", folder=tmp_path)
    assert code == 1
    assert error.startswith("evaluate: no: no such folder") and error.count("\n") == 1
