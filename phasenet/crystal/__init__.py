"""Measured crystals: from reflections of any lattice to the atoms of the unit cell.

In reading order:

    lattice            unit cell, space-group operators and resolution, as arrays
    measured/          judges the data before anything is solved: merging, statistics, Laue group, space groups
    form_factors       scattering of the elements, for X-rays, electrons and neutrons
    normalisation      unique reflections, Wilson plot, sharpened amplitudes
    grids              the grid of the cell and its symmetry
    phasing            phases a crystal in P1, from random phases
    learned/           the same with corrections by a trained network
    one_atom_moves     phases a small crystal by moving one atom at a time
    origin             finds the origin of the symmetry in a map, and averages the map over the group
    refinement/        atoms from a map, least squares, atoms added and exchanged, what R1 proves
    connectivity       bonds, and the unique atoms assembled as molecules
    solve              runs these steps: `solve_crystal`
    plausibility       tests a model for unusual bonds and for an inversion that its group lacks
    symmetry_copies    all atoms of the cell; for pictures whole and neighbouring molecules
    made/              made (synthetic) crystals for examples, tests and training, and their measurement
"""
