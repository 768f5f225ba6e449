"""The evaluations that `launch.evaluate` runs; the flags are defined in `launch.evaluate`."""
