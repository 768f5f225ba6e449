"""The evaluation's parts: cases, items that survive an interruption, scores, tables."""

import json
import types

import jax.numpy as jnp
import numpy as np
import pytest

from launch.distributed import processes
from launch.evaluation import autoencoder, cases, reconstruction, report, resumable
from phasenet.errors import InputError
from phasenet.io.ccp4 import read_map
from saxsae.io.curves.measured_curves import write_curve
from saxsae.io.structures.corpus import write_archive
from saxsae.io.structures.structure_files import Structure
from saxsae.pretrained import Pretrained
from saxsae.profiles.guinier import fit_guinier
from saxsae.profiles.simulation import simulate_curve
from saxsae.shapes import voxels
from saxsae.shapes.principal_components import Components
from saxsae.verdict import Verdict

pytestmark = pytest.mark.optimized


def blob(name: str, seed: int = 0) -> Structure:
    """An uneven body of about 27 A."""
    points = np.random.default_rng(seed).uniform(-1, 1, (4000, 3))
    points = points[np.linalg.norm(points, axis=-1) < 1]
    points = points[(points[:, 0] < 0.2) | (points[:, 1] > 0)]
    return Structure((points * [26, 20, 14]).astype(np.float32), np.full(len(points), 6, np.uint8),
                     "atoms", name)


def case_named(name: str) -> cases.Case:
    return cases.Case(name, "", lambda: None)


# Items and their partial file


def names(items):
    return [item["id"] for item in items]


def test_an_interrupted_run_goes_on(tmp_path, capsys):
    path, calls = str(tmp_path / "out/result.json"), []

    def evaluate(case):
        calls.append(case.id)
        if case.id == "c" and len(calls) == 3:
            raise KeyboardInterrupt
        if case.id == "a":
            raise InputError("a.dat: no such file")
        return {"value": len(calls)}

    chosen, binding = [case_named(n) for n in "abcd"], {"task": "t", "pair": (1, 2)}
    with pytest.raises(KeyboardInterrupt):
        resumable.run_items(chosen, evaluate, str, path, binding)
    with open(path + ".partial", "a") as file:
        file.write('{"id": "d", "val')  # the machine died here
    items = resumable.run_items(chosen, evaluate, str, path, binding)
    assert calls == ["a", "b", "c", "a", "c", "d"]  # b is done; a failed and is tried again
    assert items == [{"id": "a", "error": "a.dat: no such file"}, {"id": "b", "value": 2},
                     {"id": "c", "value": 5}, {"id": "d", "value": 6}]
    assert "1 items are done" in capsys.readouterr().out
    resumable.write_result({"items": items}, path)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["result.json"]
    assert json.loads((tmp_path / "out/result.json").read_text())["items"] == items


def test_items_of_other_flags_are_not_taken(tmp_path, capsys):
    path = str(tmp_path / "result.json")
    for seed in (1, 2):
        items = resumable.run_items(
            [case_named("a")], lambda case, seed=seed: {"seed": seed}, str, path, {"seed": seed})
    assert items == [{"id": "a", "seed": 2}]
    assert "all items are evaluated again" in capsys.readouterr().out


def test_a_longer_run_takes_what_a_shorter_has_done(tmp_path):
    path = str(tmp_path / "result.json")
    resumable.run_items([case_named("b")], lambda case: {"n": 1}, str, path, {})
    items = resumable.run_items(
        [case_named("a"), case_named("b")], lambda case: {"n": 2}, str, path, {})
    assert items == [{"id": "a", "n": 2}, {"id": "b", "n": 1}]


