"""Configs that reproduce the Patterson paper (D. Hurwitz, arXiv:2003.13767).

* `published`: the paper's training, section 2: 10 atoms, maps of 40^3, the network of 1,202,821 weights.
* `public_code`: the same training by the rules of the paper's public code, where these differ from its text.
* `comparison`: the baseline of the trainings from scratch (figures 8 and 9).
* `single10`, `single20`: trained without the inverse of the atoms (figure 8).
* `box18`, `box24`: atoms in larger boxes (figure 9).
* `batch_norm`: with batch normalization (section 2.3).
* `twin`: the baseline and its five variants at small scale, minutes each on a CPU.
* `corner`, `atoms20`, `atoms40`: experiments that the paper proposes and does not report.
"""
