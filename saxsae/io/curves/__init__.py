"""Reads measured SAXS curves from the files of instruments and data banks, and writes curves and fits.

In reading order:

    measured_curves   `read_curve`, the one entry for every format; writes curves (.dat) and fits (.fit)
    columns           reads text columns q, intensity, sigma: .dat, .csv, .txt, and the .fit and .sub of ATSAS
    gnom              reads the measured points in the output of GNOM (.out)
    sascif            reads the scan of a deposited entry in sasCIF
    cleaning          drops unusable points, averages repeated ones, and estimates missing standard deviations
    units             decides whether q is in 1/A or 1/nm

The format is recognized by the content, not by the name. Every assumption and every dropped point becomes a note, which
`launch.reconstruct` prints.
"""
