"""make_crystals: the same file from one process or two, a run that was ended goes on, mistakes in one line."""

import pathlib
import subprocess
import sys

import launched
import numpy as np
import pytest

from phasenet.crystal.made import arrays, crystals
from phasenet.io.npz import read_npz

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = ("--min_volume=200", "--max_volume=300")


def launch(output, *flags):
    return launched.run("launch.datasets.make_crystals", f"--output={output}", *flags)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "one.npz"
    done = launch(path, "--count=24", "--seed=3", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "24 crystals of " in done.stdout
    return path


def test_the_file_does_not_depend_on_the_number_of_processes(made, tmp_path):
    done = launch(tmp_path / "two.npz", "--count=24", "--seed=3", "--processes=2", *SMALL)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "two.npz").read_bytes() == made.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["two.npz"]


def test_a_crystal_of_the_file_is_the_one_of_its_number(made):
    held = read_npz(made, arrays.NAMES)
    assert len(held["cell"]) == 24 and held["offsets"][-1] == len(held["positions"])
    for number in (0, 23):
        drawn = crystals.draw_crystal(np.random.default_rng((3, number)), (200.0, 300.0))
        read = arrays.unpack(held, number)
        assert read.elements == drawn.elements and read.composition == drawn.composition
        assert read.operators.symbol == drawn.operators.symbol and read.kind == drawn.kind
        for name in ("cell", "positions", "b_iso", "hydrogens", "hydrogen_b_iso"):
            np.testing.assert_allclose(getattr(read, name), getattr(drawn, name), rtol=1e-6, atol=1e-6)


def test_a_run_that_was_ended_goes_on_from_its_parts(made, tmp_path):
    output = tmp_path / "again.npz"
    name = "3-200-300"  # seed and volumes
    held = read_npz(made, arrays.NAMES)
    parts = tmp_path / "again.npz.parts"
    parts.mkdir()
    np.savez(parts / f"20_{name}.npz", **arrays.pack([arrays.unpack(held, number) for number in range(20, 24)]))
    (parts / f"0_{name}.npz").write_bytes(b"cut short")
    done = launch(output, "--count=24", "--seed=3", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 parts are there" in done.stdout
    assert output.read_bytes() == made.read_bytes()


def test_parts_of_other_settings_have_other_names():
    # In a process of its own, because launches share names of flags.
    groups = [f"P {number}" for number in range(40)]
    code = ("from launch.datasets.make_crystals import _name; "
            f"print(*(_name((0, (1.0, 2.0), tuple(groups))) for groups in ({groups}, {groups[:-1]}, {groups[:1]})))")
    names = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                           check=True).stdout.split()
    assert len(set(names)) == 3 and max(map(len, names)) < 200


@pytest.mark.parametrize(("flags", "words"), [
    (["--output=crystals.csv"], "ends in .npz"), (["--min_volume=900", "--max_volume=300"], "--min_volume=900"),
    (["--min_volume=nan"], "--min_volume=nan, --max_volume=4000: give two numbers"),
    (["--space_groups=P 9"], "no such space group")])
def test_mistakes_end_in_one_line(tmp_path, flags, words):
    done = launch(tmp_path / "x.npz", "--count=1", *flags)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and words in done.stderr
