"""Downloads from public data banks.

* `download`: fetches files from one server with retries; a later run continues where this one stopped.
* `rcsb`: entries of the Protein Data Bank, for the training corpus.
* `sasbdb`: entries of the Small Angle Scattering Biological Data Bank, measured curves with their models.
"""
