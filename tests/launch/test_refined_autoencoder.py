"""Training for refined codes in little: rows in random poses, a release that says how its codes are found."""

import jax
import numpy as np
import pytest

from configs import saxsae_lean_refined
from launch.datasets import random_poses
from launch.training import train
from phasenet.errors import InputError
from saxsae import pretrained
from saxsae.io.structures.structure_files import Structure
from saxsae.networks import losses
from saxsae.shapes import voxels


def tiny(corpus):
    config = saxsae_lean_refined.get_config()
    config.corpus = str(corpus)
    config.batch_size, config.num_steps, config.log_every, config.eval_every = 4, 2, 1, 0
    config.model.latent_size, config.linear_samples, config.optimizer.warmup_steps = 6, 40, 0
    config.refinement.validation_steps, config.refinement.steps = 4, 5
    return config


def test_a_release_carries_its_refinement(corpus, tmp_path, lobed_maps):
    result = train(tiny(corpus), tmp_path, print_line=lambda _: None)
    assert result.metrics["correlation"] > result.metrics["encoder_correlation"] > 0.3
    release = pretrained.load(str(tmp_path))
    assert release.refinement == (5, 0.2, 4.0)
    assert release.info["validation"]["encoder_correlation"] == result.metrics["encoder_correlation"]
    maps = np.asarray(voxels.pad(lobed_maps[:3]))

    def kept(code):
        shown = jax.nn.sigmoid(release.network.decode(release.params, code))
        return np.asarray(losses.binary_correlation(shown, maps, release.threshold))
    assert kept(release.encode(maps)).mean() > kept(release.network.encode(release.params, maps)).mean()


def test_a_training_goes_on_from_a_release(corpus, tmp_path):
    train(tiny(corpus), tmp_path / "first", print_line=lambda _: None)
    before = pretrained.load(str(tmp_path / "first")).params
    config = tiny(corpus)
    config.num_steps, config.optimizer.learning_rate = 1, 1e-7
    after = train(config, tmp_path / "second", init_from=str(tmp_path / "first" / "weights"), print_line=lambda _: None)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), jax.device_get(after.state.params), before)


def test_turns_by_interpolation_and_fewer_steps_than_none_are_refused(corpus, tmp_path):
    for change, message in (({"rotations": True}, "config.rotations"),
                            ({"refinement.steps": -1}, "refinement.steps=-1"),
                            ({"refinement.validation_steps": -2}, "validation_steps=-2")):
        config = tiny(corpus)
        config.update_from_flattened_dict(change)
        with pytest.raises(InputError, match=message):
            train(config, tmp_path / message[-5:], print_line=lambda _: None)


def test_structures_stand_in_several_poses_and_validation_in_one():
    rng = np.random.default_rng(0)
    bodies = [Structure((rng.normal(size=(400, 3)) * [4, 12, 8] + 50).astype(np.float32), np.full(400, 6, np.uint8),
                        "atoms", f"body{i}", source="here") for i in range(3)]
    rows, spacings, held_out = random_poses.draw_poses(
        bodies, np.array([False, True, False]), 3, 4, np.random.default_rng(1), lambda _: None)
    names = [row.name for row in rows]
    assert names[:7] == ["body0"] * 3 + ["body1"] + ["body2"] * 3 and len(rows) == len(spacings) == 11
    assert all(name.startswith("made_") for name in names[7:])
    assert held_out.tolist() == [name == "body1" for name in names]
    centred = bodies[0].xyz_angstrom - bodies[0].xyz_angstrom.mean(0)
    turns = [np.linalg.lstsq(centred, row.xyz_angstrom, rcond=None)[0].T for row in rows[:3]]
    for turn in turns:
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-4)
        assert np.linalg.det(turn) == pytest.approx(1, abs=1e-4)
    assert np.abs(turns[0] - turns[1]).max() > 0.1
    # Every second pose is fuller, as bead models are.
    assert spacings[0] is None and voxels.contact_distance(spacings[1]) > voxels.CONTACT_ANGSTROM


def test_random_turns_are_uniform():
    rng = np.random.default_rng(0)
    turns = np.array([random_poses.random_rotation(rng) for _ in range(2000)])
    np.testing.assert_allclose(np.linalg.det(turns), 1)
    np.testing.assert_allclose(turns.mean(0), 0, atol=0.06)
    assert (np.trace(turns, axis1=1, axis2=2) ** 2).mean() == pytest.approx(1, abs=0.1)  # the character of l = 1
