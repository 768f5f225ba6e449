"""Shaded orthographic pictures of density maps and of atoms, in NumPy.

The viewer looks down the z axis of the turned object: pixels are (row, column) = (-y, x), and depth
grows towards him.
"""

from typing import NamedTuple

import numpy as np

_FINE = 3  # samples per voxel edge of the smoothed map
_BLUR_VOXELS = 0.7  # hides the steps of binary models
_COARSE = 8  # of these pixels a side for one of the first look
_OVERSAMPLE = 2  # pixels a side drawn for each that is shown
_LIGHT = np.array([-0.35, 0.45, 0.82])
_LIGHT /= np.linalg.norm(_LIGHT)


class View(NamedTuple):
    """What a picture shows: (3, 3) rotation, half its width in A, its edge in pixels."""

    rotation: np.ndarray
    half_width: float
    pixels: int = 360


class Layer(NamedTuple):
    """One thing as seen: all (P, P, ...) with P oversampled pixels.

    depth: z in A, -inf where nothing is.   normal: (P, P, 3) unit vectors.
    colour: (P, P, 3) in 0..1, unlit.
    """

    depth: np.ndarray
    normal: np.ndarray
    colour: np.ndarray


class FineMap(NamedTuple):
    """A map (N, N, N), its pitch (A), and each coordinate of its voxel (0, 0, 0), A."""

    density: np.ndarray
    pitch: float
    origin: float


def smoothed(density: np.ndarray, pitch: float) -> FineMap:
    """Fourier interpolation of a map (N, N, N) about its centre, blurred a little."""
    size = density.shape[0] + 9  # room for the blur
    padded = np.zeros((size,) * 3)
    padded[4:-5, 4:-5, 4:-5] = density
    fine = size * _FINE
    spectrum = np.fft.fftn(padded)
    frequency = np.fft.fftfreq(size)
    damp = np.exp(-2 * (np.pi * _BLUR_VOXELS * frequency) ** 2)
    spectrum *= damp[:, None, None] * damp[:, None] * damp
    larger = np.zeros((fine,) * 3, complex)
    place = np.rint(frequency * size).astype(int) % fine
    larger[np.ix_(place, place, place)] = spectrum
    density = np.fft.ifftn(larger).real.astype(np.float32) * _FINE**3
    return FineMap(density, pitch / _FINE, -((size - 10) / 2 + 4) * pitch)


def surface(fine: FineMap, level: float, view: View, colour: str) -> Layer:
    """The isosurface of a map at ``level``, by marching rays until they meet it."""
    size = view.pixels * _OVERSAMPLE
    toward = view.rotation[2]
    reach = np.sqrt(3) * abs(fine.origin)
    # A few rays first: near them the others start where those ended, and most never start.
    coarse = size // _COARSE
    found = _march(fine, level, _pixel_centres(view, coarse), toward,
                   np.full(coarse**2, reach)).reshape(coarse, coarse)
    around = np.pad(found, 1, constant_values=-np.inf)
    nearest = np.max([around[i:i + coarse, j:j + coarse] for i in range(3) for j in range(3)], 0)
    begin = np.repeat(np.repeat(nearest, _COARSE, 0), _COARSE, 1).reshape(-1) + 3 * fine.pitch
    start = _pixel_centres(view, size)
    depth = _march(fine, level, start, toward, begin)
    seen = np.flatnonzero(np.isfinite(depth))
    points = start[seen] + depth[seen, None] * toward
    gradient = np.stack([sample(fine, points - fine.pitch * e)
                         - sample(fine, points + fine.pitch * e) for e in np.eye(3)], -1)
    normal = np.zeros((size * size, 3))
    normal[seen] = gradient @ view.rotation.T
    normal[seen] /= np.maximum(np.linalg.norm(normal[seen], axis=-1, keepdims=True), 1e-12)
    return Layer(depth.reshape(size, size), normal.reshape(size, size, 3),
                 np.broadcast_to(_rgb(colour), (size, size, 3)))


def _pixel_centres(view: View, size: int) -> np.ndarray:
    """Where the rays of size x size pixels cross depth 0: (size^2, 3) in the object's frame."""
    axis = ((np.arange(size) + 0.5) / size * 2 - 1) * view.half_width
    x, y = np.meshgrid(axis, -axis)
    return np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3) @ view.rotation


