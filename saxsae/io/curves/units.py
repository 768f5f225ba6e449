"""Decides whether the q of a measured curve is in 1/A or in 1/nm.

The unit that the file states is used. If the file states none, two log-likelihoods are compared: those of the Guinier
radius, the ends of the q range and the step of q in 1/A and in 1/nm. Lengths in the header count as well, and an
instrument named there decides between readings that are equally likely. Called by `measured_curves.read_curve`.
"""

import numpy as np

from phasenet.errors import InputError
from saxsae.io.curves.stated_units import (
    StatedLength,
    find_instrument,
    find_stated_lengths,
    find_stated_unit,
    states_inverse_micrometre,
)
from saxsae.profiles.guinier import Q_RG_LIMIT, fit_guinier

UNITS = ("1/A", "1/nm")  # what `--unit` accepts; a file may also state 1/m
TO_INVERSE_ANGSTROM = {"1/A": 1.0, "1/nm": 0.1, "1/m": 1e-10}
RG_RANGE_ANGSTROM = (8.0, 300.0)  # possible Guinier radii of a protein or complex in solution
UNUSUAL = "would be unusual"  # stands in the note of `decide_unit` if the data contradict the stated unit
DOUBT = "is not excluded"  # stands in the note of `decide_unit` if the other unit is unlikely, yet possible

# What is usual: low, high, and the standard deviation of the logarithm below low and above high.
_USUAL = {
    # A. Proteins and complexes; below 10 A a protein has fewer than 40 residues, and is hardly measured.
    "rg": (20.0, 35.0, 0.45, 0.8),
    # 1/A. The beamstop and the length of the camera leave little below 0.003; a curve is easily cut above 0.03.
    "q_min": (0.003, 0.03, 0.4, 0.7),
    # 1/A. Cameras end at 0.15 to 1, with wide angles at 3; the curves of large bodies are often cut.
    "q_max": (0.15, 1.0, 0.9, 0.5),
    # 1/A. Half a detector pixel is 1e-4 or more, but points may be merged.
    "step": (1e-4, np.inf, 0.5, 1.0),
}
_RADII = ("rg", "rg_min", "rg_header")  # of the Guinier fit, its lower bound, and that of the header
_LARGEST_PENALTY = {"q_max": 2.0, "step": 1.0}  # of cutting a curve, and of interpolation to a fine grid
_BEYOND_RG_RANGE = 0.15  # standard deviation of the logarithm of Rg outside `RG_RANGE_ANGSTROM`
_LEAD_TO_DECIDE = 1.7  # difference of log-likelihoods; below it both units are possible
_LEAD_WITHOUT_GUINIER = 3.0  # the same, if there is no valid Guinier fit
_LEAD_TO_BE_SURE = 5.0  # below it the other unit is named in the note
_USUAL_LIKELIHOOD = -6.0  # a curve that is less likely in either unit is not decided for sure
_MAX_RELATIVE_ERROR = 0.5  # of a Guinier radius that tells units apart, although it may be too inexact for a valid fit
_MIN_LEAD_AGAINST_FILE = 2.0  # above it the note says that the stated unit is unusual
_HEADER_WEIGHT = 6.0  # log-likelihood of a length in the header that fits one unit only
# Length in the header over the Guinier radius, if both are in one unit. The ranges must be narrower than a factor 10.
_RATIO_TO_RG = {"Rg": (1 / 1.6, 1.6), "D_max": (1.9, 8.0)}


class UndecidedUnitError(InputError):
    """The file states no unit of q, and both 1/A and 1/nm are possible."""


def check_unit(unit: str) -> str:
    """Returns the unit unchanged, after a check that it is known.

    Args:
      unit: a unit of q.

    Raises:
      InputError: the unit is not one of `UNITS`.
    """
    if unit not in UNITS:
        raise InputError(f"unit {unit!r} is not known: give 1/A or 1/nm")
    return unit