def test_several_processes_share_the_items(tmp_path, monkeypatch, capsys):
    """Of three, the last was killed; then two of them do what it had not, and the chief has all."""
    path, chosen, calls = str(tmp_path / "result.json"), [case_named(n) for n in "abcdefg"], []

    def run(index, count):
        def evaluate(case):
            calls.append((index, case.id))
            if case.id == "f" and count == 3:
                raise KeyboardInterrupt
            if case.id == "b":
                raise InputError("b.dat: no such file")
            return {"by": index}

        monkeypatch.setattr(processes, "index", lambda: index)
        monkeypatch.setattr(processes, "count", lambda: count)
        monkeypatch.setattr(processes, "wait_for_all", lambda name: None)
        return resumable.run_items(chosen, evaluate, str, path, {"seed": 1})

    run(1, 3)
    with pytest.raises(KeyboardInterrupt):
        run(2, 3)
    with pytest.raises(InputError, match=r"f is in none of the files result.json.partial\* beside it"):
        run(0, 3)
    assert calls == [(1, "b"), (1, "e"), (2, "c"), (2, "f"), (0, "a"), (0, "d"), (0, "g")]
    calls.clear()
    run(1, 2)
    items = run(0, 2)
    assert calls == [(1, "b"), (1, "f")]  # a failure is tried again, and nothing else that is there
    assert names(items) == list("abcdefg") and "error" in items[1]
    assert [item.get("by") for item in items] == [0, None, 2, 0, 1, 1, 0]
    resumable.write_result({"items": items}, path)
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_a_run_without_any_result_is_an_error(tmp_path, capsys):
    path = str(tmp_path / "result.json")

    def fail(case):
        raise ZeroDivisionError("by zero")

    items = resumable.run_items([case_named("a")], fail, str, path, {})
    with pytest.raises(InputError, match="none of 1 cases gave a result; a: ZeroDivisionError: by zero"):
        resumable.write_result({"items": items}, path)
    assert "Traceback" in capsys.readouterr().err  # a fault of ours
    assert json.loads((tmp_path / "result.json").read_text())["items"][0]["error"]


# Cases


def write_pair(folder, structure: Structure, source: str | None = None) -> None:
    folder.mkdir(parents=True)
    write_curve(folder / "profile.dat", *simulate_curve(structure.xyz_angstrom, 1)[:3])
    lines = [f"ATOM  {i % 99999:5d}  CA  ASP A{i % 9999:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00"
             for i, (x, y, z) in enumerate(structure.xyz_angstrom, 1)]
    (folder / "reference.pdb").write_text("\n".join([*lines, "END\n"]))
    if source is not None:
        (folder / "source.json").write_text(source)


def test_pairs_are_found_and_named(tmp_path):
    write_pair(tmp_path / "b", blob("b"), '{"id": "first", "protein": "P", "rg_guinier": 1.0}')
    write_pair(tmp_path / "c", blob("c"), '{"id": "first"}')
    write_pair(tmp_path / "d", blob("d"), "not json")
    (tmp_path / "empty").mkdir()
    (tmp_path / "index.csv").write_text("")
    found = cases.list_measured_pairs(str(tmp_path))
    assert [(case.id, case.label) for case in found] == [("first", "P"), ("c", ""), ("d", "")]
    curve, structure = found[0].load()
    assert curve.unit == "1/A" and structure.kind == "beads"
    (tmp_path / "c/reference.pdb").unlink()
    with pytest.raises(InputError, match=r"c: expected one file reference\.\*, but there are 0"):
        cases.list_measured_pairs(str(tmp_path))[1].load()


@pytest.mark.parametrize("name, words", [("no", "no such folder"), ("file", "is a file"),
                                         ("empty", "no folder in it")])
def test_a_folder_without_pairs(tmp_path, name, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=words):
        cases.list_measured_pairs(str(tmp_path / name))


def test_measured_curves_are_replaced_by_those_of_the_models():
    body = blob("a")
    atoms = body._replace(atomic_number=np.where(np.arange(len(body.xyz_angstrom)) % 4, 6, 7).astype(np.uint8))
    beads, pair, other = cases.replace_measured_curves([
        cases.Case("beads", "", lambda: (None, body)), cases.Case("a", "P", lambda: (None, atoms)),
        cases.Case("other", "", lambda: (None, atoms))])
    curve, structure = pair.load()
    assert structure is atoms and pair.label == "P"
    guinier = fit_guinier(*curve[:3])
    rg = np.sqrt(((atoms.xyz_angstrom - atoms.xyz_angstrom.mean(0))**2).sum(1).mean())
    assert 0.97 < guinier.rg_angstrom / rg < 1.1  # bound water makes it larger
    np.testing.assert_array_equal(curve.intensity, pair.load()[0].intensity)  # the noise is the name's
    assert not np.array_equal(curve.intensity[:9], other.load()[0].intensity[:9])
    with pytest.raises(InputError, match="the model has no elements"):
        beads.load()


