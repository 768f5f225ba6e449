"""Training of the auto-encoders on a tiny packed set: steps, linear start, stages, release."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import saxsae_lean, saxsae_published
from configs.saxs_paper import stage1, stage2
from launch.tasks import autoencoder
from launch.training import train
from phasenet.errors import InputError
from phasenet.networks import layers
from saxsae import pretrained
from saxsae.io.structures.voxelized_corpus import read_voxelized, write_voxelized
from saxsae.networks import autoencoder as model
from saxsae.shapes import principal_components, voxels

LATENT = 6


def tiny(config, corpus):
    config.corpus = str(corpus)
    config.batch_size, config.num_steps, config.log_every, config.eval_every = 4, 3, 1, 0
    config.micro_batches = 1
    config.model.latent_size = LATENT
    config.linear_samples = 40
    config.optimizer.warmup_steps = 0
    return config


@pytest.fixture(scope="module")
def lean_task(corpus):
    return autoencoder.AutoencoderTask(tiny(saxsae_lean.get_config(), corpus))


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """(result, workdir) of three steps on two devices."""
    workdir = tmp_path_factory.mktemp("lean")
    return train(tiny(saxsae_lean.get_config(), corpus), workdir, print_line=lambda _: None), workdir


def small_published(kind, latent_size, lowering="auto", dtype=jnp.float32, width=64):
    """The published network's layout and names in little: its training step takes minutes to compile on a CPU."""
    class Encoder(nn.Module):
        @nn.compact
        def __call__(self, occupancy):
            x = layers.max_pool(occupancy[..., None], 8)
            x = nn.relu(layers.Conv3D(2, 3, dtype=dtype)(x))
            return nn.relu(nn.Dense(latent_size, dtype=dtype, name="latent")(x.reshape(len(x), -1)))

    class Decoder(nn.Module):
        @nn.compact
        def __call__(self, latent):
            x = nn.relu(nn.Dense(4**3 * 2, dtype=dtype, name="expand")(latent)).reshape(-1, 4, 4, 4, 2)
            return layers.upsample(layers.ConvTranspose3D(1, 3, dtype=dtype)(x), 4)[..., 0].astype(jnp.float32)

    return model.AutoEncoder(Encoder(), Decoder())


def test_three_steps_on_two_devices_and_the_release(trained, corpus):
    result, workdir = trained
    assert jax.local_device_count() >= 2 and result.reason == "finished"
    assert 0.3 < result.metrics["correlation"] <= 1
    release = pretrained.load(str(workdir))
    assert release.info["training_maps"] == 18 and release.info["step"] == 3
    assert release.info["config"]["model"]["kind"] == "lean" and release.threshold == result.metrics["threshold"]
    assert release.latents.bank.shape == (18, LATENT) and release.latents.quantiles.shape == (101, LATENT)
    assert (np.diff(release.latents.quantiles, axis=0) >= 0).all()
    np.testing.assert_allclose(release.latents.bank.mean(0), release.latents.mean, atol=1e-2)
    # What was released is what was evaluated, half precision apart.
    task = autoencoder.AutoencoderTask(tiny(saxsae_lean.get_config(), corpus))
    assert task.evaluate(release.params)["correlation"] == pytest.approx(result.metrics["correlation"], abs=0.01)


def test_training_lowers_the_loss(lean_task):
    params = jax.jit(lean_task.init)(jax.random.key(0))
    batch = lean_task.validation

    @jax.jit
    def step_fn(params):
        loss, gradient = jax.value_and_grad(lambda params: lean_task.loss(params, batch, None)[0])(params)
        return jax.tree.map(lambda leaf, slope: leaf - 0.05 * slope, params, gradient), loss

    losses = []
    for _ in range(4):
        params, loss = step_fn(params)
        losses.append(float(loss))
    assert all(np.diff(losses) < 0)


