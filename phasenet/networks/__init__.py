"""Networks from Patterson maps to occupancy maps, and the layers that they are made of.

In reading order:

    dual_space            the product, `launch.solve` by default: measured amplitudes and a learned prior, in turn
    losses                loss functions: mean squared error, and the correlation of two maps
    published             the paper's convolutional network (D. Hurwitz, arXiv:2003.13767)
    published_symmetric   the same with symmetric kernels, computed on half of the voxels, for its training
    dense                 a small stand-in for `published`, run by `launch.solve --weights=small`
    layers                3D convolution, transposed convolution, pooling and upsampling
    precision             products of bfloat16 numbers, summed in float32
    convolutions          the ways to compute a 3D convolution on a CPU
    fourier_convolution   one of them: products of Fourier coefficients
    centrosymmetric_convolution   the same on half maps, for maps and kernels that are their own inverses

`phasenet.pretrained.network_of` makes a network from its architecture. The auto-encoders of `saxsae` share `layers` and
`precision`.
"""
