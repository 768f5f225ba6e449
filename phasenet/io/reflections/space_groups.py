"""Makes the operators of a space group from LATT and SYMM, from CIF triplets, or from a symbol; tests a cell on them.

Operators are triplets such as "-x,y+1/2,-z+1/2"; all of the group, centring included. Translations are rounded to
1/24, as in gemmi.
"""

import re
from collections.abc import Iterable

import gemmi
import numpy as np

from phasenet.errors import InputError

# Centring translations in 1/24 of an edge, by the letter of the lattice; LATT numbers them in this order.
_CENTRING = {
    "P": (), "I": ((12, 12, 12),), "R": ((16, 8, 8), (8, 16, 16)), "F": ((0, 12, 12), (12, 0, 12), (12, 12, 0)),
    "A": ((0, 12, 12),), "B": ((12, 0, 12),), "C": ((12, 12, 0),),
}
_MAX_OPERATORS = 192
# Largest relative change of a cell's metric under an operator that passes without a note.
_METRIC_TOLERANCE = 2e-3


def operators_from_latt(latt: int, symm: Iterable[str]) -> tuple[str, ...]:
    """Returns all operators of SHELX's LATT (1 to 7, negative if not centrosymmetric) and SYMM.

    Raises:
      ValueError: LATT is none of SHELX's, a SYMM cannot be read, or the operators are no group.
    """
    if not 1 <= abs(latt) <= len(_CENTRING):
        raise ValueError(f"LATT {latt}; expected 1 to 7, or -1 to -7")
    generators = [parse_triplet(text) for text in symm]
    if latt > 0:
        generators.append(gemmi.Op("-x,-y,-z"))
    return close_group(generators, list(_CENTRING)[abs(latt) - 1])


def parse_triplet(text: str) -> gemmi.Op:
    """Returns the operator of a triplet in any of the usual spellings: "-X, 0.5+Y, 0.5-Z".

    Raises:
      ValueError: the text is no triplet.
    """
    compact = re.sub(r"[\s'\"]+", "", text).lower()
    compact = re.sub(r"^(-?\+?\d+[.)])(?=[-+xyz])", "", compact)  # a number before the operator: "1)x,y,z"
    try:
        operator = gemmi.Op(compact)
    except (ValueError, RuntimeError):
        raise ValueError(f"{text.strip()[:60]!r} is no symmetry operator; expected one such as -x,y+1/2,-z") from None
    if abs(round(np.linalg.det(np.array(operator.rot) / operator.DEN))) != 1:
        raise ValueError(f"{text.strip()[:60]!r} is no symmetry operator: its determinant is not 1 or -1")
    return operator.wrap()


def close_group(generators: Iterable[gemmi.Op], centring: str = "P") -> tuple[str, ...]:
    """Returns all operators that the generators and a centring letter (P, I, R, F, A, B, C) produce, identity first.

    Raises:
      ValueError: the products do not end at 192 operators, so the generators are those of no space group.
    """
    identity = gemmi.Op("x,y,z")
    translations = []
    for translation in _CENTRING.get(centring.upper(), ()):
        operator = gemmi.Op("x,y,z")
        operator.tran = list(translation)
        translations.append(operator)
    generators = [operator for operator in (*generators, *translations) if operator != identity]
    members = {identity.triplet(): identity}
    waiting = [identity]
    while waiting:
        operator = waiting.pop(0)
        for generator in generators:
            product = (operator * generator).wrap()
            if product.triplet() not in members:
                if len(members) == _MAX_OPERATORS:
                    raise ValueError(f"the symmetry operators form no group of at most {_MAX_OPERATORS}")
                members[product.triplet()] = product
                waiting.append(product)
    return tuple(members)


