"""The checks of `launch.selftest`, and its description of the machine.

`check` runs one check and formats its result. `compiler` holds the checks of XLA against NumPy and closed forms,
`science` those of the two packages and their released weights. `machine` describes devices, packages and settings.
"""
