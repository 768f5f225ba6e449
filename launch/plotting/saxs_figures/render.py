"""Renders density maps and atoms as shaded orthographic pictures, in NumPy, for `shapes`.

The viewer looks down the z axis of the rotated object: a pixel (row, column) lies at (-y, x), and the depth z grows
towards the viewer. Each object becomes a `Layer`; `paint` makes one picture of several layers.
"""

from typing import NamedTuple

import numpy as np

_FINE = 3  # samples per voxel edge of the smoothed map
_BLUR_VOXELS = 0.7  # standard deviation of the blur that hides the steps of binary models
_COARSE = 8  # drawn pixels along an edge of one pixel of the coarse first pass
_OVERSAMPLE = 2  # drawn pixels along an edge of one pixel of the picture
_LIGHT = np.array([-0.35, 0.45, 0.82])  # direction to the light, in the frame of the picture
_LIGHT /= np.linalg.norm(_LIGHT)


class View(NamedTuple):
    """The camera of a picture.

    Attributes:
      rotation: (3, 3) rotation that takes positions to (right, up, towards the viewer).
      half_width: half of the picture's edge, Angstrom.
      pixels: number of pixels along the picture's edge.
    """

    rotation: np.ndarray
    half_width: float
    pixels: int = 360


class Layer(NamedTuple):
    """One rendered object on P x P drawn pixels, two for each pixel of the picture along an edge.

    Attributes:
      depth: (P, P) z of the surface, Angstrom; -inf where the object is not seen.
      normal: (P, P, 3) unit vectors of the surface.
      colour: (P, P, 3) red, green and blue before lighting, 0 to 1.
    """

    depth: np.ndarray
    normal: np.ndarray
    colour: np.ndarray


class FineMap(NamedTuple):
    """A finely sampled map.

    Attributes:
      density: (N, N, N) values of the map.
      pitch: edge of a voxel, Angstrom.
      origin: the coordinate of voxel (0, 0, 0) on each of the three axes, Angstrom.
    """

    density: np.ndarray
    pitch: float
    origin: float


def smooth(density: np.ndarray, pitch: float) -> FineMap:
    """Returns a map interpolated by Fourier series to 3 samples per voxel, and slightly blurred.

    Args:
      density: (N, N, N) map whose centre is at the origin.
      pitch: edge of a voxel, Angstrom.
    """
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


def render_surface(fine: FineMap, level: float, view: View, colour: str) -> Layer:
    """Returns the isosurface of a map, found by marching a ray from each pixel until it meets the surface.

    Args:
      fine: the map.
      level: value of the map on the surface.
      view: the camera.
      colour: #rrggbb.
    """
    size = view.pixels * _OVERSAMPLE
    toward = view.rotation[2]
    reach = np.sqrt(3) * abs(fine.origin)
    # A coarse pass comes first. Rays of the fine pass start just before the coarse surface; the others are not marched.
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
    gradient = np.stack([interpolate(fine, points - fine.pitch * e)
                         - interpolate(fine, points + fine.pitch * e) for e in np.eye(3)], -1)
    normal = np.zeros((size * size, 3))
    normal[seen] = gradient @ view.rotation.T
    normal[seen] /= np.maximum(np.linalg.norm(normal[seen], axis=-1, keepdims=True), 1e-12)
    return Layer(depth.reshape(size, size), normal.reshape(size, size, 3),
                 np.broadcast_to(_rgb(colour), (size, size, 3)))


def _pixel_centres(view: View, size: int) -> np.ndarray:
    """Returns where the rays of size x size pixels cross depth 0, (size^2, 3) in the frame of the object."""
    axis = ((np.arange(size) + 0.5) / size * 2 - 1) * view.half_width
    x, y = np.meshgrid(axis, -axis)
    return np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3) @ view.rotation


def _march(fine: FineMap, level: float, start: np.ndarray, toward: np.ndarray,
           begin: np.ndarray) -> np.ndarray:
    """Returns the depth (N,) at which rays from `start` (N, 3) and depth `begin` (N,) meet the level, or -inf."""
    step = 1.5 * fine.pitch
    last = -np.sqrt(3) * abs(fine.origin)
    depth = np.full(len(start), -np.inf)
    rays = np.flatnonzero(np.isfinite(begin))
    z, before = begin[rays], np.zeros(len(rays))
    while len(rays):
        value = interpolate(fine, start[rays] + z[:, None] * toward)
        hit = value > level
        rise = np.maximum(value - before, 1e-6)
        depth[rays[hit]] = (z + step * (value - level) / rise)[hit]
        on = ~hit & (z > last)
        rays, z, before = rays[on], z[on] - step, value[on]
    return depth


