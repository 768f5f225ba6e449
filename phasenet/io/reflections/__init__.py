"""Reads measured crystals: reflections, cell, symmetry and composition, from the files a crystallographer has.

`read_crystal` reads, `looks_like_reflections` recognizes. In reading order:

    crystal_files       `read_crystal`: reads a file by its content and everything beside it; `CrystalFile`
    hklf                reads rows h k l F^2 sigma: HKLF 3 and 4, by width or by blanks, and what other programs write
    shelx_instructions  reads .ins and .res: CELL, ZERR, LATT, SYMM, SFAC, UNIT, HKLF, TWIN
    cif_blocks          reads the needed items of a CIF, also of one that a strict parser refuses
    cif                 finds cell, symmetry, composition and measured reflections in a CIF, .fcf or mmCIF
    mtz                 reads MTZ files
    user_files          reads texts; finds NAME.ins, NAME.res, NAME.cif beside NAME.hkl
    crystal_facts       `CrystalFacts`, what one file says besides reflections; combines several files
    composition         completes the composition from the caller's formula or elements, and estimates Z
    space_groups        makes operators from LATT and SYMM, triplets or a symbol; tests a cell on them
    formulas            parses formulas and lists of elements
    cleaning            turns rows to F^2 with usable standard deviations; applies the matrix on HKLF
"""
