"""Draws synthetic shapes that a corpus of crystal structures lacks: rings, coils, cages, chains of domains.

The function of each kind draws proportions from a NumPy generator and returns points (N, 3) in Angstrom, dense enough
that `saxsae.shapes.voxels` fills the shape without holes; the points are neither centred nor rotated. Called by
`launch.datasets.random_poses` for the training set of the auto-encoder; it also joins structures by `assemble`.
"""

from collections.abc import Sequence

import numpy as np

_DENSITY = 0.02  # points per cubic Angstrom: about two in a ball of the contact distance
_MAX_POINTS = 6000  # random points of a shape, or points of one part of an assembly


def fill_balls(centres: np.ndarray, radii: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns random points in balls, and the centres of the balls.

    Args:
      centres: (M, 3) centres in Angstrom.
      radii: (M,) radii in Angstrom.
      rng: source of random numbers.

    Returns:
      (M + N, 3), the centres first; N is 300 to 6000, by the volume of the balls.
    """
    share = radii**3
    count = int(np.clip(_DENSITY * 4 / 3 * np.pi * share.sum(), 300, _MAX_POINTS))
    ball = rng.choice(len(centres), count, p=share / share.sum())
    direction = rng.standard_normal((count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    offset = direction * (radii[ball] * rng.random(count) ** (1 / 3))[:, None]
    return np.concatenate([centres, centres[ball] + offset])


def draw_chain(steps: int, length: float, stiffness: float, rng: np.random.Generator) -> np.ndarray:
    """Returns a random chain of points.

    Args:
      steps: number of points.
      length: distance of consecutive points.
      stiffness: in [0, 1); with 0 each direction is independent of the one before, near 1 the chain is a rod.
      rng: source of random numbers.

    Returns:
      (steps, 3), in the unit of `length`, from the origin.
    """
    direction, path = rng.standard_normal(3), [np.zeros(3)]
    for _ in range(steps - 1):
        change = rng.standard_normal(3)
        direction = stiffness * direction / np.linalg.norm(direction) + (1 - stiffness) * change
        path.append(path[-1] + length * direction / np.linalg.norm(direction))
    return np.array(path)


def ring(rng: np.random.Generator) -> np.ndarray:
    """Returns points (N, 3), Angstrom, of one to three stacked rings, round or oval, closed or with a gap."""
    radius, thickness = rng.uniform(20, 50), rng.uniform(5, 14)
    angle = np.linspace(0, rng.choice([1.0, 1.0, 0.85, 0.7]) * 2 * np.pi, 90)
    circle = np.stack([radius * np.cos(angle), rng.uniform(0.6, 1) * radius * np.sin(angle), 0 * angle], 1)
    layers = [circle + [0, 0, 1.8 * i * thickness] for i in range(rng.integers(1, 4))]
    beads = 1 + rng.uniform(0, 0.3) * np.cos(rng.integers(3, 9) * angle)  # the subunits
    return fill_balls(np.concatenate(layers), np.tile(thickness * beads, len(layers)), rng)


def coil(rng: np.random.Generator) -> np.ndarray:
    """Returns points (N, 3), Angstrom, of a rod, straight, bent or wound into a helix."""
    length, radius = rng.uniform(60, 180), rng.uniform(6, 14)
    height = np.linspace(-0.5, 0.5, 100) * length
    amplitude, turns = rng.uniform(0, 25) * rng.integers(0, 2), rng.uniform(0.2, 2)
    phase = 2 * np.pi * turns * np.linspace(0, 1, 100)
    path = np.stack([height, amplitude * np.cos(phase), amplitude * np.sin(phase) * rng.random()], 1)
    return fill_balls(path, radius * rng.uniform(0.8, 1.2, 100), rng)


def cage(rng: np.random.Generator) -> np.ndarray:
    """Returns points (N, 3), Angstrom, of a hollow ellipsoid or an open barrel, some of them with holes."""
    axes, thickness = rng.uniform(25, 55, 3), rng.uniform(4, 9)
    surface = rng.standard_normal((600, 3))
    surface /= np.linalg.norm(surface, axis=1, keepdims=True)
    if rng.random() < 0.4:
        surface = surface[np.abs(surface[:, 2]) < rng.uniform(0.5, 0.9)]
    for _ in range(rng.integers(0, 5)):
        hole = rng.standard_normal(3)
        surface = surface[surface @ (hole / np.linalg.norm(hole)) < rng.uniform(0.85, 0.98)]
    return fill_balls(surface * axes, np.full(len(surface), thickness), rng)


def domains(rng: np.random.Generator) -> np.ndarray:
    """Returns points (N, 3), Angstrom, of two to eight globular domains on a flexible chain, touching or linked."""
    count = rng.integers(2, 9)
    sizes = rng.uniform(11, 24, count)
    gap = rng.choice([0.85, 1.0, 1.3, 1.8])
    chain = draw_chain(int(count) + 1, 1.0, rng.uniform(0, 0.9), rng)
    steps = np.diff(chain, axis=0)[:count - 1] * (gap * (sizes[1:] + sizes[:-1]))[:, None]
    centres = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, 0)])
    between = np.linspace(0, 1, 12)[None, :, None]
    linkers = (centres[:-1, None] * (1 - between) + centres[1:, None] * between).reshape(-1, 3)
    # A domain is made of five overlapping balls, so that it is not round.
    lobes = np.repeat(centres, 5, 0) + rng.standard_normal((5 * count, 3)) * np.repeat(sizes, 5)[:, None] * 0.3
    radii = np.concatenate([np.repeat(0.7 * sizes, 5), np.full(len(linkers), rng.uniform(2, 6))])
    return fill_balls(np.concatenate([lobes, linkers]), radii, rng)


def disordered(rng: np.random.Generator) -> np.ndarray:
    """Returns points (N, 3), Angstrom, of a thin flexible chain, alone or with one folded domain."""
    path = draw_chain(int(rng.integers(40, 250)), 3.8, rng.uniform(0.3, 0.85), rng)
    radii = np.full(len(path), rng.uniform(1.5, 5))
    if rng.random() < 0.5:
        start = rng.integers(0, len(path))
        lobes = path[start] + rng.standard_normal((8, 3)) * rng.uniform(4, 10)
        path, radii = np.concatenate([path, lobes]), np.concatenate([radii, np.full(8, rng.uniform(6, 14))])
    return fill_balls(path, radii, rng)


def lumps(rng: np.random.Generator) -> np.ndarray:
    """Returns points (N, 3), Angstrom, of a compact body of many overlapping balls: flat, long or round."""
    count = int(rng.integers(8, 60))
    centres = rng.standard_normal((count, 3)) * rng.uniform(5, 30, 3)
    return fill_balls(centres, rng.uniform(6, 14, count), rng)


KINDS = (ring, coil, cage, domains, disordered, lumps)


def draw_shape(rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """Returns the name of a random kind of `KINDS` and a shape of that kind, points (N, 3) in Angstrom."""
    kind = KINDS[rng.integers(len(KINDS))]
    return kind.__name__, kind(rng)


def assemble(parts: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Returns structures side by side, each in a random orientation, as one cloud of points.

    Each part is placed next to the others in a random direction, with a gap of about 2.5 Angstrom; for two parts in
    five, on average, the gap is 10 or 20 Angstrom wider.

    Args:
      parts: point clouds (N_i, 3) in Angstrom. If a cloud has more than 6000 points, 6000 of them are drawn.
      rng: source of random numbers.

    Returns:
      (N, 3) in Angstrom, centred.
    """
    whole = np.zeros((0, 3))
    for part in parts:
        part = (part - part.mean(0)) @ np.linalg.qr(rng.standard_normal((3, 3)))[0]
        if len(part) > _MAX_POINTS:
            part = rng.permutation(part)[:_MAX_POINTS]
        if len(whole):
            direction = rng.standard_normal(3)
            direction /= np.linalg.norm(direction)
            part = part + direction * (_distance_to_contact(whole, part, direction) + rng.choice([0, 0, 0, 10, 20]))
        whole = np.concatenate([whole, part])
        whole = whole - whole.mean(0)
    return whole


def _distance_to_contact(whole: np.ndarray, part: np.ndarray, direction: np.ndarray, touch: float = 5.0) -> float:
    """Returns how far (Angstrom) to move `part` along `direction` so that it does not overlap `whole`.

    Both are divided into columns along the direction, of width `touch`; only columns that contain points of both count.

    Args:
      whole: (M, 3) points in Angstrom.
      part: (N, 3) points in Angstrom.
      direction: (3,) unit vector.
      touch: width of the columns in Angstrom; half of it remains as a gap.
    """
    side = np.linalg.svd(direction[None])[2][1:]

    def extremes(points, sign):
        column, height = np.round(points @ side.T / touch).astype(int), sign * (points @ direction)
        top = {}
        for place, value in zip(map(tuple, column), height, strict=True):
            top[place] = max(top.get(place, -np.inf), value)
        return top

    above, below = extremes(whole, 1), extremes(part, -1)
    shared = above.keys() & below.keys()
    return max((above[k] + below[k] for k in shared), default=0.0) + touch / 2
