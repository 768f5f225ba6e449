"""Makes the bank of structures from which `launch.reconstruct` starts, and adds it to a release.

    python -m launch.datasets.make_bank --structures=STRUCTURES --corpus=work/corpus.npz --weights=lean \
        --density=work/densities --output=work/lean

The bank holds the training split of the corpus: the code of each structure, its size, and its profile from its atoms
and their shell of bound water. Synthetic shapes are added, because the corpus lacks rods, rings, cages and flexible
chains. STRUCTURES is the value of --input of launch.prepare_structures.
"""

import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from launch import app
from launch.datasets import random_poses, structure_sources
from phasenet.errors import InputError
from phasenet.io import releases
from saxsae import pretrained
from saxsae.bank import structure_bank
from saxsae.bank.structure_bank import StructureBank
from saxsae.io.structures import voxelized_corpus
from saxsae.profiles import hydration
from saxsae.shapes import voxels
from saxsae.shapes.batches import voxelize_many

_STRUCTURES = flags.DEFINE_string(
    "structures", None, "The value of --input of launch.prepare_structures.", required=True)
_CORPUS = flags.DEFINE_string(
    "corpus", None, "The packed set that launch.prepare_structures wrote.", required=True)
_WEIGHTS = flags.DEFINE_string("weights", pretrained.DEFAULT, "Weights whose codes the bank holds.")
_DENSITY = flags.DEFINE_string(
    "density", None, "Workdir of a training of configs/saxsae_densities.py, whose head goes into the release; by "
    "default the head of --weights.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the release to write: --weights with the bank.", required=True)
_MADE = flags.DEFINE_integer("made", 1500, "Number of synthetic shapes.", 0)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the synthetic shapes.")
_LIMIT = flags.DEFINE_integer("limit", None, "Only so many structures.", lower_bound=1)
_COMPONENTS = flags.DEFINE_integer("components", 80, "Principal components of the profiles.", 1, 256)

_ORDER = 40  # Zernike order of the profiles
_Q_MAX = 0.45  # 1/A; beyond it a blurred density says nothing, and the profile is taken as constant
_CHUNK = 32
_EMPTY, _INSIDE = 0.1, 0.8  # share of the highest density; quantile of the values above it that is the inside


def main(_: list[str]) -> None:
    """Writes the release and prints how closely the stored profiles match the computed ones."""
    app.enable_compilation_cache()
    source = pretrained.find_weights(_WEIGHTS.value)
    weights = pretrained.load(_WEIGHTS.value)
    head = source / pretrained.DENSITY_HEAD
    if _DENSITY.value is not None:
        head = pathlib.Path(_DENSITY.value) / "weights" / pretrained.DENSITY_HEAD
    if not head.is_file():
        raise InputError(f"{head}: no such file; train configs/saxsae_densities.py, and give its workdir as --density")
    corpus = voxelized_corpus.read_voxelized(_CORPUS.value)
    known = structure_sources.load_by_name(_STRUCTURES.value, _CORPUS.value)
    rows = np.array([row for row in np.flatnonzero(corpus.split == 0) if corpus.names[row] in known][:_LIMIT.value])
    if len(rows) < 2:
        raise InputError(f"{_STRUCTURES.value}: expected training structures of {_CORPUS.value}, found {len(rows)}")
    structures = [known[corpus.names[row]] for row in rows]
    made, made_bits, made_radii = _draw_shapes(_MADE.value, [structure.xyz_angstrom for structure in structures])
    app.print_line(f"{len(rows)} structures, {len(made)} synthetic shapes")
    coordinates = [structure.xyz_angstrom for structure in structures] + [xyz for _, xyz in made]
    numbers = [structure.atomic_number for structure in structures] + [np.zeros(len(xyz)) for _, xyz in made]
    all_bits = np.concatenate([corpus.occupancy[rows], made_bits])
    radii = np.concatenate([corpus.r_max_angstrom[rows], made_radii])
    encode = jax.jit(lambda bits: weights.encode(voxels.pad(voxels.unpack(bits))))
    codes: list[np.ndarray] = []
    profiles: list[np.ndarray] = []
    rg: list[float] = []
    for start in (*range(0, len(rows), _CHUNK), *range(len(rows), len(coordinates), _CHUNK)):
        chunk = slice(start, min(start + _CHUNK, len(rows) if start < len(rows) else len(coordinates)))
        xyz = [voxels.centre_and_radius(one)[0] for one in coordinates[chunk]]
        rg += [np.sqrt((one**2).sum(-1).mean()) for one in xyz]
        profiles.append(_profiles(xyz, numbers[chunk], rg[start:], radii[chunk], start >= len(rows)))
        codes.append(np.asarray(encode(np.resize(all_bits[chunk], (_CHUNK, all_bits.shape[1]))))[:len(xyz)])
        if start // _CHUNK % 20 == 0:
            app.print_line(f"  {start + len(xyz)} of {len(coordinates)}")
    bank = StructureBank(
        (*(str(corpus.names[row]) for row in rows), *(name for name, _ in made)),
        (*(str(corpus.pdb_ids[row]) for row in rows), *[""] * len(made)),
        np.concatenate(codes), np.array(rg, np.float32), radii.astype(np.float32), np.concatenate(profiles))

    folder = app.prepare_folder(_OUTPUT.value)
    releases.copy_release(source, folder)
    (folder / pretrained.CONFIDENCE).unlink(missing_ok=True)  # its constants are those of another bank
    if head.parent.resolve() != folder.resolve():
        shutil.copy(head, folder / pretrained.DENSITY_HEAD)
    pretrained.save_bank(folder, bank, _COMPONENTS.value)
    stored = pretrained.load(str(folder)).bank
    assert stored is not None
    error = np.abs(stored.profiles[:, :, 0] / bank.profiles[:, :, 0] - 1)
    app.print_line(f"profiles stored to {np.median(error):.1e} (median), {np.quantile(error, 0.99):.1e} (99%)\n"
                   f"written to {folder}: {(folder / pretrained.BANK).stat().st_size / 2**20:.1f} MiB\n"
                   "the release states no confidence until launch.datasets.fit_confidence has fitted it")


