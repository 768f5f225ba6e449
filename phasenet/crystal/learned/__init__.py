"""The learned iteration: the untrained one of `phasing` with corrections that were trained on made crystals.

In reading order:

    features        what the network is told of a crystal, and the basis of its filters
    learned_round   one round
    iteration       rounds from a batch of starts
    structures      made crystals as arrays, and the grids they fit
    examples        an example from a key: a made crystal, measured
"""