def test_bfloat16_matches_float32_to_its_rounding(corpus):
    losses, gradients = [], []
    for dtype in ("float32", "bfloat16"):
        config = tiny(saxsae_lean.get_config(), corpus)
        config.model.dtype, config.linear_start = dtype, False
        task = autoencoder.AutoencoderTask(config)
        rng = np.random.default_rng(0)  # the corrections would start at zero
        params = jax.tree.map(lambda leaf, rng=rng: leaf + 0.01 * rng.standard_normal(leaf.shape, np.float32),
                              jax.jit(task.init)(jax.random.key(0)))
        loss, gradient = jax.jit(jax.value_and_grad(
            lambda params, task=task: task.loss(params, task.validation[:2], None)[0]))(params)
        losses.append(loss)
        gradients.append(gradient)
    assert losses[1].dtype == jnp.float32 and losses[1] != losses[0]
    assert float(losses[1]) == pytest.approx(float(losses[0]), rel=2e-3)
    for (path, leaf), narrow in zip(jax.tree_util.tree_leaves_with_path(gradients[0]), jax.tree.leaves(gradients[1]),
                                    strict=True):
        assert narrow.dtype == jnp.float32
        deviation = np.linalg.norm(leaf - narrow) / np.linalg.norm(leaf)
        assert 1e-5 < deviation < 0.03, jax.tree_util.keystr(path)


def test_the_lean_network_starts_as_the_principal_components(lean_task):
    params = jax.device_get(lean_task.init(jax.random.key(0)))
    code = lean_task.components
    latent = np.random.default_rng(0).normal(size=(3, LATENT)).astype(np.float32)
    logits = np.asarray(lean_task.network.decode(params, latent))
    inside = logits[:, :31, :31, :31][:, voxels.sphere_mask()]
    np.testing.assert_allclose(inside, principal_components.LINEAR_GAIN * (code.decode(latent) - code.threshold),
                               atol=1e-3)
    # Cut at one half, the network gives what the components give; it sees the map at half resolution.
    exact = code.encode(lean_task.validation[:, :31, :31, :31][:, voxels.sphere_mask()])
    found = np.asarray(lean_task.network.encode(params, lean_task.validation))
    assert np.corrcoef(exact.ravel(), found.ravel())[0, 1] > 0.9


def test_the_published_network_starts_as_the_principal_components_and_grows(corpus):
    config = tiny(saxsae_published.get_config("quarter"), corpus)
    config.model.width = 0
    with pytest.raises(InputError, match="config.model.width=0: expected 1 to 64"):
        autoencoder.AutoencoderTask(config)
    config.model.width = 2
    task = autoencoder.AutoencoderTask(config)
    params = jax.device_get(jax.jit(task.init)(jax.random.key(0)))
    exact = task.components.encode(task.validation[:, :31, :31, :31][:, voxels.sphere_mask()])
    found = np.asarray(jax.jit(task.network.encode)(params, task.validation))
    assert np.corrcoef((exact - exact.mean(0)).ravel(), (found - found.mean(0)).ravel())[0, 1] > 0.6
    # The next training starts with these weights and further channels.
    config.model.width, config.linear_start = 3, False
    wide = autoencoder.AutoencoderTask(config)
    fresh = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), jax.eval_shape(wide.init, jax.random.key(1)))
    grown = wide.adopt(fresh, params)
    assert grown["encoder"]["latent"]["kernel"].shape == (8**3 * 6, LATENT)
    np.testing.assert_array_equal(grown["decoder"]["expand"]["kernel"], params["decoder"]["expand"]["kernel"])
    params = jax.tree.map(np.array, params)
    params["encoder"]["latent"]["bias"][0] = np.nan
    with pytest.raises(InputError, match="'encoder/latent/bias' in the weights holds NaN"):
        wide.adopt(fresh, params)
    with pytest.raises(InputError, match="the weights lack 'decoder/"):
        wide.adopt(fresh, {"encoder": np.zeros(3)})


