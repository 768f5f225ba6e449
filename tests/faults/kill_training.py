"""Kills trainings at random moments and in the middle of a write: each goes on and ends bit for bit alike.

    python -m tests.faults.kill_training [--kills=20] [--seed=0] [--training=NAME] [--json=FILE]

Whole processes of launch.train are killed in turn: by SIGKILL and by SIGTERM at a random moment, and by SIGKILL while
the folder of checkpoints shows that one is being written (Orbax's temporary folder), or is written and not sealed yet
(no files.json): the process is stopped, the folder looked at once more, and only then the process is killed.

A fault is: a resume that fails, says anything on standard error or does not begin at the newest whole checkpoint; a
SIGTERM in the training's loop that does not save; at the end any array of the state, or any row of metrics.jsonl but
for its speed, other than in a run that was never killed. Exits 1 at the first.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

from launch.training import checkpoint, writers

ROOT = pathlib.Path(__file__).resolve().parents[2]
_TOY = ROOT / "tests" / "launch" / "toy_training.py"
_LONGEST_SECONDS = 300  # of one process

# Arguments of launch.train. Small ones: nearly all of their time goes into checkpoints.
TRAININGS = {
    "toy": [f"--config={_TOY}", "--config.num_steps=300", "--config.checkpoint_every=10", "--config.log_every=5",
            "--config.eval_every=50", "--config.max_to_keep=1", "--config.ema_decay=0.9"],
    "phasenet_small": [
        f"--config={ROOT / 'configs' / 'phasenet_small.py'}", "--config.model.width=32", "--config.model.blocks=1",
        "--config.batch_size=8", "--config.validation.count=8", "--config.num_steps=80", "--config.checkpoint_every=8",
        "--config.optimizer.warmup_steps=8", "--config.log_every=4", "--config.eval_every=16",
        "--config.max_to_keep=2"],
}
WAYS = ("in a write", "SIGKILL", "SIGTERM")


class Fault(Exception):
    """A training did not survive; the message says how."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--training", choices=TRAININGS, help="one of them alone; by default --kills of each")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    counts = {}
    for name in [options.training] if options.training else TRAININGS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                counts[name] = survive(name, pathlib.Path(folder), options.kills, options.seed)
            except Fault as fault:
                print(f"{name}: {fault}")
                return 1
        print(f"{name}: " + ", ".join(f"{count} {what}" for what, count in sorted(counts[name].items())), flush=True)
    if options.json:
        options.json.write_text(json.dumps(counts, indent=2) + "\n")
    return 0


def survive(name: str, folder: pathlib.Path, kills: int, seed: int) -> collections.Counter:
    """Kills the training so often, beginning anew whenever one ended before. Raises Fault.

    Returns: how often what was met.
    """
    rng = random.Random(f"{seed} {name}")
    begun = time.monotonic()
    whole = Life(name, folder, "whole")
    whole.finish()
    seconds = time.monotonic() - begun  # nearly all of a compilation, too: most moments are within the next lives
    counts, killed = collections.Counter(), None
    while counts["kills"] < kills:
        way = WAYS[counts["kills"] % len(WAYS)]
        expected = newest(folder / "killed")
        life = Life(name, folder, "killed")
        if not life.kill(way, rng, seconds, sealing=counts[way] % 2 == 1):
            counts["ends met before a kill"] += 1
            life.check(expected)
            _compare(folder)
            shutil.rmtree(folder / "killed")
            continue
        counts["kills"] += 1
        counts[way] += 1
        for what in life.check(expected):
            counts[what] += 1
        killed = newest(folder / "killed")
        print(f"{name}: kill {counts['kills']} ({way}): at step {life.step}, newest whole checkpoint "
              f"{'none' if killed is None else killed}", flush=True)
    expected = newest(folder / "killed")
    life = Life(name, folder, "killed")
    life.finish()
    life.check(expected)
    _compare(folder)
    return counts


