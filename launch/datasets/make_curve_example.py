"""Makes the shipped example saxsae/examples/three_lobes: a known shape, and a SAXS curve as an instrument measures it.

    python -m launch.datasets.make_curve_example [--output=saxsae/examples] [--seed=0]

The shape is a uniform body of three overlapping spheroids. Its curve is the Debye sum over a cubic lattice of 1 A that
fills the body; the forward model that is fitted to the curve plays no part. The noise is that of photon counting.
"""

import pathlib

import numpy as np
from absl import flags

from launch import app
from saxsae.io.curves.measured_curves import write_curve
from saxsae.io.structures.beads import write_beads

_OUTPUT = flags.DEFINE_string("output", "saxsae/examples", "Folder to write three_lobes.dat and three_lobes.pdb to.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the noise.")

NAME = "three_lobes"
# Of each spheroid: centre, direction of the axis, half length along the axis, radius across it; Angstrom.
LOBES = (((-20.0, 4.0, 0.0), (1.0, 0.35, 0.0), 21.0, 12.5),
         ((4.0, -6.0, 0.0), (1.0, -0.3, 0.2), 17.0, 14.0),
         ((22.0, 8.0, 9.0), (0.6, 0.7, 0.5), 19.0, 11.0))
HALF_BOX_ANGSTROM = 48
BEAD_SPACING_ANGSTROM = 3.0
Q_INV_ANGSTROM = np.linspace(0.008, 0.35, 172)
I_ZERO = 100.0
# sigma^2 = (I + SOLVENT) / (EXPOSURE q): photons are counted on rings of the detector, whose length grows with q.
SOLVENT = 4.0  # scattering of the solvent, in units of I; it is subtracted from the curve, but its noise stays
EXPOSURE_ANGSTROM = 6e3


def main(_: list[str]) -> None:
    """Writes the curve (.dat) and the body as beads (.pdb)."""
    folder = pathlib.Path(_OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    q = Q_INV_ANGSTROM
    exact = intensity(is_in_body(lattice_points(1.0)).reshape((2 * HALF_BOX_ANGSTROM + 1,) * 3), q)
    sigma = np.sqrt((exact + SOLVENT) / (EXPOSURE_ANGSTROM * q))
    measured = exact + sigma * np.random.default_rng(_SEED.value).standard_normal(len(q))
    about = ("An example made by python -m launch.datasets.make_curve_example, no measurement.",
             "A uniform body of three overlapping spheroids, given as beads in three_lobes.pdb.")
    how = f"Debye sum over a lattice of 1 A; noise of photon counting, seed {_SEED.value}, with the sigma given."
    write_curve(folder / f"{NAME}.dat", round_to_five_digits(q), round_to_five_digits(measured),
                round_to_five_digits(sigma), header=(*about, how))
    beads = lattice_points(BEAD_SPACING_ANGSTROM)
    beads = beads[is_in_body(beads)]
    write_beads(folder / f"{NAME}.pdb", beads - beads.mean(0), BEAD_SPACING_ANGSTROM / 2, remarks=about)
    app.print_line(f"wrote {folder / NAME}.dat ({len(q)} points, sigma / I from {(sigma / exact).min():.1%} to "
                   f"{(sigma / exact).max():.0%}) and .pdb ({len(beads)} beads)")


def round_to_five_digits(values: np.ndarray) -> np.ndarray:
    """Returns values rounded to five digits, so that they do not depend on the last bit of a machine's sine."""
    return np.array([float(f"{value:.4e}") for value in values])


def lattice_points(spacing_angstrom: float) -> np.ndarray:
    """Returns the points (N, 3) in Angstrom of a cubic lattice over the box, in C order; N is a cube."""
    steps = int(HALF_BOX_ANGSTROM / spacing_angstrom)
    axis = spacing_angstrom * np.arange(-steps, steps + 1)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)


def is_in_body(points: np.ndarray) -> np.ndarray:
    """Returns (N,) bool: which of the points (N, 3), in Angstrom, lie in the body."""
    body = np.zeros(len(points), bool)
    for centre, axis, half_length, radius in LOBES:
        offset = points - np.array(centre)
        along = offset @ (np.array(axis) / np.linalg.norm(axis))
        across = (offset**2).sum(-1) - along**2
        body |= (along / half_length) ** 2 + across / radius**2 <= 1
    return body


def intensity(occupied: np.ndarray, q_inv_angstrom: np.ndarray) -> np.ndarray:
    """Returns I(q) of cells of 1 A^3 that each scatter as a ball of that volume, by the Debye sum over all pairs.

    Pairs of cells are counted by squared distance, which is an integer. The counts come from the autocorrelation and
    are exact after rounding.

    Args:
      occupied: (side, side, side) bool, which cells are filled.
      q_inv_angstrom: (Q,) in 1/A, positive.

    Returns:
      (Q,) intensities; I(0) is `I_ZERO`.
    """
    side, q = len(occupied), q_inv_angstrom
    size, axes = (2 * side,) * 3, (0, 1, 2)
    transform = np.fft.rfftn(occupied.astype(np.float64), size, axes)
    pairs = np.rint(np.fft.irfftn(np.abs(transform) ** 2, size, axes))
    step = np.minimum(np.arange(2 * side), 2 * side - np.arange(2 * side))
    squared = (step[:, None, None] ** 2 + step[:, None] ** 2 + step**2).reshape(-1)
    counts = np.bincount(squared, pairs.reshape(-1))
    squared = np.flatnonzero(counts)
    debye = np.sinc(q[:, None] * np.sqrt(squared) / np.pi) @ counts[squared]
    x = q * (3 / (4 * np.pi)) ** (1 / 3)
    ball = 3 * (np.sin(x) - x * np.cos(x)) / x**3
    return I_ZERO * debye * ball**2 / occupied.sum() ** 2


if __name__ == "__main__":
    app.run(main)
