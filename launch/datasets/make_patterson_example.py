"""Makes a Patterson map of known atoms, drawn by the rules of the problem that released weights were trained for.

    python -m launch.datasets.make_patterson_example [--output=phasenet/examples] [--weights=small] [--seed=0]
    python -m launch.datasets.make_patterson_example --output=DIR --weights=dual_space --num_atoms=20 --noise=0.1

The first command makes the shipped example. WORD_atoms.npy holds the map, float32 with the origin at voxel 0, and
WORD_atoms.csv the atoms; WORD is the number of atoms. The map is computed from the positions as rounded in the table.
"""

from typing import Any

from absl import flags

from launch import app

_OUTPUT = flags.DEFINE_string("output", "phasenet/examples", "Folder to write the map and the atoms to.")
_WEIGHTS = flags.DEFINE_string("weights", "small", "Weights whose problem is taken: a release's name, or a folder.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the atoms, and of the noise if the problem has any.", lower_bound=0,
                             upper_bound=2**31 - 1)

_NAME = flags.DEFINE_string("name", None, "Name of the files, without endings; by default such as ten_atoms.")
_NUM_ATOMS = flags.DEFINE_integer("num_atoms", None, "Number of atoms; by default that of the weights' problem.")
_INNER_BOX = flags.DEFINE_float(
    "inner_box", None, "Edge of the box that holds the atoms' centres, in voxels; by default that of the problem.")
_H_MAX = flags.DEFINE_float(
    "h_max", None, "Largest |h| of the reflections, in cycles per unit cell; by default that of the problem.")
_NOISE = flags.DEFINE_float("noise", None, "Relative noise of the squared amplitudes; by default that of the problem.")

_NUMBER_WORDS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def main(_: list[str]) -> None:
    """Writes the map (.npy) and the table of its atoms (.csv)."""
    import jax
    import numpy as np

    from phasenet import pretrained
    from phasenet.errors import InputError
    from phasenet.io.atomic_writes import replacing
    from phasenet.io.positions import write_csv
    from phasenet.maps import synthesis
    from phasenet.maps.atoms import draw_atoms

    problem = pretrained.load(_WEIGHTS.value).problem
    rules = _drop_none(num_atoms=_NUM_ATOMS.value, inner_box=_INNER_BOX.value)
    reflections = _drop_none(h_max=_H_MAX.value, noise=_NOISE.value)
    problem = problem._replace(atoms=problem.atoms._replace(**rules), **reflections)
    try:
        synthesis.check_problem(problem)
    except ValueError as error:
        raise InputError(str(error)) from None
    key_atoms, key_noise = jax.random.split(jax.random.key(_SEED.value))
    atoms, valid = draw_atoms(key_atoms, problem.atoms)
    if not valid:
        raise InputError("no positions were found that fit the problem's rules; lower --num_atoms or raise --inner_box")
    # The positions are rounded as in the table, so that the map can be made again from the table.
    positions = np.round(np.asarray(atoms, np.float64), 4)
    values = np.asarray(
        synthesis.simulate_patterson(key_noise, positions, problem),  # type: ignore[arg-type]  # a NumPy array
        np.float32)
    count = problem.atoms.num_atoms
    name = _NAME.value or f"{_NUMBER_WORDS[count] if count < len(_NUMBER_WORDS) else count}_atoms"
    folder = app.prepare_folder(_OUTPUT.value)
    write_csv(folder / f"{name}.csv", positions)
    with replacing(folder / f"{name}.npy") as part:
        np.save(part, values)
    app.print_line(f"wrote {folder / name}.npy ({' x '.join(map(str, values.shape))} voxels) and .csv ({count} atoms)")


def _drop_none(**values: float | None) -> dict[str, Any]:
    """Returns the arguments that are not None, by name."""
    return {name: value for name, value in values.items() if value is not None}


if __name__ == "__main__":
    app.run(main)
