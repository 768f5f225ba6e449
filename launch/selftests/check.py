"""A check: something whose answer is known, done on this machine."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Measured(NamedTuple):
    """What a check found beside what is right: numbers or arrays, of which each may differ by `tolerance`."""

    found: np.ndarray | float
    expected: np.ndarray | float
    tolerance: float


Check = Callable[[], Measured]


class CheckResult(NamedTuple):
    """A check as it ended; of arrays the numbers that differ most. fault: what it raised, else empty."""

    name: str
    passed: bool
    found: float
    expected: float
    tolerance: float
    fault: str


def run(check: Check) -> CheckResult:
    """Never raises: a machine that fails one check shall be told of the others, too."""
    name = check.__name__.replace("_", " ")
    try:
        return judge(name, check())
    except Exception as error:
        return CheckResult(name, False, np.nan, np.nan, np.nan, f"{type(error).__name__}: {' '.join(str(error).split())}")


def judge(name: str, measured: Measured) -> CheckResult:
    """The result of a measurement; what is no number is wrong."""
    found, expected = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in measured[:2]))
    difference = np.nan_to_num(np.abs(found - expected), nan=np.inf).ravel()
    worst = int(difference.argmax())
    return CheckResult(name, bool(difference[worst] <= measured.tolerance), float(found.flat[worst]),
                  float(expected.flat[worst]), float(measured.tolerance), "")


def line(result: CheckResult) -> str:
    """The result for people."""
    start = f"{'ok' if result.passed else 'WRONG':<6}{result.name:<38}"
    if result.fault:
        return f"{start}{result.fault}"
    return f"{start}{result.found:<14.9g} expected {result.expected:.9g}, within {result.tolerance:.2g}"
