"""Trains what a config describes; started again with the same workdir, it goes on where it was.

    python -m launch.train --config=configs/FILE.py --workdir=DIR [--config.batch_size=32]
        [--init_from=WEIGHTS]

By several processes: flags in launch/distributed/cluster.py, the same workdir for all.
"""

from absl import flags
from ml_collections import config_flags

from launch import app
from launch.distributed import cluster

_CONFIG = config_flags.DEFINE_config_file("config", None, "What to train: a file of configs/.")
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where checkpoints and curves go, and whence a run resumes.")
_INIT_FROM = flags.DEFINE_string(
    "init_from", None, "Weights to start from: a workdir of a training, or what the task released.")
flags.mark_flags_as_required(["config", "workdir"])


def main(_: list[str]) -> None:
    with cluster.joining():
        from launch.distributed import processes  # here: a mistyped flag should not wait for jax
        from launch.training import train

        app.enable_compilation_cache()
        config = _CONFIG.value
        result = train(config, _WORKDIR.value, init_from=_INIT_FROM.value)
        if not processes.is_chief():
            return
    rows = {"step": f"{result.step} of {config.num_steps}", "ended": result.reason}
    rows |= {name: f"{value:.6g}" for name, value in result.metrics.items()}
    width = max(map(len, rows))
    for name, value in rows.items():
        app.print_line(f"{name:>{width}}  {value}")
    app.print_line(f"checkpoints and curves are in {_WORKDIR.value}")


if __name__ == "__main__":
    app.run(main)
