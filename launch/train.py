"""Trains what a config describes; started again with the same workdir, it goes on where it was.

    python -m launch.train --config=configs/FILE.py --workdir=DIR [--config.batch_size=32] [--init_from=WEIGHTS]
"""

from absl import flags
from ml_collections import config_flags

from launch import app

_CONFIG = config_flags.DEFINE_config_file("config", None, "What to train: a file of configs/.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Where checkpoints and curves go, and whence a run resumes.")
_INIT_FROM = flags.DEFINE_string("init_from", None, "Weights to start from: a workdir of a training or an .npz.")
flags.mark_flags_as_required(["config", "workdir"])


def main(_: list[str]) -> None:
    app.enable_compilation_cache()
    from launch.training import train  # after the flags: a typing error should not wait for jax

    result = train(_CONFIG.value, _WORKDIR.value, init_from=_INIT_FROM.value)
    app.say(f"{'step':>10}  {result.step} of {_CONFIG.value.num_steps} ({result.reason})")
    for name, value in result.metrics.items():
        app.say(f"{name:>10}  {value:.6g}")
    app.say(f"checkpoints and curves: {_WORKDIR.value}")


if __name__ == "__main__":
    app.run(main)
