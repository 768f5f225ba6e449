"""Recognises predicted models, whose B factors are pLDDT, and summarises this confidence.

pLDDT is the expected accuracy of a residue's surroundings, 0 to 100 (J. Jumper et al., Nature 596, 583, 2021). A
residue below 50 is likely disordered: it has no fixed position, but a rigid model shows one.

`launch.reconstruct --reference` calls `read_model_confidence`.
"""

import os
import re
from typing import NamedTuple

import gemmi
import numpy as np

from saxsae.io.structures.structure_files import is_mmcif, parse_structure, read_structure_text

DISORDERED_PLDDT = 50.0  # below it a residue is likely disordered
# Names of programs, as titles, remarks and the list of software spell them.
_PREDICTORS = re.compile(
    r"alpha-?fold|colabfold|openfold|esm-?fold|rosettafold|omegafold|boltz|chai-?1|protenix|helixfold", re.IGNORECASE)
_HEAD_LINES = 60  # of a file, where its title and remarks stand
_PRINTED_STEP = 0.011  # B factors that differ by less count as one value
_FEWEST_RESIDUES = 10  # from which equal B factors within residues are no accident


class ModelConfidence(NamedTuple):
    """How sure a predictor is of its model.

    Attributes:
      mean_plddt: mean over the residues, 0 to 100.
      residues: number of residues of the polymers.
      residues_below_50: those that are likely disordered.
      stated: whether the file says that it is predicted; otherwise this follows from its B factors alone.
    """

    mean_plddt: float
    residues: int
    residues_below_50: int
    stated: bool


def read_model_confidence(path: str | os.PathLike) -> ModelConfidence | None:
    """Returns the confidence of a predicted model, or None if the model is not predicted.

    A model counts as predicted if its mmCIF names the metric pLDDT (ModelCIF), if its title, remarks or software name a
    predictor, or if it has neither a crystal nor an experiment and all atoms of a residue have one B factor between 0
    and 100 that differs between residues.

    Args:
      path: a PDB or mmCIF file that `structure_files.read_structure` accepts; the first model counts.

    Raises:
      InputError: see `structure_files.read_structure`.
    """
    text = read_structure_text(path)
    structure = parse_structure(text, str(path))
    by_residue = _polymer_b_factors(structure)
    if not by_residue:
        return None
    metadata = structure if is_mmcif(text) else _read_head(text)
    stated = _names_a_predictor(text, metadata)
    if not stated and (_is_measured(metadata) or not _has_one_value_a_residue(by_residue)):
        return None
    plddt = np.array([np.mean(values) for values in by_residue])
    if plddt.max() <= 1:  # some programs write fractions
        plddt = 100 * plddt
    if plddt.min() < 0 or plddt.max() > 100 or plddt.max() == 0:
        return None
    return ModelConfidence(float(plddt.mean()), len(plddt), int((plddt < DISORDERED_PLDDT).sum()), stated)


def _read_head(text: str) -> gemmi.Structure:
    """Returns title, experiment and unit cell of a PDB file; `parse_structure` drops these records."""
    head = (line for line in text.splitlines() if line.startswith(("HEADER", "TITLE", "EXPDTA", "CRYST1")))
    return gemmi.read_pdb_string("\n".join([*head, "END", ""]))


def _polymer_b_factors(structure: gemmi.Structure) -> list[list[float]]:
    """Returns the B factors (A^2) of the heavy atoms of each amino acid and nucleotide of the first model."""
    found = []
    for chain in structure[0] if len(structure) else ():
        for residue in chain:
            kind = gemmi.find_tabulated_residue(residue.name)
            if kind.is_amino_acid() or kind.is_nucleic_acid():
                values = [atom.b_iso for atom in residue if not atom.is_hydrogen()]
                if values:
                    found.append(values)
    return found


def _names_a_predictor(text: str, structure: gemmi.Structure) -> bool:
    """Returns whether the metadata state a prediction; citations do not count, which experiments have as well."""
    if is_mmcif(text):
        block = gemmi.cif.read_string(text)[0]
        names = [gemmi.cif.as_string(name) for name in block.find_values("_ma_qa_metric.name")]
        if any("plddt" in name.lower() for name in names):
            return True
    if _is_measured(structure):
        return False
    title = structure.info["_struct.title"] if "_struct.title" in structure.info else ""
    software = [item.name for item in structure.meta.software]
    remarks = [line for line in text.splitlines()[:_HEAD_LINES] if line.startswith(("HEADER", "REMARK", "#"))]
    return any(_PREDICTORS.search(line) for line in (title, structure.name, *software, *remarks))


def _is_measured(structure: gemmi.Structure) -> bool:
    """Returns whether a structure has the unit cell of a crystal or names an experiment."""
    method = structure.info["_exptl.method"] if "_exptl.method" in structure.info else "theoretical"
    return structure.cell.is_crystal() or "theoretical" not in method.lower()


def _has_one_value_a_residue(by_residue: list[list[float]]) -> bool:
    """Returns whether all atoms of a residue have one B factor, 0 to 100, that differs between residues, as pLDDT."""
    several = [values for values in by_residue if len(values) > 1]
    if len(several) < _FEWEST_RESIDUES or any(np.ptp(values) > _PRINTED_STEP for values in several):
        return False
    first = np.array([values[0] for values in by_residue])
    return bool(first.min() >= 0 and first.max() <= 100 and np.unique(first).size > len(first) / 10)
