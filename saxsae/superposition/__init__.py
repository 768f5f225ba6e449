"""Superposition of maps, and the measures and baselines of a reconstruction.

In reading order:

    rotations   the overlap of two shapes in all orientations at once, by a fast Fourier transform
    alignment   the best rotation, shift and hand of one map on another
    metrics     the correlation of a map with a known structure, by which every method is judged
    baselines   what a reconstruction must beat: a sphere, and ellipsoids
"""
