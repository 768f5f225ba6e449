"""Several processes, on one machine or many, that work as one run.

* `cluster`: the flags, how the processes find each other, and how each ends when another is lost.
* `distributed_stderr`: replaces JAX's report of a lost process by one line.
* `processes`: which process prints and writes, and how all processes take the same decision.
"""
