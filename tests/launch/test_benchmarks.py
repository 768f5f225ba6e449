"""launch.benchmark: that both ways of a suite agree, and what is said where a peer is missing; never a time."""

import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from configs import phasenet_small
from launch import benchmarks
from launch.benchmarks import bars, children, floor, timing
from launch.benchmarks.suites import align, genetic, memory, reconstruct, scaling, synthesis, zernike
from launch.plotting import scaling as scaling_plot
from phasenet.errors import InputError
from phasenet.maps import density
from phasenet.maps.atoms import AtomRules
from phasenet.maps.synthesis import Problem
from saxsae import genetic as search
from saxsae import pretrained
from saxsae.io.structures.voxelized_corpus import read_voxelized
from saxsae.shapes import voxels

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = Problem(AtomRules(3, 5.0), 16)


@pytest.fixture
def no_peers(monkeypatch):
    monkeypatch.setattr(benchmarks, "PEERS", dict.fromkeys(benchmarks.PEERS, "a_peer_that_nobody_has"))


@pytest.fixture(scope="module")
def released():
    return pretrained.load()


def test_every_suite_is_a_module_with_a_run():
    for name in benchmarks.SUITES:
        if not benchmarks.describe_missing_peer(name):
            assert callable(benchmarks.load_suite(name))
    assert set(benchmarks.PEERS) <= set(benchmarks.SUITES)


def test_a_missing_peer_is_told_in_one_line(no_peers):
    for name in benchmarks.PEERS:
        with pytest.raises(InputError, match=f"^suite {name}: its peer a_peer_that_nobody_has is not installed.*$"):
            benchmarks.load_suite(name)


@pytest.mark.parametrize(("flag", "code"), [("all", 0), ("align", 1)])
def test_all_leaves_out_what_has_no_peer_and_its_name_fails(flag, code, tmp_path):
    # The real launch with no suites but one that has no peer, and one that needs none.
    script = ("from launch import app, benchmark, benchmarks, benchmarks as b\n"
              "b.PEERS.update(align='a_peer_that_nobody_has')\n"
              "for name in [n for n in b.SUITES if n != 'align']: del b.SUITES[name]\n"
              "app.run(benchmark.main)\n")
    done = subprocess.run([sys.executable, "-c", script, f"--suite={flag}"], cwd=ROOT, capture_output=True, text=True,
                          check=False, timeout=300, env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)})
    assert done.returncode == code
    told = done.stdout if flag == "all" else done.stderr
    lines = [line for line in told.splitlines() if "a_peer_that_nobody_has" in line]
    assert len(lines) == 1 and "suite align" in lines[0] and "[benchmark]" in lines[0]
    assert "Traceback" not in done.stderr


def test_a_bar_says_whether_it_holds():
    low, high = bars.at_most("share", 0.06, 0.05), bars.at_least("ratio", 20, 20)
    assert not low.holds and high.holds
    assert str(low) == "share 0.06 (at most 0.05): MISSED" and str(high) == "ratio 20 (at least 20): holds"
    assert high.as_json() == {"name": "ratio", "value": 20.0, "bound": 20, "at_least": True, "holds": True}


def test_a_row_knows_its_floor(monkeypatch):
    monkeypatch.setattr(floor, "matmul_gflops", lambda: 100.0)
    monkeypatch.setattr(floor, "copy_gigabytes_per_second", lambda: 10.0)
    nothing = lambda: None  # noqa: E731
    row = timing.compare("a", "b", nothing, nothing, flops=2e9, moved_bytes=5e9, seconds=0, kind="test")
    assert row.floor_seconds == 0.5  # the bytes' are more than the operations' 0.02
    assert row.details["matmul_gflops"] == 100 and row.details["kind"] == "test"
    assert row._replace(seconds=2.0).floor_share == 0.25
    assert timing.compare("a", "b", nothing, nothing, flops=2e9, seconds=0).floor_seconds == 0.02
    assert timing.compare("a", "b", nothing, nothing, seconds=0).floor_share is None


def test_the_two_rates_are_measured(monkeypatch):
    monkeypatch.setattr(floor, "_SIZE", 64)
    monkeypatch.setattr(floor, "_COPIED_BYTES", 2**16)
    monkeypatch.setattr(floor, "_product", floor._product.__wrapped__)
    monkeypatch.setattr(floor, "_copy", floor._copy.__wrapped__)
    assert floor.matmul_gflops() > 0 and floor.copy_gigabytes_per_second() > 0


def test_numpys_fractions_are_those_of_the_closed_form():
    offset = np.random.default_rng(0).random((400, 3)).astype(np.float32)
    exact = jax.jit(jax.vmap(density.covered_fractions))(offset)
    np.testing.assert_allclose(synthesis.covered_fractions(offset), exact, atol=1e-3)


def test_numpys_examples_obey_the_rules():
    positions = synthesis.Plain(TINY).draw(20)
    assert positions.shape == (20, 3, 3)
    distance = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1) + 9 * np.eye(3)
    assert distance.min() >= 2 - 1e-5
    assert np.abs(positions.mean(1)).max() < 1e-5 and np.abs(positions).max() <= 2.5


