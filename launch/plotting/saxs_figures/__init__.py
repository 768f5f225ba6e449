"""Reproduces the figures of the SAXS paper from runs of this repository, for `launch.figures`.

* `all_figures`: one function for each figure.
* `samples`: shapes of random codes, a figure that is not in the paper.
* `shapes`: draws views and sections of a shape, also for `launch.reconstruct`.
* `render`: the shaded surfaces, balls and cubes of these views.
"""
