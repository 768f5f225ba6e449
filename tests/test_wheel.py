"""A wheel, installed in an empty environment: its commands solve the examples and train, from an empty folder."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import venv

import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "phasenet", "saxsae", "launch", "configs")


def call(*command, **settings):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of the commands of an environment that holds the wheel, and what it needs from that of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    call(sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation", "-w", folder, source)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    call(sys.executable, "-m", "pip", f"--python={python}", "install", "-qq", "--no-deps", "--no-index", wheel)
    # Only the path is added: what is installed there in editable form, our checkout, is not seen.
    place = call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    pathlib.Path(place, "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


@pytest.fixture
def run(installed, tmp_path):
    """Calls one of the commands in an empty folder, without the tests' settings for the compiler."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("PYTHON", "XLA_FLAGS", "JAX_DISABLE"))}
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    empty = tmp_path / "empty"
    empty.mkdir()
    return lambda name, *flags: (call(installed / name, *flags, cwd=empty, env=environment), empty)


def test_it_is_the_wheel_that_runs(installed, tmp_path):
    code = "import phasenet, saxsae, launch, configs; print(phasenet.__file__)"
    found = call(installed / "python", "-c", code, cwd=tmp_path)
    assert str(installed.parent) in found


def test_the_map_is_solved(run):
    said, folder = run("phasenet-solve", "--patterson=phasenet/examples/six_atoms.npy", "--output=out")
    assert "Solved" in said and "is taken from the installation" in said
    assert json.loads((folder / "out" / "log.json").read_text())["summary"]["status"] == "solved"
    assert (folder / "out" / "report.html").stat().st_size > 10_000


def test_the_curve_is_reconstructed(run):
    said, folder = run("saxsae-reconstruct", "--profile=saxsae/examples/three_lobes.dat", "--output=out",
                       "--reference=saxsae/examples/three_lobes.pdb", "--num_models=1", "--generations=3")
    assert "chi^2" in said and (folder / "out" / "density.ccp4").stat().st_size > 31**3


def test_a_config_trains(run):
    said, folder = run("phasenet-saxsae-train", "--config=configs/phasenet_small.py", "--workdir=work",
                       "--config.num_steps=2", "--config.optimizer.warmup_steps=1", "--config.batch_size=4",
                       "--config.model.width=16", "--config.validation.count=4")
    assert "2 of 2" in said and (folder / "work" / "weights" / "config.json").is_file()
