"""Released weights: what is saved is what is loaded, and every damage is told in one line."""

import json
import pathlib

import jax
import numpy as np
import pytest

from phasenet.errors import InputError
from saxsae import pretrained
from saxsae.networks import autoencoder
from saxsae.shapes.principal_components import Components

LATENT = 6


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A folder of made-up weights, and what went into it."""
    folder = tmp_path_factory.mktemp("release") / "tiny"
    rng = np.random.default_rng(0)
    params = jax.device_get(jax.jit(autoencoder.make_autoencoder("lean", LATENT).init)(jax.random.key(0)))
    codes = rng.normal(size=(40, LATENT)).astype(np.float32)
    latents = pretrained.Latents(codes.mean(0), codes.std(0), np.quantile(codes, np.linspace(0, 1, 101), axis=0), codes)
    basis = np.linalg.qr(rng.normal(size=(14147, 4)))[0].astype(np.float32)
    components = Components(rng.random(14147).astype(np.float32), basis, np.arange(4, 0, -1.0), 0.35)
    info = {"kind": "lean", "latent_size": LATENT, "threshold": 0.45, "seed": 7, "revision": "abc"}
    pretrained.save(folder, params, latents, components, info)
    return folder, params, latents, components, info


@pytest.fixture
def damaged(release, tmp_path):
    """A copy of the release to damage."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for path in release[0].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def refusal(folder) -> str:
    with pytest.raises(InputError) as caught:
        pretrained.load(str(folder))
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    return message


def rewrite(path: pathlib.Path, **changes) -> None:
    """The archive with arrays replaced, or left out where None."""
    with np.load(path) as file:
        arrays = dict(file)
    arrays |= changes
    np.savez_compressed(path, **{name: array for name, array in arrays.items() if array is not None})


def test_what_is_saved_is_loaded(release):
    folder, params, latents, components, info = release
    loaded = pretrained.load(str(folder))
    assert loaded.threshold == 0.45 and loaded.info == info
    assert jax.tree.structure(loaded.params) == jax.tree.structure(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), loaded.params, params)
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded.params)} == {np.dtype(np.float32)}
    for field in latents._fields:
        np.testing.assert_allclose(getattr(loaded.latents, field), getattr(latents, field), rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(loaded.components.basis, components.basis,
                               atol=0.51 / 127 * np.abs(components.basis).max())
    np.testing.assert_allclose(loaded.components.mean, components.mean, atol=1e-3)
    np.testing.assert_allclose(loaded.components.sd, components.sd)
    assert loaded.components.threshold == pytest.approx(0.35)


def test_a_published_network_is_saved_in_8_bits(release, tmp_path):
    _, _, latents, components, info = release
    info = info | {"kind": "published", "width": 11}
    network = autoencoder.make_autoencoder("published", LATENT, width=11)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.1, leaf.shape), jax.eval_shape(network.init, jax.random.key(0)))
    params["decoder"]["expand"]["kernel"][:, 5] = 0  # a unit without weights
    params["encoder"]["latent"]["kernel"][3] *= 1000  # must not make the other inputs coarse
    pretrained.save(tmp_path, params, latents, components, info)
    with np.load(tmp_path / "decoder.npz") as file:
        assert file["expand/kernel"].dtype == np.int8 and file["expand/bias"].dtype == np.float16
    loaded = pretrained.load(str(tmp_path)).params
    for part, layer, short in (("decoder", "expand", 0), ("encoder", "latent", 1)):
        kernel, rounded = (tree[part][layer]["kernel"] for tree in (params, loaded))
        assert rounded.dtype == np.float32
        assert (np.abs(rounded - kernel) <= 0.501 / 127 * np.abs(kernel).max(short, keepdims=True)).all()
    np.testing.assert_allclose(loaded["encoder"]["Conv3D_1"]["kernel"], params["encoder"]["Conv3D_1"]["kernel"],
                               rtol=1e-3, atol=1e-6)
    rewrite(tmp_path / "decoder.npz", **{"expand/kernel:steps": None})
    assert "array 'expand/kernel' is int8, but" in refusal(tmp_path)
    rewrite(tmp_path / "decoder.npz", **{"expand/kernel:steps": np.ones(3, np.float32)})
    assert "array 'expand/kernel:steps' is (3,)" in refusal(tmp_path)
    rewrite(tmp_path / "encoder.npz", **{"latent/bias:steps": np.ones(LATENT, np.float32)})
    rewrite(tmp_path / "decoder.npz", **{"expand/kernel:steps": np.ones((1, 16384), np.float32)})
    assert "array 'latent/bias:steps' does not belong" in refusal(tmp_path)