def decide_unit(q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray, stated: str | None,
                header: str = "") -> tuple[str, str]:
    """Returns the unit of q, a key of `TO_INVERSE_ANGSTROM`, and a note that says what decided the unit.

    If the unit that was not chosen is unlikely yet possible, the note contains `DOUBT`.

    Args:
      q: (N,) ascending, in the unit that is sought; N is at least `cleaning.MIN_POINTS`.
      intensity: (N,), any unit.
      sigma: (N,) standard deviations of `intensity`.
      stated: the unit that the file states, or None. A stated unit is always used; if the data clearly contradict the
        stated unit, the note says so.
      header: the text around the table. Only read if `stated` is None.

    Raises:
      UndecidedUnitError: no unit is stated, and both 1/A and 1/nm are possible.
      InputError: q is in 1/um. Neither message names the file.
    """
    guinier = fit_guinier(q, intensity, sigma)
    raw = {"q_min": float(q[0]), "q_max": float(q[-1]), "step": float(np.median(np.diff(q)))}
    if guinier.valid or guinier.rg_sigma < _MAX_RELATIVE_ERROR * guinier.rg_angstrom:  # False for NaN
        raw["rg"] = guinier.rg_angstrom
    elif (smallest := _smallest_radius(q, intensity, sigma)) is not None:
        raw["rg_min"] = smallest
    stated = stated or find_stated_unit(header)
    if stated is not None:
        return stated, f"q in {stated}, as the file says" + _describe_contradiction(raw, stated)

    if states_inverse_micrometre(header):
        raise InputError("q is in 1/um, which is not read: convert q to 1/A or 1/nm")
    lengths = find_stated_lengths(header)
    if "rg" not in raw and lengths and lengths[0].kind == "Rg" and lengths[0].unit is None:
        raw.pop("rg_min", None)
        raw["rg_header"] = lengths[0].value  # GNOM's, in the length whose inverse is the unit of q
    log_likelihood = {unit: _log_likelihood(raw, factor) for unit, factor in TO_INVERSE_ANGSTROM.items()}
    voted, why = _choose_by_lengths(lengths, raw.get("rg"))
    if voted is not None:
        log_likelihood[voted] += _HEADER_WEIGHT
    likely = max(log_likelihood, key=lambda unit: log_likelihood[unit])
    other = max((unit for unit in UNITS if unit != likely), key=lambda unit: log_likelihood[unit])
    lead = log_likelihood[likely] - log_likelihood[other]
    because = f"; {why}" if voted == likely else ""
    if lead < (_LEAD_TO_DECIDE if guinier.valid else _LEAD_WITHOUT_GUINIER):
        instrument = find_instrument(header)
        if instrument is None:
            raise UndecidedUnitError(
                f"the unit of q is not stated, and both are possible: 1/A ({_describe_in_unit(raw, '1/A')}) or "
                f"1/nm ({_describe_in_unit(raw, '1/nm')}): give --unit=1/A or --unit=1/nm")
        likely, other = sorted(UNITS, key=lambda unit: unit != instrument[0])
        because = f"; as {instrument[1]} writes it"
    note = f"unit of q not stated: {likely} assumed ({_describe_in_unit(raw, likely)}{because}"
    if lead >= _LEAD_TO_BE_SURE and log_likelihood[likely] >= _USUAL_LIKELIHOOD:
        return likely, note + f"; in {other} {_describe_in_unit(raw, other)})"
    return likely, note + f"), but {other} {DOUBT} ({_describe_in_unit(raw, other)}): if so, give --unit={other}"


