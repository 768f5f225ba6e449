"""The machine that a launch runs on.

* `cpu_devices`: splits the CPU into several JAX devices, one for each of a few independent runs.
* `single_core_compilation`: compiles programs of many small steps for one core.
* `provenance`: code revision, package versions, flags and the digest of weights, which every result records.
* `installed_commands`: runs the launches as installed commands, such as `phasenet-solve`.
* `shipped_files`: finds shipped examples and configs when a command is called from another folder.
"""
