// Returns the surface of a map at a level, {vertexArr, normalArr, faceArr} for 3Dmol's addCustom, by naive surface nets
// (S. F. Gibson, Constrained elastic surface nets, 1998): each cell that the surface crosses gets one vertex, at the
// mean of the points where the surface cuts the cell's edges. 3Dmol's own surface depends only on which voxels are
// above the level; this one moves smoothly with the level.
// map: {size, values}; 0 outside.   place: takes an index (x, y, z) to a point.   turn: takes a direction likewise.
function surfaceOf(map, level, place, turn) {
  const [nx, ny, nz] = map.size;
  const at = (x, y, z) =>
    x < 0 || y < 0 || z < 0 || x >= nx || y >= ny || z >= nz ? 0 : map.values[(x * ny + y) * nz + z];
  const vertexArr = [], normalArr = [], faceArr = [];
  // Cells begin one voxel before the map, so a surface that touches the map's edge is closed.
  const cells = new Int32Array((nx + 1) * (ny + 1) * (nz + 1)).fill(-1);
  const cell = (x, y, z) => ((x + 1) * (ny + 1) + y + 1) * (nz + 1) + z + 1;
  const corners = new Float32Array(8);
  for (let x = -1; x < nx; x++) for (let y = -1; y < ny; y++) for (let z = -1; z < nz; z++) {
    let above = 0;
    for (let c = 0; c < 8; c++) {
      corners[c] = at(x + (c & 1), y + ((c >> 1) & 1), z + (c >> 2));
      above += corners[c] > level;
    }
    if (above === 0 || above === 8) continue;
    const sum = [0, 0, 0];
    let cuts = 0;
    for (let a = 0; a < 8; a++) for (let axis = 0; axis < 3; axis++) {
      const b = a | (1 << axis);
      if (a === b || corners[a] > level === corners[b] > level) continue;
      const share = (level - corners[a]) / (corners[b] - corners[a]);
      for (let i = 0; i < 3; i++) sum[i] += ((a >> i) & 1) + (i === axis ? share : 0);
      cuts++;
    }
    const [u, v, w] = sum.map((value) => value / cuts);
    cells[cell(x, y, z)] = vertexArr.length;
    vertexArr.push(place(x + u, y + v, z + w));
    normalArr.push(turn(...slope(corners, u, v, w)));
  }
  // Four cells surround each lattice edge that is cut; their vertices make two triangles.
  for (let x = 0; x < nx; x++) for (let y = 0; y < ny; y++) for (let z = 0; z < nz; z++) {
    const here = at(x, y, z) > level;
    for (const [dx, dy, dz] of [[1, 0, 0], [0, 1, 0], [0, 0, 1]]) {
      for (const side of [1, -1]) {
        // Backwards only at the map's first voxels, where no voxel before them looks forwards.
        if (side < 0 && (dx ? x : dy ? y : z) > 0) continue;
        if (here === at(x + side * dx, y + side * dy, z + side * dz) > level) continue;
        const [bx, by, bz] = side > 0 ? [x, y, z] : [x - dx, y - dy, z - dz];
        const ring = dx ? [[0, -1, -1], [0, 0, -1], [0, 0, 0], [0, -1, 0]]
          : dy ? [[-1, 0, -1], [-1, 0, 0], [0, 0, 0], [0, 0, -1]] : [[-1, -1, 0], [0, -1, 0], [0, 0, 0], [-1, 0, 0]];
        const [a, b, c, d] = ring.map(([i, j, k]) => cells[cell(bx + i, by + j, bz + k)]);
        if (here === side > 0) faceArr.push(a, b, c, a, c, d);
        else faceArr.push(a, c, b, a, d, c);
      }
    }
  }
  return {vertexArr, normalArr, faceArr};
}

// Returns the unit vector down the gradient within a cell.
function slope(corners, u, v, w) {
  const found = [0, 0, 0];
  for (let c = 0; c < 8; c++) {
    const weight = [c & 1 ? u : 1 - u, (c >> 1) & 1 ? v : 1 - v, c >> 2 ? w : 1 - w];
    for (let i = 0; i < 3; i++) {
      const sign = (c >> i) & 1 ? -1 : 1;
      found[i] += sign * corners[c] * weight[(i + 1) % 3] * weight[(i + 2) % 3];
    }
  }
  const length = Math.hypot(...found) || 1;
  return found.map((value) => value / length);
}
