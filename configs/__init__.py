"""What can be trained: one file with `get_config()` for each training; README.md in this folder is the table.

* The files of this folder: the trainings of the released weights, and variants that are not released.
* `patterson_paper`, `saxs_paper`: the trainings of the two papers.
"""