def test_synthesis_both_ways_agree():
    row = synthesis.examples("tiny", TINY, 4, seconds=0)
    assert row.details["deviation"] < 2e-3
    patterson_maps, targets = synthesis.Plain(TINY).run(2)
    assert patterson_maps.shape == targets.shape == (2, 16, 16, 16)


def test_the_examples_share_of_a_training_step_is_measured():
    config = phasenet_small.get_config()
    config.batch_size, config.model.width, config.model.blocks = 4, 8, 1
    row = synthesis.training_step("tiny", config, seconds=0)
    assert row.rounds == 1 and row.ratio > 0


def test_zernikes_direct_sums_are_ours():
    maps = zernike.random_maps(2)
    moments, intensities = jax.jit(zernike.profiles)(maps, zernike.Q_INV_ANGSTROM.astype(np.float32),
                                                     np.float32(zernike.R_MAX_ANGSTROM))
    true_moments, true_intensities = zernike.evaluate_directly(maps)
    assert np.abs(moments - true_moments).max() < 1e-4 * np.abs(true_moments).max()
    np.testing.assert_allclose(intensities, true_intensities, rtol=1e-4)


def test_zernikes_peer_agrees():
    pytest.importorskip("ZMPY3D")
    row = zernike.measure(zernike.random_maps(2), 1, seconds=0)
    assert row.details["moment_error"] < 1e-4 and row.details["profile_error"] < 1e-4
    assert row.details["peer_difference"] < 1e-3


@pytest.fixture(scope="module")
def generation(released):
    return genetic.Generation(released, search.EvolutionSettings(population=12, elites=4))


def test_the_parts_of_a_generation_make_the_whole(generation):
    whole = generation.compiled("generation")()
    made = {part: generation.compiled(part)() for part in genetic.PARTS}
    assert made["decode"].shape == made["connectivity"].shape == (8, 31, 31, 31)
    # The curve is the first gene's own.
    chi_squared, radii = made["profile"]
    assert np.argmin(chi_squared) == 0 and chi_squared[0] < 1e-6
    assert radii[0] == pytest.approx(genetic.R_MAX_ANGSTROM)
    assert whole.latents.shape == made["operators"].latents.shape == (12, 200)
    assert np.isfinite(whole.chi_squared).all()


def test_the_published_decoder_stands_beside_a_generation(released, generation, monkeypatch):
    monkeypatch.setattr(genetic.autoencoder, "make_autoencoder", lambda kind, size: released.network)  # long to compile
    row = genetic.compare_with_published(generation, generation.compiled("generation"), decoding=4.0, genes=1)
    assert row.ratio > 0 and row.details["decode_ratio"] > 0


@pytest.fixture(scope="module")
def lattice_body():
    axis = 4.0 * np.arange(-5, 6)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    lobes = [((0, 0, 0), (18, 8, 6)), ((10, 8, 4), (6, 10, 6)), ((-8, 0, 9), (5, 5, 9))]
    return points[np.any([(np.square((points - c) / np.array(r))).sum(-1) <= 1 for c, r in lobes], axis=0)]


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_a_motion_of_beads_becomes_a_superposition(mirror):
    random = np.random.default_rng(0)
    beads = random.normal(size=(30, 3))
    matrix = np.asarray(voxels.random_rotation(jax.random.key(1))) * np.array([1, mirror, 1])
    found, shift = align.rigid_motion(beads, beads @ matrix.T + [1, 2, 3])
    np.testing.assert_allclose(found, matrix, atol=1e-6)
    np.testing.assert_allclose(shift, beads.mean(0) @ matrix.T + [1, 2, 3], atol=1e-6)
    answer = align.superposition(found, shift)
    assert bool(answer.mirrored) == (mirror < 0) and np.linalg.det(answer.rotation) == pytest.approx(1, abs=1e-5)
    hand = np.array([1, 1, mirror])
    np.testing.assert_allclose(beads * hand @ np.asarray(answer.rotation).T, beads @ matrix.T, atol=1e-5)


def test_the_other_model_is_the_same_body(lattice_body):
    other = align.make_other_model(lattice_body, 5.0)
    assert len(other) == pytest.approx(len(lattice_body) * (4 / 5) ** 3, rel=0.3)


def test_alignments_peer_agrees(lattice_body):
    pytest.importorskip("freesas.align")
    row = align.measure(align.make_other_model(lattice_body, 5.0), lattice_body, "fast", seconds=0)
    assert row.details["correlation"] > 0.9
    assert row.details["peer_correlation"] > 0.8
    assert row.details["correlation"] > row.details["peer_correlation"] - 0.01


def test_exponents_are_slopes():
    assert scaling.slope((1, 2, 4), (1.0, 8.0, 64.0)) == pytest.approx(3)
    rows = []
    scaling.exponent("grid", (8, 12), lambda grid: scaling.patterson_maps(grid, 1), rows.append, seconds=0)
    assert [row.id for row in rows] == ["grid, 12 beside 8"] and rows[0].peer == "12"


