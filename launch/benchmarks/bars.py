"""What a suite is asked to reach: `summary["bars"]` is a list of these, one for each constant of the suite's module."""

from typing import NamedTuple


class Bar(NamedTuple):
    """A number and its bound: it holds where value <= bound, or value >= bound with `at_least`."""

    name: str
    value: float
    bound: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the value keeps to the bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        wanted = f"{'at least' if self.at_least else 'at most'} {self.bound:.3g}"
        return f"{self.name} {self.value:.3g} ({wanted}): {'holds' if self.holds else 'MISSED'}"

    def as_json(self) -> dict[str, str | float | bool]:
        """Its fields and whether it holds."""
        return {**self._asdict(), "holds": self.holds}


def at_most(name: str, value: float, bound: float) -> Bar:
    """A bar that holds up to the bound."""
    return Bar(name, float(value), bound)


def at_least(name: str, value: float, bound: float) -> Bar:
    """A bar that holds from the bound on."""
    return Bar(name, float(value), bound, at_least=True)
