"""Judges the data of a measured crystal before anything is solved.

In reading order:

    merging               equivalent reflections averaged; R_int and its relatives
    wilson                scale, B and anisotropy of the fall-off; normalised intensities E^2
    data_quality          completeness and strength by resolution; where the data end in noise
    intensity_statistics  mean |E^2 - 1|, N(z), tests for twinning, pseudo-translation
    packing               volume of the unit cell against its contents
    cell_check            whether the indices fill a sphere, whether the cell has its symmetry
    laue_symmetry         the Laue group that the intensities obey
    absences              lattice centring, glide planes and screw axes as evidence
    space_groups          every space group of a Laue class, ranked
    report                all of these in one named tuple
    notes                 what a crystallographer would say about the report
    judgement             `judge_data`, which makes the report
"""
