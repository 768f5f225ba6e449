"""Small valid files of every kind that is read, made by our own writers or shipped as examples."""

import functools
import gzip
import pathlib
import shutil

import gemmi
import jax
import numpy as np

from launch.training import checkpoint
from launch.training.state import TrainState
from phasenet import pretrained as phasenet_weights
from phasenet.io.ccp4 import write_map
from phasenet.maps import density, patterson, synthesis
from phasenet.maps.atoms import AtomRules
from phasenet.networks import dense, published
from saxsae import pretrained as saxsae_weights
from saxsae.io.curves.measured_curves import write_curve
from saxsae.io.structures.corpus import write_archive
from saxsae.io.structures.structure_files import read_structure
from saxsae.io.structures.voxelized_corpus import VoxelizedCorpus, write_voxelized
from saxsae.networks import autoencoder as saxsae_model
from saxsae.shapes.batches import voxelize_many
from saxsae.shapes.principal_components import Components

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "saxsae" / "examples"
GRID = 8
ATOMS = np.array([[0.3, 1.1, -0.7], [-1.2, -0.4, 1.3]])
PROBLEM = synthesis.Problem(atoms=AtomRules(num_atoms=2, inner_box=4.0), grid=GRID)


def sphere_curve():
    q = np.linspace(0.01, 0.3, 60)
    x = q * 25.0
    intensity = 100 * (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2
    sigma = np.sqrt(intensity + 0.3)
    return q, intensity + 0.1 * sigma * np.random.default_rng(0).normal(size=60), 0.1 * sigma


def make_curves(folder):
    q, intensity, sigma = rows = sphere_curve()
    shutil.copy(EXAMPLES / "three_lobes.dat", folder)
    write_curve(folder / "curve.dat", *rows)
    np.savetxt(folder / "curve.csv", np.stack(rows, 1), delimiter=",", header="q[1/nm],I,sigma", comments="")
    text = "".join(f"{i} {a:.6E} {b:.6E} {c:.6E} 1\n" for i, (a, b, c) in enumerate(zip(*rows, strict=True)))
    names = "id momentum_transfer intensity intensity_su_counting scan_id".split()
    (folder / "curve.sascif").write_text(
        "data_SASDXX9\n_sas_scan.id 1\n_sas_scan.unit 1/A\nloop_\n"
        + "".join(f"_sas_scan_intensity.{name}\n" for name in names) + text)
    text = "".join(f"{a:15.6E}{b:15.6E}{c:15.6E}{b:15.6E}{b:15.6E}\n" for a, b, c in zip(*rows, strict=True))
    (folder / "curve.out").write_text(
        "  ####      G N O M              Version 5.0 (r4547)      ####\n\n  Angular range: 0.01 to 0.3\n\n"
        "      S          J EXP       ERROR       J REG       I REG\n\n   0.000000E+00                      0.1E+03\n"
        + text + "\n  R          P(R)      ERROR\n\n  0.0000E+00  0.0000E+00  0.0000E+00\n")
    (folder / "curve.xml").write_text(
        '<?xml version="1.0"?>\n<SASroot version="1.1" xmlns="urn:cansas1d:1.1"><SASentry><SASdata>\n' + "".join(
            f'<Idata><Q unit="1/A">{a:.6E}</Q><I unit="1/cm">{b:.6E}</I><Idev unit="1/cm">{c:.6E}</Idev></Idata>\n'
            for a, b, c in zip(*rows, strict=True)) + "</SASdata></SASentry></SASroot>\n")


def make_structures(folder):
    lines = (EXAMPLES / "three_lobes.pdb").read_text().splitlines(True)
    (folder / "beads.pdb").write_text("".join(lines[:150]) + "END\n")
    remark = "".join(
        f"REMARK 350   BIOMT{row + 1}   {copy}  {'  '.join('1.000000' if c == row else '0.000000' for c in range(3))}"
        f"      {30.0 * (copy - 1):10.5f}\n" for copy in (1, 2) for row in range(3))
    places = np.random.default_rng(1).normal(size=(60, 3)) * 8
    atoms = "".join(
        f"ATOM  {i + 1:5d}  {name:<3s} {'ALA' if i < 40 else 'GLY'} A{i // 4 + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00"
        f" 10.00           {name[0]}\n"
        for i, (name, (x, y, z)) in enumerate(zip(["N", "CA", "C", "O"] * 15, places, strict=True)))
    (folder / "atoms.pdb").write_text(
        f"{'HEADER    PROTEIN':62s}1ABC\nREMARK 350 BIOMOLECULE: 1\nREMARK 350 APPLY THE FOLLOWING TO CHAINS: A\n"
        + remark + atoms + "TER\nEND\n")
    parsed = gemmi.read_pdb(str(folder / "atoms.pdb"))
    parsed.setup_entities()
    parsed.make_mmcif_document().write_file(str(folder / "atoms.cif"))
    (folder / "zipped.pdb.gz").write_bytes(gzip.compress((folder / "atoms.pdb").read_bytes()))
    (folder / "zipped.cif.gz").write_bytes(gzip.compress((folder / "atoms.cif").read_bytes()))


def make_references(folder):
    make_structures(folder)
    write_archive(folder / "references.npz", [read_structure(folder / name) for name in ("beads.pdb", "atoms.pdb")])
    for path in folder.iterdir():
        if path.suffix != ".npz":
            path.unlink()


def make_packed(folder):
    bits, r_max = voxelize_many(list(np.random.default_rng(0).normal(size=(3, 40, 3)) * 12))
    names = np.array(["a", "b", "c"])
    write_voxelized(folder / "set.npz",
                    VoxelizedCorpus(bits, r_max, names, names, names, np.array([0, 1, 0], np.uint8)))


def patterson_map():
    return np.asarray(patterson.patterson(density.density(ATOMS, GRID)))


def make_patterson(folder):
    np.save(folder / "map.npy", patterson_map())
    np.save(folder / "double.npy", np.asfortranarray(np.fft.fftshift(patterson_map()).astype(np.float64)))
    make_maps(folder)


def make_maps(folder):
    write_map(folder / "map.ccp4", np.fft.fftshift(patterson_map()), 0.7, np.zeros(3))
    (folder / "zipped.ccp4.gz").write_bytes(gzip.compress((folder / "map.ccp4").read_bytes()))


def make_amplitudes(folder):
    full = np.abs(np.fft.fftn(np.asarray(density.density(ATOMS, GRID), np.float64)))
    np.save(folder / "full.npy", full)
    np.save(folder / "half.npy", full[:, :, :GRID // 2 + 1])
    index = np.fft.fftfreq(GRID, 1 / GRID).astype(int)
    (folder / "rows.hkl").write_text("h k l F\n" + "".join(
        f"{h} {k} {l} {full[h, k, l]:.5f}\n" for h in index for k in index for l in index
        if h * h + k * k + l * l <= 9))


def make_phasenet_weights(folder):
    for name, sizes in (("convolutional", published.ConvolutionalArchitecture(2, 3, 3, 2)),
                        ("dense", dense.DenseArchitecture(width=4, blocks=1, patterson_reach=2, density_reach=2))):
        params = jax.jit(functools.partial(phasenet_weights.init_params, architecture=sizes, problem=PROBLEM))(
            jax.random.key(0))
        phasenet_weights.save(folder / name, params, sizes, PROBLEM, {"seed": 7})


def make_saxsae_weights(folder):
    size, rng = 6, np.random.default_rng(0)
    params = jax.device_get(jax.jit(saxsae_model.make_autoencoder("lean", size).init)(jax.random.key(0)))
    codes = rng.normal(size=(40, size)).astype(np.float32)
    quantiles = np.quantile(codes, np.linspace(0, 1, 101), axis=0)
    latents = saxsae_weights.Latents(codes.mean(0), codes.std(0), quantiles, codes)
    components = Components(rng.random(14147).astype(np.float32), rng.normal(size=(14147, 4)).astype(np.float32),
                            np.arange(4, 0, -1.0), 0.35)
    saxsae_weights.save(folder / "lean", params, latents, components, {
        "kind": "lean", "latent_size": size, "threshold": 0.45, "refinement": {"steps": 3, "rate": 0.1}})


def make_arrays(folder):
    arrays = {"dense/kernel": np.ones((3, 2), np.float32), "dense/bias": np.zeros(2)}
    np.savez_compressed(folder / "arrays.npz", **arrays)


def make_checkpoint(folder):
    keeper = checkpoint.Checkpoints(folder / "workdir")
    params = {"dense": {"kernel": jax.numpy.ones((3, 2)), "bias": jax.numpy.zeros(2)}}
    keeper.save(TrainState(jax.numpy.int32(3), params, (), None, jax.random.key(0)), {"task": "none"}, [])
    keeper.close()


def make_ids(folder):
    (folder / "ids.txt").write_text("# proteins\n1abc 2XYZ,3def\n4hhb; 1crn\n")


def make_config(folder):
    for name in ("phasenet_small", "phasenet_dense"):
        shutil.copy(ROOT / "configs" / f"{name}.py", folder)


def make_overrides(folder):
    for i, lines in enumerate((
            ["problem.grid=40", "problem.atoms.num_atoms=10", "problem.h_max=7.5", "model.width=64"],
            ["optimizer.learning_rate=0.001", "optimizer.b1=0.9", "seed=1", "ema_decay=0.99"],
            ["batch_size=32", "micro_batches=1", "steps_a_call=1", "num_steps=100", "log_every=10"],
            ["problem.atoms.inner_box=12.0", "problem.atoms.min_distance=2.0", "problem.noise=0.1"],
            ["model.blocks=2", "model.patterson_reach=9", "validation.count=20", "model.density_reach=5"],
            ["examples.count=0", "examples.seed=3", "optimizer.warmup_steps=10", "max_minutes=2.5"])):
        (folder / f"overrides{i}.txt").write_text("".join(f"--config.{line}\n" for line in lines))
