"""Downloads from public data banks; `saxsae.io.servers` uses all modules but `cod`.

* `download`: fetches files from one server with retries; a later run continues where this one stopped.
* `ids`: reads the ids of the entries that a user wants.
* `entries`: downloads entries, each into a folder of its id.
* `cod`: entries of the Crystallography Open Database, structures with their measured reflections.
"""
