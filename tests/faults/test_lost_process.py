"""Of two processes that train together one is killed: the other ends soon, in one line, and the run goes on later."""

import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOY = ROOT / "tests" / "launch" / "toy_training.py"
SOON_SECONDS = 60


@pytest.fixture
def start(tmp_path):
    """Starts both processes of a training in tmp_path/run; (process, its output, its standard error) of each."""
    started = []

    def start(*args):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            address = f"localhost:{free.getsockname()[1]}"
        both = []
        for index in (0, 1):
            files = [tmp_path / f"{len(started) + index}.{name}" for name in ("out", "error")]
            with files[0].open("w") as out, files[1].open("w") as error:
                process = subprocess.Popen(
                    [sys.executable, "-m", "launch.train", f"--config={TOY}", f"--workdir={tmp_path / 'run'}",
                     "--config.checkpoint_every=20", "--config.log_every=10", "--config.eval_every=0", *args,
                     f"--coordinator={address}", "--num_processes=2", f"--process_id={index}"],
                    cwd=ROOT, stdout=out, stderr=error, env=os.environ | {
                        "PYTHONPATH": str(TOY.parent), "XDG_CACHE_HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"})
            both.append((process, *files))
        started.extend(both)
        return both

    yield start
    for process, *_ in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("victim", [0, 1])
def test_the_other_ends_and_both_go_on(start, victim):
    both = start("--config.num_steps=1000000")
    chief, out, _ = both[0]
    while "step 50/" not in out.read_text():
        assert chief.poll() is None, both[0][2].read_text()
        time.sleep(0.1)
    both[victim][0].kill()
    assert both[1 - victim][0].wait(SOON_SECONDS) != 0
    both[victim][0].wait()
    line = both[1 - victim][2].read_text()
    assert line.startswith("train: the run cannot go on: ") and line.count("\n") == 1

    last = int(re.findall(r"step (\d+)/", out.read_text())[-1])
    again = start(f"--config.num_steps={last + 40}")
    assert [process.wait(SOON_SECONDS) for process, *_ in again] == [0, 0], again[0][2].read_text()
    resumed = int(re.search(r"resumed from step (\d+)", again[0][1].read_text())[1])
    assert last - 40 <= resumed and f"step {last + 40}/{last + 40}" in again[0][1].read_text()
