"""Figures, drawn by matplotlib without a display.

* `style`: the settings, colours and small parts that all figures share.
* `runs`: the pictures of `launch.reconstruct`: chi^2 by generation, and the fit to the curve.
* `scaling`: the picture of `launch.benchmark --suite=scaling`.
* `missing`: the error of a figure whose input was not given.
* `crystal_verdicts`, `crystal_resolutions`, `crystal_statistics`, `crystal_scaling`: figures of crystals, for
  `launch.figures`; the last draws what `launch.benchmark --suite=crystal_scaling` measured.
* `saxs_figures`, `patterson_figures`: the figures of the two papers, for `launch.figures`.
"""