def test_simulated_curves_and_what_was_published(tmp_path):
    write_archive(tmp_path / "references.npz", [blob("a"), blob("b", 1)])
    (tmp_path / "published.csv").write_text(
        "id,cc_with_rmax,cc_without_rmax,rmax_found_A\na,0.5,0.6,30\nb,,0.7,\n")
    maps = np.zeros((2, 31, 31, 31), np.uint8)
    maps[0, 15, 15, 15] = 20
    np.savez(tmp_path / "published_maps.npz", names=np.array(["a", "b"]), map_withoutrmax=maps,
             cell_withoutrmax=np.array([62.0, 93.0]))
    path = str(tmp_path / "references.npz")
    first, second = cases.list_simulated_cases(path, given_radius=False, published_maps=True)
    assert first.published == {"published_correlation": 0.6, "published_radius_angstrom": 30.0}
    assert second.published == {"published_correlation": 0.7, "published_radius_angstrom": None}
    density, pitch = first.published_map()
    assert density.max() == 1 and pitch == 2.0 and second.published_map is None
    given, _ = cases.list_simulated_cases(path, given_radius=True, published_maps=False)
    assert given.published == {"published_correlation": 0.5} and given.published_map is None
    curve, structure = first.load()
    assert structure.name == "a"
    # The noise is the name's.
    np.testing.assert_array_equal(curve.intensity, given.load()[0].intensity)
    (tmp_path / "published.csv").write_text("id,cc_without_rmax,rmax_found_A\na,good,30\n")
    with pytest.raises(InputError, match="published.csv, line 2: could not convert"):
        cases.list_simulated_cases(path, given_radius=False, published_maps=False)
    for content in (b"id,cc_without_rmax,rmax_found_A\n\xff,1,1\n", b"id,cc\n" + b"x" * 200_000):
        (tmp_path / "published.csv").write_bytes(content)
        with pytest.raises(InputError, match="published.csv: not a CSV table"):
            cases.list_simulated_cases(path, given_radius=False, published_maps=False)
    (tmp_path / "published.csv").write_text("id,cc\n")
    with pytest.raises(InputError, match="no column 'cc_with_rmax'"):
        cases.list_simulated_cases(path, given_radius=True, published_maps=False)


# Scores


def fake_reconstruct(curve, pretrained, *, radius=None, **options):
    """The answer itself and, the second model, a ball: what the solver would return."""
    occupancy, r_max = voxels.voxelize_structure(blob("a").xyz_angstrom)
    index = np.linalg.norm(np.indices((31,) * 3) - 15, axis=0)
    models = np.stack([index < 9, occupancy]).astype(np.float32)
    return types.SimpleNamespace(
        q_inv_angstrom=curve.q_inv_angstrom, intensity=curve.intensity, sigma=curve.sigma,
        density=np.flip(occupancy, 0).astype(np.float32), models=models,
        pitch_angstrom=voxels.pitch(r_max),
        model_chi_squared=np.array([1.0, 2.0]), chi_squared=1.0, relative_residual=0.01,
        radius_angstrom=radius or 1.1 * r_max, num_fitting=None, confidence=None, notes=("said",),
        verdict=Verdict("doubtful", ("why",), (), {}),
        guinier=fit_guinier(curve.q_inv_angstrom, curve.intensity, curve.sigma))