def _march(fine: FineMap, level: float, start: np.ndarray, toward: np.ndarray,
           begin: np.ndarray) -> np.ndarray:
    """Depth (N,) at which rays that begin at depth ``begin`` (N,) meet the level; -inf: never."""
    step = 1.5 * fine.pitch
    last = -np.sqrt(3) * abs(fine.origin)
    depth = np.full(len(start), -np.inf)
    rays = np.flatnonzero(np.isfinite(begin))
    z, before = begin[rays], np.zeros(len(rays))
    while len(rays):
        value = sample(fine, start[rays] + z[:, None] * toward)
        hit = value > level
        rise = np.maximum(value - before, 1e-6)
        depth[rays[hit]] = (z + step * (value - level) / rise)[hit]
        on = ~hit & (z > last)
        rays, z, before = rays[on], z[on] - step, value[on]
    return depth


def spheres(xyz: np.ndarray, radius: float, view: View, colours: np.ndarray) -> Layer:
    """Balls of one radius (A) at xyz (N, 3) in their colours (N, 3)."""
    size = view.pixels * _OVERSAMPLE
    scale = size / (2 * view.half_width)
    turned = xyz @ view.rotation.T
    column, row = size / 2 + turned[:, 0] * scale, size / 2 - turned[:, 1] * scale
    extent = int(np.ceil(radius * scale))
    axis = np.arange(-extent, extent + 1)
    i, j = (a.ravel() for a in np.meshgrid(axis, axis, indexing="ij"))
    rows = np.rint(row).astype(int)[:, None] + i
    columns = np.rint(column).astype(int)[:, None] + j
    dx, dy = (columns + 0.5 - column[:, None]) / scale, -(rows + 0.5 - row[:, None]) / scale
    height_squared = radius**2 - dx**2 - dy**2
    ok = (height_squared > 0) & (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
    owner = np.broadcast_to(np.arange(len(xyz))[:, None], ok.shape)[ok]
    dx, dy, dz = dx[ok], dy[ok], np.sqrt(height_squared[ok])
    z = turned[owner, 2] + dz
    order = np.argsort(z)  # of several assignments to one pixel the last stays: the nearest
    pixel = (rows * size + columns)[ok][order]
    depth = np.full(size * size, -np.inf)
    normal, colour = np.zeros((2, size * size, 3))
    depth[pixel] = z[order]
    normal[pixel] = np.stack([dx, dy, dz], -1)[order] / radius
    colour[pixel] = colours[owner[order]]
    return Layer(depth.reshape(size, size), normal.reshape(size, size, 3),
                 colour.reshape(size, size, 3))


def cubes(occupancy: np.ndarray, pitch: float, view: View, colour: str) -> Layer:
    """The filled voxels of a binary map (N, N, N) about its centre as cubes with dark edges."""
    size = view.pixels * _OVERSAMPLE
    half = occupancy.shape[0] / 2
    filled = np.pad(np.asarray(occupancy, bool), 1)
    centres = (np.argwhere(occupancy) + 0.5 - half) * pitch
    # Balls about the cubes tell where a ray may meet one, and how early.
    balls = spheres(centres, 0.87 * pitch, view, np.zeros((len(centres), 3)))
    z = balls.depth.reshape(-1)
    rays = np.flatnonzero(np.isfinite(z))
    z, start, toward = z[rays], _pixel_centres(view, size), view.rotation[2]
    depth = np.full(size * size, -np.inf)
    normal, rgb = np.zeros((size * size, 3)), np.zeros((size * size, 3))
    while len(rays):
        place = (start[rays] + z[:, None] * toward) / pitch + half
        cell = np.floor(place)
        i, j, k = np.clip(cell + 1, 0, filled.shape[0] - 1).astype(int).T
        hit = filled[i, j, k]
        if hit.any():
            # The face that was crossed is the one met first on the way back to the viewer.
            inside = (place - cell)[hit]
            way = np.where(toward > 0, 1 - inside, inside) / np.maximum(np.abs(toward), 1e-9)
            face = np.eye(3, dtype=bool)[way.argmin(-1)]
            depth[rays[hit]] = z[hit]
            normal[rays[hit]] = (face * np.sign(toward)) @ view.rotation.T
            edge = (np.abs(np.where(face, 0.5, inside) - 0.5) > 0.44).any(-1, keepdims=True)
            rgb[rays[hit]] = np.where(edge, 0.55, 1.0) * _rgb(colour)
        on = ~hit & (z > -np.sqrt(3) * half * pitch)
        rays, z = rays[on], z[on] - pitch / 12
    return Layer(depth.reshape(size, size), normal.reshape(size, size, 3),
                 rgb.reshape(size, size, 3))


def paint(view: View, solid: list[Layer], veil: Layer | None = None,
          opacity: float = 0.35) -> np.ndarray:
    """Solid layers hiding one another, and a translucent one over what lies behind it.

    Returns: RGBA (pixels, pixels, 4).
    """
    size = view.pixels * _OVERSAMPLE
    colour, alpha = np.ones((size, size, 3)), np.zeros((size, size, 1))
    nearest = np.full((size, size), -np.inf)
    for layer in solid:
        front = layer.depth > nearest
        colour = np.where(front[..., None], _lit(layer, view), colour)
        nearest = np.where(front, layer.depth, nearest)
        alpha = np.where(front[..., None], 1.0, alpha)
    if veil is not None:
        seen = veil.depth > nearest
        # Thicker where the surface turns away, as glass is: outlines stay clear.
        turned_away = 1 - np.clip(veil.normal[..., 2], 0, 1)
        weight = np.where(seen, opacity + (1 - opacity) * turned_away**2.5, 0.0)[..., None]
        colour = colour * alpha * (1 - weight) + _lit(veil, view) * weight
        alpha = weight + alpha * (1 - weight)
        colour = np.where(alpha > 0, colour / np.maximum(alpha, 1e-9), 1.0)
    rgba = np.concatenate([colour * alpha, alpha], -1)
    rgba = rgba.reshape(view.pixels, _OVERSAMPLE, view.pixels, _OVERSAMPLE, 4).mean((1, 3))
    rgba[..., :3] /= np.maximum(rgba[..., 3:], 1e-9)
    return np.clip(rgba, 0, 1)


def principal_axes(xyz: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (3,) and a rotation (3, 3): longest axis along x, shortest towards the viewer."""
    weight = weight / weight.sum()
    centre = weight @ xyz
    arm = xyz - centre
    _, axes = np.linalg.eigh((arm * weight[:, None]).T @ arm)
    rotation = axes[:, ::-1].T
    return centre, rotation * np.array([1, 1, np.linalg.det(rotation)])[:, None]


def turn(axis: str, degrees: float) -> np.ndarray:
    """The rotation (3, 3) about the picture's own x, y or z axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    rotation = np.eye(3)
    rotation[[i, j], [i, j]] = c
    rotation[i, j], rotation[j, i] = -s, s
    return rotation


def _lit(layer: Layer, view: View) -> np.ndarray:
    facing = layer.normal @ _LIGHT
    gleam = np.clip(layer.normal @ _half_way(), 0, 1) ** 40
    colour = layer.colour * (0.42 + 0.62 * np.clip(facing, -0.35, 1))[..., None]
    colour += 0.18 * gleam[..., None]
    # What is far fades a little.
    fog = 0.22 * np.clip(0.5 - layer.depth / (2 * view.half_width), 0, 1)[..., None]
    return np.clip(colour * (1 - fog) + 0.8 * fog, 0, 1)


def _half_way() -> np.ndarray:
    middle = _LIGHT + np.array([0, 0, 1.0])
    return middle / np.linalg.norm(middle)


def _rgb(colour: str | tuple) -> np.ndarray:
    if isinstance(colour, str):
        return np.array([int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.asarray(colour, float)


def sample(fine: FineMap, points: np.ndarray) -> np.ndarray:
    """Trilinear interpolation at points (N, 3); beyond the map its border goes on."""
    size = fine.density.shape[0]
    place = np.clip((points - fine.origin) / fine.pitch, 0, size - 1.001)
    node = place.astype(int)
    t = place - node
    flat = fine.density.reshape(-1)
    corner = (node[:, 0] * size + node[:, 1]) * size + node[:, 2]
    value = 0.0
    for i in (0, 1):
        for j in (0, 1):
            for k in (0, 1):
                x, y, z = (t[:, axis] if bit else 1 - t[:, axis]
                           for axis, bit in enumerate((i, j, k)))
                value = value + x * y * z * flat[corner + (i * size + j) * size + k]
    return value