@pytest.mark.parametrize("width", [0, 65, True, 2.0, "64"])
def test_a_width_that_no_network_has_is_refused(damaged, width):
    path = damaged / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"width": width}))
    assert f"'width' is {width!r}" in refusal(damaged)


def test_what_is_loaded_runs(release):
    loaded = pretrained.load(str(release[0]))
    logits = loaded.network.decode(loaded.params, loaded.latents.bank[:2])
    assert logits.shape == (2, 32, 32, 32) and np.isfinite(logits).all()


def test_a_release_is_found_by_name_by_folder_and_in_a_workdir(release, monkeypatch, tmp_path):
    folder = release[0]
    monkeypatch.setattr(pretrained, "WEIGHTS", folder.parent)
    assert pretrained.find_weights("tiny") == folder
    assert pretrained.find_weights(str(folder)) == folder
    (tmp_path / "weights").symlink_to(folder)
    assert pretrained.find_weights(str(tmp_path)) == tmp_path / "weights"
    with pytest.raises(InputError, match=r"weights 'nothing': neither a released name \(tiny\)"):
        pretrained.find_weights("nothing")


@pytest.mark.parametrize("name", ["encoder.npz", "decoder.npz", "latents.npz", "components.npz"])
def test_a_truncated_or_missing_file_is_told(damaged, name):
    path = damaged / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert refusal(damaged).startswith(f"{path}: not a readable .npz archive")
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes(200) + content[middle + 200:])
    assert refusal(damaged).startswith(f"{path}: not a readable .npz archive")
    path.write_bytes(b"")
    assert "the file is empty" in refusal(damaged)
    path.unlink()
    assert refusal(damaged) == f"{path}: no such file"


def test_weights_that_do_not_fit_the_config_are_told(damaged):
    path = damaged / "config.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"latent_size": LATENT + 1}))
    message = refusal(damaged)
    assert message.startswith(f"{damaged / 'encoder.npz'}: array ") and "of config.json needs" in message
    path.write_text(json.dumps(info | {"kind": "published"}))
    assert "is missing, but the architecture 'published' of config.json needs" in refusal(damaged)
    path.write_text(json.dumps(info | {"kind": "vast"}))
    assert refusal(damaged) == f"{path}: architecture 'vast': expected 'published' or 'lean'"


@pytest.mark.parametrize(("name", "array", "shape"), [
    ("decoder.npz", "linear/bias", (3,)), ("latents.npz", "mean", (LATENT + 1,)), ("latents.npz", "bank", (40,)),
    ("latents.npz", "quantiles", (100, LATENT)), ("components.npz", "threshold", (1,))])
def test_arrays_of_another_shape_or_absent_are_told(damaged, name, array, shape):
    rewrite(damaged / name, **{array: np.zeros(shape, np.float32)})
    message = refusal(damaged)
    assert message.startswith(f"{damaged / name}: array {array!r} is {shape}")
    rewrite(damaged / name, **{array: None})
    assert refusal(damaged).startswith(f"{damaged / name}: array {array!r} is missing")


