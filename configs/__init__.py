"""What can be trained: one file with `get_config()` for each training; README.md in this folder is the table.

* `phasenet_dual_space`, `phasenet_small`, `saxsae_lean`: the trainings of the released weights.
* `phasenet_small_convolutional`, `phasenet_dense`, `saxsae_lean_refined`: variants that are not released.
* `patterson_paper`, `saxs_paper`: the trainings of the two papers.
"""
