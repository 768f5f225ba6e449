"""Makes synthetic crystals ("made" crystals): structures drawn at random by the rules of chemistry, and their data.

In reading order:

    chemistry/         pieces of molecules, ligands, shortest distances
    unit_cells         space groups with their frequencies, unit cells
    special_positions  points that operators leave where they are
    rotations          rotations and frames
    growth             a crystal that is filled with fragments without clashes
    complexes          metal atoms and their ligands
    packing            molecules grown in a unit cell
    minerals           ions packed in a unit cell
    compression        the cell pressed together to the density of real crystals
    crystals           runs these steps: `draw_crystal`
    arrays             many crystals as a few arrays
    measurement        structure factors, errors, what is missing: `measure`
"""
