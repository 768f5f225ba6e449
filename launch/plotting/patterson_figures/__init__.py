"""Reproduces the figures of the Patterson paper from runs of this repository, for `launch.figures`.

* `all_figures`: draws a figure by its name.
* `geometry`: figures 1, 4, 5 and 6, what a Patterson map tells and what it does not.
* `network`: figure 2, the layers of the network.
* `maps`: figures 3 and 10, maps of atoms in three dimensions; `voxels` draws them.
* `training`: figures 7 to 9b, losses of trainings.
* `solutions`: figures 11 and 12, the annealer's error and the distances from the true atoms.
* `certificate`: chi^2 of right and of wrong results, a figure that is not in the paper.
"""