class Life:
    """One process of launch.train, from its start to its end."""

    def __init__(self, name: str, folder: pathlib.Path, workdir: str) -> None:
        self.workdir = folder / workdir
        self.output, self.errors, self.signal = folder / "stdout", folder / "stderr", 0
        with self.output.open("w") as out, self.errors.open("w") as error:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "launch.train", *TRAININGS[name], f"--workdir={self.workdir}"], cwd=ROOT,
                stdout=out, stderr=error, env=os.environ | {
                    "PYTHONPATH": f"{_TOY.parent}", "JAX_PLATFORMS": "cpu",
                    "XDG_CACHE_HOME": str(folder / "cache")})

    def finish(self) -> None:
        """Waits for the end. Raises Fault where it is not a good one."""
        if self.process.wait(_LONGEST_SECONDS) != 0:
            raise Fault(f"exit code {self.process.returncode}: {self.errors.read_text()[-1000:]}")

    def kill(self, way: str, rng: random.Random, seconds: float, sealing: bool) -> bool:
        """Kills it in this way, at a random moment within so many seconds; False where it ended before.

        sealing: which part of a write.
        """
        if way == "in a write":
            dead = self._await_write(rng.randrange(4), sealing)
        elif rng.random() < 0.25:
            dead = self._await(lambda: False, rng.uniform(0, seconds / 2))  # whatever it does then
        else:
            dead = self._await(self._begun, _LONGEST_SECONDS) or self._await(
                lambda: False, rng.uniform(0, seconds / 4))
        if dead:
            self.finish()
            return False
        self.signal = signal.SIGTERM if way == "SIGTERM" else signal.SIGKILL
        self.process.send_signal(self.signal)
        self.process.wait(_LONGEST_SECONDS)
        return True

    def _await_write(self, skipped: int, sealing: bool) -> bool:
        """Waits for a checkpoint after so many others to be written, or to wait for its seal; True: ended before."""
        met = set()

        def under_way() -> set[str]:
            return set(self._unfinished()["no seal" if sealing else "temporary folder"])

        def stopped_in_one() -> bool:
            met.update(under_way())
            if len(met) <= skipped or not under_way():
                return False
            self.process.send_signal(signal.SIGSTOP)
            if under_way():
                return True
            self.process.send_signal(signal.SIGCONT)
            return False

        return self._await(self._begun, _LONGEST_SECONDS) or self._await(stopped_in_one, _LONGEST_SECONDS)

    def _await(self, event, seconds: float) -> bool:
        """Waits for the event, for so long at most; True when the process ended before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                return True
            if event():
                return False
            time.sleep(0.0005)
        return False

    @property
    def step(self) -> str:
        """The last that it spoke of."""
        return (re.findall(r"step (\d+)", self.output.read_text()) or ["none"])[-1]

    def check(self, expected: int | None) -> list[str]:
        """What the end left, by name. Raises Fault where it was no good one, or resumed from another step."""
        said, errors = self.output.read_text(), self.errors.read_text()
        if errors:
            raise Fault(f"on standard error: {errors[:1000]}")
        resumed = re.search(r"resumed from step (\d+)", said)
        if self._begun() and (int(resumed[1]) if resumed else None) != expected:
            raise Fault(f"the newest whole checkpoint is {expected}, but: {said}")
        saved = "SIGTERM: saved at step" in said
        stepped = re.search(r"^step \d+/", said, re.MULTILINE)
        last = re.search(r"^step (\d+)/\1 ", said, re.MULTILINE)
        ended = last and newest(self.workdir) == int(last[1])  # nothing is left to save
        if self.signal == signal.SIGTERM and stepped and not ended and not saved:
            raise Fault(f"SIGTERM was not heeded: exit code {self.process.returncode}, {said}")
        found = ["lives resumed"] if resumed else []
        found += ["told to stop and saved"] if saved else []
        found += ["damaged checkpoints named"] * said.count("damaged checkpoint (")
        return found + [f"writes cut short ({where})" for where, names in self._unfinished().items() if names]

    def _begun(self) -> bool:
        """Whether checkpoints were looked through, and what a former life left was put away."""
        return "is compiled now" in self.output.read_text()

    def _unfinished(self) -> dict[str, list[str]]:
        """Checkpoints that are being written, or removed, or were when the process ended: their names."""
        folder = self.workdir / "checkpoints"
        names = os.listdir(folder) if folder.is_dir() else []
        last = max((int(name) for name in names if name.isdigit()), default=None)
        removed = [name for name in names if name == checkpoint.REMOVED]
        return {"temporary folder": [name for name in names if not name.isdigit() and name not in removed],
                "no seal": [name for name in names if name == str(last)
                            and not (folder / name / checkpoint.CHECKSUMS).exists()],
                "removing an older one": removed}


def newest(workdir: pathlib.Path) -> int | None:
    """The step of the newest whole checkpoint."""
    return checkpoint.find_newest_intact(workdir / "checkpoints")[0]


def _compare(folder: pathlib.Path) -> None:
    """Raises Fault unless the killed run ended as the whole one."""
    whole, killed = (folder / name for name in ("whole", "killed"))
    if newest(whole) != newest(killed):
        raise Fault(f"ended at step {newest(killed)} instead of {newest(whole)}")
    states = [checkpoint.read_state(path / "checkpoints" / str(newest(path))) for path in (whole, killed)]
    leaves, others = ([(name, np.asarray(leaf)) for name, leaf in checkpoint.named_leaves(state)] for state in states)
    for (name, leaf), (other_name, other) in zip(leaves, others, strict=True):
        if name != other_name or leaf.tobytes() != other.tobytes():
            raise Fault(f"{name} is not as in the run that was never killed")
    rows, others = ([{key: value for key, value in row.items() if key != "examples_per_second"}
                     for row in writers.read_metrics(path)] for path in (whole, killed))
    if rows != others:
        raise Fault("metrics.jsonl is not as in the run that was never killed")


if __name__ == "__main__":
    sys.exit(main())
