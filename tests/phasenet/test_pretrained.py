"""Released Patterson networks: what is saved is what is loaded, and every damage is told in one line."""

import json

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phasenet import pretrained
from phasenet.errors import InputError
from phasenet.maps.atoms import AtomRules
from phasenet.maps.synthesis import Problem
from phasenet.networks import dense, dual_space, published
from phasenet.networks.published import ConvolutionalArchitecture

ARCHITECTURE = ConvolutionalArchitecture(features=2, outer_kernel=3, inner_kernel=3, inner_layers=2, skip=True)
PROBLEM = Problem(atoms=AtomRules(num_atoms=3, inner_box=5.0), grid=16, h_max=6.0, noise=0.1, scale="rms")
BIAS = "params/Conv3D_1/bias"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A folder of made-up weights, and the parameters."""
    folder = tmp_path_factory.mktemp("release") / "tiny"
    network = published.PattersonNetwork(ARCHITECTURE, lowering="direct")
    params = jax.device_get(jax.jit(network.init)(jax.random.key(0), np.zeros((1, 8, 8, 8), np.float32)))
    pretrained.save(folder, params, ARCHITECTURE, PROBLEM, {"seed": 7, "revision": "abc"})
    return folder, params


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


def rewrite(path, **changes):
    """The archive with arrays replaced, or left out where None."""
    with np.load(path) as file:
        arrays = dict(file) | changes
    np.savez_compressed(path, **{name: array for name, array in arrays.items() if array is not None})


def test_what_is_saved_is_loaded_and_runs(release):
    folder, params = release
    loaded = pretrained.load(str(folder))
    assert loaded.architecture == ARCHITECTURE and loaded.problem == PROBLEM
    assert loaded.info["seed"] == 7 and loaded.info["revision"] == "abc"
    assert jax.tree.structure(loaded.params) == jax.tree.structure(params)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b.astype(np.float16)), loaded.params, params)
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded.params)} == {np.dtype(np.float32)}
    with np.load(folder / "params.npz") as file:
        assert {file[name].dtype for name in file.files} == {np.dtype(np.float16)} and BIAS in file.files
    x = np.random.default_rng(0).random((8, 8, 8)).astype(np.float32)
    expected = published.PattersonNetwork(ARCHITECTURE).apply(params, x[None])[0]
    np.testing.assert_allclose(jax.jit(loaded.compute_occupancy)(x), expected, atol=5e-3)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "params.npz"]


def test_a_release_is_found_by_name_by_folder_and_in_a_workdir(release, monkeypatch, tmp_path):
    folder = release[0]
    monkeypatch.setattr(pretrained, "WEIGHTS", folder.parent)
    assert pretrained.find_weights("tiny") == folder == pretrained.find_weights(str(folder))
    (tmp_path / "weights").symlink_to(folder)
    assert pretrained.find_weights(str(tmp_path)) == tmp_path / "weights"
    with pytest.raises(InputError, match=r"weights 'nothing': neither a released name \(tiny\) nor a folder"):
        pretrained.find_weights("nothing")
    monkeypatch.setattr(pretrained, "WEIGHTS", tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"neither a released name \(none\)"):
        pretrained.load("tiny")


def test_a_truncated_overwritten_empty_or_missing_file_is_told(damaged):
    path = damaged / "params.npz"
    content = path.read_bytes()
    middle = len(content) // 2
    for broken in (content[:middle], content[:middle] + bytes(200) + content[middle + 200:], b"text"):
        path.write_bytes(broken)
        assert refusal(damaged).startswith(f"{path}: not a readable .npz archive")
    path.write_bytes(b"")
    assert "the file is empty" in refusal(damaged)
    path.unlink()
    assert refusal(damaged) == f"{path}: no such file"
    (damaged / "config.json").unlink()
    assert "nor a folder with a config.json" in refusal(damaged)


def test_arrays_that_do_not_fit_are_told(damaged):
    path = damaged / "params.npz"
    with np.load(path) as file:
        good = file[BIAS]
    for bad in (np.zeros(3, np.float16), np.array([1, np.nan], np.float16), np.array([1, np.inf], np.float16),
                np.zeros(2, np.int8),
                np.full(2, 1e300), np.array(["a", "b"])):
        rewrite(path, **{BIAS: bad})
        fault = {3: "is (3,), but the", np.dtype(np.int8): "is int8, but the"}.get(
            3 if bad.shape == (3,) else bad.dtype, f"({bad.dtype}) does not hold finite real numbers")
        assert refusal(damaged).startswith(f"{path}: array {BIAS!r} {fault}")
    rewrite(path, **{BIAS: None})
    assert refusal(damaged) == f"{path}: array {BIAS!r} is missing, but the architecture in config.json needs it"
    rewrite(path, **{BIAS: good, "extra": np.zeros(3)})
    assert refusal(damaged) == f"{path}: array 'extra' does not belong to the architecture in config.json"


@pytest.mark.parametrize("text", [
    "", "{", "[]", "3", "{}", '{"architecture": {}}', '{"architecture": [], "problem": 3}', "[" * 100_000, "\ud800"])
def test_a_config_that_is_none_is_told(damaged, text):
    path = damaged / "config.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert refusal(damaged).startswith(f"{path}: not ")


@pytest.mark.parametrize(("part", "field", "value"), [
    ("architecture", "features", 2.5), ("architecture", "features", "20"), ("architecture", "features", 0),
    ("architecture", "inner_layers", None), ("architecture", "outer_kernel", 5.0), ("architecture", "depth", 3),
    ("architecture", "inner_layers", 10**6), ("architecture", "features", 10**9), ("architecture", "features", 10**400),
    ("architecture", "outer_kernel", 9999), ("architecture", "skip", 3), ("problem", "grid", 10**9),
    ("problem", "atoms", {"inner_box": 1e300}), ("problem", "atoms", {"num_atoms": 10**9}), ("problem", "centred", []),
    ("problem", "grid", 17), ("problem", "grid", 40.0), ("problem", "h_max", "7"), ("problem", "noise", -1),
    ("problem", "atoms", {"num_atoms": 2.5}), ("problem", "atoms", {"radius": 1}), ("problem", "atoms", 3),
    ("problem", "atoms", None), ("problem", "scale", "max"), ("problem", "scale", ["raw"]), ("problem", "b", 1),
    ("architecture", "kind", "vast"), ("architecture", "kind", ["dense"])])
def test_a_config_of_no_network_is_told(damaged, part, field, value):
    path = damaged / "config.json"
    info = json.loads(path.read_text())
    info[part][field] = value
    path.write_text(json.dumps(info))
    assert refusal(damaged).startswith(f"{path}: not the weights of a Patterson network (")


@pytest.mark.parametrize("change", [
    {"density_reach": 20}, {"patterson_reach": 8}, {"width": 2.5}, {"blocks": -1}, {"width": "a"}, {"features": 20}])
def test_a_config_of_no_dense_network_is_told(damaged, change):
    path = damaged / "config.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"architecture": {"kind": "dense", "patterson_reach": 5} | change}))
    assert refusal(damaged).startswith(f"{path}: not the weights of a Patterson network (")


def test_a_dense_network_is_saved_and_loaded(tmp_path):
    architecture = dense.DenseArchitecture(width=4, blocks=1, patterson_reach=2, density_reach=2)
    problem = PROBLEM._replace(grid=8)
    params = jax.jit(lambda key: pretrained.init_params(key, architecture, problem))(jax.random.key(0))
    pretrained.save(tmp_path, params, architecture, problem, {})
    loaded = pretrained.load(str(tmp_path))
    assert loaded.architecture == architecture and pretrained.kind_of(architecture) == "dense"
    assert jax.tree.structure(loaded.params) == jax.tree.structure(params)
    assert jax.eval_shape(loaded.compute_occupancy, np.zeros((8, 8, 8), np.float32)).shape == (8, 8, 8)


def test_a_dual_space_network_is_saved_and_loaded(tmp_path):
    architecture = dual_space.DualSpaceArchitecture(width=4, filters=1, projected_filters=0)
    problem = PROBLEM._replace(target="single", scale="raw")
    params = jax.jit(lambda key: pretrained.init_params(key, architecture, problem))(jax.random.key(0))
    pretrained.save(tmp_path, params, architecture, problem, {})
    loaded = pretrained.load(str(tmp_path))
    assert loaded.architecture == architecture and pretrained.kind_of(architecture) == "dual_space"
    assert jax.tree.structure(loaded.params) == jax.tree.structure(params)
    with pytest.raises(ValueError, match="a dual-space network needs target=single"):
        pretrained.check_fits(architecture, problem._replace(scale="rms"))


ANY_VALUE = st.recursive(st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9),
    st.sampled_from([10**9, 10**400, 1e300, -1])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=4)


@given(place=st.sampled_from([
    ("architecture",), ("problem",), ("problem", "atoms"),
    *(("architecture", field) for field in ConvolutionalArchitecture._fields),
    *(("problem", field) for field in Problem._fields), *(("problem", "atoms", field) for field in AtomRules._fields)]),
    value=ANY_VALUE)
@settings(max_examples=150, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_anywhere_in_a_config(release, damaged, place, value):
    info = json.loads((release[0] / "config.json").read_text())
    *folders, field = place
    branch = info
    for folder in folders:
        branch = branch[folder]
    branch[field] = value
    (damaged / "config.json").write_text(json.dumps(info))
    try:
        loaded = pretrained.load(str(damaged))
    except InputError as error:
        assert str(error).startswith(str(damaged)) and str(error).isprintable()
    else:
        assert jax.tree.map(np.shape, loaded.params) == jax.tree.map(np.shape, release[1])
        assert pretrained.problem_from(info["problem"]) == loaded.problem


def test_weights_of_shapes_are_told_apart(damaged):
    (damaged / "config.json").write_text('{"kind": "lean", "latent_size": 6}')
    assert "weights of a network for shapes (kind 'lean')" in refusal(damaged)
    (damaged / "config.json").write_text("{}")
    (damaged / "workdir" / "checkpoints").mkdir(parents=True)
    assert "has not written any weights yet" in refusal(damaged / "workdir")


def test_a_config_of_other_weights_is_told(damaged):
    path = damaged / "config.json"
    info = json.loads(path.read_text())
    for field, value in (("features", 3), ("inner_layers", 3), ("inner_layers", 1), ("batch_norm", True)):
        path.write_text(json.dumps(info | {"architecture": info["architecture"] | {field: value}}))
        assert refusal(damaged).startswith(f"{damaged / 'params.npz'}: array 'params/")


def test_missing_fields_are_those_of_the_paper():
    assert pretrained.problem_from({}) == Problem()
    assert pretrained.architecture_from({"kind": "convolutional"}) == ConvolutionalArchitecture()
    assert pretrained.problem_from({"grid": 44, "atoms": {"num_atoms": 7}}) == Problem(AtomRules(num_atoms=7), grid=44)
