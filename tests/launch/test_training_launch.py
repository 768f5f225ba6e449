"""launch.train as users start it: signals, resuming, mistakes, several processes."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest
from toy_training import get_config

from launch.training import train
from launch.training.writers import read_metrics

TESTS = pathlib.Path(__file__).resolve().parent


@pytest.fixture
def launch(tmp_path):
    """Starts launch.train on the toy with workdir tmp_path/run and further arguments."""
    started = []

    def start(*args, **env):
        process = subprocess.Popen(
            [sys.executable, "-m", "launch.train", f"--config={TESTS / 'toy_training.py'}",
             f"--workdir={tmp_path / 'run'}", *args],
            cwd=TESTS.parents[1], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(TESTS), "XDG_CACHE_HOME": str(tmp_path)} | env)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_run_is_told_to_stop_and_its_checkpoint_is_then_truncated(launch, tmp_path):
    process = launch("--config.num_steps=1000000", "--config.eval_every=0",
                     "--config.checkpoint_every=0")
    for line in process.stdout:
        if line.startswith("step 20/"):
            process.send_signal(signal.SIGTERM)
            break
    out, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, "")
    assert "SIGTERM: saved at step" in out

    step = max((tmp_path / "run" / "checkpoints").iterdir())
    array = max((step / "state").rglob("d/*"), key=lambda path: path.stat().st_size)
    array.write_bytes(array.read_bytes()[:40])
    process = launch("--config.num_steps=1000000")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1 and error.count("\n") == 1
    assert error.startswith(f"train: {step}: damaged checkpoint")


def test_two_processes_train_as_one(launch, tmp_path):
    """Two processes of one device, and what a single process then makes of their checkpoint."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    both = [launch("--config.num_steps=4", XLA_FLAGS="", JAX_COORDINATOR_ADDRESS=address,
                   JAX_NUM_PROCESSES="2", JAX_PROCESS_ID=str(index)) for index in (0, 1)]
    outs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    assert "step 4/4" in outs[0][0] and "step 4/4" not in outs[1][0]
    single = launch("--config.num_steps=6")
    out, error = single.communicate(timeout=60)
    assert single.returncode == 0 and "resumed from step 4" in out, error

    train(get_config(), tmp_path / "whole", say=lambda _: None)
    rows, expected = ([row for row in read_metrics(tmp_path / name) if "loss" in row]
                      for name in ("run", "whole"))
    assert [row["step"] for row in rows] == [2, 4, 6]
    for row, other in zip(rows, expected, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-5)