def test_an_array_too_many_is_told(damaged):
    rewrite(damaged / "decoder.npz", extra=np.zeros(3))
    assert refusal(damaged) == (
        f"{damaged / 'decoder.npz'}: array 'extra' does not belong to the architecture 'lean' of config.json")


def test_components_that_contradict_each_other_are_told(damaged):
    rewrite(damaged / "components.npz", basis=np.zeros((14147, 3), np.int8))
    assert refusal(damaged) == (
        f"{damaged / 'components.npz'}: array 'scale' is (4,), but a release needs (3,)")
    rewrite(damaged / "components.npz", basis=np.zeros((100, 4), np.int8))
    assert refusal(damaged) == (
        f"{damaged / 'components.npz'}: array 'basis' is (100, 4), but a release needs (14147, 4)")


def test_arrays_that_are_no_numbers_are_told(damaged):
    rewrite(damaged / "latents.npz", mean=np.array(["a"] * LATENT))
    assert refusal(damaged) == f"{damaged / 'latents.npz'}: array 'mean' (<U1) does not hold finite real numbers only"
    rewrite(damaged / "latents.npz", mean=np.full(LATENT, 1e300))
    assert refusal(damaged) == (
        f"{damaged / 'latents.npz'}: array 'mean' (float64) does not hold finite real numbers only")
    rewrite(damaged / "decoder.npz", **{"linear/bias": np.full(14147, np.nan, np.float16)})
    assert refusal(damaged).startswith(f"{damaged / 'decoder.npz'}: array 'linear/bias'")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"kind": "lean"}', '{"kind": "lean", "latent_size": "six"}',
                                  '{"kind": "lean", "latent_size": 0, "threshold": 0.5}',
                                  '{"kind": "lean", "latent_size": true, "threshold": 0.5}',
                                  '{"kind": "lean", "latent_size": 6, "threshold": 7}',
                                  '{"kind": "lean", "latent_size": 6, "threshold": NaN}', "\ud800", "[" * 100_000,
                                  '{"kind": "lean", "latent_size": 1000000000, "threshold": 0.5}',
                                  '{"architecture": {"kind": "dense"}, "problem": {}}'])
def test_a_broken_config_is_told(damaged, text):
    (damaged / "config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert refusal(damaged).startswith(f"{damaged / 'config.json'}: ")


def test_no_folder_no_config_and_another_file_are_told(tmp_path, damaged):
    assert refusal(tmp_path / "nowhere").startswith(f"weights '{tmp_path / 'nowhere'}'")
    (damaged / "config.json").unlink()
    assert "nor a folder with a config.json" in refusal(damaged)
    assert "nor a folder with a config.json" in refusal(damaged / "encoder.npz")


@pytest.mark.parametrize("refinement", [
    7, {"steps": 1.5}, {"steps": -1}, {"rate": "fast"}, {"rate": 10**400}, {"steps": 10**9}, {"speed": 3}])
def test_a_refinement_that_cannot_be(damaged, refinement):
    info = json.loads((damaged / "config.json").read_text()) | {"refinement": refinement}
    (damaged / "config.json").write_text(json.dumps(info))
    assert "'refinement'" in refusal(damaged)


def test_a_release_refines_as_it_says(damaged):
    plain = pretrained.load(str(damaged))
    maps = (np.random.default_rng(1).random((2, 32, 32, 32)) > 0.8).astype(np.float32)
    np.testing.assert_array_equal(plain.encode(maps), plain.network.encode(plain.params, maps))
    info = json.loads((damaged / "config.json").read_text()) | {"refinement": {"steps": 3, "rate": 0.1}}
    (damaged / "config.json").write_text(json.dumps(info))
    steps = pretrained.load(str(damaged))
    assert steps.refinement == (3, 0.1, 4.0)
    moved = np.abs(np.asarray(steps.encode(maps)) - np.asarray(plain.encode(maps)))
    assert 0 < moved.max() < 0.31  # Adam moves a number by its rate at most
