"""Auto-encoders of protein shapes: 32^3 occupancy maps to codes of 200 numbers and back.

In reading order:

    autoencoder       "lean", the default of `launch.reconstruct`; "published", the network of the paper (H. He, C. Liu,
                      H. Liu, iScience 23, 100906, 2020)
    losses            the training losses of the auto-encoders, and the correlation that scores them
    code_refinement   gradient steps through the decoder that improve the encoder's codes
    density_head      decoded occupancy maps to densities of atoms, of their shell and of excess electrons
    published_start   initial parameters with which "published" trains on a CPU

The layers are those of `phasenet.networks`.
"""
