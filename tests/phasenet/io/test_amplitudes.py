"""Amplitudes from files: every form gives the map that the atoms have."""

import numpy as np
import pytest

from phasenet.errors import InputError
from phasenet.io.amplitudes import read_amplitudes
from phasenet.maps import density, patterson

GRID = 8
ATOMS = np.array([[0.3, 1.1, -0.7], [-1.2, -0.4, 1.3]])
DENSITY = np.asarray(density.density(ATOMS, GRID))
FULL = np.abs(np.fft.fftn(DENSITY))
HALF = np.abs(np.fft.rfftn(DENSITY))
EXPECTED = np.asarray(patterson.patterson(DENSITY))


def without_f000(full):
    full = full.copy()
    full[0, 0, 0] = 0
    return full


def table(one_of_a_pair=False, limit=GRID):
    """Rows h k l F with |indices| of the transform, to |h| <= limit."""
    index = np.fft.fftfreq(GRID, 1 / GRID).astype(int)
    rows = [(h, k, l, FULL[h, k, l]) for h in index for k in index for l in index
            if h * h + k * k + l * l <= limit**2
            and (not one_of_a_pair or (h % GRID, k % GRID, l % GRID) <= (-h % GRID, -k % GRID, -l % GRID))]
    return "".join(f"{h} {k} {l} {f:.6f}\n" for h, k, l, f in rows)


def read(tmp_path, content):
    path = tmp_path / "amplitudes"
    if isinstance(content, str):
        path.write_text(content)
    else:
        with open(path, "wb") as file:
            np.save(file, content)
    return read_amplitudes(path, GRID)


@pytest.mark.parametrize(("content", "note"), [
    (FULL, "F000 at index"), (np.fft.fftshift(FULL), "F000 in the middle"), (HALF, "half of reciprocal space"),
    (FULL.astype(np.float32), "F000 at index"), (table(), "F000 is in"), (table(one_of_a_pair=True), "F000 is in"),
    ("h k l F\n# a comment\n" + table(), "taken as equal"), (table().replace(" ", ","), "taken as equal"),
    (table().replace("\n", " 0.1\n"), "columns after the fourth"), (table() + table(), "more than once")])
def test_every_form_gives_the_same_map(tmp_path, content, note):
    found = read(tmp_path, content)
    np.testing.assert_allclose(found.values, EXPECTED, atol=1e-4 * EXPECTED.max())
    assert any(note in line for line in found.notes) and not any("missing" in line for line in found.notes)
    assert found.pitch_angstrom is None


def test_where_f000_would_be_is_seen_without_it(tmp_path):
    expected = EXPECTED - EXPECTED.mean()
    for content in (without_f000(FULL), np.fft.fftshift(without_f000(FULL)), table()):
        if isinstance(content, str):
            content = "".join(line for line in content.splitlines(True) if not line.startswith("0 0 0 "))
            assert "F000 is not in the text" in read(tmp_path, content).notes
        np.testing.assert_allclose(read(tmp_path, content).values, expected, atol=1e-4 * expected.max())


def test_missing_reflections_are_counted(tmp_path):
    sphere = table(limit=3)
    assert not any("missing" in line for line in read(tmp_path, sphere).notes)
    expected = np.asarray(patterson.patterson(DENSITY, h_max=3))
    np.testing.assert_allclose(read(tmp_path, sphere).values, expected, atol=1e-4 * expected.max())
    holes = "".join(line for line in sphere.splitlines(True) if not line.startswith(("1 2 ", "-1 -2 ")))
    removed = sphere.count("\n") - holes.count("\n")
    assert f"{removed} of {sphere.count(chr(10)) - 1} reflections to that radius are missing, taken as 0" in read(
        tmp_path, holes).notes


@pytest.mark.parametrize(("content", "message"), [
    (FULL[:6], r"the shape is \(6, 8, 8\); expected \(N, N, N\) or"), (FULL[:7, :7, :7], r"shape is \(7, 7, 7\)"),
    (HALF[:, :, :4], r"shape is \(8, 8, 4\)"), (FULL.astype(complex), "complex"), (FULL[0], r"shape is \(8, 8\)"),
    (-FULL, r"index \(0, 0, 0\) is -8\.37"), (FULL * np.nan, r"\(0, 0, 0\) is nan, and 511"), (FULL * 0, "all ampl"),
    (FULL.astype(float) * 1e300, r"index \(0, 0, 2\) is .*e\+294; .*below 1e\+15"),
    (np.random.default_rng(0).random((8, 8, 8)), "Friedel mates"),
    (np.random.default_rng(0).random((8, 8, 5)), "Friedel mates"),
    ("h k l F\n", "no rows of h k l F"), ("1 2 3\n", "line 1: 3 columns; expected h, k, l and F"),
    ("0 0 1 2\n\n1 x 3 4\n", "line 3: '1 x 3 4'"),
    ("0 0 1 2\n1 0.5 3 4\n", "line 2"), ("0 0 1 -2\n", "line 1: '0 0 1 -2'; .*amplitude from 0"),
    ("0 0 1 nan\n", "line 1"),
    ("0 0 4 1\n0 0 -5 1\n", r"line 2: reflection \(0, 0, -5\) lies beyond the grid of 8"), ("\0\1\2", "neither")])
def test_what_is_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as raised:
        read(tmp_path, content)
    assert "\n" not in str(raised.value)
