"""The bank of known structures, the prior of a shape: scores its structures against a curve and fits the best ones.

In reading order:

    structure_bank  codes, sizes and profiles of known structures
    scoring         the misfits of all structures, in a few matrix products
    descent         gradient steps in code and size, from the best structures
"""
