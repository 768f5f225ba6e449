"""Suite "memory": the peak resident memory of each launch, each a process of its own.

Trainings take two steps, then write their checkpoint. Those of the published networks take steps of two micro-batches,
each of the size that the config has: more of them come one after the other and need no more. The corpus is the
shipped example's body, turned many times.
"""

import math
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from configs.patterson_paper import published
from configs.saxs_paper import stage1
from launch.benchmarks import bars, children
from launch.benchmarks.suites.reconstruct import PROFILE, REFERENCE
from launch.benchmarks.timing import Row
from phasenet import pretrained as phasing
from saxsae.io.structures.structure_files import read_structure
from saxsae.io.structures.voxelized_corpus import VoxelizedCorpus, write_voxelized
from saxsae.shapes import voxels

MOST_RECONSTRUCT_GIGABYTES = 2.5
MOST_TRAINING_GIGABYTES = 8.0  # of the published networks
_BODIES = 80
_EXAMPLE = pathlib.Path(phasing.__file__).parent / "examples" / "six_atoms.npy"
_TWO_STEPS = ("--config.num_steps=2", "--config.log_every=1", "--config.optimizer.warmup_steps=1")


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """Gigabytes of each launch."""
    summary = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (launch, flags) in launches(pathlib.Path(folder)).items():
            finished = children.launch(launch, *flags)
            summary[name] = finished.peak_bytes / 1e9
            report(row(name, finished))
            shutil.rmtree(pathlib.Path(folder) / "out", ignore_errors=True)  # a checkpoint may be gigabytes
    trainings = max(value for name, value in summary.items() if name.startswith("train_") and "published" in name)
    return summary | {"bars": [
        bars.at_most("GB of reconstruct", summary["reconstruct"], MOST_RECONSTRUCT_GIGABYTES),
        bars.at_most("GB of the published trainings", trainings, MOST_TRAINING_GIGABYTES)]}


def launches(folder: pathlib.Path) -> dict[str, tuple[str, list[str]]]:
    """What is measured, by name: the launch and its flags; inputs are made in the folder, results go to its `out`."""
    corpus, pairs, out = folder / "corpus.npz", folder / "pairs", folder / "out"
    write_corpus(corpus, _BODIES)
    (pairs / "three_lobes").mkdir(parents=True)
    shutil.copy(PROFILE, pairs / "three_lobes" / "profile.dat")
    shutil.copy(REFERENCE, pairs / "three_lobes" / "reference.pdb")

    def training(name, *flags):
        return "train", [f"--config=configs/{name}.py", f"--workdir={out}", *_TWO_STEPS, *flags]

    def two_micro_batches(config):
        size = max(1, config.batch_size // config.micro_batches)
        return f"--config.batch_size={2 * size}", "--config.micro_batches=2"

    def published_training(name, config, *flags):
        return training(name, *two_micro_batches(config), *flags)

    return {
        "reconstruct": ("reconstruct", [f"--profile={PROFILE}", f"--reference={REFERENCE}", f"--output={out}"]),
        "solve": ("solve", [f"--patterson={_EXAMPLE}", f"--output={out}"]),
        "evaluate_reconstruction": ("evaluate", ["--task=reconstruction", f"--pairs={pairs}"]),
        "evaluate_phasing": ("evaluate", ["--task=phasing", "--num_cases=50"]),
        "train_phasenet_small": training("phasenet_small"),
        "train_saxsae_lean": training("saxsae_lean", f"--config.corpus={corpus}"),
        "train_phasenet_published": published_training("patterson_paper/published", published.get_config()),
        "train_saxsae_published_stage1": published_training(
            "saxs_paper/stage1", stage1.get_config(), f"--config.corpus={corpus}"),
    }


def row(name: str, finished: children.Finished) -> Row:
    """There is no peer: only the time of the launch and its peak."""
    return Row(name, "", finished.wall_seconds, math.nan, math.nan, finished.cpu_seconds, math.nan, None, 1,
               {"peak_gigabytes": finished.peak_bytes / 1e9})


def write_corpus(path: pathlib.Path, count: int) -> None:
    """A packed set of the shipped example's body in so many orientations, every eighth for validation."""
    beads = read_structure(REFERENCE).xyz_angstrom
    arm = beads - beads.mean(0)
    turns = [np.asarray(voxels.random_rotation(key)) for key in jax.random.split(jax.random.key(0), count)]
    _, r_max = voxels.centre_and_radius(beads)
    step = voxels.pitch(r_max)
    maps = np.zeros((count, *(voxels.GRID,) * 3), np.float32)
    for one, turn in zip(maps, turns, strict=True):
        one[tuple(np.rint(arm @ turn.T / step + voxels.CENTRE).astype(int).T)] = 1.0
    names = np.array([f"body{number}" for number in range(count)])
    write_voxelized(path, VoxelizedCorpus(voxels.pack(maps), np.full(count, r_max, np.float32), names, names, names,
                                 (np.arange(count) % 8 == 0).astype(np.uint8)))
