"""Suite "crystals": measured or made crystals from intensities to atoms, against charge flipping.

`suite` runs our code and the peer in turn, `charge_flipping` is the peer's child process, and `made_crystals` makes
crystals for those who have no folder of measured ones.
"""
