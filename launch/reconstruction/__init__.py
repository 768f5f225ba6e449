"""The parts of `launch.reconstruct`.

* `curve_reading`, `curve_run`: read and judge a curve; find its shape and write its output folder.
* `files`, `page`, `report`, `reference`, `stream`: the output folder, report.html, what is printed and logged, the
  comparison with a known structure, the progress for other programs.
* `input_files`, `batch`, `batch_table`, `series`: many curves: which files they are, the run, the table of all, and how
  Rg and I(0)/c move with the concentration.
"""
