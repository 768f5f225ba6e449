"""The evaluations that `launch.evaluate` runs; its flags are defined there, not here."""
