"""Finds the constants of `saxsae.analysis.curve_report` and `saxsae.analysis.molecular_mass` on simulated curves.

    python -m launch.datasets.calibrate_curve_numbers --structures=structures.npz
    python -m launch.datasets.calibrate_curve_numbers --structures=structures.npz --validation

1. Structures are drawn evenly over their sizes, from the training split or, with --validation, the validation split.
2. A curve of each is computed with a shell of bound water, the elements' form factors and excluded volumes, and noise,
   and with the faults of good measured curves, drawn at random: an error of the subtracted buffer, a few aggregates,
   standard deviations that are off by a factor.
3. The numbers of each curve are compared with those of the atoms. For training structures the program prints the
   constants, in the form of the two modules; for validation structures, the errors and how often the intervals hold.
"""

import types

import numpy as np
from absl import flags

from launch import app
from phasenet.errors import InputError
from saxsae.analysis import curve_report, molecular_mass
from saxsae.io.structures.corpus import read_corpus
from saxsae.io.structures.structure_files import Structure
from saxsae.profiles import simulation
from saxsae.shapes import voxels
from saxsae.shapes.atom_numbers import atom_mass, largest_distance
from saxsae.shapes.densities import ATOM_VOLUME_ANGSTROM3
from saxsae.shapes.validation_split import validation_mask

_FEWEST = 20  # structures
_STRUCTURES = flags.DEFINE_list("structures", None, "Archives (.npz) of structures.", required=True)
_LIMIT = flags.DEFINE_integer("limit", 400, "Number of structures.", lower_bound=_FEWEST)
_VALIDATION = flags.DEFINE_bool("validation", False, "Measure the constants on the validation split.")
_SEED = flags.DEFINE_integer("seed", 11, "Seed of the structures, of the noise and of what varies.", lower_bound=0)

_VALIDATION_FRACTION = 0.08  # that of `launch.prepare_structures`
_SIZE_STEP = 0.35  # in the logarithm of the number of atoms; each step is drawn as often as any other
_BUFFER_ERROR = 0.005  # relative error of the subtracted intensity of the buffer
_AGGREGATES = 0.01  # standard deviation of their share of I(0); measured curves show up to 5% below the Guinier region


def main(_: list[str]) -> None:
    """Prints the constants, or the errors.

    Raises:
      InputError: an archive cannot be used.
    """
    rng = np.random.default_rng(_SEED.value)
    rows = []
    chosen = _draw_structures(rng)
    for number, structure in enumerate(chosen, 1):
        curve, truth = simulate(structure, rng)
        numbers = curve_report.compute_curve_numbers(curve)
        if not numbers.notes:
            rows.append((numbers, truth, curve))
        if number % 50 == 0:
            app.print_line(f"  {number} of {len(chosen)}")
    app.print_line(f"{len(rows)} of {len(chosen)} curves allow all numbers")
    if not rows:
        raise InputError(f"{','.join(_STRUCTURES.value)}: no curve of these structures allows all numbers")
    if _VALIDATION.value:
        _print_errors(rows)
    else:
        _print_constants(rows)


def _draw_structures(rng: np.random.Generator) -> list[Structure]:
    """Returns structures of the split that is asked for, drawn evenly over the logarithm of their size."""
    structures = read_corpus(_STRUCTURES.value)
    mask = validation_mask([s.name for s in structures], [s.pdb_id for s in structures], _VALIDATION_FRACTION)
    own = [s for s, held_out in zip(structures, mask, strict=True) if held_out == _VALIDATION.value]
    if len(own) < _FEWEST:
        raise InputError(f"{','.join(_STRUCTURES.value)}: {len(own)} structures of this split; {_FEWEST} are needed")
    step = (np.log([len(s.xyz_angstrom) for s in own]) / _SIZE_STEP).astype(int)
    weight = 1 / np.bincount(step)[step]
    picked = rng.choice(len(own), min(_LIMIT.value, len(own)), replace=False, p=weight / weight.sum())
    return [own[i] for i in picked]


