"""Parts of `launch.prepare_structures`, and the launches that made the shipped examples.

* `structure_sources`: loads structures from a folder, an archive or a list of PDB ids.
* `evaluation_leakage`: removes the evaluation's references, and structures of their shape, from a training corpus.
* `random_poses`: turns structures at random and adds made-up shapes.
* `make_bank`: the launch that makes the bank of structures of a release of saxsae.
* `make_crystals`: the launch that makes crystals, on which the network of phasenet for measured ones is trained.
* `make_curve_example`: the launch that makes saxsae/examples.
* `make_patterson_example`: the launch that makes phasenet/examples, or a map for any released weights.
"""
