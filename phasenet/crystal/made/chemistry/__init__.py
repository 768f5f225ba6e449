"""What chemistry says about made crystals.

In reading order:

    fragments      pieces of molecules with ideal geometry, solvents and counter-ions
    ligands        what binds metal atoms, coordination polyhedra
    contacts       shortest distances between atoms
"""
