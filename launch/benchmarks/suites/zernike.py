"""Suite "zernike": Zernike moments of order 20 and scattering profiles of 300 maps, against ZMPY3D.

ZMPY3D takes one map at a time and computes moments only; its profiles are the sums of the paper's equations 2 and 3 in
NumPy. ZMPY3D integrates over the cube of each voxel where ours sums over voxel centres, so ZMPY3D's profiles need no
form factor of a voxel. The row gives the difference of both profiles (`peer_difference`, relative to I(0)). The
required accuracy is that of ours against a direct evaluation in float64.
"""

import pathlib
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.benchmarks import bars
from launch.benchmarks.timing import Row, compare
from saxsae.profiles import scattering, zernike
from saxsae.shapes import voxels

LEAST_CPU_RATIO = 20.0  # of ZMPY3D's processor time over ours
MOST_ERROR = 1e-4  # relative error of moments and profiles
MAPS = 300
ORDER = 20
R_MAX_ANGSTROM = 40.0
Q_INV_ANGSTROM = np.linspace(0.005, 0.2, 128)
_PEER_MAPS = 10  # maps that ZMPY3D is timed with
_CHECKED = 8  # maps whose results are compared


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """Measures `MAPS` random maps.

    Args:
      report: receives each row as soon as it is measured.

    Returns:
      Both times for one map, their ratios, the errors, and bars.
    """
    row = measure(random_maps(MAPS), _PEER_MAPS)
    report(row)
    return {"ratio": row.ratio, "cpu_ratio": row.details["cpu_ratio"], "milliseconds_a_map": 1e3 * row.seconds,
            "peer_milliseconds_a_map": 1e3 * row.peer_seconds,
            **{name: row.details[name] for name in ("moment_error", "profile_error", "peer_difference")},
            "bars": [bars.at_least("ZMPY3D's CPU time over ours", row.details["cpu_ratio"], LEAST_CPU_RATIO),
                     bars.at_most("relative error of the moments", row.details["moment_error"], MOST_ERROR),
                     bars.at_most("relative error of the profiles", row.details["profile_error"], MOST_ERROR)]}


def measure(maps: np.ndarray, peer_maps: int, seconds: float = 8.0) -> Row:
    """Times moments and profiles, ours of all maps against ZMPY3D's of the first few; the row's times are for one map.

    Args:
      maps: (M, 31, 31, 31) float32, 0 or 1.
      peer_maps: number of maps for ZMPY3D.
      seconds: about how many seconds are measured.
    """
    peer = Peer()
    arguments = jnp.asarray(maps), jnp.asarray(Q_INV_ANGSTROM, jnp.float32), jnp.float32(R_MAX_ANGSTROM)
    ours = jax.jit(profiles).lower(*arguments).compile()
    moments, intensities = (np.asarray(a)[:_CHECKED] for a in ours(*arguments))
    true_moments, true_intensities = evaluate_directly(maps[:_CHECKED])
    theirs = np.stack([peer.profile(peer.moments(one)) for one in maps[:_CHECKED]])
    few = maps[:peer_maps]
    flops = folded_flops(len(maps))
    row = compare(f"order {ORDER}, {len(maps)} maps, by the map", "ZMPY3D", lambda: ours(*arguments),
                  lambda: [peer.profile(peer.moments(one)) for one in few], flops=flops, seconds=seconds)
    # The row compares maps, not calls.
    share = len(maps) / len(few)
    return row._replace(
        seconds=row.seconds / len(maps), peer_seconds=row.peer_seconds / len(few), ratio=row.ratio * share,
        cpu_seconds=row.cpu_seconds / len(maps), peer_cpu_seconds=row.peer_cpu_seconds / len(few),
        flops=flops / len(maps), floor_seconds=row.floor_seconds and row.floor_seconds / len(maps),
        details=row.details | {"cpu_ratio": share * row.peer_cpu_seconds / row.cpu_seconds,
                 "moment_error": _error(moments, true_moments),
                 "profile_error": float(np.abs(intensities / true_intensities - 1).max()),
                 "peer_difference": _error(theirs, true_intensities)})


def folded_flops(maps: int) -> float:
    """Returns the operations for the moments of `maps` maps, as matrix products over one octant of the ball.

    A map is folded into its eight parities; each parity is multiplied with its modes.
    """
    corner = np.indices((voxels.CENTRE + 1,) * 3).reshape(3, -1)
    return 2.0 * maps * np.count_nonzero((corner**2).sum(0) <= voxels.CENTRE**2) * len(zernike.modes(ORDER).n)


