// Returns many sticks of one size as one mesh, {vertexArr, normalArr, faceArr} for 3Dmol's addCustom.
// ends: two points {x, y, z} each.   sides: of the prism that stands for a stick.
function sticksOf(ends, radius, sides = 10) {
  const vertexArr = [], normalArr = [], faceArr = [];
  for (const [from, to] of ends) {
    const along = unitVector([to.x - from.x, to.y - from.y, to.z - from.z]);
    const other = Math.abs(along[0]) < 0.7 ? [1, 0, 0] : [0, 1, 0];
    const u = unitVector(crossProduct(along, other)), v = crossProduct(along, u);
    const first = vertexArr.length;
    for (let side = 0; side < sides; side++) {
      const angle = (2 * Math.PI * side) / sides, [c, s] = [Math.cos(angle), Math.sin(angle)];
      const [x, y, z] = [0, 1, 2].map((i) => c * u[i] + s * v[i]);
      for (const end of [from, to]) {
        vertexArr.push({x: end.x + radius * x, y: end.y + radius * y, z: end.z + radius * z});
        normalArr.push({x, y, z});
      }
    }
    for (let side = 0; side < sides; side++) {
      const a = first + 2 * side, b = first + 2 * ((side + 1) % sides);
      faceArr.push(a, b, a + 1, b, b + 1, a + 1);
    }
  }
  return {vertexArr, normalArr, faceArr};
}

const crossProduct = ([a, b, c], [d, e, f]) => [b * f - c * e, c * d - a * f, a * e - b * d];

function unitVector(vector) {
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}
