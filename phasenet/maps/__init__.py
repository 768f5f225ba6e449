"""Atoms, densities, Patterson maps and reflections: the physics that the networks and the search share.

In reading order:

    atoms            draws random atoms that do not overlap
    density          atoms to a density on voxels: exact spheres, or Gaussians
    patterson        a density to its Patterson map; resolution, noise, origin and scale of such a map
    synthesis        `Problem`: what a map's atoms are like; examples to train on: a Patterson map and its target
    reflections      which reflections are compared, and how well two sets of intensities agree
    absolute_scale   a measured Patterson map to the scale of its atoms
    point_atoms      the fast model that the search refines: atoms as points with a form factor

The product and the reproduction of the paper share this folder, except for `point_atoms`, which only the product's
search uses. "The paper" is D. Hurwitz, arXiv:2003.13767, in every module here.
"""
