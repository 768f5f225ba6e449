"""The figure of the made crystal at several resolutions: what it counts, and that density and atoms fit together."""

import pathlib

import numpy as np
import pytest
from matplotlib import image
from matplotlib.axes import Axes

from launch.plotting import crystal_resolutions
from phasenet.crystal.lattice import orthogonalization_matrix

EXAMPLE = pathlib.Path(crystal_resolutions.__file__).parents[2] / "phasenet" / "examples" / "made_crystal.hkl"

@pytest.mark.slow
def test_all_atoms_are_found_where_the_crystal_is_solved_and_few_where_it_is_not(tmp_path, monkeypatch):
    views, circles = [], []
    project, scatter = crystal_resolutions.project_density, Axes.scatter

    def recorded_project(density, view, *arguments):
        picture = project(density, view, *arguments)
        views.append((view, picture))
        return picture

    def recorded_scatter(axes, x, y, **options):
        circles.append(np.stack([x, y], -1))
        return scatter(axes, x, y, **options)

    monkeypatch.setattr(crystal_resolutions, "project_density", recorded_project)
    monkeypatch.setattr(Axes, "scatter", recorded_scatter)
    path = tmp_path / "figure.png"
    # Two starts from 2 A give no right model.
    counted = crystal_resolutions.draw(path, 0, resolutions=(1.5, 2.0), num_starts=2)
    fine, coarse = counted["1.50 A"], counted["2.00 A"]
    assert fine["status"] == "solved" and fine["found"] == fine["true"] == 20 and fine["r1"] < 0.12
    assert coarse["status"] != "solved" and coarse["found"] < 10 and coarse["true"] == 20 and coarse["r1"] > 0.15
    # In the panel of 1.5 A, a circle and high density lie at every true atom, whatever the origin of the solution is.
    view, picture = views[0]
    seen = true_atoms_seen(view)
    assert len(seen) >= 18
    assert np.linalg.norm(seen[:, None] - circles[0], axis=-1).min(1).max() < 0.1
    shares = (seen[:, ::-1] / view.half_size[::-1] + 1) / 2
    rows, columns = np.rint(shares * (np.array(picture.shape) - 1)).astype(int).T
    assert picture[rows, columns].min() > 2 * picture.mean()
    # Black where the density is highest, and circles in the colours of C, N and O, in both panels above the legend.
    drawn = image.imread(path)[..., :3]
    height, width = drawn.shape[:2]
    for panel in np.split(drawn[:int(0.85 * height), :width // 2 * 2], 2, axis=1):
        assert (panel.max(-1) < 0.1).sum() > 50
        for colour in crystal_resolutions.COLOURS.values():
            wanted = [int(colour[start:start + 2], 16) / 255 for start in (1, 3, 5)]
            assert (np.abs(panel - wanted).max(-1) < 0.02).sum() > 20


def true_atoms_seen(view):
    """Returns (k, 2) Angstrom in the picture, the atoms of the example's table that lie in the view."""
    instructions = EXAMPLE.with_suffix(".ins").read_text().splitlines()
    cell = np.array([float(value) for value in instructions[1].split()[2:]])
    matrix = orthogonalization_matrix(cell)
    table = np.array([line.split(",")[2:5] for line in EXAMPLE.with_suffix(".csv").read_text().splitlines()[1:]], float)
    x, y, z = table.T
    copies = np.concatenate([table, -table, np.stack([-x, 0.5 + y, 0.5 - z], -1), np.stack([x, 0.5 - y, 0.5 + z], -1)])
    steps = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    places = ((copies % 1 + steps).reshape(-1, 3) @ matrix.T - view.centre) @ view.axes.T
    return places[(np.abs(places) < [*view.half_size - 0.3, 1.5]).all(1), :2]


@pytest.mark.parametrize("hand", [1, -1])
def test_the_density_is_projected_where_its_atom_lies(hand):
    cell = np.array([9.0, 7.0, 8.0, 80.0, 105.0, 95.0])
    matrix = orthogonalization_matrix(cell)
    rng = np.random.default_rng(0)
    plane = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    flat = np.array([[3.0, 0.4, 0.1], [-3.0, -0.3, 0.1], [0.4, 1.5, -0.2], [-0.2, -1.6, 0.1]])
    places = flat @ plane + [1.0, -2.0, 3.0]
    view = crystal_resolutions.choose_view(places)
    np.testing.assert_allclose(view.axes @ view.axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(view.axes) == pytest.approx(1)
    seen = (places - view.centre) @ view.axes.T
    assert np.ptp(seen[:, 1]) > np.ptp(seen[:, 0]) > np.ptp(seen[:, 2])
    np.testing.assert_allclose(seen[:, :2].min(0) + view.half_size, view.half_size - seen[:, :2].max(0))
    # A map with one atom, in the frame of the solution.
    shift = np.array([0.5, 0.25, -0.1])
    for place, there in zip(places, seen, strict=True):
        mapped = hand * (np.linalg.inv(matrix) @ place - shift)
        shape = (36, 30, 32)
        voxels = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), -1)
        offset = voxels - mapped
        density = np.exp(-(((offset - np.rint(offset)) @ matrix.T) ** 2).sum(-1) / 0.3)
        picture = crystal_resolutions.project_density(density, view, cell, hand, shift)
        row, column = np.unravel_index(picture.argmax(), picture.shape)
        found = (2 * np.array([column, row]) / (np.array(picture.shape[::-1]) - 1) - 1) * view.half_size
        assert picture.max() > 0.8 and np.abs(found - there[:2]).max() < 0.25


def test_density_beyond_the_slab_is_left_out():
    cell = np.array([10.0, 10.0, 10.0, 90.0, 90.0, 90.0])
    view = crystal_resolutions.MoleculeView(np.full(3, 5.0), np.eye(3), np.array([3.0, 2.0]))
    density = np.zeros((40, 40, 40))
    density[20, 20, 24] = 1.0  # 1 A above the plane
    assert crystal_resolutions.project_density(density, view, cell, 1, np.zeros(3)).max() > 0.99
    density = np.roll(density, 4, axis=2)  # 2 A above
    assert crystal_resolutions.project_density(density, view, cell, 1, np.zeros(3)).max() == 0
