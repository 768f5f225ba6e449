"""Atoms of a phased crystal: found in its map, refined, completed and judged.

In reading order:

    peaks              atoms from a map
    least_squares      refines atoms against F
    completion         adds, removes and exchanges atoms
    verdict            what R1 proves
    absolute_structure the hand, by anomalous scattering
"""
