"""Judges measured data before a structure is solved: `judge_data`, which `phasenet.crystal_pipeline` calls.

The report holds, with notes of what a crystallographer would say:

1. Lattice centring and Laue group from the intensities, beside those that were given.
2. Merging, completeness, strength by resolution.
3. Wilson scale and B, distribution of E^2, twinning, pseudo-translation.
4. Volume and contents of the cell, and whether the data end at the same resolution along all axes.
5. Every space group of the Laue class, ranked.

Nothing is dropped and nothing is decided here: a note says what looks odd, and the caller chooses.
"""

from collections.abc import Mapping

import numpy as np

from phasenet.crystal.form_factors import RADIATIONS
from phasenet.crystal.lattice import Intensities, SpaceGroupOperators, find_absences, orthogonalization_matrix
from phasenet.crystal.measured import notes as sentences
from phasenet.crystal.measured.absences import (
    find_centring,
    gather_absence_data,
    summarize_forbidden,
)
from phasenet.crystal.measured.cell_check import axis_limits, find_axis_scale, metric_mismatch
from phasenet.crystal.measured.data_quality import assess_quality
from phasenet.crystal.measured.intensity_statistics import (
    IntensityStatistics,
    TwinLawTest,
    estimate_twin_fraction,
    find_pseudo_translations,
    intensity_statistics,
    within_resolution,
)
from phasenet.crystal.measured.laue_symmetry import LaueSymmetry, find_laue_symmetry
from phasenet.crystal.measured.merging import Merged, laue_rotations, merge, select_reflections
from phasenet.crystal.measured.packing import assess_contents
from phasenet.crystal.measured.report import DataReport
from phasenet.crystal.measured.space_groups import SpaceGroupCandidate, laue_operators, rank_space_groups
from phasenet.crystal.measured.wilson import fit_wilson, normalized_intensities
from phasenet.errors import InputError

_MIN_REFLECTIONS = 5  # fluorite to 1.5 A has no more


def judge_data(
    reflections: Intensities,
    cell: np.ndarray,
    operators: SpaceGroupOperators | None = None,
    composition: Mapping[str, float] | None = None,
    wavelength: float | None = None,
    radiation: str = "xray",
) -> DataReport:
    """Returns a report on measured reflections.

    Args:
      reflections: N measurements, merged or not, with or without systematic absences.
      cell: (6,) a, b, c in Angstrom, alpha, beta, gamma in degrees.
      operators: the space group the user gave; None finds lattice and Laue group from the data.
      composition: atoms in the whole unit cell by element symbol.
      wavelength: in A.
      radiation: "xray", "electron" or "neutron".

    Raises:
      InputError: the cell has no volume, a reflection cannot be used, or fewer than five reflections are allowed.
    """
    if radiation not in RADIATIONS:
        raise InputError(f"radiation {radiation}: expected one of {', '.join(RADIATIONS)}")
    cell = np.asarray(cell, np.float64)
    orthogonalization_matrix(cell)
    reflections = Intensities(np.asarray(reflections.hkl, np.int32), np.asarray(reflections.intensity, np.float64),
                              np.asarray(reflections.sigma, np.float64))
    all_merged = merge(reflections, np.eye(3, dtype=np.int32)[None])
    shown_lattice = find_centring(reflections, cell, radiation)
    lattice = shown_lattice if operators is None else laue_operators(np.eye(3)[None], operators)
    lattice_absences = summarize_forbidden(all_merged, find_absences(all_merged.hkl, lattice))
    present = ~find_absences(reflections.hkl, lattice)
    if present.sum() < _MIN_REFLECTIONS:
        raise InputError(f"{present.sum()} of {len(present)} reflections are allowed by the lattice: expected "
                         f"{_MIN_REFLECTIONS} or more; is the centring right?")
    used = Intensities(*(column[present] for column in reflections))
    symmetry = find_laue_symmetry(used, cell, lattice, radiation)

    rotations = symmetry.shown.rotations if operators is None else laue_rotations(operators.rotations)
    laue = laue_operators(rotations, lattice)
    merged = merge(used, laue.rotations)
    d_noise = assess_quality(used, merged, cell, laue).d_noise
    allowed = merged if operators is None else select_reflections(merged, ~find_absences(merged.hkl, operators))

    shown = laue_operators(symmetry.shown.rotations, lattice)
    shown_merged = merge(used, shown.rotations)
    data = gather_absence_data(shown_merged, cell, shown, radiation)
    e2, e2_sigma = normalized_intensities(shown_merged, cell)
    above_noise = within_resolution(shown_merged, cell, d_noise)
    statistics = intensity_statistics(shown_merged, e2, e2_sigma, shown, above_noise)
    contents = assess_contents(cell, composition)
    groups = rank_space_groups(data, shown, statistics.log_odds_centrosymmetric,
                               None if composition is None else contents.is_organic, operators)
    # Systematic absences would make a pseudo-translation of every glide plane and screw axis.
    likely = ~find_absences(shown_merged.hkl, groups[0].operators) & above_noise
    # Intensities that the given or likeliest group forbids are not missing.
    counted = groups[0].operators if operators is None else operators
    quality = assess_quality(used, merged, cell, counted)
    report = DataReport(
        radiation=radiation,
        wavelength=np.nan if wavelength is None else float(wavelength),
        lattice=lattice,
        shown_lattice=shown_lattice,
        lattice_absences=lattice_absences,
        laue=laue,
        laue_symmetry=symmetry,
        merged=merged,
        quality=quality,
        wilson=fit_wilson(allowed, cell, composition, radiation, laue.rotations),
        contents=contents,
        statistics=statistics,
        twin_laws=_twin_laws(symmetry, shown_merged, statistics),
        pseudo_translations=find_pseudo_translations(
            select_reflections(shown_merged, likely), e2[likely], cell, shown),
        axis_limits=axis_limits(merged.hkl, cell, laue.rotations),
        axis_scale=find_axis_scale(merged.hkl, cell, counted),
        metric_mismatch=0.0 if operators is None else metric_mismatch(cell, operators.rotations),
        space_groups=groups,
        given_rank=None if operators is None else _rank_of(operators, groups),
        notes=(),
    )
    return report._replace(notes=sentences.write_notes(report, cell, operators, composition is not None))


def _twin_laws(
    symmetry: LaueSymmetry, merged: Merged, statistics: IntensityStatistics
) -> tuple[TwinLawTest, ...]:
    """Returns the test of one rotation of each coset of the crystal's Laue group in the lattice's."""
    group = symmetry.shown.rotations
    members = {rotation.tobytes() for rotation in group.astype(np.int32)}
    tests = []
    for test in symmetry.rotations:
        rotation = test.rotation.astype(np.int32)
        if rotation.tobytes() not in members:
            tests.append(estimate_twin_fraction(
                merged, group, rotation, 1.0 if statistics.log_odds_centrosymmetric > 0 else 0.0))
            members |= {(rotation @ member).astype(np.int32).tobytes() for member in group}
    return tuple(tests)


def _rank_of(operators: SpaceGroupOperators, groups: tuple[SpaceGroupCandidate, ...]) -> int:
    """Returns the place of a space group among the candidates, from 1; 0 if it is not among them."""
    return next((
        place + 1 for place, candidate in enumerate(groups)
        if candidate.operators.rotations is operators.rotations
        and candidate.operators.translations is operators.translations
    ), 0)
