// Returns many balls of one size as one mesh, {vertexArr, normalArr, faceArr} for 3Dmol's addCustom.
// 3Dmol's own spheres are shaded discs whose depth is wrong in an orthographic view, so surfaces would cut them.
// points: {x, y, z} each.   fineness: see unitBall.
function ballsOf(points, radius, fineness) {
  const {corners, faces} = unitBall(fineness);
  const vertexArr = [], normalArr = [], faceArr = [];
  for (const {x, y, z} of points) {
    const first = vertexArr.length;
    for (const [u, v, w] of corners) {
      vertexArr.push({x: x + radius * u, y: y + radius * v, z: z + radius * w});
      normalArr.push({x: u, y: v, z: w});
    }
    for (const corner of faces) faceArr.push(first + corner);
  }
  return {vertexArr, normalArr, faceArr};
}

// Returns the unit sphere as {corners, faces}: an octahedron whose triangles are split in four this many times.
function unitBall(times) {
  const corners = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]];
  let triangles = [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]];
  for (let round = 0; round < times; round++) {
    const between = new Map();
    const half = (a, b) => {
      const name = a < b ? `${a} ${b}` : `${b} ${a}`;
      if (!between.has(name)) {
        const sum = corners[a].map((value, i) => value + corners[b][i]), length = Math.hypot(...sum);
        between.set(name, corners.push(sum.map((value) => value / length)) - 1);
      }
      return between.get(name);
    };
    triangles = triangles.flatMap(([a, b, c]) => {
      const [ab, bc, ca] = [half(a, b), half(b, c), half(c, a)];
      return [[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]];
    });
  }
  return {corners, faces: triangles.flat()};
}
