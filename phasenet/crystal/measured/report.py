"""The report on measured data: every figure that `judgement.judge_data` finds."""

from typing import NamedTuple

import numpy as np

from phasenet.crystal.lattice import SpaceGroupOperators
from phasenet.crystal.measured.absences import AbsenceEvidence
from phasenet.crystal.measured.cell_check import AxisScale
from phasenet.crystal.measured.data_quality import DataQuality
from phasenet.crystal.measured.intensity_statistics import IntensityStatistics, PseudoTranslation, TwinLawTest
from phasenet.crystal.measured.laue_symmetry import LaueSymmetry
from phasenet.crystal.measured.merging import Merged
from phasenet.crystal.measured.packing import CellContents
from phasenet.crystal.measured.space_groups import SpaceGroupCandidate
from phasenet.crystal.measured.wilson import WilsonPlot


class DataReport(NamedTuple):
    """All that the data say before a structure is solved.

    Attributes:
      radiation: "xray", "electron" or "neutron".
      wavelength: in A; NaN if not given.
      lattice: centring used: the given one, else the one that the data show.
      shown_lattice: centring that the data show.
      lattice_absences: measured reflections that `lattice` forbids; the fields below leave them out.
      laue: Laue group and centring that the data were merged in: the given one, else the one that the data show.
      laue_symmetry: the Laue group that the data show and the figures of all others.
      merged: unique reflections of `laue`, absences of glide planes and screw axes among them.
      quality: completeness and strength.
      wilson: scale and B.
      contents: volume of the cell against its contents.
      statistics: distribution of E^2 in the Laue group that the data show.
      twin_laws: tests of the rotations of the lattice that the crystal does not have.
      pseudo_translations: the strongest first.
      axis_limits: (3,) smallest spacing in A measured near a*, b*, c*; NaN where little was measured.
      axis_scale: the change of one cell edge that would make the data fill a sphere best.
      metric_mismatch: largest relative change of the metric tensor by a rotation of the given group.
      space_groups: every group of the Laue class that the data show, the likeliest first.
      given_rank: place of the given group among them, from 1; 0 if it is of another Laue class, None if not given.
      notes: one line each.
    """

    radiation: str
    wavelength: float
    lattice: SpaceGroupOperators
    shown_lattice: SpaceGroupOperators
    lattice_absences: AbsenceEvidence
    laue: SpaceGroupOperators
    laue_symmetry: LaueSymmetry
    merged: Merged
    quality: DataQuality
    wilson: WilsonPlot
    contents: CellContents
    statistics: IntensityStatistics
    twin_laws: tuple[TwinLawTest, ...]
    pseudo_translations: tuple[PseudoTranslation, ...]
    axis_limits: np.ndarray
    axis_scale: AxisScale
    metric_mismatch: float
    space_groups: tuple[SpaceGroupCandidate, ...]
    given_rank: int | None
    notes: tuple[str, ...]
