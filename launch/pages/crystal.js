// The report of launch.solve --reflections.

const {atoms, bonds, cell, maps, status} = payload;

const [claim, ...rest] = payload.lead.split(": ");
byId("lead").append(element("strong", {}, `${claim}:`), ` ${rest.join(": ")}`);
byId("lead").dataset.status = status;
byId("structure").textContent = {solved: "Structure", ambiguous: "Atoms, not proven"}[status] ??
  "Atoms that do not explain the data";

// ---- structure

const A = "Å", unit = typeset(maps.unit);
const times = (matrix, v) => matrix.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]);
const toAngstrom = (fractional) => times(cell.matrix, fractional);
const corners = [0, 1].flatMap((x) => [0, 1].flatMap((y) => [0, 1].map((z) => [x, y, z])));

// Where a structure is not solved, no element is claimed.
const elementColour = (name) => {
  const found = $3Dmol.elementColors.Jmol[name] ?? 0x909090;
  return status === "not solved" ? colour("grey") : `#${found.toString(16).padStart(6, "0")}`;
};
const elementOf = (source) => atoms.elements[source];
const ballRadius = (source) => 0.22 + 0.16 * Math.min(atoms.radii[source], 1.7);

const growth = payload.views.grown, shown = {view: growth[0], stage: 0, middle: [0, 0, 0]};
// Positions in the frame of the picture: turned to the widest sides of the atoms, about the middle of what is shown.
const inPicture = (point) => {
  const [x, y, z] = times(cell.turn, point);
  return {x: x - shown.middle[0], y: y - shown.middle[1], z: z - shown.middle[2]};
};
const scene = new Scene(byId("scene"), `${atoms.labels.length} unique atoms in their unit cell`, [1, 1], A);

// Fits the atoms, and the cell as far as it leaves them large enough.
function fitScene() {
  const turned = (points) => points.map((point) => times(cell.turn, point));
  const ofAtoms = turned(shown.view.points), all = [...ofAtoms, ...turned(corners.map(toAngstrom))];
  const ends = (places, i) => [Math.min(...places.map((p) => p[i])), Math.max(...places.map((p) => p[i]))];
  shown.middle = [0, 1, 2].map((i) => (ends(ofAtoms, i)[0] + ends(ofAtoms, i)[1]) / 2);
  const reach = (places, i) => Math.max(...ends(places, i).map((end) => Math.abs(end - shown.middle[i]))) + 1;
  const most = 1.9 * Math.max(reach(ofAtoms, 0), reach(ofAtoms, 1));
  scene.half = [0, 1].map((i) => Math.min(reach(all, i), most));
  shown.carved = {};
}

const grouped = (items, key) => {
  const groups = new Map();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
};

scene.add("atoms", true, (viewer) => {
  const {sources, points, bonds} = shown.view, places = points.map(inPicture), shapes = [];
  const fineness = points.length <= 150 ? 3 : 2;
  for (const [name, group] of grouped(sources.map((_, i) => i), (i) => elementOf(sources[i]))) {
    const mesh = ballsOf(group.map((i) => places[i]), ballRadius(sources[group[0]]), fineness);
    shapes.push(viewer.addCustom({...mesh, color: elementColour(name)}));
  }
  const halves = bonds.flatMap(([a, b]) => {
    const [from, to] = [places[a], places[b]];
    const between = {x: (from.x + to.x) / 2, y: (from.y + to.y) / 2, z: (from.z + to.z) / 2};
    return [[elementOf(sources[a]), [from, between]], [elementOf(sources[b]), [to, between]]];
  });
  for (const [name, group] of grouped(halves, (half) => half[0])) {
    shapes.push(viewer.addCustom({...sticksOf(group.map((half) => half[1]), 0.11), color: elementColour(name)}));
  }
  return () => shapes.forEach((shape) => viewer.removeShape(shape));
}, true);

const label = (viewer, text, position, more) => viewer.addLabel(text, {position, inFront: true, showBackground: false,
  fontColor: colour("ink"), fontSize: 12, font: "system-ui, sans-serif", ...more});