def simulate(structure: Structure, rng: np.random.Generator) -> tuple[types.SimpleNamespace, dict[str, float]]:
    """Returns a curve of a structure in water, and its true "d_max_angstrom" and "mass_kda".

    Args:
      structure: the atoms.
      rng: draws the contrast of the shell, 0.005 to 0.03 e/A^3; the noise, that of `simulation.noise_sigma` within a
        factor of about two, and its standard deviation, right within another; the error of the subtracted buffer, about
        0.5% of it; aggregates, about 1% of I(0), of two to four times the Rg; the first q, 0.15 to 0.8 / Rg, at most
        0.03 1/A; the last q, 0.2 to 0.45 1/A; the number of points, 150 to 500.
    """
    xyz, _ = voxels.centre_and_radius(structure.xyz_angstrom)
    rg = float(np.sqrt((xyz**2).sum(1).mean()))
    q = np.linspace(min(rng.uniform(0.15, 0.8) / rg, 0.03), rng.uniform(0.2, 0.45), int(rng.integers(150, 500)))
    contrast = rng.uniform(0.005, 0.03)
    intensity = simulation.solution_intensity(xyz, structure.atomic_number, np.concatenate([[0.0], q]), contrast)
    exact = intensity[1:] / intensity[0]
    # A curve of twice as many points has as many photons.
    scale = np.exp(rng.normal(0, np.log(2))) * np.sqrt(q.size / 250)
    volume = ATOM_VOLUME_ANGSTROM3 * len(xyz)
    sigma = scale * simulation.noise_sigma(q, exact, volume)
    background = _BUFFER_ERROR * rng.normal() * simulation.buffer_level(volume)
    aggregates = abs(_AGGREGATES * rng.normal()) * np.exp(-((q * rg * rng.uniform(2, 4)) ** 2) / 3)
    intensity = exact + background + aggregates + sigma * rng.standard_normal(q.size)
    curve = types.SimpleNamespace(q_inv_angstrom=q, intensity=intensity, sigma=sigma * np.exp(rng.normal(0, np.log(2))))
    return curve, {"d_max_angstrom": largest_distance(xyz), "mass_kda": atom_mass(structure.atomic_number)}


def _print_constants(rows: list) -> None:
    """Prints the constants that these curves and their structures give."""
    tail = np.array([curve_report.tail_distance(numbers.pair_distances) for numbers, _, _ in rows])
    size = np.array([truth["d_max_angstrom"] for _, truth, _ in rows])
    mass = np.array([truth["mass_kda"] for _, truth, _ in rows])
    features = np.array([_features(numbers, curve) for numbers, _, curve in rows])
    weights = _fit_robustly(features, np.log(mass))
    estimates = {method: np.array([numbers.mass(method).mass_kda for numbers, _, _ in rows])
                 for method in molecular_mass.METHODS}
    estimates[molecular_mass.CALIBRATED] = np.exp(features @ weights)
    estimates[molecular_mass.CONSENSUS] = np.median([
        estimate for method, estimate in estimates.items() if method != molecular_mass.CONSENSUS], axis=0)
    app.print_line(f"_D_MAX_OVER_TAIL {np.median(size / tail):.3f}, _D_MAX_QUANTILES {_quantiles(size / tail)}\n"
                   f"_CALIBRATION {np.array2string(weights, precision=4, separator=', ')}\n_TRUTH_OVER_ESTIMATE")
    for method, estimate in estimates.items():
        app.print_line(f"  {method}: {_quantiles(mass / estimate)}, median {np.median(mass / estimate):.3f}, "
                       f"median error {np.median(np.abs(estimate / mass - 1)):.3f}")


def _features(numbers: curve_report.CurveNumbers, curve: types.SimpleNamespace) -> np.ndarray:
    """Returns `molecular_mass.mass_features` of a curve that allows all numbers."""
    rg = numbers.guinier.rg_angstrom
    integrals = molecular_mass.integrate_curve(curve, numbers.guinier, molecular_mass.calibrated_q_max(rg))
    assert not isinstance(integrals, str)
    return molecular_mass.mass_features(integrals, rg)


def _fit_robustly(features: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns the weights (F,) by which features (N, F) give targets (N,) with the least sum of absolute errors.

    The method is least squares, repeated with weights 1 / |error|. Unusual bodies then have less influence.
    """
    weight = np.ones(len(target))
    solution: np.ndarray = np.zeros(features.shape[1])
    for _ in range(50):
        solution = np.linalg.lstsq(features * weight[:, None], target * weight, rcond=None)[0]
        weight = 1 / np.sqrt(np.maximum(np.abs(target - features @ solution), 0.02))
    return solution


def _quantiles(ratio: np.ndarray) -> str:
    """Returns the 5% and 95% quantiles of a ratio as text."""
    low, high = np.quantile(ratio, [0.05, 0.95])
    return f"({low:.3f}, {high:.3f})"


def _print_errors(rows: list) -> None:
    """Prints the median relative errors, and the share of the intervals that hold the truth."""
    size = np.array([truth["d_max_angstrom"] for _, truth, _ in rows])
    mass = np.array([truth["mass_kda"] for _, truth, _ in rows])
    measured = [("D_max", size, [(n.d_max_angstrom, n.d_max_interval_angstrom) for n, _, _ in rows])]
    measured += [(f"mass, {method}", mass, [n.mass(method)[1:3] for n, _, _ in rows])
                 for method in molecular_mass.METHODS]
    for name, truth, found in measured:
        value = np.array([one for one, _ in found])
        low, high = np.array([interval for _, interval in found]).T
        app.print_line(f"{name}: median error {np.median(np.abs(value / truth - 1)):.3f}, median ratio "
                       f"{np.median(value / truth):.3f}, in the 90% interval "
                       f"{np.mean((low <= truth) & (truth <= high)):.2f}, its half-width "
                       f"{np.median((high - low) / 2 / value):.3f}")


if __name__ == "__main__":
    app.run(main)
