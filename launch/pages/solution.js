// The report of launch.solve.

const {atoms, sections} = payload;

const [first, ...others] = payload.lead;
if (first) byId("lead").append(element("strong", {}, first), " ", others.join(" "));
byId("lead").dataset.status = payload.summary.status ?? "";

// ---- atoms

const unit = "voxels";
const about = `${atoms.positions.length} atoms in 3D`;
const box = atoms.box / 2;
// Half of the width that is shown: the box's corners when it is turned, and every atom outside the box.
const span = 1.35 * Math.max(box, ...[...atoms.positions, ...(atoms.other ?? [])].flat().map(Math.abs));
const scene = new Scene(byId("scene"), about, [span, span], unit, [[-25, "y"], [15, "x"]]);
const asPoint = ([x, y, z]) => ({x, y, z});
const radius = byId("radius");
slider("radius", (value) => `${value.toFixed(2)} voxel`, () => scene.redraw());

function addBalls(name, label, shown, positions, hue, size) {
  scene.add(name, shown, ballsPart(positions.map(asPoint), () => size * radius.valueAsNumber, () => colour(hue)));
  byId("parts").append(checkbox(label, shown, (on) => scene.show(name, on), `var(--${hue})`));
}

addBalls("atoms", "Atoms found", true, atoms.positions, "blue", 1);
addBalls("inverse", "Their inverse", false, atoms.positions.map((p) => p.map((value) => -value)), "grey", 1);
if (atoms.other) addBalls("other", "The other set that fits", true, atoms.other, "red", 0.9);
scene.add("numbers", atoms.positions.length <= 40, (viewer) => {
  const labels = atoms.positions.map((p, i) => viewer.addLabel(String(i + 1), {position: asPoint(p), inFront: true,
    showBackground: false, fontColor: colour("ink"), fontSize: 13, font: "system-ui, sans-serif",
    screenOffset: {x: 12, y: 10}}));
  return () => labels.forEach((label) => viewer.removeLabel(label));
});
byId("parts").append(checkbox("Numbers", atoms.positions.length <= 40, (on) => scene.show("numbers", on)));
scene.add("box", true, (viewer) => {
  const ends = [-box, box], shapes = [];
  for (const a of ends) for (const b of ends) {
    for (const line of [[[-box, a, b], [box, a, b]], [[a, -box, b], [a, box, b]], [[a, b, -box], [a, b, box]]]) {
      shapes.push(viewer.addLine({start: asPoint(line[0]), end: asPoint(line[1]), color: colour("quiet")}));
    }
  }
  return () => shapes.forEach((shape) => viewer.removeShape(shape));
});
byId("parts").append(checkbox(`Box of ${atoms.box} voxels`, true, (on) => scene.show("box", on)));
byId("reset").addEventListener("click", () => scene.reset());
scene.redraw();
scene.reset();
byId("atoms-caption").append("Coordinates in voxels, relative to the mean of the atoms." + (atoms.other
  ? " Two sets of atoms fit the map equally well: the data do not tell which is right." : ""),
  element("span", {className: "screen"},
    " Drag or use the arrow keys to turn the atoms. Click them, then zoom with the wheel."));

// ---- Patterson map: the page holds one half of it, because P(-u, -v, -w) = P(u, v, w)

const maps = {given: unpack(sections.given), fitted: unpack(sections.fitted)};
const side = sections.given.size[0], middle = (side - 1) / 2, depth = sections.given.size[2];
const brightness = Uint8Array.from(atob(sections.colours), (c) => c.charCodeAt(0));
const valueAt = (map, w) => (x, y) => {
  const [u, v, height] = w < 0 ? [2 * middle - x, 2 * middle - y, -w] : [x, y, w];
  return map.values[(u * side + v) * depth + height];
};
const height = byId("height");
Object.assign(height, {min: 1 - depth, max: depth - 1, value: sections.height});
// Smaller differences are hardly larger than the steps in which the maps are stored.
const fullDifference = Math.max(0.05, sections.difference);
function paintSections(w) {
  const given = valueAt(maps.given, w), fitted = valueAt(maps.fitted, w);
  const {low, high} = sections.given;
  const bright = (value) => {
    const step = 3 * Math.round((255 * (value - low)) / (high - low));
    return [...brightness.subarray(step, step + 3), 255];
  };
  const [above, below] = [rgb("red"), rgb("blue")];
  const most = fullDifference * (high - low);
  const differing = (value) => [...(value > 0 ? above : below), Math.min(255, (255 * Math.abs(value)) / most)];
  paintSection(byId("given"), side, (x, y) => bright(given(x, y)));
  paintSection(byId("fitted"), side, (x, y) => bright(fitted(x, y)));
  paintSection(byId("difference"), side, (x, y) => differing(given(x, y) - fitted(x, y)));
}
slider("height", (value) => `w = ${value} voxels`.replace("-", "−"), paintSections);
paintSections(sections.height);
onSchemeChange(() => paintSections(height.valueAsNumber));
for (const [id, name] of [["given", "as given"], ["fitted", "of the atoms found"], ["difference", "difference"]]) {
  byId(id).setAttribute("aria-label", `Section of the Patterson map, ${name}`);
}
byId("patterson-caption").textContent =
  "Bright: many pairs of atoms are this far apart. u to the right, v up, " +
  `${side} voxels wide, the origin in the middle of w = 0. ` +
  "Both maps have one scale, up to the highest peak between atoms. " +
  "Difference: red where the given map is higher, blue where the map of the atoms is higher. " +
  `The largest difference is ${(100 * sections.difference).toPrecision(2)}% of that scale; ` +
  `the strongest colour stands for ${(100 * fullDifference).toPrecision(2)}%. ` +
  "Good: no structure, or grain as large as the noise. Bad: peaks of the maps come back in the difference; " +
  "then atoms are missing or misplaced.";

// ---- positions

const axes = ["x", "y", "z"], table = byId("table");
const columns = ["atom", ...axes.flatMap((name) => atoms.deviations ? [name, "±"] : [name]),
  ...(atoms.positions_angstrom ? axes.map((name) => `${name} (Å)`) : [])];
table.createTHead().insertRow().append(...columns.map((name) => element("th", {scope: "col"}, name)));
const body = table.createTBody();
atoms.positions.forEach((position, i) => {
  const cells = position.flatMap((value, axis) => [element("td", {}, fixed(value, 4)),
    ...(atoms.deviations ? [element("td", {className: "quiet"}, fixed(atoms.deviations[i][axis], 4))] : [])]);
  const angstrom = (atoms.positions_angstrom?.[i] ?? []).map((value) => element("td", {}, fixed(value, 3)));
  body.append(element("tr", {}, element("th", {scope: "row"}, String(i + 1)), ...cells, ...angstrom));
});
byId("positions-caption").textContent = "In voxels, relative to the mean of the atoms" +
  (atoms.deviations ? "; ±: the standard deviation of the coordinate. Good: at most 0.2 voxel. " +
    "Bad: more; then the data do not fix this atom." : ".");
