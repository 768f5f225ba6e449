"""Atoms of a phased crystal: found in its map, refined, completed and judged.

In reading order:

    peaks              atoms from a map
    least_squares      refines atoms against F
    completion         adds, removes and exchanges atoms
    verdict            what R1 proves
    twinning           laws and fractions of twins by a rotation of the lattice, detwinned intensities
    twin_refinement    a model refined against both components of a twin
    standard_deviations of coordinates, from the normal equations
    density_maps       F_obs and F_obs - F_calc on an absolute scale
    absolute_structure the hand, by anomalous scattering
"""
