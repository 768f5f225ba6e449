"""The concentration that a header states."""

import pytest

from saxsae.io.curves.stated_concentration import find_stated_concentration, read_stated_concentration

ROWS = "\n0.01 3.0 0.1\n0.02 2.9 0.1\n"


@pytest.mark.parametrize(("header", "concentration"), [
    ("# Concentration (mg/ml): 2,5", 2.5),
    ("concentration [mg/mL] = 1.5", 1.5),
    ("Sample concentration, mg/ml: 7.25", 7.25),
    ("Sample: lysozyme  c= 4.50 mg/ml  Code: lyz", 4.5),
    ('"Concentration": "5.2 mg/ml"', 5.2),
    ("Conc: 1e1 g/l", 10.0),
    ("c = 5.0 mg ml-1", 5.0),
    ("Concentration: 5 mg/ml\nConcentration: 5.0 mg/ml", 5.0)])
def test_a_clear_statement_is_read(header, concentration):
    assert find_stated_concentration(header + ROWS) == concentration


@pytest.mark.parametrize("header", [
    "", "q I sigma", "Sample: buffer  c= 0 mg/ml  Code: tmp",  # what ATSAS writes for none
    "concentration 5 mM", "concentration: 5", "lysozyme 4 mg/ml", "conc 5 mg/ml\nconc 6 mg/ml",
    "high angles (>.22) 46 mg/ml, small angles (<.22) 15 mg/ml", "concentration (mg/ml)"])
def test_no_statement_or_several_give_none(header):
    assert find_stated_concentration(header + ROWS) is None


def test_a_file_is_read_and_a_binary_one_is_not(tmp_path):
    (tmp_path / "text.dat").write_bytes(b"c= 3 mg/ml \xb5\n1 2 3\n")
    (tmp_path / "binary.dat").write_bytes(b"c= 3 mg/ml\0\0")
    assert read_stated_concentration(tmp_path / "text.dat") == 3
    assert read_stated_concentration(tmp_path / "binary.dat") is None
