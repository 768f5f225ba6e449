"""Runs one launch in a process that ends when the server that started it ends.

    python -m launch.serving.worker MODULE FLAGS...

Standard input is a pipe from the server. When the server ends or is killed, the pipe closes and this process ends as
well. Otherwise this process would go on while the next server runs the same job again.
"""

import os
import runpy
import sys
import threading


def _exit_with_parent() -> None:
    """Waits until standard input closes, then ends this process; the body of a thread."""
    # os.read instead of sys.stdin: a lock of sys.stdin that this thread holds would block the interpreter's exit.
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
