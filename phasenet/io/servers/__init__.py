"""Downloads from public data banks; `saxsae.io.servers` uses `download` and `ids` too.

* `download`: fetches files from one server with retries; a later run continues where this one stopped.
* `ids`: reads the ids of the entries that a user wants.
* `cod`: entries of the Crystallography Open Database, structures with their measured reflections.
"""