def test_what_scaling_times_runs(released):
    assert scaling.examples(10, 16, 1)().valid.all()
    assert scaling.drawn_atoms(20, 2)()[1].all()
    assert scaling.atom_maps(5, 16, 2)()[0].shape == (2, 16, 16, 16)
    assert scaling.generations(released, 6, 2)().chi_squared.shape == (2, 6)


def test_a_child_is_measured_by_itself():
    ballast = np.ones(2**25)  # 268 MB that are not the child's
    script = "import time; block = bytearray(b'x' * 60_000_000); end = time.process_time() + 0.3\n" \
             "while time.process_time() < end: pass\nprint('done')"
    finished = children.run([sys.executable, "-c", script])
    assert finished.output.strip() == "done" and 60e6 < finished.peak_bytes < ballast.nbytes
    assert finished.cpu_seconds > 0.25 and finished.wall_seconds > 0.25
    with pytest.raises(RuntimeError, match="ended with 1:\n(.*\n)*.*no such thing"):
        children.run([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_the_whole_jobs_row_compares_medians():
    ours = [children.Finished(seconds, 2 * seconds, 10**9, "") for seconds in (10.0, 12.0, 50.0)]
    row = reconstruct.row("job", ours, [children.Finished(24.0, 30.0, 1, "")])
    assert row.ratio == 2 and row.cpu_ratio == 1.25 and row.details["peak_gigabytes"] == 1


def test_denss_makes_a_map_that_is_read(tmp_path):
    pytest.importorskip("denss")
    reconstruct.denss(tmp_path, "tiny", "-s", "12", "-n", "16", "-nm", "2", "--thorough_alignment_off", "-en_off")
    found = reconstruct.read_map(tmp_path / "tiny" / "tiny_avg.mrc")
    assert found.density.shape == (16,) * 3 and found.density.max() > 0 and (found.pitch_angstrom > 1).all()


def test_memory_names_launches_that_are_there(tmp_path):
    for launch, flags in memory.launches(tmp_path).values():
        assert (ROOT / "launch" / f"{launch}.py").is_file()
        for flag in flags:
            name, _, value = flag.partition("=")
            if name in ("--config", "--profile", "--reference", "--pairs", "--patterson", "--config.corpus"):
                assert (ROOT / value).exists(), flag
    shapes = read_voxelized(tmp_path / "corpus.npz")
    assert set(shapes.split) == {0, 1}
    sizes = np.asarray(voxels.unpack(shapes.occupancy)).sum((1, 2, 3))
    assert sizes.min() > 100 and np.ptp(sizes) < 0.2 * sizes.mean()  # one body, turned


def test_memory_holds_its_bars(monkeypatch):
    peaks = {"train_phasenet_published": 9e9, "reconstruct": 1e9}
    monkeypatch.setattr(memory, "launches", lambda folder: {name: (name, []) for name in peaks})
    monkeypatch.setattr(memory.children, "launch", lambda name: children.Finished(1.0, 1.0, peaks[name], ""))
    rows = []
    summary = memory.run(rows.append)
    assert summary["train_phasenet_published"] == 9 and len(rows) == 2
    assert [bar.holds for bar in summary["bars"]] == [True, False]


def test_scaling_is_drawn(tmp_path):
    families = ("grid_patterson", "grid_synthesis", "atoms_drawn", "atoms_maps", "population", "curves")
    items = [{"ratio": float(size), "details": {"family": name, "size": size, "smallest": 1}}
             for name in families for size in (2, 4)]
    sizes, costs = scaling_plot.points(items, "curves")
    assert list(sizes) == [1, 2, 4] and list(costs) == [1, 2, 4]
    scaling_plot.draw(tmp_path / "scaling.png", items, dict.fromkeys(families, 1.0))
    assert (tmp_path / "scaling.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_summaries_hold_their_keys(monkeypatch):
    def row(*args, **details):
        return timing.Row("a", "b", 1.0, 2.0, 2.0, 1.0, 2.0, None, 1, {"deviation": 0.0, **details})

    monkeypatch.setattr(synthesis, "examples", row)
    monkeypatch.setattr(synthesis, "training_step", row)
    rows = []
    summary = synthesis.run(rows.append)
    assert len(rows) == 4 and summary["share_of_phasenet_small"] == 0.5
    assert {"ratio_grid_40", "examples_per_second_grid_24"} <= set(summary)
    monkeypatch.setattr(scaling, "exponent", lambda name, sizes, make, report: 1.0)
    assert set(scaling.run(rows.append)) == {"grid_patterson", "grid_synthesis", "atoms_drawn", "atoms_maps",
                                             "population", "curves"}
    monkeypatch.setattr(zernike, "measure", lambda *a: row(cpu_ratio=1.0, moment_error=0.0, profile_error=0.0,
                                                           peer_difference=0.0))
    assert {"ratio", "cpu_ratio", "profile_error"} <= set(zernike.run(rows.append))
    monkeypatch.setattr(align, "measure", lambda *a: row(correlation=1.0, peer_correlation=1.0))
    summary = align.run(rows.append)
    assert {"ratio_slow", "ratio_fast", "correlation", "peer_correlation_fast"} <= set(summary)
    assert [bar.holds for bar in summary["bars"]] == [False, False, True]