def _draw_shapes(count: int, structures: list[np.ndarray]) -> tuple[list[tuple[str, np.ndarray]], np.ndarray,
                                                                    np.ndarray]:
    """Returns names and points (N, 3), A, of synthetic shapes, their packed maps, and their r_max, A.

    Args:
      count: number of shapes.
      structures: atoms (N, 3) of structures, A, of which assemblies are made.
    """
    rng = np.random.default_rng(_SEED.value)
    parts = random_poses.choose_parts(structures)
    made = []
    for number in range(count):
        kind, xyz = random_poses.draw_made_shape(parts, rng)
        made.append((structure_bank.name_made_shape(kind, number), xyz))
    if not made:
        return [], np.zeros((0, voxelized_corpus.ROW_BYTES), np.uint8), np.zeros(0)
    bits, radii = voxelize_many([xyz for _, xyz in made], [None] * count, lambda _: None)
    return made, bits, radii


def _profiles(xyz: list[np.ndarray], numbers: list[np.ndarray], rg: list[float], r_max: np.ndarray,
              made: bool) -> np.ndarray:
    """Returns the parts of the profiles (n, 2, 3, U) of structures, see `StructureBank`.

    Args:
      xyz: n times (N, 3) positions from the centroid, A.
      numbers: n times (N,) atomic numbers.
      rg: (n,) radii of gyration, A.
      r_max: (n,) A.
      made: whether the points are those of synthetic shapes, which are scaled to the density of a protein and have no
        elements.
    """
    count = len(xyz)
    maps = np.array([hydration.densities_of_structure(*one) for one in zip(xyz, numbers, r_max, strict=True)],
                    np.float32)
    if made:
        inside = np.array([np.quantile(one[one > _EMPTY * one.max()], _INSIDE) for one in maps[:, 0]])
        maps[:, 0] /= inside[:, None, None, None]
        maps[:, 2] = maps[:, 0]
    q = np.minimum(structure_bank.U / np.array(rg)[:, None], _Q_MAX)
    # Arrays of one shape, so that one program is compiled.
    maps, q, r_max = (np.resize(a, (_CHUNK, *a.shape[1:])) for a in (maps, q, r_max))
    return np.asarray(_compiled_profiles(*(jnp.asarray(a, jnp.float32) for a in (maps, q, r_max))))[:count]


@jax.jit
def _compiled_profiles(maps: jax.Array, q: jax.Array, r_max: jax.Array) -> jax.Array:
    """Returns the profiles (n, 2, 3, U) of densities (n, 3, 31, 31, 31) at q (n, U) in 1/A, with r_max (n,) in A."""
    def of_one(one: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        (atoms, shell, excess), q, r_max = one
        return jnp.stack([hydration.profiles_of_parts(density, shell, q, r_max, _ORDER, equal_atoms)
                          for density, equal_atoms in ((excess, False), (atoms, True))])

    return jax.lax.map(of_one, (maps, q, r_max))


if __name__ == "__main__":
    app.run(main)