def profiles(maps: jax.Array, q_inv_angstrom: jax.Array, r_max: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns our moments and profiles of maps.

    Args:
      maps: (M, 31, 31, 31) occupancies, 0 or 1.
      q_inv_angstrom: (Q,) q, 1/Angstrom.
      r_max: radius of the shape's sphere, Angstrom.

    Returns:
      Moments (M, K) and intensities (M, Q).
    """
    moments = zernike.moments(maps, ORDER)
    return moments, jax.vmap(lambda c: scattering.profile_from_moments(c, q_inv_angstrom, r_max, ORDER))(moments)


def evaluate_directly(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns moments (M, K) and intensities (M, Q) of maps (M, 31, 31, 31) in float64, summed by the definition."""
    inside = voxels.sphere_mask()
    points = (np.argwhere(inside) - voxels.CENTRE) / voxels.CENTRE
    moments = np.zeros((len(maps), len(zernike.modes(ORDER).n)))
    for chunk in np.array_split(np.arange(len(points)), 8):  # in chunks, because the whole basis needs 200 MB
        basis = zernike.evaluate_basis(ORDER, points[chunk])
        moments += maps[:, inside][:, chunk].astype(np.float64) @ basis / voxels.CENTRE**3
    n, l, m = zernike.modes(ORDER)  # noqa: E741
    # The amplitude of each (l, m) is a sum over n.
    amplitude = np.zeros((len(maps), (ORDER + 1) ** 2, len(Q_INV_ANGSTROM)))
    signed = (moments * np.where((n - l) % 4, -1.0, 1.0))[..., None] * radial_transforms()[n]
    # NumPy's stubs do not know that `ufunc.at` takes a tuple of indices.
    np.add.at(amplitude, (slice(None), l * l + l + m), signed)  # type: ignore[arg-type]
    form_factor = np.exp(-((Q_INV_ANGSTROM * voxels.pitch(R_MAX_ANGSTROM)) ** 2) / 12)
    return moments, 4 * np.pi * np.square(amplitude).sum(1) * form_factor


def radial_transforms() -> np.ndarray:
    """Returns b_n(q R) = sqrt(2n + 3) j_{n+1}(q R) / (q R) in float64, (ORDER + 1, Q)."""
    x = Q_INV_ANGSTROM * R_MAX_ANGSTROM / voxels.SPHERE_FRACTION
    bessel = scattering.spherical_bessel(ORDER + 1, x)
    return np.sqrt(2 * np.arange(ORDER + 1) + 3)[:, None] * bessel[1:] / x


def random_maps(count: int, seed: int = 0) -> np.ndarray:
    """Returns unions of three random balls near the centre of the map, (count, 31, 31, 31) float32, 0 or 1."""
    random = np.random.default_rng(seed)
    points = np.moveaxis(np.indices((voxels.GRID,) * 3), 0, -1) - voxels.CENTRE
    maps = np.zeros((count, *(voxels.GRID,) * 3), np.float32)
    for _ in range(3):
        centres = random.uniform(-4, 4, (count, 3))
        radii = random.uniform(2.0, 5.0, count)
        for one, centre, radius in zip(maps, centres, radii, strict=True):
            one[np.square(points - centre).sum(-1) < radius**2] = 1.0
    return maps


def _error(values: np.ndarray, true: np.ndarray) -> float:
    """Returns the largest difference over all rows, each relative to the largest value of its row."""
    return float((np.abs(values - true).max(-1) / np.abs(true).max(-1)).max())


class Peer:
    """ZMPY3D's moments, by its own functions and tables, and profiles from these moments."""

    def __init__(self) -> None:
        import ZMPY3D  # a peer, not a requirement

        self.package = ZMPY3D
        folder = pathlib.Path(ZMPY3D.__file__).parent / "cache_data"
        with (folder / f"LogG_CLMCache_MaxOrder{ORDER:02d}.pkl").open("rb") as file:
            cache = pickle.load(file)
        self.tables = (*(cache[f"GCache_{name}"] for name in ("complex", "pqr_linear", "complex_index")),
                       cache["CLMCache3D"])
        self.tables = (*(np.squeeze(table) for table in self.tables[:3]), self.tables[3])
        edges = [voxels.CENTRE + 0.5] * 3  # the centre of the middle voxel; ZMPY3D counts from the edge of the grid
        self.samples = ZMPY3D.get_bbox_moment_xyz_sample(edges, voxels.CENTRE, (voxels.GRID,) * 3)
        self.transforms = radial_transforms()
        n, l = np.indices((ORDER + 1,) * 2)  # noqa: E741
        self.sign = np.where((n - l) % 4, -1.0, 1.0)[..., None]
        # ZMPY3D gives one of m and -m, and normalizes its modes to the volume of the ball.
        self.weight = 4 * np.pi / 3 * np.where(np.arange(ORDER + 1), 2.0, 1.0)

    def moments(self, one: np.ndarray) -> np.ndarray:
        """Returns the complex moments (n, l, m >= 0) of a map (31, 31, 31), zero where there is no mode."""
        _, _, geometric = self.package.calculate_bbox_moment(one, ORDER, self.samples)
        scaled, _ = self.package.calculate_bbox_moment_2_zm(ORDER, *self.tables, geometric)
        return np.nan_to_num(scaled)

    def profile(self, moments: np.ndarray) -> np.ndarray:
        """Returns the intensities (Q,) of moments (n, l, m), for volumes in units where the sphere's radius is 1."""
        signed = (moments * self.sign).reshape(ORDER + 1, -1)
        weighted = signed * np.tile(self.weight, ORDER + 1)
        invariants = (weighted @ signed.conj().T).real
        return 4 * np.pi * np.einsum("nq,nk,kq->q", self.transforms, invariants, self.transforms, optimize=True)