@pytest.mark.parametrize("given_radius", [False, True])
def test_a_reconstruction_is_scored(tmp_path, monkeypatch, given_radius):
    monkeypatch.setattr(reconstruction, "reconstruct", fake_reconstruct)
    write_pair(tmp_path / "pairs/a", blob("a"), '{"id": "a/1"}')
    case = cases.list_measured_pairs(str(tmp_path / "pairs"))[0]
    item = {"id": case.id} | reconstruction.evaluate_case(
        case, None, given_radius=given_radius, maps_dir=str(tmp_path), num_models=2)
    assert item["correlation"] > 0.85  # the mirror image of the answer
    assert item["single_chosen"] < item["best_single"]  # chi^2 chose the ball
    for key in ("sphere_correlation", "fitted_ellipsoid_correlation", "ellipsoid_correlation"):
        assert 0.3 < item[key] < 1
    assert item["radius_angstrom"] == pytest.approx(
        item["reference_radius_angstrom"] * (1 if given_radius else 1.1), rel=1e-3)
    assert item["shape"] == "compact" and item["notes"] == ["said"]
    assert read_map(tmp_path / "a_1.ccp4").density.shape == (31, 31, 31)
    summary = reconstruction.summarize([item, {"id": "b", "error": "bad"}])
    assert (summary["count"], summary["failed"], summary["fraction_above_0.70"]) == (1, 1, 1)
    assert summary["median_radius_error"] == pytest.approx(0 if given_radius else 0.1, abs=1e-3)
    for key in reconstruction.MEASURES[:12]:
        assert summary[f"mean_{key}"] == summary[f"median_{key}"] == item[key]
    json.dumps(item)
    assert "failed: b: bad" in report.format_reconstructions([item, {"id": "b", "error": "bad"}], summary)
    assert "correlation" in report.format_reconstruction(item)
    assert summary["verdicts"] == {"doubtful": 1}
    assert "a/1: doubtful: why" in report.format_reconstructions([item], summary)


def test_a_summary_of_nothing_but_failures():
    items = [{"id": "a", "error": "bad"}]
    summary = reconstruction.summarize(items)
    assert summary == {"count": 0, "failed": 1}
    assert "failed: a: bad" in report.format_reconstructions(items, summary)


def test_a_network_that_keeps_all_has_correlation_one():
    class Identity:
        def encode(self, params, maps):
            return maps

        def decode(self, params, latent):
            return 40 * latent - 20

    size = int(voxels.sphere_mask().sum())
    nothing = Components(np.zeros(size, np.float32), np.zeros((size, 2), np.float32),
                         np.ones(2, np.float32), 0.5)
    release = Pretrained(Identity(), {}, 0.5, None, nothing, {})
    items, summary = autoencoder.evaluate([blob("a"), blob("b", 1)], release)
    assert names(items) == ["a", "b"] and summary["count"] == 2
    assert summary["mean_correlation"] == pytest.approx(1, abs=2e-5) and summary["fraction_above_0.90"] == 1
    assert summary["encoder_alone_mean_correlation"] == summary["mean_correlation"]  # nothing was refined
    assert summary["pca200_mean_correlation"] == 0  # this one keeps nothing
    assert "PCA-200" in report.format_autoencoder(items, summary)


def test_correlations_do_not_depend_on_the_batch():
    class Blur:
        def encode(self, params, maps):
            return maps

        def decode(self, params, latent):
            return jnp.roll(40 * latent - 20, 1, axis=1)

    maps = (np.random.default_rng(0).random((18, 31, 31, 31)) > 0.7) & voxels.sphere_mask()
    size = int(voxels.sphere_mask().sum())
    basis = np.random.default_rng(1).standard_normal((size, 3)).astype(np.float32)
    linear = Components(np.full(size, 0.3, np.float32), basis, np.ones(3, np.float32), 0.3)
    release = Pretrained(Blur(), {}, 0.5, None, linear, {})
    whole = autoencoder.measure_correlations(maps.astype(np.float32), release)
    one = autoencoder.measure_correlations(maps[17:].astype(np.float32), release)
    for name, scores in whole.items():
        np.testing.assert_allclose(scores[17:], one[name], atol=1e-5)
    np.testing.assert_allclose(whole["pca200"], whole["pca200_refined"], atol=1e-6)  # no steps in this release


def test_a_table_leaves_out_empty_columns():
    columns = {"id": ("id", "{}"), "x": ("value", "{:.2f}"), "y": ("none", "{}")}
    assert report.format_table([{"id": "a", "x": 1.0}, {"id": "long", "x": None}], columns) == (
        "  id  value\n   a   1.00\nlong      -")
