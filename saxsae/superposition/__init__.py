"""Superposition of maps, and the measures and baselines of a reconstruction.

In reading order:

    rotations           the overlap of two shapes in all orientations at once, by a fast Fourier transform
    interpolation       values and gradients of a map between its voxels
    alignment           the best rotation, shift and hand of one map on another
    averaging           maps superposed on their own mean
    point_groups        the point groups that can be imposed on a shape
    symmetry            the axes of a point group in a shape, and averages over the group
    ensemble            how the models of one curve differ: pairs, outliers, clusters
    resolution          the Fourier shell correlation of two maps
    spatial_discrepancy the normalized spatial discrepancy (NSD) of shapes
    metrics             the correlation of a map with a known structure, by which every method is judged
    baselines           what a reconstruction must beat: a sphere, and ellipsoids
"""
