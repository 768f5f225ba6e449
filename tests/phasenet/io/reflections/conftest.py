"""A made crystal that the tests of the readers share: random reflections of a monoclinic cell, as files spell them."""

import pathlib
from typing import NamedTuple

import numpy as np
import pytest

CELL = (8.1, 9.9, 10.7, 90.0, 103.4, 90.0)
INS = """TITL made
CELL 0.71073 8.1 9.9 10.7 90 103.4 90
ZERR 4 0.001 0.001 0.001 0 0.01 0
LATT 1
SYMM -X, 0.5+Y, 0.5-Z
SFAC C H N O
UNIT 32 68 4 12
HKLF 4
END
"""
CIF_HEAD = """data_made
_cell_length_a 8.100(1)
_cell_length_b 9.9
_cell_length_c 10.7
_cell_angle_alpha 90
_cell_angle_beta 103.4
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 21/c'
_chemical_formula_sum 'C8 H17 N O3'
_cell_formula_units_Z 4
_diffrn_radiation_wavelength 0.71073
_diffrn_radiation_type MoK\\a
"""


class MadeRows(NamedTuple):
    """Reflections: indices (N, 3), F^2 and standard deviations (N,) with two decimals; and a folder to write in."""

    hkl: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    folder: pathlib.Path

    ins, cif_head, cell = INS, CIF_HEAD, CELL  # of the same crystal

    def fixed(self, end: str = "   0   0   0    0.00    0.00\n") -> str:
        return "".join(f"{h:4d}{k:4d}{l:4d}{value:8.2f}{sigma:8.2f}\n" for (h, k, l), value, sigma in zip(
            self.hkl, self.intensity, self.sigma, strict=True)) + end

    def loop(self, tags: tuple[str, ...] = ("_refln_F_squared_meas", "_refln_F_squared_sigma")) -> str:
        names = "\n".join([f"_refln_index_{axis}" for axis in "hkl"] + list(tags))
        rows = "\n".join(f"{h} {k} {l} {value:.2f} {sigma:.2f}" for (h, k, l), value, sigma in zip(
            self.hkl, self.intensity, self.sigma, strict=True))
        return f"loop_\n{names}\n{rows}\n"

    def write(self, **texts: str) -> pathlib.Path:
        """Writes a_hkl="..." as a.hkl; returns the path of the first."""
        paths = [self.folder / name.replace("_", ".") for name in texts]
        for path, text in zip(paths, texts.values(), strict=True):
            path.write_text(text)
        return paths[0]

    def agrees_with(self, crystal) -> bool:
        return (np.array_equal(crystal.hkl, self.hkl) and np.allclose(crystal.intensity, self.intensity, atol=1e-9)
                and np.allclose(crystal.sigma, self.sigma, atol=1e-9))


@pytest.fixture
def made(tmp_path) -> MadeRows:
    rng = np.random.default_rng(0)
    hkl = rng.integers(-12, 13, (80, 3))
    hkl = hkl[hkl.any(1)]
    intensity = np.round(rng.exponential(200, len(hkl)) - 5, 2)
    return MadeRows(hkl, intensity, np.round(rng.uniform(0.5, 9, len(hkl)), 2), tmp_path)
