"""launch.app: exit codes, one line for a user's mistake, result files, the compile cache."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from launch import app
from launch.training.state import TrainState

ROOT = pathlib.Path(__file__).resolve().parents[2]

PROGRAM = '''
from absl import flags
from ml_collections import config_flags
from launch import app
from phasenet.errors import InputError

flags.DEFINE_integer("count", 1, "A number.")
flags.DEFINE_string("needed", None, "Must be there.", required=True)
flags.DEFINE_string("raises", "", "What main raises.")
config_flags.DEFINE_config_file("config")


def main(argv):
    app.print_line(f"argv {len(argv)}")
    if flags.FLAGS.raises:
        raise eval(flags.FLAGS.raises)


if __name__ == "__main__":
    app.run(main)
'''

CONFIG = '''
from ml_collections import ConfigDict


def get_config():
    return ConfigDict({"size": 3, "part": {"name": "x"}})
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("program")
    (path / "program.py").write_text(PROGRAM)
    (path / "good.py").write_text(CONFIG)
    (path / "zero.py").write_text("def get_config():\n    return 1 / 0\n")
    (path / "value.py").write_text("def get_config():\n    return int('x')\n")
    (path / "syntax.py").write_text("x = 1\ndef get_config(:\n")
    (path / "empty.py").write_text("")
    (path / "attribute.py").write_text("import math\nx = math.nothing\n")
    return path


def run(folder, *args, needed=True):
    """(exit code, stdout, stderr) of the program."""
    given = [*args, "--needed=x"] if needed else args
    done = subprocess.run(
        [sys.executable, "program.py", *given], cwd=folder, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_a_good_call(folder):
    assert run(folder, "--config=good.py", "--config.size=4") == (0, "argv 1\n", "")


@pytest.mark.parametrize("args, code, line", [
    (["--nope=3"], 2, "Unknown command line flag 'nope'"),
    (["--count"], 1, "flag --count=--needed=x: invalid literal for int() with base 10: "
                     "'--needed=x'"),
    (["--count=many"], 1, "flag --count=many: invalid literal for int() with base 10: 'many'"),
    (["stray"], 2, "unexpected argument 'stray': flags are --name=value"),
    (["--config=good.py", "--config.nope=3"], 2, "unknown flag: config has no field nope"),
    (["--config=good.py", "--config.part.nope=3"], 2, "unknown flag: config has no field nope"),
    (["--config=good.py", "--config.size=big"], 1,
     "flag --config.size=big: invalid literal for int() with base 10: 'big'"),
    (["--config=missing.py"], 1, "--config=missing.py: no such file"),
    (["--config=missing.py", "--config.size=3"], 1, "--config=missing.py: no such file"),
    (["--config=."], 1, ".: is a folder, a file was expected"),
    (["--config=zero.py"], 1, "zero.py, line 2: ZeroDivisionError: division by zero"),
    (["--config=value.py"], 1,
     "value.py, line 2: ValueError: invalid literal for int() with base 10: 'x'"),
    (["--config=syntax.py"], 1, "syntax.py, line 2: SyntaxError: "),
    (["--config=empty.py"], 1, "empty.py: not a config file, it has no get_config()"),
    (["--config=attribute.py"], 1, "attribute.py, line 2: AttributeError: module 'math' has no"),
])
def test_a_bad_flag_is_one_line(folder, args, code, line):
    found = run(folder, *args)
    assert found[:2] == (code, "")
    assert found[2].startswith(f"program: {line}") and found[2].count("\n") == 1


@pytest.mark.parametrize("args, line", [
    ([], "flag --needed is missing"), (["--needed"], "Missing value for flag --needed")])
def test_a_missing_flag_is_one_line(folder, args, line):
    code, _, error = run(folder, *args, needed=False)
    assert (code, error) == (2, f"program: {line}\n")


@pytest.mark.parametrize("raised, line", [
    ("InputError('a.dat, line 3: two\\nlines')", "a.dat, line 3: two lines"),
    ("FileNotFoundError(2, 'No such file', 'a.dat')", "a.dat: no such file or folder"),
    ("PermissionError(13, 'Denied', 'out')", "out: permission denied"),
    ("OSError(28, 'No space left on device', 'out/x')", "out/x: no space left on the disk"),
    ("ValueError('write: No space left on device [tensorstore]')",
     "write: No space left on device [tensorstore]: no space left on the disk"),
    ("ValueError('Error writing local file \"a/0\": No space left on device')", "a/0: no space left on the disk"),
    ("RuntimeError('RESOURCE_EXHAUSTED: Out of memory')",
     "out of memory (a smaller batch or count needs less): RESOURCE_EXHAUSTED: Out of memory"),
])
def test_what_the_user_can_mend_is_one_line(folder, raised, line):
    assert run(folder, f"--raises={raised}") == (1, "argv 1\n", f"program: {line}\n")


def test_a_fault_of_ours_keeps_its_traceback(folder):
    code, _, error = run(folder, "--raises=ValueError('ours')")
    assert code == 1 and "Traceback" in error and "ValueError: ours" in error


def test_a_config_file_that_gives_none_is_one_line(folder):
    (folder / "none.py").write_text("def get_config():\n    pass\n")
    done = subprocess.run([sys.executable, "-m", "launch.train", f"--config={folder / 'none.py'}", "--workdir=nowhere"],
                          cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (
        1, f"train: --config={folder / 'none.py'}: its get_config() returns nothing\n")


def test_interrupted(folder):
    assert run(folder, "--raises=KeyboardInterrupt()")[::2] == (130, "program: interrupted\n")


def test_help_is_no_error(folder):
    code, out, error = run(folder, "--help")
    assert (code, error) == (0, "") and "--needed" in out


def test_json_is_written_whole_and_plain(tmp_path):
    path = tmp_path / "new" / "a.json"
    app.write_json(path, {"a": np.float32(1.5), "b": jax.numpy.arange(2), 3: (None, True),
                          "nan": float("nan"), "inf": np.array([np.inf, 1.0]),
                          "named": TrainState(1, "p", [], None, 2), "path": tmp_path})
    assert json.loads(path.read_text()) == {
        "a": 1.5, "b": [0, 1], "3": [None, True], "nan": None, "inf": [None, 1.0],
        "named": {"step": 1, "params": "p", "opt_state": [], "average": None, "key": 2},
        "path": str(tmp_path)}
    with pytest.raises(UnicodeEncodeError):
        app.write_text(path, "half \udc80")
    assert json.loads(path.read_text())["a"] == 1.5
    assert [item.name for item in path.parent.iterdir()] == ["a.json"]


@pytest.fixture
def jax_cache_options():
    names = [name for name in dir(jax.config) if "persistent_cache_min" in name
             or name == "jax_compilation_cache_dir"]
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.mark.parametrize("variable, below", [
    ("JAX_COMPILATION_CACHE_DIR", ""), ("XDG_CACHE_HOME", "phasenet-saxsae/jax"),
    ("HOME", ".cache/phasenet-saxsae/jax")])
def test_compile_cache_lies_where_the_user_wants(
        tmp_path, monkeypatch, capsys, jax_cache_options, variable, below):
    for name in ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    assert app.enable_compilation_cache() == tmp_path / below
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / below)
    assert capsys.readouterr().out == f"compiled programs are kept in {tmp_path / below}\n"


def test_compile_cache_that_cannot_be_written(tmp_path, monkeypatch, capsys, jax_cache_options):
    (tmp_path / "file").touch()
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "file"))
    assert app.enable_compilation_cache() is None
    assert "compiled programs are not kept" in capsys.readouterr().out
