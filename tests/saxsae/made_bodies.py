"""Made bodies: atoms at protein density in an ellipsoid, a bank of such bodies, a sphere's curve, a trimer."""

import numpy as np
from scipy.spatial.transform import Rotation

from saxsae.bank.structure_bank import StructureBank, U
from saxsae.io.curves.measured_curves import Curve
from saxsae.profiles import hydration, simulation
from saxsae.shapes import densities, voxels
from saxsae.shapes.densities import ATOM_VOLUME_ANGSTROM3


def make_atoms(semi_axes, seed=0):
    """Atoms (N, 3) from their centroid, A, and r_max."""
    rng = np.random.default_rng(seed)
    count = int(4 / 3 * np.pi * np.prod(semi_axes) / ATOM_VOLUME_ANGSTROM3)
    points = rng.uniform(-1, 1, (3 * count, 3))
    points = points[(points**2).sum(1) < 1][:count] * semi_axes
    return voxels.centre_and_radius(points)


def profiles_of(xyz, r_max, q, order=30, equal_atoms=True):
    atoms, shell = densities.atom_density(xyz, r_max), densities.shell_density(xyz, r_max)
    return np.asarray(hydration.profiles_of_parts(*(a.astype(np.float32) for a in (atoms, shell)),
                                                  q.astype(np.float32), np.float32(r_max), order, equal_atoms))


def make_bank(bodies, latent_size=4):
    """A bank of ellipsoids of these semi-axes; the codes mean nothing."""
    names, rg, radii, profiles = [], [], [], []
    for number, axes in enumerate(bodies):
        xyz, r_max = make_atoms(axes, number)
        rg.append(np.sqrt((xyz**2).sum(1).mean()))
        radii.append(r_max)
        profiles.append([profiles_of(xyz, r_max, U / rg[-1], equal_atoms=equal_atoms) for equal_atoms in (False, True)])
        names.append("x".join(f"{axis:g}" for axis in axes))
    codes = np.random.default_rng(0).normal(size=(len(names), latent_size)).astype(np.float32)
    return StructureBank(tuple(names), ("",) * len(names), codes, np.array(rg, np.float32),
                         np.array(radii, np.float32), np.array(profiles))


def sphere_curve(radius: float, points: int = 150) -> Curve:
    """I(q) of a sphere (Angstrom) with 1% noise and up."""
    q = np.linspace(0.2 / radius, 0.25, points)
    x = q * radius
    intensity = (3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2
    sigma = 0.01 * intensity + 2e-4
    noisy = intensity + sigma * np.random.default_rng(0).normal(size=points)
    return Curve(q, 1e3 * noisy, 1e3 * sigma, "1/A", ("made",), "sphere.dat", False, 3)


BARE = {"contrasts": (0.0,), "equal_atoms": True}  # arguments of `reconstruct` for a curve of equal atoms without water


def trimer_atoms() -> np.ndarray:
    """Equal atoms (N, 3) in A of three ellipsoids in contact, each turned by 120 degrees from the one before."""
    body, _ = make_atoms((20.0, 14.0, 11.0))
    body = body @ Rotation.from_euler("xz", [35, 20], degrees=True).as_matrix().T + [19.0, 0, 0]
    return np.concatenate([body @ Rotation.from_euler("z", angle, degrees=True).as_matrix().T
                           for angle in (0, 120, 240)])


def measured(xyz: np.ndarray, points: int = 150) -> Curve:
    """The curve of equal atoms (N, 3) with 1% noise and up."""
    rg = np.sqrt(((xyz - xyz.mean(0))**2).sum(1).mean())
    q = np.linspace(0.15 / rg, 0.25, points)
    intensity = simulation.debye_intensity(xyz, q)
    sigma = 0.01 * intensity + 2e-4
    noisy = intensity + sigma * np.random.default_rng(0).normal(size=points)
    return Curve(q, 1e3 * noisy, 1e3 * sigma, "1/A", ("made",), "trimer.dat", False, 3)