const labelled = atoms.labels.length <= 60;
scene.add("labels", labelled, (viewer) => {
  // Only the first copy of each atom: with all of them nothing could be read.
  const labels = atoms.labels.map((text, source) => label(viewer, text,
    inPicture(shown.view.points[shown.view.sources.indexOf(source)]), {screenOffset: {x: 8, y: 8}}));
  return () => labels.forEach((made) => viewer.removeLabel(made));
});
scene.add("cell", true, (viewer) => {
  const names = ["red", "green", "blue"];
  const shapes = corners.flatMap((from) => [0, 1, 2].filter((i) => from[i] === 0).map((i) => {
    const to = from.with(i, 1), isAxis = from.every((value) => value === 0);
    return viewer.addLine({start: inPicture(toAngstrom(from)), end: inPicture(toAngstrom(to)),
      color: colour(isAxis ? names[i] : "quiet")});
  }));
  const labels = ["a", "b", "c"].map((text, i) => label(viewer, text,
    inPicture(toAngstrom([0, 0, 0].with(i, 1.04))), {fontColor: colour(names[i]), fontSize: 15}));
  return () => {
    shapes.forEach((shape) => viewer.removeShape(shape));
    labels.forEach((made) => viewer.removeLabel(made));
  };
});

// ---- maps about the atoms that are shown

const REACH = 1.7;  // Å from an atom; a map ends there
const unpacked = {density: unpack(maps.density.map), difference: unpack(maps.difference.map)};

// Returns the part of a map of the cell about the atoms shown, {size, values, first}: 0 elsewhere.
function carve(name) {
  if (shown.carved[name]) return shown.carved[name];
  const {size, values} = unpacked[name], places = shown.view.points.map((point) => times(cell.inverse, point));
  const margin = cell.inverse.map((row) => REACH * Math.hypot(...row));
  const first = [0, 1, 2].map((i) => Math.floor((Math.min(...places.map((p) => p[i])) - margin[i]) * size[i]));
  const last = [0, 1, 2].map((i) => Math.ceil((Math.max(...places.map((p) => p[i])) + margin[i]) * size[i]));
  const [nx, ny, nz] = [0, 1, 2].map((i) => last[i] - first[i] + 1), wrap = (k, n) => ((k % n) + n) % n;
  const found = new Float32Array(nx * ny * nz);
  for (const place of places) {
    const from = [0, 1, 2].map((i) => Math.ceil((place[i] - margin[i]) * size[i]));
    const to = [0, 1, 2].map((i) => Math.floor((place[i] + margin[i]) * size[i]));
    for (let x = from[0]; x <= to[0]; x++) for (let y = from[1]; y <= to[1]; y++) for (let z = from[2]; z <= to[2]; z++) {
      const off = toAngstrom([x / size[0] - place[0], y / size[1] - place[1], z / size[2] - place[2]]);
      if (off[0] ** 2 + off[1] ** 2 + off[2] ** 2 > REACH ** 2) continue;
      found[((x - first[0]) * ny + y - first[1]) * nz + z - first[2]] =
        values[(wrap(x, size[0]) * size[1] + wrap(y, size[1])) * size[2] + wrap(z, size[2])];
    }
  }
  return (shown.carved[name] = {size: [nx, ny, nz], values: found, first});
}

// Returns the surface of a map where it is above a level times a sign.
function mapSurface(name, sign, level) {
  const part = carve(name), {size} = unpacked[name];
  const map = sign > 0 ? part : {size: part.size, values: part.values.map((value) => -value)};
  const place = (x, y, z) => inPicture(toAngstrom([x, y, z].map((k, i) => (k + part.first[i]) / size[i])));
  // Directions of gradients go with the transposed inverse.
  const turn = (u, v, w) => {
    const g = [u * size[0], v * size[1], w * size[2]];
    const direction = [0, 1, 2].map((i) => cell.inverse[0][i] * g[0] + cell.inverse[1][i] * g[1] + cell.inverse[2][i] * g[2]);
    const [x, y, z] = unitVector(times(cell.turn, direction));
    return {x, y, z};
  };
  return surfaceOf(map, level, place, turn);
}

function levelSlider(name, least, most, start, parts) {
  const {sigma} = maps[name], input = byId(name);
  const step = 10 ** Math.floor(Math.log10(sigma / 5));
  Object.assign(input, {min: least * sigma, max: most * sigma, step, value: Math.round((start * sigma) / step) * step});
  slider(name, (value) => `${name === "difference" ? "± " : ""}${+value.toPrecision(2)} ${unit} (${fixed(value / sigma, 1)} σ)`,
    () => parts.filter((part) => scene.parts.get(part).shown).forEach((part) => scene.redraw(part)));
}
const surface = (map, sign, hue) => meshPart(() => mapSurface(map, sign, byId(map).valueAsNumber),
  () => ({color: colour(hue), opacity: scene.veiled() ? 0.4 : 1}));
