"""Writes what a crystallographer would say about the figures of a `report.DataReport`, one line each."""

import numpy as np

from phasenet.crystal.lattice import SpaceGroupOperators
from phasenet.crystal.measured.cell_check import suggests_wrong_cell
from phasenet.crystal.measured.laue_symmetry import centring_letter
from phasenet.crystal.measured.merging import laue_rotations
from phasenet.crystal.measured.report import DataReport

_INCOMPLETE = 0.95
_MAX_LISTED = 8
_UNEQUAL_LIMITS = 1.15
_STRONG_ANISOTROPY = 5.0  # Angstrom^2, largest less smallest principal B
# Distributions sharper than these are not those of an untwinned crystal.
_TWINNED_E2, _TWINNED_L = 0.66, 0.44
# Amplitudes vary even less, or fall off so slowly that B (Angstrom^2) comes out near zero.
_AMPLITUDES_E2, _AMPLITUDES_L, _AMPLITUDES_B = 0.45, 0.36, 0.25
_MIN_GENERAL = 150
_PSEUDO_TRANSLATION = 0.55
_METRIC_TOLERANCE = 0.005


def write_notes(
    report: DataReport, cell: np.ndarray, operators: SpaceGroupOperators | None, has_composition: bool
) -> tuple[str, ...]:
    """Returns the notes on a report.

    Args:
      report: with empty notes.
      cell: (6,) Angstrom and degrees.
      operators: the space group that was given.
      has_composition: whether the contents of the cell were given.
    """
    return tuple([
        *_merging_notes(report),
        *_quality_notes(report),
        *_lattice_notes(report, operators),
        *_laue_notes(report, operators),
        *_space_group_notes(report, operators),
        *_statistics_notes(report),
        *_twinning_notes(report),
        *_pseudo_translation_notes(report),
        *_cell_notes(report, cell, has_composition),
    ])


def _merging_notes(report: DataReport) -> list[str]:
    statistics = report.merged.statistics
    text = f"{statistics.num_measured} reflections measured, {statistics.num_unique} unique"
    if np.isfinite(statistics.r_int):
        text += f" (each {statistics.redundancy:.1f} times), R_int {statistics.r_int:.4f}"
    else:
        text += ", none measured twice (no R_int)"
    lines = [f"{text}, R_sigma {statistics.r_sigma:.4f}"]
    if statistics.num_outliers:
        lines.append(f"{statistics.num_outliers} measurements lie more than 6 sigma from their equivalents; they are "
                     "kept")
    return lines


def _quality_notes(report: DataReport) -> list[str]:
    quality = report.quality
    lines = [f"{100 * quality.completeness:.1f}% complete to {quality.d_min:.2f} A, mean I/sigma "
             f"{quality.mean_i_over_sigma:.1f}"]
    if quality.completeness < _INCOMPLETE:
        known = np.isfinite(quality.d_95_percent)
        lines.append(f"data are incomplete: 95% only to {quality.d_95_percent:.2f} A" if known else
                     "data are incomplete: nowhere 95%")
    missing = len(quality.missing_low_angle)
    if missing:
        listed = ", ".join(" ".join(map(str, hkl)) for hkl in quality.missing_low_angle[:_MAX_LISTED].tolist())
        lines.append(f"reflections below 0.2 1/A that are missing: {missing} ({listed}"
                     f"{' ...' if missing > _MAX_LISTED else ''})")
    if not np.isfinite(quality.d_noise):
        lines.append("all shells of resolution are noise (mean I/sigma below 2 or CC1/2 below 0.3)")
    elif quality.noise_criterion:
        lines.append(f"the data end in noise at {quality.d_noise:.2f} A ({quality.noise_criterion}); measured to "
                     f"{quality.d_min:.2f} A")
    return lines


def _lattice_notes(report: DataReport, operators: SpaceGroupOperators | None) -> list[str]:
    lines, absences = [], report.lattice_absences
    given, shown = centring_letter(report.lattice), centring_letter(report.shown_lattice)
    if operators is None:
        lines.append(f"the lattice is {'primitive' if given == 'P' else given + '-centred'} by its absences")
    elif given != shown and shown != "P":
        lines.append(f"the data show a lattice of type {shown}; given is {given or 'another centring'}")
    if absences.num_measured:
        lines.append(
            f"{absences.num_measured} measured reflections are forbidden by the lattice {given}: mean I/sigma "
            f"{absences.mean_i_over_sigma:.1f}, mean I {100 * absences.mean_intensity_ratio:.2g}% of the others, "
            f"{absences.num_violated} above 3 sigma; they are left out"
        )
        if absences.mean_intensity_ratio > 0.2:
            lines.append(f"the forbidden reflections are strong: the lattice is hardly {given}")
    return lines


