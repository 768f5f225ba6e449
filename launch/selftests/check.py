"""Runs one check of `launch.selftest`: a function that computes on this machine something whose answer is known."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike


class Measured(NamedTuple):
    """What a check computed, beside the right answer.

    Attributes:
      found: the computed number or array.
      expected: the right number or array, of a shape that broadcasts with `found`.
      tolerance: the largest absolute difference of each element that passes.
    """

    found: ArrayLike
    expected: ArrayLike
    tolerance: float


Check = Callable[[], Measured]


class CheckResult(NamedTuple):
    """The result of a check.

    Attributes:
      name: the check's name, with spaces.
      passed: whether every element lies within the tolerance.
      found: the element that differs most; NaN where the check raised an error.
      expected: the right value of that element.
      tolerance: the largest absolute difference that passes.
      fault: type and message of the error that the check raised, otherwise empty.
    """

    name: str
    passed: bool
    found: float
    expected: float
    tolerance: float
    fault: str


def run_check(check: Check) -> CheckResult:
    """Runs a check and returns its result. An error becomes a result too, so that other checks still run."""
    name = check.__name__.replace("_", " ")
    try:
        return judge(name, check())
    except Exception as error:
        fault = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return CheckResult(name, False, np.nan, np.nan, np.nan, fault)


def judge(name: str, measured: Measured) -> CheckResult:
    """Returns the result of a measurement. A NaN fails, even where a NaN is expected."""
    found, expected = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in measured[:2]))
    difference = np.nan_to_num(np.abs(found - expected), nan=np.inf).ravel()
    worst = int(difference.argmax())
    return CheckResult(name, bool(difference[worst] <= measured.tolerance), float(found.flat[worst]),
                  float(expected.flat[worst]), float(measured.tolerance), "")


def format_result(result: CheckResult) -> str:
    """Returns the printed line of a result: "ok" or "WRONG", the name, and the numbers or the error."""
    start = f"{'ok' if result.passed else 'WRONG':<6}{result.name:<38}"
    if result.fault:
        return f"{start}{result.fault}"
    return f"{start}{result.found:<14.9g} expected {result.expected:.9g}, within {result.tolerance:.2g}"
