"""Defines the bank: codes, sizes and profiles of the structures of the corpus.

The profiles of a structure at any size are functions of u = q Rg. Each structure has profiles of two kinds: with the
excess electrons of its elements, and with equal atoms. They are stored as principal components of the ratio to the mean
profile. `launch.datasets.make_bank` makes the bank, `saxsae.pretrained` reads and writes it, `saxsae.bank.scoring` uses
it.
"""

from typing import NamedTuple

import numpy as np

U_STEP = 0.1
U = np.arange(0, 16 + U_STEP / 2, U_STEP)  # q times Rg of the atoms
_MADE = "made "  # begins the names of synthetic shapes
_TYPICAL_CONTRAST = 0.03  # e/A^3; it weights the parts of a profile in the components


class StructureBank(NamedTuple):
    """N structures.

    Attributes:
      names: N names; those of synthetic shapes are from `name_made_shape`.
      pdb_ids: N PDB ids, "" where unknown.
      codes: (N, K) float32 latent codes of their occupancy maps.
      rg_angstrom: (N,) float32, radius of gyration of the atoms, A.
      r_max_angstrom: (N,) float32, A.
      profiles: (N, 2, 3, len(U)) float32, see `hydration.profiles_of_parts`, at q = `U` / Rg; of the two kinds, the
        first is with elements, the second with equal atoms.
    """

    names: tuple[str, ...]
    pdb_ids: tuple[str, ...]
    codes: np.ndarray
    rg_angstrom: np.ndarray
    r_max_angstrom: np.ndarray
    profiles: np.ndarray

    @property
    def is_made(self) -> np.ndarray:
        """Which entries are synthetic shapes, (N,) bool; a structure of the corpus may lack a PDB id too."""
        return np.array([name.startswith(_MADE) for name in self.names])

    def without(self, rows: np.ndarray) -> "StructureBank":
        """Returns the bank with the profiles of these rows undefined, so that they fit nothing and are never chosen.

        The rows themselves stay, because a bank of another size would need another compiled program.
        """
        profiles = self.profiles.copy()
        profiles[rows] = np.nan
        return self._replace(profiles=profiles)

    def profiles_of(self, equal_atoms: bool) -> np.ndarray:
        """Returns the profiles (N, 3, len(U)) of one kind."""
        return self.profiles[:, int(equal_atoms)]


def name_made_shape(kind: str, number: int) -> str:
    """Returns the name of a synthetic shape, by which `StructureBank.is_made` recognises the shape."""
    return f"{_MADE}{kind} {number}"


class ProfileComponents(NamedTuple):
    """Profiles of N structures as principal components.

    Attributes:
      scores: (N, C) in units of each component's standard deviation.
      basis: (C, 6 len(U)), each component times its standard deviation.
      mean: (6 len(U),).
      reference: (2 len(U),) mean profiles of the atoms, by which all profiles are divided.
    """

    scores: np.ndarray
    basis: np.ndarray
    mean: np.ndarray
    reference: np.ndarray


def compress_profiles(profiles: np.ndarray, components: int) -> ProfileComponents:
    """Returns the principal components of profiles (N, 2, 3, len(U))."""
    reference = profiles[:, :, 0].mean(0)
    ratios = (profiles / reference[:, None] * _part_weights()).reshape(len(profiles), -1).astype(np.float64)
    mean = ratios.mean(0)
    left, sizes, right = np.linalg.svd(ratios - mean, full_matrices=False)
    deviation = sizes[:components] / np.sqrt(len(profiles))
    return ProfileComponents(left[:, :components] * np.sqrt(len(profiles)), right[:components] * deviation[:, None],
                             mean, reference.reshape(-1))


def expand_profiles(stored: ProfileComponents) -> np.ndarray:
    """Returns the profiles (N, 2, 3, len(U)) float32 of their components."""
    ratios = stored.scores.astype(np.float32) @ stored.basis.astype(np.float32) + stored.mean.astype(np.float32)
    reference = stored.reference.astype(np.float32).reshape(2, 1, len(U))
    return ratios.reshape(-1, 2, 3, len(U)) / _part_weights().astype(np.float32) * reference


def _part_weights() -> np.ndarray:
    """Returns the weights (3, 1) of the parts of a profile in the components."""
    return np.array([1.0, _TYPICAL_CONTRAST, _TYPICAL_CONTRAST**2])[:, None]
