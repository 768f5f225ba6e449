"""Finds the atoms of a phased crystal in its map, refines and completes them, and judges the fit.

In reading order:

    peaks              atoms from a map
    least_squares      refines atoms against F
    completion         adds, removes and exchanges atoms
    elements           the element of each atom, by its density and its bonds
    free_composition   the same as `completion`, where the number of atoms of each element is not known
    verdict            what R1 proves
    twinning           laws and fractions of twins by a rotation of the lattice, detwinned intensities
    twin_refinement    a model refined against both components of a twin
    standard_deviations of coordinates, from the normal equations
    density_maps       F_obs and F_obs - F_calc on an absolute scale
    absolute_structure the hand, by anomalous scattering
"""
