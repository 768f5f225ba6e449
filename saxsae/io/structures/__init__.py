"""Reads structures (atoms or dummy beads) from files, and writes them.

* `structure_files`: reads one PDB or mmCIF file as a `Structure`; what `launch.reconstruct --reference` reads.
* `pdb_text`: repairs PDB text that breaks the format, before gemmi parses it.
* `atom_table`: a file's atoms as columns, and the rule for which of them scatter.
* `beads`: writes a density's voxels as a bead model in a PDB file.
* `predicted_models`: recognises predicted models, and summarises their pLDDT.
* `corpus`: archives (.npz) of many structures, for training and for the evaluation's references.
* `voxelized_corpus`: the training set on disk, binary shapes of one bit a voxel.
"""
