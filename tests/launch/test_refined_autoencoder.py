"""The principal-axis training in little: rows in their poses, a release that says how its codes are found."""

import numpy as np
import pytest

from configs import saxsae_lean_principal
from launch import poses
from launch.training import train
from phasenet.errors import InputError
from saxsae import pretrained, voxels
from saxsae.io.packed import PackedSet, read_packed, write_packed
from saxsae.io.structures import Structure


@pytest.fixture(scope="module")
def corpus(lobed_maps, tmp_path_factory):
    path = tmp_path_factory.mktemp("principal") / "lobes.npz"
    count = len(lobed_maps)
    names = np.array([f"lobes{i}" for i in range(count)])
    write_packed(path, PackedSet(voxels.pack(lobed_maps), np.full(count, 30, np.float32), names, names, names,
                                 (np.arange(count) % 4 == 0).astype(np.uint8), "principal"))
    return path


def tiny(corpus):
    config = saxsae_lean_principal.get_config()
    config.corpus = str(corpus)
    config.batch_size, config.num_steps, config.log_every, config.eval_every = 4, 2, 1, 0
    config.model.latent_size, config.linear_samples, config.optimizer.warmup_steps = 6, 40, 0
    config.refinement.validation_steps, config.refinement.steps = 4, 5
    return config


def test_a_release_carries_its_pose_and_its_refinement(corpus, tmp_path, lobed_maps):
    result = train(tiny(corpus), tmp_path, say=lambda _: None)
    assert result.metrics["correlation"] > result.metrics["encoder_correlation"] > 0.3
    release = pretrained.load(str(tmp_path))
    assert release.pose == "principal" and release.refinement.steps == 5
    assert release.info["validation"]["encoder_correlation"] == result.metrics["encoder_correlation"]
    code = release.encode(lobed_maps[:2])
    assert code.latent.shape == (2, 6) and np.asarray(release.decode(code)).max() <= 1


def test_shapes_as_they_are_and_turns_are_refused(corpus, tmp_path):
    write_packed(tmp_path / "plain.npz", read_packed(corpus)._replace(pose="as-is"))
    with pytest.raises(InputError, match="'as-is'"):
        train(tiny(tmp_path / "plain.npz"), tmp_path / "a", say=lambda _: None)
    config = tiny(corpus)
    config.rotations = True
    with pytest.raises(InputError, match="rotations=False"):
        train(config, tmp_path / "b", say=lambda _: None)


def test_structures_stand_up_several_times_and_validation_once():
    rng = np.random.default_rng(0)
    bodies = [Structure((rng.normal(size=(400, 3)) * [4, 12, 8]).astype(np.float32), np.full(400, 6, np.uint8),
                        "atoms", f"body{i}", source="here") for i in range(3)]
    rows, spacings, held_out = poses.principal(bodies, np.array([False, True, False]), 3, 4, np.random.default_rng(1),
                                               lambda _: None)
    names = [row.name for row in rows]
    assert names[:7] == ["body0"] * 3 + ["body1"] + ["body2"] * 3 and len(rows) == len(spacings) == 11
    assert all(name.startswith("made_") for name in names[7:])
    assert held_out.tolist() == [name == "body1" for name in names]
    for row in rows:
        assert (np.diff(row.xyz_angstrom.var(0)) < 0).all()
    upright = np.cov(rows[0].xyz_angstrom.T)
    np.testing.assert_allclose(upright - np.diag(np.diag(upright)), 0, atol=1e-3)
    # Every second pose is fuller, as bead models are.
    assert spacings[0] is None and voxels.contact_distance(spacings[1]) > voxels.CONTACT_ANGSTROM
