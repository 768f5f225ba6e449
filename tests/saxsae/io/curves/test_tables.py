"""The tables of a text: where they are parted, which is chosen, and the rows of numbers that are no points."""

import numpy as np
import pytest

from phasenet.errors import InputError
from saxsae.io.curves.measured_curves import read_curve
from saxsae.io.curves.tables import parse_tables

Q = np.linspace(0.01, 0.3, 60)
X = Q * 25.0
FORM = (3 * (np.sin(X) - X * np.cos(X)) / X**3) ** 2
S = np.sqrt(FORM + 0.003)
I = 100 * FORM + S * np.random.default_rng(0).normal(size=60)
R = np.linspace(0, 60, 40)
P = R**2 * (60 - R) ** 2 / 60**4


def rows(*columns, form="{:.6e}", separator=" "):
    return "".join(separator.join(form.format(x) for x in row) + "\n" for row in zip(*columns, strict=True))


CURVE = rows(Q, I, S)
WITH_FIT = rows(Q, I, S, 100 * FORM)
DISTANCES = rows(R, P, 0.01 * P + 1e-6)
SMOOTH = rows(np.linspace(0, 0.3, 70), 100 * np.exp(-np.linspace(0, 0.3, 70) ** 2 * 120))


def read(tmp_path, text):
    (tmp_path / "curve.dat").write_bytes(text.encode())
    return read_curve(tmp_path / "curve.dat")


def refusal(tmp_path, text):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    return str(caught.value).removeprefix(f"{tmp_path / 'curve.dat'}: ")


def check(curve, sigma=True):
    np.testing.assert_allclose(curve.q_inv_angstrom, Q, rtol=2e-6)
    np.testing.assert_allclose(curve.intensity, I, rtol=2e-6)
    if sigma:
        np.testing.assert_allclose(curve.sigma, S, rtol=2e-6)


def noted(curve, text):
    return any(text in note for note in curve.notes)


INDIRECT_TRANSFORMS = {
    "with headings": f"BIFT\n#  R  P(R)  Error\n{DISTANCES}\n#  Q  I(Q)  Error  Fit\n{WITH_FIT}\n"
                     f"#  Q_extrap  Fit_extrap\n{SMOOTH}\n# END\n",
    "with bare headings": f"R P(R) Error\n{DISTANCES}Q I(Q) Error Fit\n{WITH_FIT}Q Fit\n{SMOOTH}",
    "with blank lines alone": f"{DISTANCES}\n{WITH_FIT}\n{SMOOTH}",
    "with nothing between": f"{DISTANCES}{WITH_FIT}{SMOOTH}",
    "of one width": f"{DISTANCES}{CURVE}",
    "of one width, p(r) last": f"{CURVE}{DISTANCES}",
    "with comments": f"# p(r)\n{DISTANCES}# the data\n{CURVE}# the fit\n{SMOOTH}",
    "fit first": f"# Q Fit\n{SMOOTH}# Q I sigma\n{CURVE}# R P(R) dP\n{DISTANCES}",
    "semicolons": f"r;p(r);error\n{DISTANCES}q;I;sigma\n{CURVE}".replace(" ", ";"),
}


@pytest.mark.parametrize("name", INDIRECT_TRANSFORMS)
def test_the_measured_points_of_an_indirect_transform_are_read_alone(tmp_path, name):
    curve = read(tmp_path, INDIRECT_TRANSFORMS[name])
    check(curve)
    assert noted(curve, " tables: ") and noted(curve, " was read (lines ")


def test_a_distribution_of_distances_alone_is_refused(tmp_path):
    assert refusal(tmp_path, DISTANCES) == (
        "the table in lines 1 to 40 looks like a pair distance distribution p(r): give the measured I(q)")
    assert refusal(tmp_path, f"# R P(R) err\n{DISTANCES}") == (
        "the table in lines 2 to 41 is a function of the distance r, such as p(r): give the measured I(q)")


@pytest.mark.parametrize("between", ["", "\n", "\n\n", "# next\n", "next curve\n", "q I sigma\n"])
def test_curves_below_each_other_give_the_first(tmp_path, between):
    curve = read(tmp_path, between.join([CURVE, rows(Q, 2 * I, S), rows(Q, 3 * I, S)]))
    check(curve)
    assert noted(curve, "the file has 3 curves, one below the other: the first was read (lines 1 to 60)")


def test_of_curves_below_each_other_the_longest_is_read(tmp_path):
    curve = read(tmp_path, f"# a\n{rows(Q[:30], 2 * I[:30], S[:30])}# b\n{CURVE}")
    check(curve)
    assert noted(curve, "the file has 2 curves, one below the other: the longest was read (lines 33 to 92)")


def test_a_curve_from_two_detectors_stays_whole(tmp_path):
    check(read(tmp_path, rows(Q[:40], I[:40], S[:40]) + rows(Q[30:], I[30:], S[30:])))
    check(read(tmp_path, rows(Q[:40], I[:40], S[:40]) + "# wide angles\n" + rows(Q[40:], I[40:], S[40:])))


def test_a_blank_line_or_comment_inside_the_table_does_not_part_it(tmp_path):
    lines = CURVE.splitlines(keepends=True)
    for inserted in ("\n", "# beam dump\n", "beam dump at 12:30\n", "\n# 5\n\n"):
        check(read(tmp_path, "".join([*lines[:20], inserted, *lines[20:]])))