def render_spheres(xyz: np.ndarray, radius: float, view: View, colours: np.ndarray) -> Layer:
    """Returns balls of one size as a layer.

    Args:
      xyz: (N, 3) centres of the balls, Angstrom.
      radius: radius of each ball, Angstrom.
      view: the camera.
      colours: (N, 3) red, green and blue, 0 to 1.
    """
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
    order = np.argsort(z)  # the last assignment to a pixel stays, which is the nearest ball
    pixel = (rows * size + columns)[ok][order]
    depth = np.full(size * size, -np.inf)
    normal, colour = np.zeros((2, size * size, 3))
    depth[pixel] = z[order]
    normal[pixel] = np.stack([dx, dy, dz], -1)[order] / radius
    colour[pixel] = colours[owner[order]]
    return Layer(depth.reshape(size, size), normal.reshape(size, size, 3),
                 colour.reshape(size, size, 3))


def render_cubes(occupancy: np.ndarray, pitch: float, view: View, colour: str) -> Layer:
    """Returns the filled voxels of a binary map as cubes with dark edges.

    Args:
      occupancy: (N, N, N) bool, its centre at the origin.
      pitch: edge of a voxel, Angstrom.
      view: the camera.
      colour: #rrggbb.
    """
    size = view.pixels * _OVERSAMPLE
    half = occupancy.shape[0] / 2
    filled = np.pad(np.asarray(occupancy, bool), 1)
    centres = (np.argwhere(occupancy) + 0.5 - half) * pitch
    # Balls around the cubes tell which rays can meet a cube, and at which depth each ray starts.
    balls = render_spheres(centres, 0.87 * pitch, view, np.zeros((len(centres), 3)))
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
            # The crossed face is the first one on the way back to the viewer.
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
    """Returns the picture of several layers: red, green, blue and opacity (pixels, pixels, 4), 0 to 1.

    Args:
      view: the camera that all layers have.
      solid: opaque layers; the nearest hides the others.
      veil: a translucent layer over what lies behind it.
      opacity: opacity of the veil where its surface faces the viewer, 0 to 1.
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
        # More opaque where the surface turns away from the viewer, so that outlines stay clear.
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
    """Returns the centre (3,) and the rotation (3, 3) that puts the longest axis along x and the shortest along z.

    Args:
      xyz: (N, 3) positions, in any unit; the centre is in the same unit.
      weight: (N,) weights, not negative.
    """
    weight = weight / weight.sum()
    centre = weight @ xyz
    arm = xyz - centre
    _, axes = np.linalg.eigh((arm * weight[:, None]).T @ arm)
    rotation = axes[:, ::-1].T
    return centre, rotation * np.array([1, 1, np.linalg.det(rotation)])[:, None]


def rotation_about(axis: str, degrees: float) -> np.ndarray:
    """Returns the rotation (3, 3) by an angle in degrees about the "x", "y" or "z" axis of the picture."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    rotation = np.eye(3)
    rotation[[i, j], [i, j]] = c
    rotation[i, j], rotation[j, i] = -s, s
    return rotation


def _lit(layer: Layer, view: View) -> np.ndarray:
    """Returns the lighted colours (P, P, 3) of a layer."""
    facing = layer.normal @ _LIGHT
    gleam = np.clip(layer.normal @ _half_way(), 0, 1) ** 40
    colour = layer.colour * (0.42 + 0.62 * np.clip(facing, -0.35, 1))[..., None]
    colour += 0.18 * gleam[..., None]
    # Far parts fade a little.
    fog = 0.22 * np.clip(0.5 - layer.depth / (2 * view.half_width), 0, 1)[..., None]
    return np.clip(colour * (1 - fog) + 0.8 * fog, 0, 1)


def _half_way() -> np.ndarray:
    """Returns the unit vector (3,) half-way between the light and the viewer, for the highlights."""
    middle = _LIGHT + np.array([0, 0, 1.0])
    return middle / np.linalg.norm(middle)


def _rgb(colour: str | tuple[float, float, float]) -> np.ndarray:
    """Returns a colour, #rrggbb or three numbers, as (3,), 0 to 1."""
    if isinstance(colour, str):
        return np.array([int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.asarray(colour, float)


def interpolate(fine: FineMap, points: np.ndarray) -> np.ndarray:
    """Returns the values (N,) of a map at points, by trilinear interpolation; outside the map, those of its border.

    Args:
      fine: the map.
      points: (N, 3) positions, Angstrom.
    """
    size = fine.density.shape[0]
    place = np.clip((points - fine.origin) / fine.pitch, 0, size - 1.001).T
    node = place.astype(int)
    x, y, z = place - node
    flat = fine.density.reshape(-1)
    corner = (node[0] * size + node[1]) * size + node[2]

    def along_z(offset: int) -> np.ndarray:
        low = flat[corner + offset]
        return low + z * (flat[corner + offset + 1] - low)

    def along_y(offset: int) -> np.ndarray:
        low = along_z(offset)
        return low + y * (along_z(offset + size) - low)

    low = along_y(0)
    return np.asarray(low + x * (along_y(size * size) - low))
