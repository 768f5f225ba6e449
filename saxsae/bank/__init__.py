"""The corpus as the prior of a shape: its structures scored against a curve, and the best of them fitted to it.

In reading order:

    structure_bank  codes, sizes and profiles of known structures
    scoring         all structures against a curve, in a few matrix products
    descent         gradient steps in code and size, from the best structures
"""
