"""One launch in a process of its own, which ends when the page that started it ends.

    python -m launch.serving.worker MODULE FLAGS...

Standard input is a pipe from the page: it closes however the page goes, also when it is killed, and so does this
process. Otherwise the job would go on beside the same one started again.
"""

import os
import runpy
import sys
import threading


def _leave_with_the_page() -> None:
    # Not sys.stdin: its lock, held here, would be missed when the interpreter ends.
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_leave_with_the_page, daemon=True).start()
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
