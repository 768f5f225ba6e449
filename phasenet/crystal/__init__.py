"""Measured crystals: from reflections of any lattice to the atoms of the unit cell.

In reading order:

    lattice            unit cell, space-group operators and resolution, as arrays
    measured/          judges the data before anything is solved: merging, statistics, Laue group, space groups
    form_factors       scattering of the elements, for X-rays, electrons and neutrons
    normalisation      unique reflections, Wilson plot, sharpened amplitudes
    grids              the grid of the cell and its symmetry
    phasing            phases in P1 from random ones
    learned/            the same with corrections by a trained network
    one_atom_moves     phases of small crystals by moving one atom at a time
    origin             the symmetry of a map: its origin, and the average over the group
    refinement/        atoms from a map, least squares, atoms added and exchanged, what R1 proves
    connectivity       bonds, and the unique atoms put together as molecules
    solve              the whole way: `solve_crystal`
    plausibility       bonds and inversions of a model, beside its R1
    symmetry_copies    all atoms of the cell; for pictures whole and neighbouring molecules
    made/              made crystals for examples, tests and training, and their measurement
"""
