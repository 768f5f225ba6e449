"""Reads and writes the files of phasenet, and the low-level formats that saxsae shares.

Readers of a user's files recognize the format by the content, not by the name, and raise `phasenet.errors.InputError`
with the file and what is wrong. In reading order:

    patterson_maps   reads a Patterson map: NumPy array (.npy), or CCP4/MRC map (.ccp4, .map, .mrc, also gzipped)
    amplitudes       reads amplitudes |F|: NumPy array (.npy), or text with rows h k l F; returns their Patterson map
    reflections/     reads measured crystals: SHELX, CIF, MTZ
    servers/         downloads entries of the Crystallography Open Database
    crystal_structures   writes solved crystals: SHELX .res, CIF, PDB
    positions        writes atoms: a table (.csv), .xyz, PDB
    ccp4             reads and writes density maps: CCP4/MRC
    releases         reads and writes released weights: `config.json` and NumPy archives (.npz)
    npy, npz         read NumPy arrays and archives without pickle, checked before memory is allocated
    decompression    limits how much a compressed file may unpack to
    atomic_writes    writes a file completely or not at all

saxsae uses `releases`, `npz`, `decompression`, `atomic_writes` and `servers`; its launches write their maps with
`ccp4`.
"""
