"""Atoms, densities, Patterson maps and reflections: the physics that the networks and the search share.

In reading order:

    atoms            draws random atoms that do not overlap
    density          computes the density of atoms on voxels: exact spheres, or Gaussians
    patterson        computes the Patterson map of a density; sets resolution, noise, origin and scale of such a map
    synthesis        `Problem`: what a map's atoms are like; makes training examples: a Patterson map and its target
    reflections      selects the reflections to compare, and tells how well two sets of intensities agree
    absolute_scale   brings a measured Patterson map to the scale of its atoms
    point_atoms      the fast model that the search refines: atoms as points with a form factor

The product (`phasenet.pipeline`) and the reproduction of the paper share this folder, except for `point_atoms`, the
model of the product's search. "The paper" is D. Hurwitz, arXiv:2003.13767, in every module here.
"""
