"""What a measured curve says without a model.

In reading order:

    pair_distances         P(r) by Bayesian indirect transform
    molecular_mass         masses by four methods, from integrals over a curve
    mass_by_concentration  masses from I(0)/c, on absolute scale or by a standard
    curve_report           all numbers of a curve: size, P(r), mass, compactness, information content
    concentration_series   how Rg and I(0)/c of one sample change with its concentration
"""
