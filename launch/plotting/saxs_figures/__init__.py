"""Reproduces the figures of the SAXS paper from runs of this repository, for `launch.figures`.

* `all_figures`: one function for each figure.
* `samples`: shapes of random codes, a figure that is not in the paper.
* `shapes`: views and sections of a shape; `launch.reconstruct` draws its picture with them.
* `render`: the shaded surfaces, balls and cubes of these views.
"""