scene.add("density", false, surface("density", 1, "blue"));
scene.add("missing", false, surface("difference", 1, "green"));
scene.add("surplus", false, surface("difference", -1, "red"));
levelSlider("density", 0.5, 8, 2, ["density"]);
levelSlider("difference", 1, 7, 3, ["missing", "surplus"]);

for (const [name, text, on, hue] of [["atoms", "Atoms and bonds", true], ["labels", "Labels", labelled],
  ["cell", "Unit cell", true], ["density", "Density", false, "blue"],
  ["missing", "Positive difference", false, "green"],
  ["surplus", "Negative difference", false, "red"]]) {
  byId("parts").append(checkbox(text, on, (now) => scene.show(name, now), hue && `var(--${hue})`));
}

function showView(id, view, stage = 0) {
  Object.assign(shown, {view, stage});
  for (const other of ["unit", "cell", "grow"]) byId(`view-${other}`).setAttribute("aria-pressed", String(other === id));
  byId("view-grow").disabled = stage + 1 >= growth.length;
  fitScene();
  scene.redraw();
  scene.reset();
}
byId("view-unit").addEventListener("click", () => showView("unit", growth[0]));
byId("view-cell").addEventListener("click", () => showView("cell", payload.views.cell[0]));
byId("view-grow").addEventListener("click", () => showView("grow", growth[shown.stage + 1], shown.stage + 1));
byId("reset").addEventListener("click", () => scene.reset());
byId("view-cell").disabled = !payload.views.cell.length;
showView("unit", growth[0]);

const named = [...new Set(atoms.elements)];
if (status !== "not solved") byId("elements").append(...named.map((name) => {
  const patch = element("span", {className: "swatch"});
  patch.style.background = elementColour(name);
  return element("span", {className: "key"}, patch, name);
}));
byId("structure-caption").append((status === "not solved"
  ? "These atoms do not explain the data; all are grey, because no element is known. " : "") +
  "Bonds by distance: below the sum of the covalent radii and 0.4 Å. " +
  "Grow neighbours adds what is bonded to the atoms shown; where all bonds are complete, the molecules around. " +
  (payload.views.cell.length ? "" : "The unit cell has too many atoms for this page. ") +
  `Density: F_obs with calculated phases, in ${unit}, within ${REACH} Å of the atoms. ` +
  "Difference, F_obs − F_calc: green where atoms are missing, red where there is too much. " +
  "Good: small spots anywhere, or hydrogens in green. Bad: large blobs at or between the atoms. ",
  element("span", {className: "screen"},
    "Drag or use the arrow keys to turn the atoms. Click them, then zoom with the wheel."));

// ---- evidence

const {at, proves, disproves, here, place: ownPlace} = payload.limits;
chart(byId("limits"), "R1 against reflections per parameter, with the limits of the verdict", 260, () => ({
  data: [at, proves, disproves, at.map((_, i) => (i === ownPlace ? here[1] : null))],
  cursor: {y: false},
  scales: {x: {time: false}, y: {range: () => [0, Math.max(0.4, 1.1 * here[1])]}},
  axes: [axis("reflections per parameter", {values: plainValues}), axis("R1", {size: 56, values: plainValues})],
  series: [{}, line("green", 2), line("red", 2), dots("blue", 5)],
}), (i) => i === ownPlace ? `this answer: ${fixed(here[0], 1)} reflections per parameter, R1 ${fixed(here[1], 4)}`
  : `${fixed(at[i], 1)} reflections per parameter: solved up to ${fixed(proves[i], 3)}, not solved from ` +
    `${fixed(disproves[i], 3)}`);
byId("limits-caption").textContent = `Dot: this answer, R1 ${fixed(here[1], 3)} with ${fixed(here[0], 1)} reflections ` +
  "per parameter. Good: below the green line, where only right structures were met. Bad: above the red line, where all " +
  "were wrong; between the lines nothing is proven.";

