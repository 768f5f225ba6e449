"""The suites of `launch.benchmark`, one module or folder each; `launch.benchmarks.SUITES` names them.

    conv             3D convolutions against XLA's direct ones
    train_phasenet   training steps of the published Patterson network against PyTorch
    train_saxsae     training steps of the auto-encoders against PyTorch
    anneal           atom-swap annealing against the paper's loop in NumPy
    synthesis        simulated Patterson examples against NumPy, and their share of a training step
    zernike          Zernike moments and scattering profiles against ZMPY3D
    genetic          the parts of a generation of the genetic algorithm, and the published decoder
    align            superposition of bead models against freesas supycomb
    scaling          growth of the cost with grid, atoms, population and curves
    reconstruct      `launch.reconstruct` against DENSS
    memory           peak resident memory of the launches
    phasing          the search for atoms against classical phasing methods
    crystals         measured or made crystals against charge flipping
    crystal_scaling  growth of the cost of solving a crystal with its independent atoms
"""
