"""Runs launches as a user does, without paying for the imports of each, or for its programs.

* `run` forks each launch from a process that has imported what it needs, which saves two seconds of imports.
* `run_in_turn` runs the launches of one module one after another in one process, which saves compiling, too.

A test that sends a signal, reads while the launch runs, or needs variables that JAX reads when it is imported, starts a
process itself.
"""

import atexit
import functools
import importlib
import json
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from typing import IO, Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
# None of these may use a device: its threads would not live on in the children.
_IMPORTED = ("launch.app", "gemmi", "matplotlib.pyplot", "ml_collections", "orbax.checkpoint",
             "launch.reconstruction.curve_run", "launch.training.loop", "phasenet.crystal.solve", "phasenet.pipeline",
             "saxsae.reconstruction")
_SECONDS = 600  # after which a launch is killed


def run(module: str, *flags: object, cwd: pathlib.Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Returns how `python -m module FLAGS` ended in the folder `cwd`, and what it printed."""
    return _ask(_server(_read_optimization()), module, flags, cwd, environment)


def run_in_turn(module: str, *flags: object, cwd: pathlib.Path = ROOT, setup: str = "") -> subprocess.CompletedProcess:
    """Returns the same as `run`, from a process that ran earlier launches of the module, each with its own flags.

    Args:
      module: the launch.
      *flags: its flags.
      cwd: the folder in which it runs.
      setup: Python code that the process runs first; each code has a process of its own.
    """
    return _ask(_server(_read_optimization(), module, setup), module, flags, cwd, {})


def _read_optimization() -> str | None:
    """Returns the variable that turns XLA's optimizations off; JAX reads the variable when it is imported."""
    return os.environ.get("JAX_DISABLE_MOST_OPTIMIZATIONS")


def _ask(server: subprocess.Popen[str], module: str, flags: tuple[object, ...], cwd: pathlib.Path,
         environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Returns how a launch by the server ended, and what it printed."""
    command = [module, *map(str, flags)]
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder) / name for name in ("stdout", "stderr")]
        server.stdin.write(json.dumps([command, environment, str(cwd), [str(file) for file in files]]) + "\n")
        server.stdin.flush()
        code = json.loads(server.stdout.readline())
        return subprocess.CompletedProcess(command, code, *(file.read_text(encoding="utf-8") for file in files))


@functools.cache
def _server(optimization: str | None, *module_and_setup: str) -> subprocess.Popen[str]:
    """Starts the process that forks, or the one that runs launches of a module in turn; it ends with this process.

    Each value of `optimization` has a process of its own.
    """
    server = subprocess.Popen([sys.executable, __file__, *module_and_setup], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    atexit.register(server.communicate)
    return server


def _fork(requests: IO[str]) -> Any:
    """Forks a child for each request; returns the request in the child, and None at the end in the parent.

    Args:
      requests: a line of JSON for each: [module and flags, environment, folder, files for output and errors].
    """
    for line in requests:
        child = os.fork()
        if child == 0:
            return json.loads(line)
        print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])), flush=True)
    return None


def _run_forked(request: Any) -> None:
    """Runs the launch of a request, and ends this process as the launch ends."""
    (module, *flags), environment, folder, outputs = request
    signal.alarm(_SECONDS)
    _redirect([os.devnull, *outputs])
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0] = folder
    sys.argv = [module, *flags]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _run_in_turn(requests: IO[str], module: str, setup: str) -> None:
    """Runs the launch of each request in this process, and writes its exit code."""
    from absl.testing import flagsaver

    from launch import app

    # As main program the module would end this process; flags belong to the module of that name.
    name = module.rpartition(".")[2]
    main = runpy.run_module(module, run_name=name, alter_sys=True)["main"]
    exec(setup, {})
    answers = os.fdopen(os.dup(1), "w")
    for line in requests:
        (_, *flags), _, folder, outputs = json.loads(line)
        _redirect([os.devnull, *outputs])
        os.chdir(folder)
        sys.argv = [name, *flags]
        signal.alarm(_SECONDS)
        with flagsaver.flagsaver():
            try:
                app._parse_flags(sys.argv)
                code = app._call_main(main, sys.argv) or 0
            except SystemExit as end:
                code = end.code
            except Exception:
                traceback.print_exc()
                code = 1
        signal.alarm(0)
        sys.stdout.flush()
        sys.stderr.flush()
        print(json.dumps(code), file=answers, flush=True)


def _redirect(paths: list[str]) -> None:
    """Makes files the standard input, output and error of this process."""
    for number, path in enumerate(paths):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.dup2(descriptor, number)
        os.close(descriptor)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _run_in_turn(os.fdopen(os.dup(0)), *sys.argv[1:])
    else:
        for name in _IMPORTED:
            importlib.import_module(name)
        request = _fork(sys.stdin)
        if request is not None:
            _run_forked(request)
