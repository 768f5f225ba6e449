"""The figure of made and measured crystals: closed forms of what it counts, and that it is drawn from either."""

import json
import pathlib

import gemmi
import launched
import numpy as np
import pytest
from made_crystals import make_crystal

from launch.evaluation.crystals import PublishedCrystal
from launch.plotting import crystal_statistics
from launch.plotting.missing import MissingInput
from phasenet.crystal import form_factors, normalisation
from phasenet.crystal.lattice import Intensities, inverse_spacing, operators_of
from phasenet.crystal.made import arrays
from phasenet.crystal.made.crystals import draw_crystal
from phasenet.crystal.symmetry_copies import expand_to_cell
from phasenet.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYMBOL = "P 1 21/c 1"


def list_reflections(cell, symbol, d_min):
    return np.asarray(gemmi.make_miller_array(gemmi.UnitCell(*cell), gemmi.SpaceGroup(symbol), d_min), np.int32)


def write_measured(folder):
    """Writes a crystal of 12 independent atoms as an evaluation reads it, and one with too few reflections."""
    made = make_crystal(SYMBOL)
    rows = np.column_stack([made.reflections.hkl, made.reflections.intensity, made.reflections.sigma])
    lines = ["label,element,x,y,z,occ_crystallographic"]
    lines += [f"A{i},{element},{x},{y},{z},1.0"
              for i, (element, (x, y, z)) in enumerate(zip(made.elements, made.positions, strict=True))]
    for name, count in (("good", len(rows)), ("few", 3)):
        inner = folder / name
        inner.mkdir(parents=True)
        np.savetxt(inner / "merged.csv", rows[:count], delimiter=",", header="h,k,l,Fsq,sigma", comments="", fmt="%.6g")
        (inner / "atoms.csv").write_text("\n".join(lines) + "\n")
        (inner / "source.json").write_text(json.dumps({"cell": list(made.cell), "space_group": SYMBOL}))


@pytest.fixture
def sources(tmp_path):
    write_measured(tmp_path / "measured")
    drawn = [draw_crystal(np.random.default_rng(seed), (250.0, 350.0), kind="organic") for seed in (1, 2)]
    np.savez(tmp_path / "made.npz", **arrays.pack(drawn))
    return [str(tmp_path / "made.npz"), str(tmp_path / "measured")]


def test_rock_salt_has_six_neighbours_at_half_its_edge():
    cell, operators = np.array([5.64, 5.64, 5.64, 90.0, 90.0, 90.0]), operators_of(gemmi.SpaceGroup("F m -3 m"))
    positions, owners = expand_to_cell(np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]), operators, cell)
    hkl = list_reflections(cell, "F m -3 m", 0.7)[::2]
    crystal = PublishedCrystal("salt", Intensities(hkl, np.full(len(hkl), 40.0), np.full(len(hkl), 4.0)), cell,
                               operators, {"Na": 4.0, "Cl": 4.0}, "xray", positions,
                               tuple(("Na", "Cl")[owner] for owner in owners))
    assert len(crystal_statistics.find_independent(crystal)) == 2 and len(positions) == 8
    found = crystal_statistics.gather(crystal)
    np.testing.assert_allclose(found.nearest, 2.82)
    np.testing.assert_array_equal(found.coordination, [6, 6])
    assert found.volume_per_atom == pytest.approx(5.64**3 / 8) and found.is_centrosymmetric
    assert found.i_over_sigma == pytest.approx(10) and found.completeness == pytest.approx(0.5, abs=0.05)
    # Neither organic nor rich in general reflections.
    assert np.isnan(found.wilson).all() and np.isnan(found.mean_e2_minus_1)


def test_the_wilson_curve_of_atoms_on_the_debye_curve_is_the_debye_curve():
    cell, operators = np.array([11.0, 12.0, 13.0, 90.0, 90.0, 90.0]), operators_of(gemmi.SpaceGroup("P 21 21 21"))
    hkl, composition = list_reflections(cell, "P 21 21 21", 0.85), {"C": 80.0, "O": 10.0}
    s = inverse_spacing(hkl, cell)
    epsilon = 2 ** ((hkl == 0).sum(1) == 2)
    expected = form_factors.sum_of_squared_form_factors(s, composition) * normalisation.mean_debye_curve(s)
    intensity = 7.0 * epsilon * expected * np.exp(-3.0 * s**2 / 2)
    crystal = PublishedCrystal("carbon", Intensities(hkl, intensity, 0.01 * intensity), cell, operators, composition,
                               "xray", np.zeros((1, 3)), ("C",))
    curve = crystal_statistics.wilson_curve(crystal)
    middles = 0.075 + 0.05 * np.arange(len(curve))
    seen = np.isfinite(curve)
    assert seen.sum() > 18 and not seen[middles > 1 / 0.85 + 0.05].any()
    np.testing.assert_allclose(curve[seen], normalisation.mean_debye_curve(middles[seen]), rtol=0.1)
    electrons = crystal_statistics.wilson_curve(crystal._replace(radiation="electron"))
    assert np.isnan(electrons).all()


def test_it_is_drawn_of_made_of_measured_and_of_both(sources, tmp_path):
    path = tmp_path / "figure.png"
    lines = []
    assert crystal_statistics.draw(path, sources, lines.append) == {"made": 2, "measured": 1, "left out": 1}
    assert lines[-1] == f"{sources[1]}: 2 of 2 crystals"
    both = path.stat().st_size
    assert crystal_statistics.draw(path, sources[:1]) == {"made": 2, "measured": 0, "left out": 0}
    assert 20_000 < path.stat().st_size < both
    assert crystal_statistics.draw(path, sources[1:]) == {"made": 0, "measured": 1, "left out": 1}
    with pytest.raises(MissingInput, match="--crystals=FILE.npz"):
        crystal_statistics.draw(path, [])
    with pytest.raises(InputError, match="nothing.npz"):
        crystal_statistics.draw(path, [str(tmp_path / "nothing.npz")])


def test_the_launch_draws_it(sources, tmp_path):
    done = launched.run("launch.figures", "--figure=crystal_statistics", f"--crystals={','.join(sources)}",
                        f"--output={tmp_path / 'out'}")
    assert done.returncode == 0 and done.stderr == ""
    assert "2 made, 1 measured, 1 left out" in done.stdout
    assert (tmp_path / "out" / "crystal_statistics.png").is_file()