def test_batches_are_of_training_maps_alone(corpus):
    config = tiny(saxsae_lean.get_config(), corpus)
    config.rotations = config.linear_start = False
    task = autoencoder.AutoencoderTask(config)
    shapes = read_voxelized(corpus)
    maps = np.asarray(voxels.unpack(shapes.occupancy))
    batch = np.asarray(jax.jit(task.batch)(jax.random.split(jax.random.key(0), 64), 0, task.data))[:, :31, :31, :31]
    drawn = {int(np.flatnonzero((maps == one).all((1, 2, 3)))[0]) for one in batch}
    training = set(np.flatnonzero(shapes.split == 0).tolist())
    assert drawn <= training and len(drawn) > len(training) / 2
    np.testing.assert_array_equal(task.validation[:, :31, :31, :31], maps[shapes.split == 1])


def test_turned_maps_stay_binary_and_of_one_size(lean_task):
    keys = jax.random.split(jax.random.key(3), 16)
    turned = np.asarray(jax.jit(lean_task.batch)(keys, 0, lean_task.data))
    assert set(np.unique(turned)) == {0.0, 1.0} and turned.shape == (16, 32, 32, 32)
    bits = np.repeat(lean_task.data["bits"][:1], 16, 0)
    volumes = np.asarray(autoencoder.unpack_and_rotate(bits, keys)).sum((1, 2, 3))
    np.testing.assert_allclose(volumes, np.asarray(voxels.unpack(bits[0])).sum(), rtol=0.06)
    assert len(set(volumes)) > 8


def test_the_second_stage_trains_the_dense_layers_alone(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(model, "make_autoencoder", small_published)
    first, second = (tiny(stage.get_config(), corpus) for stage in (stage1, stage2))
    first.model.latent_size = 12
    first.rotations = second.rotations = False
    before = train(first, tmp_path / "one", print_line=lambda _: None).state.params
    after = train(second, tmp_path / "two", init_from=str(tmp_path / "one"), print_line=lambda _: None).state.params
    for part, layer in (("encoder", "Conv3D_0"), ("decoder", "ConvTranspose3D_0")):
        jax.tree.map(np.testing.assert_array_equal, after[part][layer], before[part][layer])
        assert np.abs(before[part][layer]["bias"]).max() > 0  # trained, then
    assert before["encoder"]["latent"]["kernel"].shape[1] == 12
    assert after["encoder"]["latent"]["kernel"].shape[1] == LATENT
    for part, layer in (("encoder", "latent"), ("decoder", "expand")):
        assert np.abs(after[part][layer]["bias"]).max() > 0


def test_what_the_second_stage_trains_in_the_published_network(corpus):
    config = tiny(stage2.get_config(), corpus)
    task = autoencoder.AutoencoderTask(config)
    trainable = task.trainable(jax.eval_shape(task.init, jax.random.key(0)))
    free = {jax.tree_util.keystr(path, simple=True, separator="/")
            for path, on in jax.tree_util.tree_leaves_with_path(trainable) if on}
    assert free == {"encoder/latent/kernel", "encoder/latent/bias", "decoder/expand/kernel", "decoder/expand/bias"}


@pytest.mark.parametrize(("changes", "message"), [
    ({"model.kind": "vast"}, "config.model.kind='vast': expected"),
    ({"model.dtype": "half"}, "config.model.dtype='half': expected one of float32, bfloat16"),
    ({"model.latent_size": 0}, "config.model.latent_size=0"),
    ({"model.latent_size": 201}, "at most 200"),
    ({"frozen_convolutions": True}, "the lean network has no convolutions"),
    ({"linear_samples": 5}, "fewer maps than components"),
    ({"corpus": "nowhere.npz"}, "nowhere.npz: no such file")])
def test_what_cannot_be_is_told_in_a_line(corpus, changes, message):
    config = tiny(saxsae_lean.get_config(), corpus)
    config.update_from_flattened_dict(changes)
    with pytest.raises(InputError, match=message):
        autoencoder.AutoencoderTask(config)


def test_a_set_without_validation_is_refused(corpus, tmp_path):
    shapes = read_voxelized(corpus)
    write_voxelized(tmp_path / "all.npz", shapes._replace(split=np.zeros_like(shapes.split)))
    with pytest.raises(InputError, match="needs structures for training and for validation"):
        autoencoder.AutoencoderTask(tiny(saxsae_lean.get_config(), tmp_path / "all.npz"))
