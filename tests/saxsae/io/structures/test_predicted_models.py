"""Predicted models: recognised by what the file says or by its B factors, and their pLDDT."""

import gzip

import numpy as np
import pytest

from saxsae.io.structures.predicted_models import read_model_confidence

_TITLE = "TITLE     ALPHAFOLD MONOMER V2.0 PREDICTION FOR NOTHING\n"
_CRYSTAL = "CRYST1   52.000   58.600   61.900  90.00  90.00  90.00 P 21 21 21    8\n"
_NO_CRYSTAL = "CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1\n"


def pdb(plddt, spread=0.0, head=""):
    """Three atoms for each residue, with its B factor."""
    lines, rng = [], np.random.default_rng(0)
    for number, value in enumerate(plddt):
        for place, name in enumerate(("N", "CA", "C")):
            b = value + spread * rng.random()
            lines.append(f"ATOM  {3 * number + place + 1:5d}  {name:<3} ALA A{number + 1:4d}    {3.8 * number:8.3f}"
                         f"{1.5 * place:8.3f}{0:8.3f}  1.00{b:6.2f}           {name[0]}")
    return head + "\n".join(lines) + "\nEND\n"


def mmcif(plddt, head=""):
    columns = ("group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_entity_id "
               "label_seq_id Cartn_x Cartn_y Cartn_z occupancy B_iso_or_equiv auth_seq_id auth_asym_id").split()
    rows = [f"ATOM {3 * number + place + 1} {name[0]} {name} . ALA A 1 {number + 1} {3.8 * number:.3f} {1.5 * place} "
            f"0.0 1.0 {value} {number + 1} A"
            for number, value in enumerate(plddt) for place, name in enumerate(("N", "CA", "C"))]
    return f"data_model\n{head}loop_\n" + "".join(f"_atom_site.{name}\n" for name in columns) + "\n".join(rows) + "\n"


def found(tmp_path, text, name="model.pdb"):
    (tmp_path / name).write_text(text)
    return read_model_confidence(tmp_path / name)


PLDDT = np.array([30.5, 45.0, 49.9, *np.linspace(55, 95, 17)])
_METRIC = "loop_\n_ma_qa_metric.id\n_ma_qa_metric.name\n1 pLDDT\n"


@pytest.mark.parametrize("text", [
    pdb(PLDDT, head=_TITLE), pdb(PLDDT, head=_TITLE + _NO_CRYSTAL), mmcif(PLDDT, head=_METRIC),
    pdb(PLDDT, head="REMARK   1 CREATED WITH COLABFOLD\n")])
def test_what_the_file_says_counts(tmp_path, text):
    confidence = found(tmp_path, text)
    assert confidence.stated and confidence.residues == 20 and confidence.residues_below_50 == 3
    assert confidence.mean_plddt == pytest.approx(PLDDT.mean(), abs=0.01)


def test_without_a_word_equal_b_factors_within_residues_tell(tmp_path):
    confidence = found(tmp_path, pdb(PLDDT))
    assert not confidence.stated and confidence.residues_below_50 == 3


@pytest.mark.parametrize("text", [
    pdb(PLDDT, spread=5.0), pdb(PLDDT, head=_CRYSTAL), pdb(PLDDT, head=_TITLE + _CRYSTAL), pdb(np.full(20, 100.0)),
    pdb(np.zeros(20), head=_TITLE), pdb(PLDDT + 80), pdb(PLDDT, head="EXPDTA    ELECTRON MICROSCOPY\n"),
    mmcif(PLDDT, head="_exptl.entry_id X\n_exptl.method 'SOLUTION NMR'\n")])
def test_other_b_factors_are_no_confidence(tmp_path, text):
    assert found(tmp_path, text) is None


def test_fractions_are_hundredths(tmp_path):
    confidence = found(tmp_path, mmcif(PLDDT / 100, head=_METRIC), "model.cif")
    assert confidence.mean_plddt == pytest.approx(PLDDT.mean(), abs=0.01)


def test_a_gzipped_file_is_read(tmp_path):
    (tmp_path / "model.pdb.gz").write_bytes(gzip.compress(pdb(PLDDT, head=_TITLE).encode()))
    assert read_model_confidence(tmp_path / "model.pdb.gz").residues == 20
