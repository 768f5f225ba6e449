"""Names the point groups that can be imposed on a shape: C2 to C12 and D2 to D6.

`launch.reconstruct` and `launch.serve` offer `GROUP_NAMES`, and `saxsae.reconstruction` calls `parse_group`. This
module does not import JAX, because a mistyped flag should fail before that slow import.
"""

from typing import NamedTuple

from phasenet.errors import InputError

_MOST_CYCLIC, _MOST_DIHEDRAL = 12, 6


class SymmetryGroup(NamedTuple):
    """A point group of rotations.

    Attributes:
      fold: n, the order of the principal axis.
      dihedral: whether there are n two-fold axes perpendicular to it, D_n; otherwise the group is C_n.
    """

    fold: int
    dihedral: bool

    @property
    def name(self) -> str:
        """The Schoenflies symbol."""
        return f"{'D' if self.dihedral else 'C'}{self.fold}"


_GROUPS = {group.name: group for dihedral, most in ((False, _MOST_CYCLIC), (True, _MOST_DIHEDRAL))
           for group in (SymmetryGroup(fold, dihedral) for fold in range(2, most + 1))}
GROUP_NAMES = tuple(_GROUPS)


def parse_group(name: str) -> SymmetryGroup:
    """Returns the group with a Schoenflies symbol, one of `GROUP_NAMES`; raises InputError for any other."""
    try:
        return _GROUPS[name.strip().upper()]
    except KeyError:
        raise InputError(f"symmetry {name!r}: expected C2 to C{_MOST_CYCLIC} or D2 to D{_MOST_DIHEDRAL}") from None
