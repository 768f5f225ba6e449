"""Makes good and unfit curves, as the text of files; `launch.evaluate --task=verdicts` judges them.

The bodies are uniform spheroids, whose exact curves are those of A. Guinier and G. Fournet, Small-Angle Scattering of
X-Rays (1955). Each unfit kind is a mistake in a measurement, a reduction or an export, or a sample without a
shape.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Semi-axes (A) of the bodies: across the axis, along it.
BODIES = ((14.0, 20.0), (25.0, 25.0), (25.0, 60.0), (45.0, 45.0), (50.0, 90.0))
Q = np.linspace(0.008, 0.35, 300)  # 1/A
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(80)


class MadeKind(NamedTuple):
    """A kind of synthetic curve.

    Attributes:
      name: the fault of the curve.
      write: (exact intensity (N,), noise (N,), generator) -> text of the file; the noise is its standard deviation.
      fit: whether a shape is right; otherwise the verdict should be doubtful or no shape.
    """

    name: str
    write: Callable[[np.ndarray, np.ndarray, np.random.Generator], str]
    fit: bool = False


def spheroid_intensity(q_inv_angstrom: np.ndarray, across_angstrom: float, along_angstrom: float) -> np.ndarray:
    """Returns I(q) / I(0), (N,), of a uniform spheroid, averaged over orientations.

    Args:
      q_inv_angstrom: (N,) 1/A, positive.
      across_angstrom: semi-axis across the axis of rotation, A.
      along_angstrom: semi-axis along it, A.
    """
    cosine = (_NODES + 1) / 2
    x = np.asarray(q_inv_angstrom)[:, None] * np.sqrt(across_angstrom**2 * (1 - cosine**2)
                                                      + along_angstrom**2 * cosine**2)
    return (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2 @ _WEIGHTS / 2


def counting_noise(intensity: np.ndarray) -> np.ndarray:
    """Returns the standard deviations (N,) of photon counting at `Q` for I(q) / I(0): 0.3% at q = 0.05 1/A."""
    return 0.003 * np.sqrt((np.abs(intensity) + 0.05) * 0.05 / Q)


def format_columns(*values: np.ndarray, header: str = "") -> str:
    """Returns arrays (N,) as text columns below a header."""
    rows = (" ".join(f"{value:.6g}" for value in row) for row in zip(*values, strict=True))
    return "\n".join([*([header] if header else []), *rows]) + "\n"


def _measured(change: Callable[[np.ndarray], np.ndarray], header: str = "") -> Callable[..., str]:
    """Returns a writer of q, I, sigma, where `change` turns the exact curve of the body into another."""
    def write(exact: np.ndarray, noise: np.ndarray, rng: np.random.Generator) -> str:
        changed = change(exact)
        sigma = np.maximum(noise, counting_noise(changed))
        return format_columns(Q, changed + sigma * rng.standard_normal(Q.size), sigma, header=header)
    return write


def _transformed(change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, ...]],
                 header: str = "") -> Callable[..., str]:
    """Returns a writer of what `change` makes of the measured intensity and its standard deviation.

    The intensity is made positive, because some changes are logarithms.
    """
    def write(exact: np.ndarray, noise: np.ndarray, rng: np.random.Generator) -> str:
        return format_columns(*change(np.abs(exact + noise * rng.standard_normal(Q.size)) + 1e-9, noise), header=header)
    return write


def _two_dimensional(exact: np.ndarray, noise: np.ndarray, rng: np.random.Generator) -> str:
    """Writes a detector image as columns Qx, Qy, I."""
    axis = np.linspace(-0.2, 0.2, 21)
    x, y = (a.ravel() for a in np.meshgrid(axis, axis))
    values = np.interp(np.hypot(x, y), Q, exact)
    return format_columns(x, y, values + 0.01 * rng.standard_normal(x.size))


def _structure_factor(distance: float) -> np.ndarray:
    """Returns a structure factor (N,) of particles that keep a distance (A) from each other."""
    x = Q * distance
    return 1 / (1 + 1.5 * 3 * (np.sin(x) - x * np.cos(x)) / x**3)


def _aggregates(exact: np.ndarray) -> np.ndarray:
    """Returns the curve (N,) with large aggregates added."""
    return exact + 10 * (1 + (Q * 220) ** 2) ** -2


def _gaussian_chain(exact: np.ndarray) -> np.ndarray:
    """Returns the curve (N,) of a Gaussian chain of the same Rg (P. Debye, J. Phys. Colloid Chem. 51, 18, 1947)."""
    x = -3 * np.log(exact[0]) * (Q / Q[0]) ** 2
    return 2 * (np.exp(-x) + x - 1) / x**2


_WIDE = Q > 0.16
KINDS = (
    MadeKind("good", _measured(lambda exact: exact), fit=True),
    MadeKind("good, computed without noise", _transformed(lambda i, _: (Q, i)), fit=True),
    MadeKind("good, in 1/nm", _transformed(lambda i, s: (10 * Q, i, s), "q(1/nm) I sigma"), fit=True),
    MadeKind("two-dimensional", _two_dimensional),
    MadeKind("flat: water, glassy carbon", _measured(np.ones_like)),
    MadeKind("buffer minus buffer", _measured(lambda exact: 0 * exact)),
    MadeKind("buffer not subtracted", _measured(lambda exact: exact + 3 * (Q / 0.01) ** -3.5 + 2 + Q**2)),
    MadeKind("parasitic scattering", _measured(lambda exact: (Q / 0.01) ** -3.5)),
    MadeKind("wide angles alone", _transformed(lambda i, s: (Q[_WIDE], i[_WIDE], s[_WIDE]))),
    MadeKind("difference curve", _measured(lambda exact: np.interp(Q / 1.04, Q, exact) - exact)),
    MadeKind("log10 of the intensity", _transformed(lambda i, s: (Q, np.log10(100 * i), s / i / np.log(10)))),
    MadeKind("natural logarithm", _transformed(lambda i, s: (Q, np.log(100 * i), s / i))),
    MadeKind("ln I against q^2", _transformed(lambda i, s: (Q**2, np.log(1e3 * i)))),
    MadeKind("q^2 I (Kratky)", _transformed(lambda i, s: (Q, Q**2 * i, Q**2 * s))),
    MadeKind("P(r)", lambda exact, noise, rng: format_columns(
        r := np.linspace(0, 100, 51), (r / 100) ** 2 * (1 - r / 100) ** 2, 1e-3 + 0 * r, header="R P(R) ERROR")),
    MadeKind("2 theta, no wavelength", _transformed(lambda i, s: (5 * Q, i, s), "2theta I sigma")),
    MadeKind("a wrong unit, 1/A", _transformed(lambda i, s: (10 * Q, i, s), "q(1/A) I sigma")),
    MadeKind("a wrong unit, 1/nm", _transformed(lambda i, s: (Q, i, s), "q(1/nm) I sigma")),
    MadeKind("constant background of 10% left in", _measured(lambda exact: exact + 0.1)),
    MadeKind("constant background of 30% left in", _measured(lambda exact: exact + 0.3)),
    MadeKind("5% over-subtracted", _measured(lambda exact: exact - 0.05)),
    MadeKind("aggregates", _measured(_aggregates)),
    MadeKind("Gaussian chain", _measured(_gaussian_chain)),
    MadeKind("repulsion", _measured(lambda exact: exact * _structure_factor(150.0))),
    MadeKind("cut at q Rg = 1.3", lambda exact, noise, rng: format_columns(
        *(a[exact > 0.57] for a in (Q, exact, noise)))),
)


def make_text(kind: MadeKind, across_angstrom: float, along_angstrom: float, seed: int) -> str:
    """Returns the text of a curve file of one kind, for one of the `BODIES`; the seed is that of the noise."""
    exact = spheroid_intensity(Q, across_angstrom, along_angstrom)
    return kind.write(exact, counting_noise(exact), np.random.default_rng(seed))
