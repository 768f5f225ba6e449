"""The figure of random codes: drawn from any release, and by its seed."""

import jax
import numpy as np
import pytest
from matplotlib import image

from launch.plotting.saxs_figures import samples
from saxsae import pretrained
from saxsae.networks import autoencoder
from saxsae.shapes import voxels
from saxsae.shapes.principal_components import Components

LATENT = 4


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Weights whose first number is a ball's radius and whose others shift its surface."""
    axis = np.arange(voxels.GRID) - voxels.CENTRE
    place = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)[voxels.sphere_mask()]
    params = jax.device_get(jax.jit(autoencoder.make_autoencoder("lean", LATENT).init)(jax.random.key(0)))
    linear = params["decoder"]["linear"]
    linear["bias"] = (8.0 - np.linalg.norm(place, axis=1)).astype(np.float32)
    linear["kernel"] = np.concatenate([np.ones((1, len(place))), 0.15 * place.T]).astype(np.float32)
    codes = np.random.default_rng(0).normal(size=(60, LATENT)).astype(np.float32)
    latents = pretrained.Latents(codes.mean(0), codes.std(0), np.quantile(codes, np.linspace(0, 1, 101), axis=0), codes)
    nothing = Components(np.zeros(len(place), np.float32), np.ones((len(place), 1), np.float32), np.ones(1), 0.5)
    folder = tmp_path_factory.mktemp("release")
    pretrained.save(folder, params, latents, nothing, {"kind": "lean", "latent_size": LATENT, "threshold": 0.5})
    return str(folder)


def test_random_shapes_by_their_seed(release, tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "_ACROSS", 2)
    monkeypatch.setattr(samples, "_MANY", 60)
    pictures = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        samples.saxs_samples(tmp_path / f"{name}.png", release, seed)
        pictures.append(image.imread(tmp_path / f"{name}.png"))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).mean() > 0.01
    dark = (pictures[0][..., :3].min(-1) < 0.9).mean()
    assert 0.05 < dark < 0.9  # neither empty nor full