def _smallest_radius(q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray) -> float | None:
    """Returns a lower bound of Rg (inverse unit of q) for a curve without a Guinier region; None if it does not fall.

    If the curve already falls more steeply than a Guinier line of q Rg = 1.3 at its first points, Rg is larger than 1.3
    over the first q; near a minimum of the form factor the slope itself would give too large an Rg. All arrays (N,).
    """
    first = slice(0, max(8, q.size // 12))
    usable = (intensity[first] > 0) & (sigma[first] > 0)
    if np.count_nonzero(usable) < 5:
        return None
    q, intensity, sigma = (array[first][usable] for array in (q, intensity, sigma))
    x, weight = (q / q[0]) ** 2, np.clip(intensity / sigma, 1e-6, 1e6) ** 2
    x = x - np.average(x, weights=weight)
    variance = 1 / np.sum(weight * x**2)
    slope = float(variance * np.sum(weight * x * np.log(intensity)))
    if not slope < -3 * np.sqrt(variance):
        return None
    return float(min(np.sqrt(-3 * slope), Q_RG_LIMIT) / q[0])


def _log_likelihood(raw: dict[str, float], to_inverse_angstrom: float) -> float:
    """Returns the log-likelihood of the values of a curve under `_USUAL`, up to a constant.

    `raw` has the keys of `_USUAL`, with `rg_min` instead of `rg` if only a lower bound is known, `rg_header` if only
    the header has a radius, or none of the three. The values are in the unit of the file; a q times
    `to_inverse_angstrom` is in 1/A.
    """
    total = 0.0
    for name, value in raw.items():
        low, high, spread_below, spread_above = _USUAL["rg" if name in _RADII else name]
        value *= 1 / to_inverse_angstrom if name in _RADII else to_inverse_angstrom
        if name == "rg_min":
            value = max(value, low)  # no radius is too small
        if name in _RADII:
            beyond = np.log(value / np.clip(value, *RG_RANGE_ANGSTROM))
            total -= 0.5 * (beyond / _BEYOND_RG_RANGE) ** 2
        if value < low:
            total -= min(0.5 * (np.log(value / low) / spread_below) ** 2, _LARGEST_PENALTY.get(name, np.inf))
        elif value > high:
            total -= 0.5 * (np.log(value / high) / spread_above) ** 2
    return float(total)


def _choose_by_lengths(lengths: list[StatedLength], rg: float | None) -> tuple[str | None, str]:
    """Returns the unit of q under which all stated lengths fit the Guinier radius, and the length that tells.

    A length with its unit fits one unit of q at most. A length without a unit fits both if it is in the unit of the
    file's own length, and tells nothing; if it is off by a factor of ten, it is in the other one. The unit is None if
    no length tells, or if two disagree. `rg` is in the unit of the file.
    """
    if rg is None:
        return None, ""
    votes: dict[str, str] = {}
    for kind, value, unit in lengths:
        low, high = _RATIO_TO_RG[kind]
        if unit is None:
            ratios = {"1/nm": value / (10 * rg), "1/A": 10 * value / rg}
        else:
            in_angstrom = value * (10 if unit == "nm" else 1)
            ratios = {u: in_angstrom * TO_INVERSE_ANGSTROM[u] / rg for u in UNITS}
        for candidate, ratio in ratios.items():
            if low <= ratio <= high:
                votes.setdefault(candidate, f"{kind} {value:.4g}{f' {unit}' if unit else ''} in the header")
    return next(iter(votes.items())) if len(votes) == 1 else (None, "")


def _describe_contradiction(raw: dict[str, float], stated: str) -> str:
    """Returns the rest of a note: that the stated unit is unusual, if another one is clearly more likely, else ""."""
    log_likelihood = {unit: _log_likelihood(raw, factor) for unit, factor in TO_INVERSE_ANGSTROM.items()}
    likely = max(log_likelihood, key=lambda unit: log_likelihood[unit])
    if log_likelihood[likely] - log_likelihood[stated] <= _MIN_LEAD_AGAINST_FILE:
        return ""
    return f"; but {_describe_in_unit(raw, stated)} {UNUSUAL}: is it {likely}?"


def _describe_in_unit(raw: dict[str, float], unit: str) -> str:
    """Returns the Guinier radius (A), if there is one, and q_max (1/A) as text, for a file in this unit."""
    factor = TO_INVERSE_ANGSTROM[unit]
    q_max = f"q_max {raw['q_max'] * factor:.3g} 1/A"
    if "rg_header" in raw:
        return f"Rg {raw['rg_header'] / factor:.3g} A in the header, {q_max}"
    if "rg" in raw:
        return f"Guinier Rg {raw['rg'] / factor:.3g} A, {q_max}"
    return f"Rg above {raw['rg_min'] / factor:.3g} A, {q_max}" if "rg_min" in raw else q_max
