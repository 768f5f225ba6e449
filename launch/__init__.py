"""The command-line programs. Each is an absl program: `--name=value` flags, `--help` lists them.

* `launch.solve`: finds the atoms in a Patterson map.
* `launch.reconstruct`: finds the 3D shape behind a SAXS curve.
* `launch.serve`: offers `solve` and `reconstruct` on a local web page.
* `launch.fetch_cod`: downloads structures and reflections from the Crystallography Open Database (COD).
* `launch.fetch_sasbdb`: downloads curves and models from the SASBDB.
* `launch.prepare_structures`: makes the voxelized structures that the auto-encoders are trained on.
* `launch.train`: trains a network described by a file of configs/.
* `launch.evaluate`: measures networks and whole pipelines against known answers.
* `launch.benchmark`: measures speed against other programs.
* `launch.figures`: draws the figures of the SAXS and the Patterson paper from our own results.
* `launch.selftest`: checks that JAX computes right numbers on this machine.

`app` runs each program. The parts of the programs lie in these folders:

* `solution`, `reconstruction`: the printed report and the output folder of `solve` and of `reconstruct`.
* `serving`, `pages`: the web server of `serve`, and the pages that it and the reports show.
* `training`, `tasks`: the training loop, and the networks that it can train.
* `evaluation`, `benchmarks`, `selftests`, `plotting`: the parts of the programs of these names.
* `datasets`: training data, and the example files that the packages ship.
* `distributed`, `machine`: runs of several processes; CPU devices, the compiler, the provenance of results.
* `notebooks`, `constraints`: the notebooks, and the tested versions of the dependencies.
"""