const {shells, wilson} = payload;
const inverse = shells.d.map((d) => 1 / d ** 2);
chart(byId("shells"), "R1 by resolution", 260, () => ({
  data: [inverse, shells.r1],
  cursor: {y: false},
  scales: {x: {time: false}, y: {range: (u, low, high) => [0, Math.max(0.3, 1.1 * high)]}},
  axes: [axis(`1/d² (1/${A}²)`, {values: plainValues}), axis("R1", {size: 56, values: plainValues})],
  series: [{}, {...line("blue", 1.5), points: {show: true, size: 6, width: 0, fill: colour("blue")}}],
}), (i) => `to ${fixed(shells.d[i], 2)} ${A}: R1 ${fixed(shells.r1[i], 3)}, ${shells.reflections[i]} reflections`);
byId("shells-caption").textContent = "In shells of equal numbers of reflections, over F > 4 σ(F). Good: low, rising " +
  "gently to the right as the data get weak. Bad: high everywhere (wrong atoms), or high at the left only (disorder, " +
  "missing solvent or hydrogens).";

const wilsonLine = wilson.s2.map((s2) => wilson.log_scale - (wilson.b * s2) / 2);
chart(byId("wilson"), "Wilson plot", 260, () => ({
  data: [wilson.s2, wilson.log, wilsonLine],
  cursor: {y: false},
  scales: {x: {time: false}},
  axes: [axis(`1/d² (1/${A}²)`, {values: plainValues}), axis("ln(⟨I⟩ / Σf²)", {size: 56, values: plainValues})],
  series: [{}, dots("grey", 2.5), line("blue", 1.5)],
}), (i) => `1/d² ${plain(wilson.s2[i])} 1/${A}²: ${fixed(wilson.log[i], 2)}, line ${fixed(wilsonLine[i], 2)}`);
byId("wilson-caption").textContent = `B = ${fixed(wilson.b, 2)} ± ${fixed(wilson.b_sigma, 2)} ${A}², from reflections ` +
  `beyond 3 ${A} where there are enough. Good: the points follow the line, with the waves of molecular shapes. Bad: ` +
  "they flatten at the right (noise, or a wrong cell), or bend as no line can.";

function fillTable(id, names, rows) {
  const table = byId(id);
  table.createTHead().insertRow().append(...names.map((name) => element("th", {scope: "col"}, name)));
  table.createTBody().append(...rows.map(([first, ...others]) => element("tr", {},
    element("th", {scope: "row"}, first), ...others.map((text) => element("td", {}, text ?? "–")))));
  return table;
}

const groups = payload.groups;
const probable = (value) => (value === null ? "–" : value < 0.005 ? "< 1%" : `${Math.round(100 * value)}%`);
const count = (value) => (value === null ? "–" : String(value));
fillTable("groups", ["group", "rank", "probability", "violated", "R1", "result"], groups.map((group) => [
  group.symbol || "–", count(group.rank), probable(group.probability), count(group.violated), fixed(group.r1, 3),
  group.status ?? "not tried"])).querySelectorAll("tbody tr").forEach((row, i) => {
  if (groups[i].is_answer) row.className = "answer";
});
byId("groups-caption").textContent = "Bold: the group of these atoms. Rank and probability come from the data alone: " +
  "absences, intensity statistics and how common a group is. Violated: reflections with I > 3 σ that the group forbids. " +
  "Good: a group of high rank without violations.";

fillTable("atom-table", ["atom", "element", "x", "y", "z", `B (${A}²)`, "occupancy", "copies in the cell"],
  atoms.labels.map((name, i) => [name, atoms.elements[i], ...atoms.coordinates[i].map((text) => text.replace("-", "−")),
    fixed(atoms.b_iso[i], 2), fixed(atoms.occupancies[i], 2), String(atoms.multiplicities[i])]));
byId("atoms-caption").textContent = "Fractional coordinates with the standard deviation of the last digit in " +
  "parentheses, from the least squares; without one, the site symmetry fixes the coordinate. Good: a few in the fourth " +
  "decimal, B of 1 to 6. Bad: B above 10, or far above that of the neighbours; then the atom, or its element, is doubtful.";
fillTable("bond-table", ["atom", "atom", `length (${A})`, "second atom at"], bonds);
byId("bonds-caption").textContent = bonds.length ? (bonds.length < payload.num_bonds
  ? `The first ${bonds.length} of ${payload.num_bonds} bonds. ` : "") + "Second atom at: the symmetry operator where it is a copy. " +
  "The standard deviations take the atoms as independent. Good: C–C 1.2 to 1.56 Å, C–N and C–O 1.15 to 1.5 Å. Bad: " +
  "lengths that no bond has." : "No two atoms are at the distance of a bond.";
