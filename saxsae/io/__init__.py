"""Reads and writes the files of saxsae.

Readers raise `phasenet.errors.InputError` with a one-line message that names the file and the fault.

    curves       measured SAXS curves: reads text columns, GNOM output and sasCIF; writes text columns
    structures   atoms and bead models: reads PDB, mmCIF and NumPy archives (.npz); writes PDB and archives
    servers      downloads entries of the Protein Data Bank and of the SASBDB

Density maps (CCP4/MRC) and released weights are read and written by `phasenet.io`.
"""
