"""A density head trained in little, and the bank that is made with it."""


import launched
import numpy as np
import pytest

from configs import saxsae_densities
from launch.training import train
from phasenet.errors import InputError
from saxsae import pretrained
from saxsae.bank import structure_bank
from saxsae.io.structures.corpus import write_archive
from saxsae.io.structures.structure_files import Structure
from saxsae.io.structures.voxelized_corpus import VoxelizedCorpus, write_voxelized
from saxsae.profiles import simulation
from saxsae.shapes import voxels
from saxsae.shapes.batches import voxelize_many

pytestmark = [pytest.mark.slow, pytest.mark.optimized]
COUNT = 6


def globule(seed):
    rng = np.random.default_rng(seed)
    axes = rng.uniform(15, 30, 3)
    points = rng.uniform(-1, 1, (2000, 3))
    return ((points[(points**2).sum(1) < 1][:900]) * axes).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An archive of structures, and their packed set, the last two for validation."""
    folder = tmp_path_factory.mktemp("bank")
    xyz = [globule(seed) for seed in range(COUNT)]
    names = [f"body{number}" for number in range(COUNT)]
    write_archive(folder / "structures.npz", [
        Structure(one, np.full(len(one), 6, np.uint8), "atoms", name, pdb_id=f"{number}abc")
        for number, (name, one) in enumerate(zip(names, xyz, strict=True))])
    bits, r_max = voxelize_many(xyz, [None] * COUNT, lambda _: None)
    write_voxelized(folder / "corpus.npz", VoxelizedCorpus(
        bits, r_max, np.array(names), np.array([f"{number}abc" for number in range(COUNT)]), np.array(["made"] * COUNT),
        np.array([0, 0, 0, 0, 1, 1], np.uint8)))
    return folder


@pytest.fixture(scope="module")
def head(made):
    config = saxsae_densities.get_config()
    config.structures, config.corpus = str(made / "structures.npz"), str(made / "corpus.npz")
    config.count, config.validation, config.batch_size = 4, 2, 2
    config.num_steps, config.log_every, config.eval_every, config.optimizer.warmup_steps = 60, 20, 60, 5
    result = train(config, made / "densities", print_line=lambda _: None)
    return made / "densities", result.metrics


def test_the_head_learns_the_densities(head):
    _, metrics = head
    assert metrics["atoms"] > 0.9 and metrics["shell"] > 0.9 and metrics["excess"] > 0.9


def test_the_bank_holds_the_training_structures_with_their_profiles(made, head):
    done = launched.run(
        "launch.datasets.make_bank", f"--structures={made / 'structures.npz'}", f"--corpus={made / 'corpus.npz'}",
        f"--density={head[0]}", f"--output={made / 'release'}", "--components=4", "--made=2")
    assert done.returncode == 0, done.stderr
    weights = pretrained.load(str(made / "release"))
    assert weights.confidence is None and pretrained.load().confidence is not None  # it is that of another bank
    bank = weights.bank
    assert bank.names[:4] == ("body0", "body1", "body2", "body3") and bank.pdb_ids[1] == "1abc"
    assert bank.is_made.tolist() == [False] * 4 + [True] * 2
    assert weights.density_head is not None and bank.codes.shape == (6, 200)
    for number in range(4):
        xyz, r_max = voxels.centre_and_radius(globule(number))
        rg = np.sqrt((xyz**2).sum(1).mean())
        assert bank.r_max_angstrom[number] == pytest.approx(r_max, rel=1e-4)
        assert bank.rg_angstrom[number] == pytest.approx(rg, rel=1e-4)
        expected = simulation.debye_intensity(xyz, structure_bank.U[:40] / rg)
        np.testing.assert_allclose(bank.profiles_of(equal_atoms=True)[number, 0, :40], expected, atol=0.006)


def test_a_damaged_bank_is_named(made, tmp_path):
    folder = made / "release"
    arrays = dict(np.load(folder / pretrained.BANK))
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    np.savez(tmp_path / pretrained.BANK, **(arrays | {"names": arrays["names"][:12]}))
    with pytest.raises(InputError, match=r"bank\.npz: expected a name"):
        pretrained.load(str(tmp_path))
    np.savez(tmp_path / pretrained.BANK, **(arrays | {"rg_angstrom": 0 * arrays["rg_angstrom"]}))
    with pytest.raises(InputError, match="positive sizes"):
        pretrained.load(str(tmp_path))


def test_structures_of_another_set_are_refused(made):
    config = saxsae_densities.get_config()
    write_archive(made / "others.npz", [
        Structure(globule(9), np.full(900, 6, np.uint8), "atoms", "stranger")])
    config.structures, config.corpus = str(made / "others.npz"), str(made / "corpus.npz")
    with pytest.raises(InputError, match="no structure of"):
        train(config, made / "none", print_line=lambda _: None)
