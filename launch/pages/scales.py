"""Says beside each number of report.html what is good and what is bad, as the user guides of the packages do.

The keys are the names of the rows of `launch.reconstruction.report.rows`, `launch.solution.report.rows` and
`launch.crystals.report.rows`.
"""

from collections.abc import Sequence

from phasenet.search.certificate import MAX_STANDARD_DEVIATION

SCALES = {
    # launch.reconstruct, as in saxsae/README.md
    "chi^2":
        "Good: about 1; the model fits within the noise. Bad: above 2; the model misses something, or the sigmas are "
        "too small. Far below 1, the sigmas are too large.",
    "mean relative residual":
        "Good: about the noise of the curve (0.01 is 1% of the intensity). Bad: more than the noise.",
    "r_max":
        "The largest distance of an atom from the centroid. Its median error on measured curves is 11.5%. Bad: the "
        "models differ by more; the curve does not fix the size.",
    "Rg":
        "Good: within a few percent of Guinier's, which needs q Rg up to 1.3 at most. Bad: farther off; no clean "
        "Guinier region, or a bad fit at low q.",
    "symmetry":
        "Imposed, not found. The logarithm is that of a ratio of likelihoods before the steps. Above 6, or with a "
        "chi^2 above 1.3 times that without: the curve speaks against the symmetry. Otherwise the curve allows the "
        "symmetry, as it allows many.",
    "RSC of the models":
        "Real-space correlation (Grant, 2018). Good: above 0.9; the models are of one shape. Bad: below 0.8; several "
        "shapes fit, look at the single models.",
    "RSC of pairs of models":
        "The same between any two models. Pairs differ more than a model and the mean do.",
    "NSD of pairs of models":
        "Normalized spatial discrepancy (Kozin and Svergun, 2001). By the guide of RAW, good: below 0.6, one shape. "
        "Bad: above 1.0, several.",
    "resolution of the models":
        "How fine the models agree: where the Fourier shell correlation falls to 0.5, as in DENSS (Grant, 2018). The "
        "truth may differ from all.",
    "left out of the mean":
        "Models more than two standard deviations worse than the mean, which DENSS and DAMAVER leave out too. Chance "
        "alone leaves out about 1 in 40.",
    "clusters of models":
        "More than one: shapes of different kinds fit the curve. Each has its own mean, cluster_A.ccp4 and so on.",
    "expected correlation":
        "With the true shape, learned from curves of known structures. Good: 0.9 and above. A fitted ellipsoid reaches "
        "0.87 on measured curves.",
    "expected resolution":
        "The smallest details that can be expected to be true. Good: 20 A or finer. Larger bodies have coarser ones.",
    "made of":
        "Structures of the corpus whose profiles fit the curve best, and of which the models were made. Good: a misfit "
        "near 1 or below. Bad: above 5; nothing in the corpus resembles this shape.",
    "ambiguity":
        "How many structures of the bank fit within noise and model error, as a power of ten. Few are worse than many: "
        "on curves of known structures the maps reach 0.89 below 2, 0.94 from 2 to 3, and 0.96 above. AMBIMETER's "
        "limits, 1.5 and 2.5, hold for its own shapes only.",
    "D_max":
        "The largest distance between two atoms. Its median error on measured curves is 7.5%; the 90% interval held "
        "the value of the known model in 65% of them.",
    "Rg from P(r)":
        "Good: within the errors of Guinier's. Bad: larger; aggregates.",
    "molecular mass":
        "From the curve alone: the median of four methods. Its median error on measured curves is 9%; that of each "
        "method is 10 to 13%. Good: they and the volume of the map agree within 20 to 25% (guide of RAW). The 90% "
        "interval held the known mass in 68% of measured curves.",
    "mass on absolute scale":
        "From I(0) in 1/cm and the concentration, whose error, some 10%, adds to the interval. Bad: far from the "
        "molecular mass above; the concentration or the calibration to 1/cm is wrong, or the sample is no protein.",
    "mass by the standard":
        "From I(0)/c of sample and standard. The errors of both concentrations, some 10% each, add to the interval. "
        "Bad: far from the molecular mass above; a concentration or the standard is wrong.",
    "Porod volume":
        "Of the particle with what it binds; about 1.6 A^3 for a Dalton.",
    "Kratky peak":
        "Of (q Rg)^2 I / I(0): 1.10 at q Rg = 1.73 for a compact particle (Durand, 2010); higher and farther out, "
        "elongated or flexible.",
    "Shannon channels":
        "Independent numbers in the curve, (q_max - q_min) D_max / pi (Moore, 1980). A shape has far more; the corpus "
        "fills them in.",
    "correlation with reference":
        "1: the same shape. On measured curves the mean is 0.923; a fitted ellipsoid reaches 0.875, a sphere of the "
        "curve's radius of gyration 0.772.",
    "curve of the reference":
        "chi^2 of the known structure's own curve. About 1, and CorMap p above 0.01: the structure explains the curve. "
        "Above that of the models: the body in solution differs, by flexible or missing parts, or another assembly.",
    "candidate":
        "chi^2 of each structure's own curve, the best first. All are fitted to the same points. Where values hardly "
        "differ, the curve does not decide.",
    # launch.solve --reflections
    "R1":
        "Good: below the limit of the chart of R1 against reflections per parameter. Without hydrogens and with one B "
        "an atom, right structures end at 0.05 to 0.17; refinement with SHELXL lowers it. Bad: above the upper limit.",
    "wR2":
        "Of F^2, all reflections. Good: about 2 to 3 times R1. Bad: far more.",
    "twin":
        "The share of the second component: a property of the crystal, not a quality. It is named only if it is larger "
        "than 0.03 and 5 standard deviations and lowers R1 by more than 0.01.",
    "space group":
        "See the table of space groups: how the data rank them, and what was tried.",
    "resolution":
        "Good: 1.0 A or better, and more than 5 reflections per parameter. Bad: beyond 1.2 A, or fewer than 3.5; then "
        "wrong atoms fit as well.",
    "unique reflections":
        "After merging symmetry equivalents.",
    "unique atoms":
        "Good: as many as the composition has without hydrogen.",
    "highest difference":
        "What the atoms leave unexplained. Good, with X-rays: below about 1 e/A^3 where no heavy atom is near; "
        "hydrogens give 0.5 to 1. Bad: as high as a missing atom, 2 and more.",
    "deepest difference":
        "Good: as small as the highest. Bad: deep at an atom, which then is of too heavy an element or in a wrong "
        "place.",
    "symmetry of the map":
        "The map was phased without symmetry. Good: 0.3 to 1. Bad: near 0; phases or space group are wrong.",
    "start":
        "The number of the start from random phases that gave the best model.",
    # launch.solve, as in phasenet/README.md
    "atoms":
        "Good: as many as you expect. Without --num_atoms the number is estimated from the map.",
    "candidates":
        "Good: at least as many as atoms. Bad: fewer; the network did not see every atom.",
    "correlation":
        "1: the maps are equal; noise lowers it. A high correlation alone proves nothing: see the verdict.",
    "R factor":
        "0: the amplitudes are equal. Good: at most the noise of the amplitudes. Bad: more; the atoms explain "
        "only a part of the map.",
    "standard deviation":
        f"Good: at most {MAX_STANDARD_DEVIATION:g} voxel. Bad: more; the data do not fix every atom, and the verdict "
        "is ambiguous.",
}


def scales_of(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns what is good and bad in each row (name, value, remark) of a table."""
    return [SCALES[row[0]] for row in rows]
