"""Compares the atoms found with the true atoms of a random case; the last launch of a job on a random case.

    python -m launch.serving.truth TRUE.csv RESULT

The launch writes RESULT/truth.json: the true and the found atoms, in voxels relative to the mean of each set, the found
atoms in the hand that matches better.
"""

import pathlib
import sys

from launch import app

NAME = "truth.json"


def main(true_path: str, result: str) -> None:
    """Writes truth.json into a result folder.

    Args:
      true_path: a .csv file with a head line and one row for each atom: a number, and x, y and z in voxels.
      result: the output folder of `launch.solve`, with positions.csv of the same columns.
    """
    import jax.numpy as jnp
    import numpy as np

    from phasenet import metrics

    def read(path: pathlib.Path) -> np.ndarray:
        """Returns positions (n, 3), voxels relative to their mean."""
        positions = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)[:, 1:4]
        return positions - positions.mean(0)

    folder = pathlib.Path(result)
    true, found = read(pathlib.Path(true_path)), read(folder / "positions.csv")
    matching = metrics.match(jnp.asarray(found, jnp.float32), jnp.asarray(true, jnp.float32), cutoff=1.0)
    app.write_json(folder / NAME, {
        "true": true, "found": -found if matching.inverted else found, "matched": matching.matched,
        "distance": matching.distance, "mean_error": metrics.mean_error(matching)})


if __name__ == "__main__":
    app.enable_compilation_cache()
    main(*sys.argv[1:])
