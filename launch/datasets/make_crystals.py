"""Makes crystals for training: atoms in unit cells, drawn at random by the rules of chemistry.

    python -m launch.datasets.make_crystals --count=10000 --seed=0 --output=work/crystals.npz --processes=2

The file holds N crystals as arrays (phasenet/crystal/made/arrays.py; `unpack` there returns one of them):

    cell              (N, 6)      float64   Angstrom and degrees
    space_group       (N,)        str       extended Hermann-Mauguin symbol
    kind              (N,)        str       "organic", "complex" (about a metal atom) or "mineral" (ions)
    offsets           (N + 1,)    int64     the independent atoms of crystal i are rows offsets[i] to offsets[i + 1]
    positions         (A, 3)      float32   fractional, in [0, 1)
    atomic_numbers    (A,)        uint8
    b_iso             (A,)        float32   Angstrom^2
    hydrogen_offsets  (N + 1,)    int64     the same for hydrogen atoms, which scatter but are not sought
    hydrogens         (H, 3)      float32
    hydrogen_b_iso    (H,)        float32

The file holds no intensities: `phasenet.crystal.made.measurement` draws conditions and simulates the measurement of a
crystal during a training. Crystal i depends on the seed and on i, not on the number of processes. An interrupted run
continues from the parts beside the output.
"""

import collections
import concurrent.futures
import multiprocessing
import pathlib
import shutil
import time
import zlib

import numpy as np
from absl import flags

from launch import app
from phasenet.errors import InputError

_COUNT = flags.DEFINE_integer("count", None, "Number of crystals.", required=True, lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the crystals.", lower_bound=0)
_OUTPUT = flags.DEFINE_string("output", None, "The file (.npz) to write.", required=True)
_PROCESSES = flags.DEFINE_integer("processes", 1, "Processes that work side by side.", lower_bound=1)
_MIN_VOLUME = flags.DEFINE_float("min_volume", 100.0, "Smallest volume of a unit cell, A^3.", lower_bound=60.0)
_MAX_VOLUME = flags.DEFINE_float("max_volume", 4000.0, "Largest volume of a unit cell, A^3.", upper_bound=20000.0)
_SPACE_GROUPS = flags.DEFINE_list(
    "space_groups", [], "Symbols to choose from; by default all that are usual, as often as they are met.")

_PART = 20  # crystals of a part, which one process makes at a time
_LONGEST_NAME = 150  # characters of the name of a part; a file system takes 255


def main(_: list[str]) -> None:
    """Makes the crystals in parts, joins them, and prints what they are."""
    from phasenet.crystal.made import arrays
    from phasenet.io.atomic_writes import replacing
    from phasenet.io.npz import read_npz

    output = pathlib.Path(_OUTPUT.value)
    if output.suffix != ".npz":
        raise InputError(f"--output={output}: a file name that ends in .npz is needed")
    if not _MIN_VOLUME.value <= _MAX_VOLUME.value:  # NaN is not either
        raise InputError(f"--min_volume={_MIN_VOLUME.value:g}, --max_volume={_MAX_VOLUME.value:g}: give two numbers, "
                         "the first not above the second")
    start = time.monotonic()
    settings = (_SEED.value, (_MIN_VOLUME.value, _MAX_VOLUME.value), tuple(_SPACE_GROUPS.value or ()))
    _check_groups(settings[2])
    folder = app.prepare_folder(f"{output}.parts")
    jobs = [(folder / f"{first}_{_name(settings)}.npz", first, min(_PART, _COUNT.value - first), settings)
            for first in range(0, _COUNT.value, _PART)]
    todo = [job for job in jobs if not (job[0].is_file() and _holds(job[0], job[2]))]
    if len(todo) < len(jobs):
        app.print_line(f"{len(jobs) - len(todo)} of {len(jobs)} parts are there from an earlier run")
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(_PROCESSES.value, context) as pool:
        total = 0
        for count in pool.map(_make_part, todo):
            total += count
            app.print_line(f"{total} crystals made, {time.monotonic() - start:.0f} s")
    joined = arrays.join([read_npz(path, arrays.NAMES) for path, *_ in jobs])
    with replacing(output) as part:
        np.savez_compressed(part, **joined)  # type: ignore[arg-type]  # numpy's stub takes the names for allow_pickle
    shutil.rmtree(folder)
    _describe(joined)
    app.print_line(f"wrote {output} ({output.stat().st_size / 2**20:.1f} MiB)")


def _make_part(job: tuple[pathlib.Path, int, int, tuple[int, tuple[float, float], tuple[str, ...]]]) -> int:
    """Makes the crystals of one part and writes them; returns their number."""
    from phasenet.crystal.made import arrays, crystals
    from phasenet.io.atomic_writes import replacing

    path, first, count, (seed, volumes, groups) = job
    made = [crystals.draw_crystal(np.random.default_rng((seed, number)), volumes, groups)
            for number in range(first, first + count)]
    with replacing(path) as part:
        np.savez(part, **arrays.pack(made))  # type: ignore[arg-type]  # as above
    return count


def _name(settings: tuple[int, tuple[float, float], tuple[str, ...]]) -> str:
    """Returns a name that differs for other settings."""
    seed, (smallest, largest), groups = settings
    text = "-".join([str(seed), f"{smallest:g}", f"{largest:g}", *groups])
    name = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in text)
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}-{zlib.crc32(text.encode()):08x}"


def _holds(path: pathlib.Path, count: int) -> bool:
    """Returns whether a part from an earlier run can be read and holds so many crystals."""
    from phasenet.crystal.made import arrays
    from phasenet.io.npz import read_npz

    try:
        return len(read_npz(path, arrays.NAMES)["cell"]) == count
    except InputError:
        return False


def _check_groups(symbols: tuple[str, ...]) -> None:
    """Raises InputError for a symbol that is not known."""
    import gemmi

    for symbol in symbols:
        if gemmi.find_spacegroup_by_name(symbol) is None:
            raise InputError(f"--space_groups={symbol}: no such space group; give symbols such as P 1 21/c 1")


def _describe(made: dict[str, np.ndarray]) -> None:
    """Prints what the crystals are."""
    import gemmi

    groups = collections.Counter(map(str, made["space_group"])).most_common(8)
    numbers = np.bincount(made["atomic_numbers"])
    sizes = np.diff(made["offsets"])
    elements = [(f"{numbers[z] / len(made['atomic_numbers']):.1%}", gemmi.Element(int(z)).name)
                for z in np.argsort(-numbers)[:10] if numbers[z]]
    app.print_line(f"{len(sizes)} crystals of {sizes.min()} to {sizes.max()} independent atoms, half of them below "
                   f"{np.median(sizes):.0f}")
    kinds = collections.Counter(map(str, made["kind"])).most_common()
    for counted in (kinds, groups):
        app.print_line("  " + ", ".join(f"{count} {name}" for name, count in counted))
    app.print_line("  " + ", ".join(" ".join(pair) for pair in elements))


if __name__ == "__main__":
    app.run(main)
