"""Made crystals: structures drawn at random by the rules of chemistry, and their measurement.

In reading order:

    fragments      pieces of molecules with ideal geometry
    contacts       shortest distances between atoms
    unit_cells     space groups with their frequencies, unit cells
    growth         a crystal that is filled with fragments without clashes
    packing        molecules grown in a unit cell
    compression    pressed together to the density of real crystals
    crystals       the whole way: `draw_crystal`
    arrays         many crystals as a few arrays
    measurement    structure factors, errors, what is missing: `measure`
"""
