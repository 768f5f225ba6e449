"""Finds the atoms of a Patterson map: by the product's search, and from a network's map, as the paper does.

The product: `atom_search` finds atoms and tests them. One search takes these steps:

1. Starts: the network's atoms, then random ones (`atom_search`; the atoms come from `maps.atoms`).
2. Refinement from coarse to fine: least squares at rising resolution, with point atoms (`refinement`).
3. Moves of single atoms to the places where they lower the misfit most, each trial refined (`relocation`).
4. Perturbation: if the moves gain no more, some atoms are put at random places; back to 3 (`atom_search`).
5. Restart: if the perturbations gain nothing either, new random starts; back to 1 (`atom_search`).
6. Certificate: atoms with a small misfit are refined against the exact density (`refinement`). The map is solved if
   these atoms leave nothing but noise, and ambiguous if other atoms do so too or a position is uncertain
   (`certificate`).

`counting` repeats the search with other numbers of atoms. `superposition` makes starts from the peaks of the Patterson
map; no launch uses it.

The network stage: `network_stage` takes a network's map to atoms, for the product's starts and for the paper
(D. Hurwitz, arXiv:2003.13767, section 2.4.4):

1. Candidates: peaks of the map (`peaks`, the paper's picker) or atoms fitted to the map (`fitting`, the default).
2. Inverses: a map that shows atoms and inverse together gives each candidate and its inverse (`peaks`).
3. Annealing: chooses the candidates whose Patterson map is the measured one (`annealing`).
"""
