"""Found atoms beside the true ones of a random case.

    python -m launch.serving.truth TRUE.csv RESULT

writes RESULT/truth.json: both in voxels about their means, the found ones in the hand that matches better.
"""

import pathlib
import sys

from launch import app

NAME = "truth.json"


def main(true_path: str, result: str) -> None:
    """Reads TRUE.csv and RESULT/positions.csv, writes RESULT/truth.json."""
    import numpy as np

    from phasenet import metrics

    def read(path: pathlib.Path) -> np.ndarray:
        positions = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)[:, 1:4]
        return positions - positions.mean(0)

    folder = pathlib.Path(result)
    true, found = read(pathlib.Path(true_path)), read(folder / "positions.csv")
    matching = metrics.match(np.asarray(found, np.float32), np.asarray(true, np.float32), cutoff=1.0)
    app.write_json(folder / NAME, {
        "true": true, "found": -found if matching.inverted else found, "matched": matching.matched,
        "distance": matching.distance, "mean_error": metrics.mean_error(matching)})


if __name__ == "__main__":
    app.enable_compilation_cache()
    main(*sys.argv[1:])
