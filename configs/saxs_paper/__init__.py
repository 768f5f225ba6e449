"""Configs that reproduce the auto-encoder of the SAXS paper (H. He, C. Liu, H. Liu, iScience 23, 100906).

* `stage1`: the first stage of the paper's training, 3000 latent numbers.
* `stage2`: the second stage, 200 latent numbers behind the frozen convolutions of the first.
* `direct`: 200 latent numbers without a first stage, which the paper reports not to converge.
"""
