"""Binary shapes and densities on a grid of 31^3 voxels, the common geometry of the package.

In reading order:

    voxels                 the geometry; atoms to occupancy maps, packed bits, rotations
    densities              what atoms and their shell of bound water put on the grid
    batches                occupancy maps of many structures at once
    connectivity           the largest connected region of a map, fast enough for the search
    descriptors            numbers that say what makes a shape difficult
    made_shapes            synthetic shapes, for the training set
    principal_components   the linear code of shapes that the auto-encoder must surpass
    validation_split       which structures are for validation
    duplicates             structures of a corpus that have the shape of a reference
    atom_numbers           size and mass of a known structure
"""
