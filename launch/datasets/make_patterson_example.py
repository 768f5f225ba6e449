"""Makes a Patterson map whose atoms are known, of the problem that weights were trained for.

    python -m launch.datasets.make_patterson_example [--output=phasenet/examples] [--weights=small] [--seed=0]
    python -m launch.datasets.make_patterson_example --output=DIR --weights=dual_space --num_atoms=20 --h_max=10 --noise=0.1

The first makes the example that is shipped. NAME_atoms.npy holds the map, float32 with its origin at voxel 0, and
NAME_atoms.csv the atoms, NAME their number. The map is made of the atoms as the table gives them.
"""

from absl import flags

from launch import app

_OUTPUT = flags.DEFINE_string("output", "phasenet/examples", "Folder of the example.")
_WEIGHTS = flags.DEFINE_string("weights", "small", "Released weights by name, or their folder.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the atoms, and of the noise if the problem has any.", lower_bound=0,
                             upper_bound=2**31 - 1)

_NAME = flags.DEFINE_string("name", None, "Of the files, without their endings; by default as above.")
_NUM_ATOMS = flags.DEFINE_integer("num_atoms", None, "How many; this and the next three are as the weights' own.")
_INNER_BOX = flags.DEFINE_float("inner_box", None, "Edge of the box of the atoms' centres, voxels.")
_H_MAX = flags.DEFINE_float("h_max", None, "Largest |h| of the reflections, in 1/grid a voxel.")
_NOISE = flags.DEFINE_float("noise", None, "Of squared amplitudes, relative.")

# 0 to 12 as words.
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def main(_: list[str]) -> None:
    import jax
    import numpy as np

    from phasenet import pretrained
    from phasenet.errors import InputError
    from phasenet.io.atomic_writes import replacing
    from phasenet.io.positions import write_csv
    from phasenet.maps import synthesis
    from phasenet.maps.atoms import random_atoms

    problem = pretrained.load(_WEIGHTS.value).problem
    rules = _given(num_atoms=_NUM_ATOMS.value, inner_box=_INNER_BOX.value)
    problem = problem._replace(atoms=problem.atoms._replace(**rules), **_given(h_max=_H_MAX.value, noise=_NOISE.value))
    try:
        synthesis.check_problem(problem)
    except ValueError as error:
        raise InputError(str(error)) from None
    key_atoms, key_noise = jax.random.split(jax.random.key(_SEED.value))
    atoms, valid = random_atoms(key_atoms, problem.atoms)
    if not valid:
        raise InputError("no atoms were found that the rules allow: ask for fewer, or for a larger box")
    # As the table will say: the map can be made again from it.
    atoms = np.round(np.asarray(atoms, np.float64), 4)
    values = np.asarray(synthesis.measure_patterson(key_noise, atoms, problem), np.float32)
    count = problem.atoms.num_atoms
    name = _NAME.value or f"{_NUMBERS[count] if count < len(_NUMBERS) else count}_atoms"
    folder = app.prepare_folder(_OUTPUT.value)
    write_csv(folder / f"{name}.csv", atoms)
    with replacing(folder / f"{name}.npy") as part:
        np.save(part, values)
    app.print_line(f"wrote {folder / name}.npy ({' x '.join(map(str, values.shape))} voxels) and .csv ({count} atoms)")


def _given(**values: float | None) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}


if __name__ == "__main__":
    app.run(main)
