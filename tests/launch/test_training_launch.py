"""launch.train as users start it: signals, resuming, mistakes, several processes."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest

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


@pytest.fixture
def together(launch):
    """Starts so many processes of one run, of two devices each."""
    def start(*args, count=2):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            address = f"localhost:{free.getsockname()[1]}"
        return [launch(*args, f"--coordinator={address}", f"--num_processes={count}", f"--process_id={index}")
                for index in range(count)]

    return start


def test_two_processes_train_as_one(together, launch, tmp_path):
    """Two processes of two devices each, what a single process of two makes of their checkpoint, and one of four."""
    both = together("--config.num_steps=4")
    outs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    assert [error for _, error in outs] == ["", ""]
    assert "on 4 cpu device(s)" in outs[0][0] and "step 4/4" in outs[0][0]
    assert "step" not in outs[1][0] and "finished" not in outs[1][0]
    single = launch("--config.num_steps=6")
    whole = launch("--config.num_steps=6", f"--workdir={tmp_path / 'whole'}",
                   XLA_FLAGS="--xla_force_host_platform_device_count=4")
    out, error = single.communicate(timeout=60)
    assert single.returncode == 0 and "resumed from step 4" in out, error
    out, error = whole.communicate(timeout=60)
    assert whole.returncode == 0 and "on 4 cpu device(s)" in out, error

    rows, expected = ([row for row in read_metrics(tmp_path / name) if "loss" in row]
                      for name in ("run", "whole"))
    assert [row["step"] for row in rows] == [2, 4, 6]
    for row, other in zip(rows, expected, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-5)
    # Written once: no file but those that a single process writes, nor any of process 1.
    files, others = ({str(path.relative_to(tmp_path / name)) for path in (tmp_path / name / "checkpoints/3").rglob("*")
                      if path.parent.name != "d"} for name in ("run", "whole"))
    assert files <= others and "checkpoints/3/state/ocdbt.process_0/manifest.ocdbt" in files


@pytest.mark.parametrize("args, code, line", [
    (["--coordinator=localhost:1234", "--process_id=0"], 2, "flag --num_processes is missing"),
    (["--num_processes=2", "--process_id=0"], 2, "flag --coordinator is missing"),
    (["--coordinator=localhost", "--num_processes=2", "--process_id=0"], 1,
     "--coordinator=localhost: expected HOST:PORT"),
    (["--coordinator=localhost:70000", "--num_processes=2", "--process_id=0"], 1,
     "--coordinator=localhost:70000: expected HOST:PORT"),
    (["--coordinator=localhost:1234", "--num_processes=2", "--process_id=2"], 1,
     "--process_id=2: expected less than --num_processes=2"),
    (["--coordinator=localhost:1234", "--num_processes=2", "--process_id=1", "--distributed"], 1,
     "--distributed replaces --coordinator"),
    (["--distributed"], 1, "--distributed: neither SLURM, Cloud TPU, Kubernetes nor Open MPI started this process"),
])
def test_processes_that_contradict_themselves(launch, args, code, line):
    process = launch(*args)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert error.startswith(f"train: {line}") and error.count("\n") == 1


def test_a_port_that_is_taken(launch):
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        process = launch(f"--coordinator=localhost:{port}", "--num_processes=2", "--process_id=0")
        out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "") and error.count("\n") == 1
    assert error.startswith(f"train: --coordinator=localhost:{port}: this process cannot listen there (Address already")