def _laue_notes(report: DataReport, operators: SpaceGroupOperators | None) -> list[str]:
    symmetry, lines = report.laue_symmetry, []
    shown = symmetry.shown
    measured = f"R_int {shown.r_int:.4f}" if np.isfinite(shown.r_int) else "no R_int"
    if symmetry.merged_before:
        lines.append(f"the file holds no equivalents by all rotations of {shown.name}, and its completeness is "
                     f"{100 * shown.completeness:.0f}% in {shown.name}: the data were merged in it before")
    given = None if operators is None else laue_rotations(operators.rotations)
    members = {rotation.tobytes() for rotation in shown.rotations.astype(np.int32)}
    given_members = None if given is None else {rotation.tobytes() for rotation in given.astype(np.int32)}
    if given_members is None:
        lines.append(f"the data show Laue symmetry {shown.name} ({measured})")
    elif given_members < members:
        lines.append(f"the data show {shown.name} ({measured}); the symmetry given is lower ({len(given_members)} of "
                     f"{len(members)} rotations)")
    elif not given_members <= members:
        failing = [test for test in symmetry.rotations
                   if test.rotation.astype(np.int32).tobytes() in given_members and test.holds is False]
        worst = max((test.r_pairs for test in failing), default=np.nan)
        lines.append(f"the data show only {shown.name}; a rotation of the symmetry given has R_int {worst:.3f}: too "
                     "high a symmetry, a twin, or a wrong cell")
    for group in symmetry.groups:
        if len(group.rotations) > len(shown.rotations) and members < {r.tobytes() for r in group.rotations}:
            value = f"{group.r_int:.3f}" if np.isfinite(group.r_int) else "not measured"
            lines.append(f"the cell would also allow {group.name}: R_int {value}")
    return lines


def _space_group_notes(report: DataReport, operators: SpaceGroupOperators | None) -> list[str]:
    best, *others = report.space_groups
    near = [other.symbol for other in others if other.probability > 0.02][:4]
    lines = [f"space group by absences, statistics and frequency: {best.symbol}"
             + (f"; also possible {', '.join(near)}" if near else "")
             + f" ({len(report.space_groups)} tried)"]
    lines += [f"{best.symbol}: {note}" for note in best.notes]
    if not best.symbol:
        lines = [f"no table has space groups of {report.laue_symmetry.shown.name} in this cell with this centring: "
                 "transform the cell to a standard one"]
    if operators is None or not report.given_rank:
        return lines
    given = report.space_groups[report.given_rank - 1]
    if report.given_rank > 1:
        lines.append(f"the space group given, {given.symbol}, ranks {report.given_rank} of {len(report.space_groups)}")
        lines += [f"{given.symbol}: {note}" for note in given.notes if "I > 3 sigma" in note]
    return lines


def _statistics_notes(report: DataReport) -> list[str]:
    statistics = report.statistics
    if not statistics.num_general:
        return ["no general reflections: mean |E^2 - 1| unknown"]
    odds = statistics.log_odds_centrosymmetric
    verdict = "centrosymmetric" if odds > 1.5 else "not centrosymmetric" if odds < -1.5 else "undecided"
    lines = [f"mean |E^2 - 1| {statistics.mean_e2_minus_1:.3f} (0.968 centrosymmetric, 0.736 not): {verdict}"]
    if statistics.num_general > _MIN_GENERAL and _look_like_amplitudes(report):
        lines.append(f"the intensities vary (mean |E^2 - 1| {statistics.mean_e2_minus_1:.3f}) and fall off (B "
                     f"{report.wilson.b:.2f} A^2) too little: is the column |F| and not F^2?")
    return lines


def _look_like_amplitudes(report: DataReport) -> bool:
    """Returns whether the intensities vary and fall off as little as amplitudes do."""
    statistics = report.statistics
    return (statistics.mean_e2_minus_1 < _AMPLITUDES_E2 and not statistics.mean_abs_l > _AMPLITUDES_L) or (
        statistics.mean_e2_minus_1 < _TWINNED_E2 and report.wilson.b < _AMPLITUDES_B)


