"""Suite "memory": the peak resident memory of each launch, each in a process of its own. There is no peer.

Trainings take two steps and write a checkpoint. A step of the published networks has two micro-batches of the config's
size; more micro-batches run one after another and need no more memory. The corpus is the shipped example's body in many
orientations.
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

MOST_RECONSTRUCT_GIGABYTES = 2.5  # for `launch.reconstruct`
MOST_TRAINING_GIGABYTES = 8.0  # for the published networks
_BODIES = 80  # orientations of the body in the corpus
_EXAMPLE = pathlib.Path(phasing.__file__).parent / "examples" / "six_atoms.npy"
_TWO_STEPS = ("--config.num_steps=2", "--config.log_every=1", "--config.optimizer.warmup_steps=1")


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """Measures the peak memory of each launch.

    Args:
      report: receives each row as soon as it is measured.

    Returns:
      Gigabytes (1e9 bytes) by launch, and bars.

    Raises:
      RuntimeError: a launch failed.
    """
    summary: dict[str, float] = {}
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
    """Writes the inputs of the launches into a folder, and returns each launch and its flags by row name.

    Args:
      folder: the folder for the inputs; the launches write into its subfolder `out`.
    """
    corpus, pairs, out = folder / "corpus.npz", folder / "pairs", folder / "out"
    write_corpus(corpus, _BODIES)
    (pairs / "three_lobes").mkdir(parents=True)
    shutil.copy(PROFILE, pairs / "three_lobes" / "profile.dat")
    shutil.copy(REFERENCE, pairs / "three_lobes" / "reference.pdb")

    def training(name: str, *flags: str) -> tuple[str, list[str]]:
        return "train", [f"--config=configs/{name}.py", f"--workdir={out}", *_TWO_STEPS, *flags]

    def two_micro_batches(config: Any) -> tuple[str, str]:
        size = max(1, config.batch_size // config.micro_batches)
        return f"--config.batch_size={2 * size}", "--config.micro_batches=2"

    def published_training(name: str, config: Any, *flags: str) -> tuple[str, list[str]]:
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
    """Returns the row of a launch: its times and its peak memory, without a peer."""
    return Row(name, "", finished.wall_seconds, math.nan, math.nan, finished.cpu_seconds, math.nan, None, 1,
               {"peak_gigabytes": finished.peak_bytes / 1e9})


def write_corpus(path: pathlib.Path, count: int) -> None:
    """Writes a voxelized corpus of the shipped example's body in random orientations.

    Args:
      path: the `.npz` file.
      count: number of orientations; every eighth is for validation.
    """
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
