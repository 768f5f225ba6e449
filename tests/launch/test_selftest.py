"""launch.selftest: this machine passes, and what is wrong is told, with the rest of the report whole."""

import json
import math
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from launch.selftests import check, compiler, machine, science
from launch.selftests.check import Measured

ROOT = pathlib.Path(__file__).resolve().parents[2]
_PATCHED = """
import sys
from launch import app, selftest
from launch.selftests import compiler, science
from launch.selftests.check import Measured

def two_and_two(): return Measured(5, 4, 0.5)
def a_crash(): raise RuntimeError("no such\\n device")

compiler.CHECKS, science.CHECKS = (compiler.random_numbers,), {wrong}
sys.argv[0] = "selftest.py"
app.run(selftest.main)
"""


@pytest.mark.parametrize("one", [*compiler.CHECKS, *science.CHECKS], ids=lambda one: one.__name__)
def test_this_machine_passes(one):
    result = check.run_check(one)
    assert result.passed, check.format_result(result)
    assert one.__doc__


@pytest.mark.parametrize("measured, passed, worst", [
    (Measured(1.5, 1.0, 0.5), True, (1.5, 1.0)),
    (Measured(1.6, 1.0, 0.5), False, (1.6, 1.0)),
    (Measured(np.array([[1.0, 5.0], [3.0, 4.0]]), np.array([[1.0, 2.0], [3.0, 4.5]]), 1.0), False, (5.0, 2.0)),
    (Measured([1.0, 2.0, 1.0], 1.0, 0.0), False, (2.0, 1.0)),
    (Measured([1.0, math.inf], 1.0, 1e9), False, (math.inf, 1.0)),
    (Measured(jax.numpy.float32(2.0), 2, 0), True, (2.0, 2.0))])
def test_the_number_that_differs_most_decides(measured, passed, worst):
    result = check.judge("some", measured)
    assert result.passed is passed and (result.found, result.expected) == worst
    assert check.format_result(result).startswith("ok " if passed else "WRONG ")


def test_what_is_no_number_is_wrong():
    result = check.judge("some", Measured([9.0, math.nan], [1.0, math.nan], 1e9))
    assert not result.passed and math.isnan(result.found)


def launch(wrong, *flags):
    done = subprocess.run([sys.executable, "-c", _PATCHED.format(wrong=wrong), *flags], cwd=ROOT, timeout=600,
                          capture_output=True, text=True, check=False, env=os.environ | {"JAX_PLATFORMS": "cpu"})
    return done.returncode, done.stdout, done.stderr


def test_a_machine_that_passes(tmp_path):
    code, out, error = launch("()", f"--json={tmp_path / 'report.json'}")
    assert (code, error) == (0, "")
    assert "all 1 checks passed" in out and f"jax {jax.__version__}" in out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["failed"] == [] and report["checks"][0]["name"] == "random numbers"
    assert set(report["machine"]) >= {"revision", "versions", "devices", "variables", "cache"}
    assert all(name in out for name in report["machine"])


def test_a_machine_that_fails(tmp_path):
    code, out, error = launch("(two_and_two, a_crash, compiler.random_numbers)", f"--json={tmp_path / 'report.json'}")
    assert code == 1
    assert error == "selftest: 2 of 4 checks failed on this machine: two and two, a crash\n"
    assert out.count("ok    random numbers") == 2  # what comes after a failure is told, too
    words = [line.split(maxsplit=4) for line in out.splitlines() if line.startswith("WRONG")]
    assert words[0] == ["WRONG", "two", "and", "two", "5              expected 4, within 0.5"]
    assert words[1] == ["WRONG", "a", "crash", "RuntimeError:", "no such device"]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["failed"] == ["two and two", "a crash"] and len(report["checks"]) == 4


def test_the_cache_is_described(tmp_path):
    (tmp_path / "some-cache").write_bytes(bytes(3_000_000))
    (tmp_path / "some-atime").write_bytes(b"x")
    assert machine.describe(tmp_path)["cache"] == f"{tmp_path}: 1 programs, 3 MB"
    assert machine.describe(None)["cache"] == "none"
