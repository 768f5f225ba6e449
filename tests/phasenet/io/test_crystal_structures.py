"""Solved crystals as .res, .cif and .pdb: other readers find the same atoms, operators and cell."""

import gemmi
import numpy as np
import pytest
from made_crystals import make_crystal

from phasenet.io.crystal_structures import (
    CrystalStructure,
    TwinComponent,
    format_uncertain,
    label_atoms,
    write_cif,
    write_pdb,
    write_res,
)
from phasenet.io.reflections.shelx_instructions import read_instructions

SYMBOLS = ("P 1", "P -1", "P 1 21/c 1", "P 21 21 21", "C 1 2/c 1")


def structure(symbol):
    made = make_crystal(symbol)
    return CrystalStructure(
        "made", made.cell, np.full(6, 0.001), 0.71073, made.operators.rotations, made.operators.translations, symbol, 4,
        made.composition, label_atoms(made.elements), made.elements, made.positions,
        np.full((len(made.elements), 3), 2e-5), made.b_iso,
        np.ones(len(made.elements)), 1.5, 0.05, 4)


def operators_of_res(lines):
    """All operators that LATT and SYMM stand for, as SHELX defines them."""
    words = {line.split()[0]: line for line in lines if line[:4] in ("LATT", "CELL", "FVAR")}
    lattice = int(words["LATT"].split()[1])
    operators = [gemmi.Op("x,y,z"), *(gemmi.Op(line[5:]) for line in lines if line.startswith("SYMM"))]
    if lattice > 0:
        operators += [gemmi.Op("-x,-y,-z") * op for op in operators]
    centrings = {1: ["x,y,z"], 7: ["x,y,z", "x+1/2,y+1/2,z"]}[abs(lattice)]
    return {(gemmi.Op(centring) * op).wrap().triplet() for centring in centrings for op in operators}


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_shelx_instructions_hold_the_group_and_the_atoms(tmp_path, symbol):
    given = structure(symbol)
    write_res(tmp_path / "a.res", given)
    lines = (tmp_path / "a.res").read_text().splitlines()
    assert operators_of_res(lines) == {op.triplet() for op in gemmi.SpaceGroup(symbol).operations()}
    sfac = next(line for line in lines if line.startswith("SFAC")).split()[1:]
    atoms = [line.split() for line in lines if line.split()[0] in given.labels]
    assert [sfac[int(atom[1]) - 1] for atom in atoms] == list(given.elements)
    np.testing.assert_allclose([list(map(float, atom[2:5])) for atom in atoms], given.positions, atol=6e-6)
    np.testing.assert_allclose([float(atom[6]) * 8 * np.pi**2 for atom in atoms], given.b_iso, rtol=1e-3)
    assert lines[-2:] == ["HKLF 4", "END"] and "FVAR 1.50000" in lines and max(map(len, lines)) < 80


def test_our_own_reader_reads_the_instructions(tmp_path):
    write_res(tmp_path / "a.res", structure("P 1 21/c 1"))
    facts = read_instructions((tmp_path / "a.res").read_text(), "a.res", "a.res")
    np.testing.assert_allclose(facts.cell, make_crystal("P 1 21/c 1").cell)


def test_a_twin_is_written_as_shelxl_and_the_cif_dictionary_have_it(tmp_path):
    law = np.array([[1, 0, 0], [0, -1, 0], [-1, 0, -1]])
    twinned = structure("P 1 21/c 1")._replace(twin=TwinComponent(law, 0.398, 0.004))
    write_res(tmp_path / "twin.res", twinned)
    lines = (tmp_path / "twin.res").read_text().splitlines()
    assert "TWIN 1 0 0 0 -1 0 -1 0 -1 2" in lines and "BASF 0.3980" in lines
    write_cif(tmp_path / "twin.cif", twinned)
    block = gemmi.cif.read(str(tmp_path / "twin.cif")).sole_block()
    assert list(block.find_loop("_twin_individual_mass_fraction_refined")) == ["0.602(4)", "0.398(4)"]
    matrix = [list(block.find_loop(f"_twin_individual_twin_matrix_{row}{column}"))[1]
              for row in (1, 2, 3) for column in (1, 2, 3)]
    assert list(map(int, matrix)) == law.ravel().tolist()
    write_res(tmp_path / "single.res", twinned._replace(twin=None))
    assert not any(line.startswith(("TWIN", "BASF")) for line in (tmp_path / "single.res").read_text().splitlines())


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_gemmi_finds_the_same_structure_factors_in_the_cif(tmp_path, symbol):
    given = structure(symbol)
    write_cif(tmp_path / "a.cif", given)
    read = gemmi.read_small_structure(str(tmp_path / "a.cif"))
    assert read.spacegroup.xhm() == gemmi.SpaceGroup(symbol).xhm() and len(read.sites) == 12
    read.setup_cell_images()
    made = make_crystal(symbol).structure
    calculator = gemmi.StructureFactorCalculatorX(made.cell)
    for hkl in ([1, 0, 2], [3, 1, 0], [2, 2, 2]):
        assert abs(calculator.calculate_sf_from_small_structure(read, hkl)
                   - calculator.calculate_sf_from_small_structure(made, hkl)) < 0.02


@pytest.mark.parametrize(("value", "deviation", "text"), [
    (0.123456, 6e-5, "0.12346(6)"), (-0.5, 0.0012, "-0.5000(12)"), (0.25, 0.0, "0.25000"), (0.1, 0.19, "0.10(19)"),
    (0.75, 0.195, "0.8(2)"), (0.1, np.nan, "0.10000"), (1.5, 4.0, "2(4)")])
def test_standard_deviations_stand_in_parentheses(value, deviation, text):
    assert format_uncertain(value, deviation) == text


def test_the_cif_has_them(tmp_path):
    given = structure("P 1")
    write_cif(tmp_path / "a.cif", given)
    first = next(line for line in (tmp_path / "a.cif").read_text().splitlines() if line.startswith("C1 C "))
    assert first.split()[2] == f"{given.positions[0, 0]:.5f}(2)"


def test_viewers_read_the_pdb(tmp_path):
    given = structure("P -1")
    write_pdb(tmp_path / "a.pdb", given)
    read = gemmi.read_structure(str(tmp_path / "a.pdb"))
    atoms = [cra.atom for cra in read[0].all()]
    assert [atom.element.name for atom in atoms] == list(given.elements)
    first = read.cell.fractionalize(atoms[0].pos)
    np.testing.assert_allclose([first.x, first.y, first.z], given.positions[0], atol=1e-3)
