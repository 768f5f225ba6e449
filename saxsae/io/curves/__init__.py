"""Reads measured SAXS curves from the files of instruments and data banks, and writes curves and fits.

In reading order:

    measured_curves   `read_curve`, the one entry for every format; writes curves (.dat) and fits (.fit)
    columns           reads text columns: chooses the table of a file that is I(q), and converts it if necessary
    tables            parses a text into its tables of numbers
    column_roles      finds which columns are q, intensity and sigma
    column_names      reads the names above the columns
    transforms        recognizes by its numbers what is not I(q): logarithms, Kratky plots, p(r), points of a plane
    abscissa          converts 2 theta and s = 2 sin(theta) / lambda to q
    formats           reads GNOM output, sasCIF, canSAS XML and NXcanSAS HDF5; names binary files
    cleaning          drops unusable points, averages repeated ones, and estimates missing standard deviations
    stated_units      reads what a file says about the unit of q
    units             decides whether q is in 1/A or 1/nm
    stated_concentration   reads what a header says about the concentration of the sample

The format is recognized by the content, not by the name. Every assumption and every dropped point becomes a note, which
`launch.reconstruct` prints.
"""
