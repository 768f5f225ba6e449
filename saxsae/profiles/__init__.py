"""Scattering curves: preparation of measured ones, and profiles computed from shapes and atoms.

In reading order:

    guinier            radius of gyration and forward intensity of a measured curve
    curve_quality      measures of a curve by which `saxsae.verdict` judges it
    noise              standard deviations of a curve, estimated from its own scatter
    rebinning          the points of a curve in a range of q, and their averages in bins
    zernike            Zernike moments of a shape on the 31^3 grid
    scattering         the profile I(q) of a shape at any radius, and its chi^2 with a curve
    excess_electrons   what atoms scatter in water
    hydration          profiles of densities of atoms with a shell of bound water
    fitting            the scale and background of a profile on a measured curve
    structure_fit      the curve of a known structure, fitted to a measured curve
    simulation         noisy curves computed from known structures
"""
