"""Formulas and space groups are read in the spellings that files and users have."""

import numpy as np
import pytest

from phasenet.io.reflections.formulas import element_symbol, parse_elements, parse_formula
from phasenet.io.reflections.space_groups import (
    describe_metric_violation,
    operators_from_latt,
    operators_from_symbol,
    symbol_of_operators,
)


@pytest.mark.parametrize("text, counts", [
    ("C15 H12 N2 O", {"C": 15, "H": 12, "N": 2, "O": 1}), ("C15H12N2O", {"C": 15, "H": 12, "N": 2, "O": 1}),
    ("'Al1.95 H2 K O12'", {"Al": 1.95, "H": 2, "K": 1, "O": 12}), ("C2 H4 O, 0.5(H2 O)", {"C": 2, "H": 5, "O": 1.5}),
    ("2(C8 H20 N 1+), Cu Cl4 2-", {"C": 16, "H": 40, "N": 2, "Cu": 1, "Cl": 4}), ("(C2 H4)n", {"C": 2, "H": 4}),
    ("C11 H10 ZN2", {"C": 11, "H": 10, "Zn": 2}), ("C 32 H 64", {"C": 32, "H": 64}),
    ("Co C O", {"Co": 1, "C": 1, "O": 1}),
])
def test_formulas(text, counts):
    assert parse_formula(text) == pytest.approx(counts)


@pytest.mark.parametrize("text", ["", "foo", "((", "C2)", "Qq", "C9999999", "12"])
def test_what_is_no_formula(text):
    with pytest.raises(ValueError):
        parse_formula(text)


def test_elements():
    assert parse_elements("C,H, N o") == ("C", "H", "N", "O") and parse_elements(["zn", "C"]) == ("Zn", "C")
    assert [element_symbol(word) for word in ("ZN", "Zn2+", "O1-", "$C", "Xq", "HELLO")] == ["Zn", "Zn", "O", "C", None,
                                                                                              None]


@pytest.mark.parametrize("symbol, name, count", [
    ("P2(1)/c", "P 1 21/c 1", 4), ("P21/n", "P 1 21/n 1", 4), ("p 1 21 1", "P 1 21 1", 2), ("I2/a", "I 1 2/a 1", 8),
    ("P21/a", "P 1 21/a 1", 4), ("a b a 2", "A b a 2", 8), ("Pca2(1)", "P c a 21", 4), ("R -3 c :H", "R -3 c:H", 36),
    ("-P 2yn", "P 1 21/n 1", 4), ("F m -3 m", "F m -3 m", 192), ("P 42/n :2", "P 42/n:2", 8),
])
def test_symbols(symbol, name, count):
    operators = operators_from_symbol(symbol)
    assert symbol_of_operators(operators) == name and len(operators) == count and operators[0] == "x,y,z"


def test_rhombohedral_axes_are_told_by_the_cell():
    assert len(operators_from_symbol("R 3", np.array([10, 10, 10, 80, 80, 80.0]))) == 3
    assert len(operators_from_symbol("R 3", np.array([10, 10, 25, 90, 90, 120.0]))) == 9
    assert operators_from_symbol("nonsense") is None


@pytest.mark.parametrize("latt, symm, name", [
    (-1, (), "P 1"), (1, ("-X, 0.5+Y, 0.5-Z",), "P 1 21/c 1"), (7, ("-X,Y,-Z",), "C 1 2/m 1"),
    (3, ("-Y, X-Y, Z", "Y, X, -Z+ 0.50000"), "R -3 c:H"), (-5, ("-X,-Y,Z", "X+0.5,-Y+0.5,Z"), "A b a 2"),
    (-4, ("-X,-Y,Z", "1/4+X,1/4-Y,1/4+Z"), "F d d 2"), (2, ("-X+1/2,Y,-Z",), "I 1 2/a 1"),
])
def test_latt_and_symm(latt, symm, name):
    assert symbol_of_operators(operators_from_latt(latt, symm)) == name


def test_a_cell_that_breaks_its_symmetry_is_described():
    operators = operators_from_symbol("P21/n")
    assert describe_metric_violation(np.array([4.9, 11.4, 5.4, 90, 112, 90.0]), operators) is None
    assert "breaks the symmetry" in describe_metric_violation(np.array([4.9, 11.4, 5.4, 88.85, 112, 90.0]), operators)
