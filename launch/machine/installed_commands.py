"""The launches as installed commands: `phasenet-solve` runs `launch.solve` as `python -m launch.solve` does."""

import pathlib
import runpy
import sys

COMMANDS = {
    "phasenet-solve": "launch.solve",
    "phasenet-fetch-cod": "launch.fetch_cod",
    "saxsae-reconstruct": "launch.reconstruct",
    "saxsae-serve": "launch.serve",
    "saxsae-fetch-sasbdb": "launch.fetch_sasbdb",
    "saxsae-prepare-structures": "launch.prepare_structures",
    "phasenet-saxsae-train": "launch.train",
    "phasenet-saxsae-evaluate": "launch.evaluate",
    "phasenet-saxsae-selftest": "launch.selftest",
}


def run() -> None:
    """Runs the launch of the command that was called, with its flags."""
    runpy.run_module(COMMANDS[pathlib.Path(sys.argv[0]).stem], run_name="__main__", alter_sys=True)
