"""The launch that makes a training set: sources, exclusions, faults, exit codes."""

import functools
import json

import launched
import numpy as np
import pytest

from launch.datasets import evaluation_leakage
from launch.datasets.structure_sources import load_structures
from phasenet.errors import InputError
from saxsae.io.structures.beads import write_beads
from saxsae.io.structures.corpus import write_archive
from saxsae.io.structures.structure_files import Structure
from saxsae.io.structures.voxelized_corpus import read_voxelized


def blob(seed, atoms=300, **kwargs):
    rng = np.random.default_rng(seed)
    xyz = np.cumsum(rng.normal(size=(atoms, 3)), 0)
    xyz = (xyz - xyz.mean(0)) / xyz.std() * 9.0
    return Structure(xyz.astype(np.float32), np.full(atoms, 6, np.uint8), "atoms",
                     kwargs.pop("name", f"blob{seed}"), **kwargs)


prepare = functools.partial(launched.run, "launch.prepare_structures")


@pytest.fixture
def folder(tmp_path):
    """Bead models as PDB files, one of them no structure."""
    place = tmp_path / "models"
    for i in range(3):
        write_beads(place / f"model{i}.pdb", blob(i).xyz_angstrom, 1.9)
    (place / "broken.pdb").write_text("not a structure\n")
    return place


def test_corpus_without_its_references(tmp_path):
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    structures = [blob(i, pdb_id=f"{i + 1}abc", source="here") for i in range(5)]
    write_archive(tmp_path / "corpus.npz", structures)
    # One reference is named after the third; another is the fifth, turned and nameless.
    pair = tmp_path / "pairs" / "some_curve"
    write_beads(pair / "reference.pdb", blob(50).xyz_angstrom, 1.9)
    (pair / "source.json").write_text(json.dumps({"protein": "an enzyme (3ABC)"}))
    same = structures[4]._replace(xyz_angstrom=structures[4].xyz_angstrom @ turn.T, pdb_id="")
    write_archive(tmp_path / "references.npz", [same._replace(name="SASDXX1")])

    output = tmp_path / "out" / "set.npz"
    result = prepare(f"--input={tmp_path}/corpus.npz", f"--output={output}", "--json=" + str(
        tmp_path / "counts.json"), f"--exclude={tmp_path}/pairs,{tmp_path}/references.npz")
    assert result.returncode == 0, result.stderr
    assert "blob4 resembles SASDXX1" in result.stdout
    shapes = read_voxelized(output)
    assert list(shapes.names) == ["blob0", "blob1", "blob3"]
    assert set(shapes.sources) == {"here"}
    counts = json.loads((tmp_path / "counts.json").read_text())
    assert counts["read"] == 5 and counts["same_pdb_id"] == 1 and counts["written"] == 3
    assert counts["same_shape_above_0.95"] == 1 and counts["training"] + counts["validation"] == 3
    assert counts["flags"]["max_correlation"] == 0.85 and counts["versions"]["gemmi"]


def test_folder_of_files(folder, tmp_path):
    result = prepare(f"--input={folder}", f"--output={tmp_path}/set.npz")
    assert result.returncode == 0, result.stderr
    assert "left out" in result.stdout and "broken.pdb" in result.stdout
    assert list(read_voxelized(tmp_path / "set.npz").names) == ["model0", "model1", "model2"]


@pytest.mark.parametrize("flags, code, message", [
    (["--input=absent", "--output=x.npz"], 1, "no such file or folder"),
    (["--output=x.npz"], 2, "input"),
    (["--input=a", "--output=x.npz", "--exclude=absent.npz"], 1, "no such file"),
])
def test_mistakes_are_one_line(flags, code, message):
    result = prepare(*flags)
    assert result.returncode == code
    assert message in result.stderr and result.stderr.count("\n") == 1


def test_sources_that_give_nothing(tmp_path, folder):
    def ask(source):
        return load_structures(str(source), tmp_path / "down", "http://127.0.0.1:9", "1", True, print)

    with pytest.raises(InputError, match="no .npz, PDB or mmCIF"):
        (tmp_path / "empty").mkdir()
        ask(tmp_path / "empty")
    for path in folder.glob("model*"):
        path.unlink()
    with pytest.raises(InputError, match="no usable structure.*broken.pdb"):
        ask(folder)
    structures, failures = [], []
    (tmp_path / "ids.txt").write_text("what is this\n")
    with pytest.raises(InputError, match="line 1"):
        structures, failures = ask(tmp_path / "ids.txt")
    assert not structures and not failures


def test_downloads_already_there_are_read(tmp_path, folder):
    (tmp_path / "down").mkdir()
    text = (folder / "model0.pdb").read_text()
    (tmp_path / "down" / "1abc-assembly1.cif.gz").write_text(text)  # content decides
    (tmp_path / "ids.txt").write_text("1abc\n")
    (structure,), failures = load_structures(str(tmp_path / "ids.txt"), tmp_path / "down",
                                    "http://127.0.0.1:9", "1", True, print)
    assert structure.pdb_id == "1abc" and not failures


def test_ids_mentioned_in_texts():
    mentioned = evaluation_leakage.find_pdb_ids(
        "nup133_3kfo; enzyme (4ETY), tests/files/2epe.pdb Q9Z2A5 SASDA28 1234 residues 718")
    assert mentioned == {"3kfo", "4ety", "2epe"}
