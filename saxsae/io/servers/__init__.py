"""Downloads from public data banks of structures and curves, by `phasenet.io.servers.download`.

* `rcsb`: entries of the Protein Data Bank, for the training corpus.
* `sasbdb`: entries of the Small Angle Scattering Biological Data Bank, measured curves with their models.
"""
