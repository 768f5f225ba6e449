"""Runs launches as a user does, but forked from a process that has imported what they need.

These imports take two seconds, and the tests start hundreds of launches. A test that sends a signal, reads while the
launch runs, or needs variables that JAX reads when it is imported, starts a process itself.
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
from typing import IO, Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
# None of these may use a device: its threads would not live on in the children.
_IMPORTED = ("launch.app", "gemmi", "matplotlib.pyplot", "ml_collections", "orbax.checkpoint",
             "launch.reconstruction.curve_run", "launch.training.loop", "phasenet.crystal.solve", "phasenet.pipeline",
             "saxsae.reconstruction")
_SECONDS = 600  # after which a launch is killed


def run(module: str, *flags: object, cwd: pathlib.Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Returns how `python -m module FLAGS` ended in the folder `cwd`, and what it printed."""
    server = _server()
    command = [module, *map(str, flags)]
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder) / name for name in ("stdout", "stderr")]
        server.stdin.write(json.dumps([command, environment, str(cwd), [str(file) for file in files]]) + "\n")
        server.stdin.flush()
        code = json.loads(server.stdout.readline())
        return subprocess.CompletedProcess(command, code, *(file.read_text(encoding="utf-8") for file in files))


@functools.cache
def _server() -> subprocess.Popen[str]:
    """Starts the process that forks; it ends with this one."""
    server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              env=os.environ | {"PYTHONPATH": str(ROOT)})
    atexit.register(server.communicate)
    return server


def _serve(requests: IO[str]) -> Any:
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


if __name__ == "__main__":
    for name in _IMPORTED:
        importlib.import_module(name)
    request = _serve(sys.stdin)
    if request is not None:
        (module, *flags), environment, folder, outputs = request
        signal.alarm(_SECONDS)
        for number, path in enumerate([os.devnull, *outputs]):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.environ.update(environment)
        os.chdir(folder)
        sys.path[0] = folder
        sys.argv = [module, *flags]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
