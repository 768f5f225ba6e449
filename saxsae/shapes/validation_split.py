"""Splits a corpus into training and validation structures, by whole PDB entries.

A hash of the PDB id decides, so that an entry stays on its side when the corpus grows. Called by
`launch.prepare_structures`.
"""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

# Suffixes that collections append to a name: chain (_A), copy (~2), rank of a prediction (_rank_1).
_VARIANT = re.compile(r"(_rank_\d+.*|_[A-Za-z]|~\d+)+$")


def validation_mask(names: Sequence[str], pdb_ids: Sequence[str], fraction: float) -> np.ndarray:
    """Returns which structures are for validation.

    Structures that share a PDB id form a group and stay together; a field of several ids ("1abc 2xyz") joins their
    groups. The group of a structure without an id is its name, without chain, copy and rank. The hash of the
    alphabetically first id or name of a group decides for the whole group.

    Args:
      names: N names of structures.
      pdb_ids: N fields of PDB ids; "" if there is none.
      fraction: expected fraction of the groups that are for validation, 0 to 1.

    Returns:
      (N,) bool.
    """
    root: dict[str, str] = {}

    def find(key):
        while root.setdefault(key, key) != key:
            key = root[key]
        return key

    keys = []
    for name, ids in zip(names, pdb_ids, strict=True):
        own = re.findall(r"\w+", ids.lower()) or [_VARIANT.sub("", name)]
        first, *others = sorted({find(key) for key in own})
        for other in others:
            root[other] = first
        keys.append(own[0])
    return np.array([_uniform(find(key)) < fraction for key in keys], bool)


def _uniform(key: str) -> float:
    """Returns a number in [0, 1), uniform over keys, that depends only on the key."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
