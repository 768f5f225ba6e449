"""The parts of `launch.reconstruct`.

* `curve_reading`, `curve_run`: read and judge a curve; find its shape and write its output folder.
* `files`, `page`, `report`, `reference`, `stream`: the output folder, report.html, what is printed and logged, the
  comparison with a known structure, the progress for other programs.
* `input_files`, `batch`, `batch_table`, `series`: for many curves, the choice of files, the run, the table of results,
  the concentrations (also of one curve), and the change of Rg and I(0)/c with them.
"""