FOREIGN = {
    "seven numbers": (" 274.514  46.981 309.278  10.052  15.579  20.032   0.482\n" + CURVE, "line 1"),
    "as many as columns": ("274.514 46.981 309.278\n" + CURVE, "line 1"),
    "two rows": ("10 20 30\n5.5 6.5 7.5\n" + CURVE, "lines 1, 2"),
    "sizes": ("60 3\n" + CURVE, "line 1"),
    "small numbers below": (CURVE + "0.05 0.1 0.2\n", "line 61"),
    "large numbers below": (CURVE + "60 3 1\n", "line 61"),
    "more numbers below": (CURVE + "60 3 1 5 5\n", "line 61"),
    "above and below": ("274.5 46.9 309.2 1.0\n" + CURVE + "1.5 2.5\n", "lines 1, 62"),
    "above a falling q": ("274.5 46.9 309.2\n" + "".join(CURVE.splitlines(keepends=True)[::-1]), "line 1"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_row_of_numbers_around_the_table_is_no_point(tmp_path, name):
    text, where = FOREIGN[name]
    curve = read(tmp_path, text)
    if name != "above a falling q":
        check(curve)
    assert curve.q_inv_angstrom.size == 60 and noted(curve, f"of numbers outside the table left out ({where})")


def test_a_row_of_numbers_apart_from_the_table_is_no_point(tmp_path):
    for text in (f"274.5 46.9 309.2\n\n{CURVE}", f"274.5 46.9 309.2\n# q I s\n{CURVE}", f"{CURVE}\n60 1 2\n",
                 f"{CURVE}# Rg, I0, chi2\n19.4 100 1.0\n", f"274.5 46.9 309.2 1 2\n\n{CURVE}"):
        check(read(tmp_path, text))


def test_points_are_not_lost_as_foreign(tmp_path):
    """The first and the last points of a cut, shuffled or repeated curve belong to it."""
    check(read(tmp_path, CURVE + CURVE.splitlines(keepends=True)[-1]))
    shuffled = np.random.default_rng(3).permutation(60)
    check(read(tmp_path, rows(Q[shuffled], I[shuffled], S[shuffled])))
    for count in (10, 11, 12):
        assert read(tmp_path, rows(Q[:count], I[:count], S[:count])).q_inv_angstrom.size == count
    gap = np.r_[0:20, 45:60]  # between two detectors
    assert read(tmp_path, rows(Q[gap], I[gap], S[gap])).q_inv_angstrom.size == gap.size


DECIMAL_COMMAS = {
    "quoted, semicolons": '"q";"I";"err"\n' + rows(Q, I, S, form='"{:.6f}"', separator=";").replace(".", ","),
    "quoted, commas": '"q","I","err"\n' + "".join(
        ",".join(f'"{x:.6f}"'.replace(".", ",") for x in row) + "\n" for row in zip(Q, I, S, strict=True)),
    "quoted in part": "".join(
        f'{q:.6f};"{i:.6f}";"{s:.6f}"\n' for q, i, s in zip(Q, I, S, strict=True)).replace(".", ","),
    "semicolons and some integers": "0;100;1\n1;100;-1\n" + "".join(
        f"{q:.6f};{i:.6f};{s:.6f}\n" for q, i, s in zip(Q, I, S, strict=True)).replace(".", ","),
    "blanks and a column of integers": "".join(
        f"{q:.6f} {i:.6f} {s:.6f} 1\n" for q, i, s in zip(Q, I, S, strict=True)).replace(".", ","),
    "commas with blanks": "".join(
        f"{q:.6f}, {i:.6f}, {s:.6f}\n".replace(".", ",") for q, i, s in zip(Q, I, S, strict=True)),
    "tabs": rows(Q, I, S, form="{:.6f}", separator="\t").replace(".", ","),
}


@pytest.mark.parametrize("name", DECIMAL_COMMAS)
def test_decimal_commas(tmp_path, name):
    curve = read(tmp_path, DECIMAL_COMMAS[name])
    keep = curve.q_inv_angstrom < 0.5
    np.testing.assert_allclose(curve.q_inv_angstrom[keep], Q, atol=1e-6)
    np.testing.assert_allclose(curve.intensity[keep], I, atol=1e-6)
    np.testing.assert_allclose(curve.sigma[keep], S, atol=1e-6)


def test_commas_that_part_columns_of_integers_are_no_decimal_commas():
    table = parse_tables("".join(f"{i},{100 - i},1\n" for i in range(12))).tables[0]
    assert table.values.shape == (12, 3)
    assert parse_tables("0.01,5,1\n0.02,4,1\n").tables[0].values.tolist() == [[0.01, 5, 1], [0.02, 4, 1]]


def test_partial_decimal_commas_of_two_columns():
    assert parse_tables("0;1,5\n1;1,25\n2;1\n").tables[0].values.tolist() == [[0, 1.5], [1, 1.25], [2, 1]]
    assert parse_tables('"0,008000";"97,9"\n"0,009";"97"\n').tables[0].values.tolist() == [[0.008, 97.9], [0.009, 97]]


def test_each_table_has_its_headings():
    parsed = parse_tables("title\n# q I\n0.1 2\n0.2 1\n\n# r p\n1 2 3\n2 3 4\n3 4 5\nend\n")
    assert [table.headers for table in parsed.tables] == [("# r p",), ("# q I", "title")]  # the longest first
    assert [table.lines for table in parsed.tables] == [(7, 9), (3, 4)]
    assert parsed.outside.splitlines() == ["title", "# q I", "# r p", "end"]


def test_thousands_of_tables_are_parsed_at_once():
    parsed = parse_tables("1 2\nx\n" * 20_000 + CURVE)
    assert len(parsed.tables) == 100 and parsed.tables[0].values.shape == (60, 3)