def _twinning_notes(report: DataReport) -> list[str]:
    statistics, lines = report.statistics, []
    sharp = statistics.mean_e2_minus_1 < _TWINNED_E2 and statistics.mean_abs_l < _TWINNED_L
    if sharp and statistics.num_general > _MIN_GENERAL and not _look_like_amplitudes(report):
        lines.append(f"mean |E^2 - 1| {statistics.mean_e2_minus_1:.3f} and mean |L| {statistics.mean_abs_l:.3f} "
                     "(0.541 and 0.375 for a perfect twin without centre): twinned?")
    elif statistics.num_general > _MIN_GENERAL and _AMPLITUDES_E2 < statistics.mean_e2_minus_1 < _TWINNED_E2:
        lines.append(f"mean |E^2 - 1| {statistics.mean_e2_minus_1:.3f} is below that of untwinned equal atoms: a twin, "
                     "heavy atoms or pseudo-symmetry")
    members = {rotation.tobytes() for rotation in report.laue_symmetry.shown.rotations.astype(np.int32)}
    related = {test.rotation.astype(np.int32).tobytes(): test for test in report.laue_symmetry.rotations}
    for test in report.twin_laws:
        pairs = related[test.rotation.tobytes()]
        if pairs.rotation.tobytes() not in members and pairs.correlation > 0.3 and test.fraction > 0.05:
            lines.append(f"reflections related by {_triplet(test.rotation)} correlate ({pairs.correlation:.2f}, R_int "
                         f"{pairs.r_pairs:.3f}): a twin by it with a fraction of about {test.fraction:.2f}, or "
                         "pseudo-symmetry")
    best = report.space_groups[0].operators.rotations
    centric = bool((best == -np.eye(3, dtype=int)).all((1, 2)).any())
    if centric and statistics.log_odds_centrosymmetric < -1.5 and statistics.num_general > 200:
        lines.append(f"absences and frequency favour the centrosymmetric {report.space_groups[0].symbol}, the "
                     "intensities do not: a twin, heavy atoms, or another group")
    return lines


def _pseudo_translation_notes(report: DataReport) -> list[str]:
    lines = []
    for shift in report.pseudo_translations[:3]:
        if shift.height >= _PSEUDO_TRANSLATION:
            vector = " ".join(f"{value:.3f}" for value in shift.vector)
            lines.append(f"Patterson peak of {100 * shift.height:.0f}% of the origin at {vector}: pseudo-translation, "
                         "or heavy atoms so far apart")
    return lines


def _cell_notes(report: DataReport, cell: np.ndarray, has_composition: bool) -> list[str]:
    contents, wilson, lines = report.contents, report.wilson, []
    if has_composition and np.isfinite(contents.ratio):
        text = (f"{contents.volume_per_atom:.1f} A^3 for each non-hydrogen atom, the cell has {contents.ratio:.2f} "
                "times the volume that the elements usually take")
        lines.append(text + (": the cell, Z or the formula may be wrong" if contents.is_unusual else ""))
    else:
        lines.append(f"no composition: a cell of {contents.volume:.0f} A^3 holds some {contents.num_atoms:.0f} "
                     "non-hydrogen atoms")
    lines.append(f"Wilson plot: scale {wilson.scale:.4g}, B {wilson.b:.2f} ({wilson.b_sigma:.2f}) A^2"
                 + (" from carbon at the usual density" if not has_composition else ""))
    if wilson.b < -2 * max(wilson.b_sigma, 0.25):
        lines.append("B is negative: the cell, the wavelength, the composition or the kind of intensities is wrong")
    if wilson.anisotropy > _STRONG_ANISOTROPY and wilson.anisotropy > 5 * wilson.anisotropy_sigma:
        lines.append("the fall-off is strongly anisotropic (B along a*, b*, c* "
                     + ", ".join(f"{value:.1f}" for value in wilson.b_axes) + " A^2)")
    scale, limits = report.axis_scale, report.axis_limits
    if suggests_wrong_cell(scale):
        edge = cell[scale.axis]
        lines.append(f"with {'abc'[scale.axis]} = {edge * scale.factor:.2f} A instead of {edge:.2f} A the data would "
                     f"fill a sphere ({100 * scale.best_overlap:.0f}% against {100 * scale.overlap:.0f}%): the cell "
                     "may be wrong")
    elif np.isfinite(limits).all() and limits.max() / limits.min() > _UNEQUAL_LIMITS:
        lines.append("the data end at " + ", ".join(f"{value:.2f}" for value in limits) + " A along a*, b*, c*: a part "
                     "of reciprocal space was not measured, or the cell is wrong")
    if report.wavelength * report.quality.d_min > 0 and report.wavelength / (2 * report.quality.d_min) > 1.001:
        lines.append(f"reflections to {report.quality.d_min:.3f} A cannot be measured with {report.wavelength:.4f} A: "
                     "the cell or the wavelength is wrong")
    if report.metric_mismatch > _METRIC_TOLERANCE:
        lines.append(f"the cell {' '.join(f'{value:g}' for value in cell)} breaks the symmetry given by "
                     f"{100 * report.metric_mismatch:.1f}%")
    return lines


def _triplet(rotation: np.ndarray) -> str:
    """Returns a rotation (3, 3) as "-x,y,-z"."""
    terms = []
    for row in rotation.tolist():
        text = ""
        for value, letter in zip(row, "xyz", strict=True):
            if value:
                sign = "-" if value < 0 else "+" if text else ""
                text += sign + ("" if abs(value) == 1 else str(abs(value))) + letter
        terms.append(text or "0")
    return ",".join(terms)
