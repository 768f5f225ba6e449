"""Suites "crystals" and "crystal_scaling": measured or made crystals from intensities to atoms.

* "crystals": `suite` runs our code and charge flipping in turn, `charge_flipping` is the peer's child process, and
  `made_crystals` makes crystals for those who have no folder of measured ones.
* "crystal_scaling": `crystal_scaling` makes crystals of growing volume, and `solve_alone` solves one of them in a
  process of its own.
"""
