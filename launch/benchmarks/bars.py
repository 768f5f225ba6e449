"""Required bounds of a suite: `summary["bars"]` is a list of `Bar`, which `launch.benchmark` prints and writes."""

from typing import NamedTuple


class Bar(NamedTuple):
    """A measured number and its required bound.

    Attributes:
      name: what was measured, with its unit, for the printed line.
      value: the measured number.
      bound: what the value may be at most, or must be at least.
      at_least: whether the bound is a lower one.
    """

    name: str
    value: float
    bound: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the value respects the bound; a NaN does not."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        wanted = f"{'at least' if self.at_least else 'at most'} {self.bound:.3g}"
        return f"{self.name} {self.value:.3g} ({wanted}): {'holds' if self.holds else 'MISSED'}"

    def as_json(self) -> dict[str, str | float | bool]:
        """Returns the fields, and under "holds" whether the bound holds."""
        return {**self._asdict(), "holds": self.holds}


def at_most(name: str, value: float, bound: float) -> Bar:
    """Returns a bar that holds where value <= bound."""
    return Bar(name, float(value), bound)


def at_least(name: str, value: float, bound: float) -> Bar:
    """Returns a bar that holds where value >= bound."""
    return Bar(name, float(value), bound, at_least=True)
