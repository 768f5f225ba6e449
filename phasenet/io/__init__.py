"""Files: maps, archives, and writing them whole or not at all. Nothing else of phasenet opens any."""
