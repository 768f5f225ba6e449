"""Trains the network that a config describes; the same command resumes a training from its newest checkpoint.

    python -m launch.train --config=configs/FILE.py --workdir=DIR [--config.batch_size=32] [--init_from=WEIGHTS]

It writes to DIR: checkpoints/, metrics.jsonl (and tensorboard/ where tensorboardX is installed), run.json (each call
with its config and versions) and weights/, the release that `--weights=DIR` of the other launches takes. Several
processes train together on one DIR that all of them see (flags: launch/distributed/cluster.py).
"""

from absl import flags
from ml_collections import config_flags

from launch import app
from launch.distributed import cluster

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file that describes the network and its training: one of configs/.")
flags.mark_flag_as_required("config")
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder for checkpoints, metrics and weights. A training resumes from its newest checkpoint.",
    required=True)
_INIT_FROM = flags.DEFINE_string(
    "init_from", None, "Weights to start from: the workdir of another training, an .npz file of "
    "arrays, or released weights where the task reads them.")


def main(_: list[str]) -> None:
    """Trains, then prints the last step, why the training ended and the last evaluation."""
    with cluster.joining():
        from launch.distributed import processes  # not at the top, because a mistyped flag should fail first
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
