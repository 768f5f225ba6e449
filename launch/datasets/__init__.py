"""Parts of `launch.prepare_structures`, and launches that make training data, constants and shipped examples.

* `structure_sources`: loads structures from a folder, an archive or a list of PDB ids.
* `evaluation_leakage`: removes the evaluation's references, and structures of their shape, from a training corpus.
* `random_poses`: turns structures at random and adds synthetic shapes.
* `held_out`: structures of the validation split with simulated curves, for `launch.evaluate --task=confidence`.
* `make_bank`: the launch that makes the bank of structures of a release of saxsae.
* `fit_confidence`: the launch that fits the constants of the stated confidence of a release of saxsae.
* `calibrate_curve_numbers`: the launch that finds the constants of D_max and of the mass from a curve.
* `make_crystals`: the launch that makes crystals, on which the network of phasenet for measured ones is trained.
* `make_curve_example`: the launch that makes saxsae/examples.
* `make_patterson_example`: the launch that makes phasenet/examples, or a map for any released weights.
* `make_crystal_example`: the launch that makes the crystal of phasenet/examples.
"""
