"""launch.machine.provenance: the code, told as it is."""

import re
import subprocess
import sys

import pytest

from launch.machine import provenance

_LAUNCH = """
import json, sys
from absl import flags
from launch import app
from launch.machine import provenance
flags.DEFINE_integer("seed", 3, "")
flags.DEFINE_list("names", ["a"], "")
app.run(lambda _: print(json.dumps(provenance.describe_run())))
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository of one committed file, and git in it."""
    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", *who, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    try:
        git("init", "-q")
    except OSError:
        pytest.skip("no git here")
    (tmp_path / "code.py").write_text("1")
    git("add", "code.py")
    git("commit", "-q", "-m", "one")
    git("tag", "-a", "v1", "-m", "one")
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    return tmp_path, git


def test_the_revision_tells_of_changes(checkout):
    folder, git = checkout
    head = git("rev-parse", "HEAD").strip()
    assert provenance.revision() == head
    (folder / "code.py").write_text("2")
    assert provenance.revision() == f"{head}-dirty"


def test_a_repository_around_an_installation_is_another_one(checkout, monkeypatch):
    (checkout[0] / "site-packages").mkdir()
    monkeypatch.setattr(provenance, "_ROOT", checkout[0] / "site-packages")
    assert provenance.revision() == "unknown"


def test_without_git_the_revision_is_unknown(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.revision() == "unknown"


def test_all_flags_are_recorded_and_only_the_launchs_own(tmp_path):
    (tmp_path / "some.py").write_text(_LAUNCH)
    done = subprocess.run([sys.executable, "some.py", "--seed=5", "--verbosity=0"], cwd=tmp_path, capture_output=True,
                          text=True, check=True, env={"PYTHONPATH": str(provenance._ROOT)})
    found = re.search(r'"flags": (\{[^}]*\})', done.stdout)[1]
    assert found == '{"names": ["a"], "seed": 5}'
