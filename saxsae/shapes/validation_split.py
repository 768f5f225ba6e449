"""Training or validation: whole PDB entries, decided by a hash.

A corpus that grows keeps its split.
"""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

# What collections append to a name for a chain, a copy, a prediction's rank.
_VARIANT = re.compile(r"(_rank_\d+.*|_[A-Za-z]|~\d+)+$")


def validation_mask(names: Sequence[str], pdb_ids: Sequence[str], fraction: float) -> np.ndarray:
    """(N,) bool: which structures are for validation.

    Structures that share a PDB id (or, without one, a name but for its chain, copy or rank) form a
    group and stay together; an id field of several ids ("1abc 2xyz") joins their groups. The first
    id of a group in alphabetical order, hashed, decides for all of it.

    Args:
      names, pdb_ids: N each; "" where there is no id.
      fraction: expected share of the groups, 0 to 1.
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
    """A number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
