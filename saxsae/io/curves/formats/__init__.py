"""Reads curves from the formats that are not plain text columns, one module each.

    gnom        the measured points in the output of GNOM (.out)
    sascif      the scan of a deposited entry in sasCIF
    cansas      canSAS XML, versions 1.0 and 1.1
    nxcansas    NXcanSAS and other NeXus HDF5, with h5py
    hdf5_texts  checks the texts of an HDF5 file before the HDF5 library reads them
    binary      names images, workbooks and archives, which are refused
"""
