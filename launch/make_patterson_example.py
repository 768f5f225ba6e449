"""Makes a Patterson map whose atoms are known, of the problem that weights were trained for.

    python -m launch.make_patterson_example [--output=phasenet/examples] [--weights=small] [--seed=0]

Of the example that is shipped: NAME_atoms.npy holds the map, float32 with its origin at voxel 0, and
NAME_atoms.csv the atoms, NAME their number. The map is made of the atoms as the table gives them.
"""

import pathlib

from absl import flags

from launch import app

_OUTPUT = flags.DEFINE_string("output", "phasenet/examples", "Folder of the example.")
_WEIGHTS = flags.DEFINE_string("weights", "small", "Released weights by name, or their folder.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the atoms, and of the noise if the problem has any.", lower_bound=0,
                             upper_bound=2**31 - 1)

# 0 to 12 as words.
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def main(_: list[str]) -> None:
    import jax
    import numpy as np

    from phasenet import pretrained, synthesis
    from phasenet.atoms import random_atoms
    from phasenet.errors import InputError
    from phasenet.io.atomic import replacing
    from phasenet.io.positions import write_csv

    problem = pretrained.load(_WEIGHTS.value).problem
    key_atoms, key_noise = jax.random.split(jax.random.key(_SEED.value))
    atoms, valid = random_atoms(key_atoms, problem.atoms)
    if not valid:
        raise InputError(f"--weights={_WEIGHTS.value}: no atoms were found that its problem's rules allow")
    # As the table will say: the map can be made again from it.
    atoms = np.round(np.asarray(atoms, np.float64), 4)
    values = np.asarray(synthesis.measure(key_noise, atoms, problem), np.float32)
    count = problem.atoms.num_atoms
    name = f"{_NUMBERS[count] if count < len(_NUMBERS) else count}_atoms"
    folder = pathlib.Path(_OUTPUT.value)
    write_csv(folder / f"{name}.csv", atoms)
    with replacing(folder / f"{name}.npy") as part:
        np.save(part, values)
    app.say(f"wrote {folder / name}.npy ({' x '.join(map(str, values.shape))} voxels) and .csv ({count} atoms)")


if __name__ == "__main__":
    app.run(main)
