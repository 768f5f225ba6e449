"""Scattering curves: analysis of measured ones, and profiles computed from shapes.

In reading order:

    guinier          radius of gyration and forward intensity of a measured curve
    pair_distances   P(r) by Bayesian indirect transform
    molecular_mass   masses by four methods, from integrals over a curve
    noise            standard deviations of a curve, estimated from its own scatter
    rebinning        curves averaged to a fixed number of points
    zernike          Zernike moments of a shape on the 31^3 grid
    scattering       the profile I(q) of a shape at any radius, and its chi^2 with a curve
    simulation       noisy curves computed from atoms, for tests whose answer is known
"""
