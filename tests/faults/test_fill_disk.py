"""A full disk loses nothing and is told in a line: the short form of fill_disk.py, where it may mount a small disk."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_a_full_disk(tmp_path):
    try:
        mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(tmp_path)]
        allowed = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        allowed = False
    if not allowed:
        pytest.skip("no small disk may be mounted here (unshare -rm, mount -t tmpfs)")
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-m", "tests.faults.fill_disk", "--first=100", "--last=200", "--step=100"],
        cwd=ROOT, env=os.environ | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "2 full disks, 0 faults" in done.stdout