def operators_from_symbol(symbol: str, cell: np.ndarray | None = None) -> tuple[str, ...] | None:
    """Returns all operators of a Hermann-Mauguin symbol, full or short, any setting, or of a number; None if unknown.

    "P2(1)/c", "p 1 21/c 1", "R -3 c :H", "P b c a" are all understood; Hall symbols, too. The cell (6,), A and degrees,
    tells hexagonal from rhombohedral axes where an R symbol does not.
    """
    angles = (0.0, 0.0) if cell is None else (float(cell[3]), float(cell[5]))
    text = re.sub(r"\((\d)\)", r"\1 ", symbol.strip().strip("'\"").replace("_", ""))
    for spelling in dict.fromkeys((symbol.strip(), text, re.sub(r"\s+", "", text), re.sub(r"\s+", " ", text))):
        group = gemmi.find_spacegroup_by_name(spelling, *angles) if spelling else None
        if group is not None:
            return _triplets(group.operations())
    try:
        return _triplets(gemmi.symops_from_hall(symbol.strip()))
    except (ValueError, RuntimeError):
        return None


def symbol_of_operators(operators: Iterable[str]) -> str:
    """Returns the Hermann-Mauguin symbol of operators, with its setting, or "" if gemmi's table lacks the setting."""
    group = gemmi.find_spacegroup_by_ops(gemmi.GroupOps([gemmi.Op(operator) for operator in operators]))
    return "" if group is None else group.xhm()


def describe_metric_violation(cell: np.ndarray, operators: Iterable[str]) -> str | None:
    """Returns a note if a cell (6,), A and degrees, breaks the symmetry of the operators, else None."""
    metric = metric_tensor(cell)
    scale = np.sqrt(np.outer(np.diag(metric), np.diag(metric)))
    worst = 0.0
    for operator in operators:
        rotation = np.array(gemmi.Op(operator).rot) / gemmi.Op.DEN
        worst = max(worst, float((np.abs(rotation.T @ metric @ rotation - metric) / scale).max()))
    if worst <= _METRIC_TOLERANCE:
        return None
    return (f"the unit cell {' '.join(f'{value:.6g}' for value in cell)} breaks the symmetry of the operators by "
            f"{worst:.2g} (relative, of the metric); both are kept as they are")


def metric_tensor(cell: np.ndarray) -> np.ndarray:
    """Returns the metric tensor (3, 3), A^2, of a cell (6,), A and degrees."""
    edges, cosines = cell[:3], np.cos(np.radians(cell[3:]))
    return np.outer(edges, edges) * np.array([[1, cosines[2], cosines[1]], [cosines[2], 1, cosines[0]],
                                              [cosines[1], cosines[0], 1]])


def check_cell(cell: Iterable[float], place: str) -> np.ndarray:
    """Returns a cell (6,) float64, A and degrees, that has a volume.

    Raises:
      InputError: an edge or an angle is out of range, or the angles close no cell; the message begins with `place`.
    """
    values = np.array(list(cell), float)
    said = " ".join(f"{value:.6g}" for value in values)
    if len(values) != 6:
        raise InputError(f"{place}: {len(values)} numbers in the unit cell {said}; expected a, b, c (A) and alpha, "
                         "beta, gamma (degrees)")
    # Comparisons are written so that NaN fails.
    if not ((values[:3] > 0.5).all() and (values[:3] < 2000).all() and (values[3:] > 5).all()
            and (values[3:] < 175).all()):
        raise InputError(f"{place}: the unit cell {said} cannot be; expected edges from 0.5 to 2000 A and angles from "
                         "5 to 175 degrees")
    if not np.linalg.det(metric_tensor(values) / np.outer(values[:3], values[:3])) > 1e-4:
        raise InputError(f"{place}: the angles of the unit cell {said} close no cell; correct them")
    return values


def _triplets(operations: gemmi.GroupOps) -> tuple[str, ...]:
    """Returns the triplets of gemmi's operations, identity first."""
    return tuple(sorted((operator.wrap().triplet() for operator in operations), key=lambda text: text != "x,y,z"))
