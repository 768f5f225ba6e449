// The report of launch.reconstruct.

const A = "Å", {fit, guinier, history, measures, shape} = payload;
const MODEL_COLOURS = ["green", "orange", "red", "grey"];

const count = payload.models.length, {status, reasons} = payload.verdict;
byId("lead").append(
  element("strong", {}, `${status[0].toUpperCase()}${status.slice(1)}.`),
  ...reasons.map((reason) => typeset(` ${reason[0].toUpperCase()}${reason.slice(1)}.`)),
  ` ${count > 1 ? `The best of ${count} models` : "The model"} fits ` +
  `${fit.q.length} points to q = ${fixed(fit.q.at(-1), 3)} 1/${A} with χ² = ${fixed(payload.summary.chi_squared, 2)}.`);
byId("lead").dataset.status = status;

// ---- shape

const turned = (x, y, z) => {
  const [a, b, c] = shape.rotation.map((row) => row[0] * x + row[1] * y + row[2] * z);
  return {x: a, y: b, z: c};
};
const point = (x, y, z) => {
  const p = turned(x, y, z);
  return {x: p.x - shape.middle[0], y: p.y - shape.middle[1], z: p.z - shape.middle[2]};
};
const voxel = (i, j, k) => point((i - 15) * shape.pitch, (j - 15) * shape.pitch, (k - 15) * shape.pitch);

const scene = new Scene(byId("scene"), `The shape in 3D, ${(2 * shape.half[0]).toFixed(0)} ${A} across`, shape.half, A);
const density = unpack(shape.density);
const level = byId("level");
level.value = shape.level;
slider("level", (value) => `${Math.round(100 * value)}%`, () => scene.redraw("mean"));
const veil = () => (scene.veiled() ? 0.45 : 1);
const surfacePart = (map, at, name, opacity) => meshPart(() => surfaceOf(map(), at(), voxel, turned),
  () => ({color: colour(name), opacity: opacity()}));

function addPart(name, label, shown, build, balls, swatch, into = "parts") {
  scene.add(name, shown, build, balls);
  byId(into).append(checkbox(label, shown, (on) => scene.show(name, on), swatch));
}

if (shape.reference) {
  const {points: atoms, radius, colours} = shape.reference;
  addPart("reference", "Reference", true,
    ballsPart(atoms.map((p) => point(...p)), () => radius,
    (i) => colours[Math.floor((i * colours.length) / atoms.length)]), true,
    `linear-gradient(90deg, ${colours.join(",")})`);
}
addPart("beads", "Beads", false,
  ballsPart(shape.beads.map((index) => voxel(...index)), () => 0.62 * shape.pitch, () => colour("orange")), true,
  "var(--orange)");
addPart("mean", "Mean of the models", true, surfacePart(() => density, () => level.valueAsNumber, "blue", veil), false,
  "var(--blue)");
shape.models.forEach((packed, i) => {
  const {chi_squared, rsc} = payload.models[i], hue = MODEL_COLOURS[i % MODEL_COLOURS.length];
  const source = payload.sources[i] ? `, from ${payload.sources[i].split(":")[0]}` : "";
  addPart(`model ${i + 1}`, `${i + 1}: χ² ${fixed(chi_squared, 2)}, RSC ${fixed(rsc, 2)}${source}`, false,
    surfacePart(() => unpack(packed), () => 0.5, hue, () => 0.6), false, `var(--${hue})`, "models");
});
byId("reset").addEventListener("click", () => scene.reset());
scene.redraw();
scene.reset();
byId("shape-caption").append([
  "The surface lies where the map has this value; inside a body it is near 100%, where the models agree.",
  "At the first level its volume is the mean volume of the models.",
  shape.reference
    ? `The reference lies where the correlation with it is highest, ${fixed(payload.summary.correlation, 3)}.` : "",
].filter(Boolean).join(" "), element("span", {className: "screen"}, ["",
  count > 1 ? `RSC: the real-space correlation of a model with ${payload.sources.length ? "the mean" : "the best one"}, 1 for ` +
    "the same shape. Believe a detail that most models show." : "",
  shape.models.length < payload.models.length
    ? `This page holds the first ${shape.models.length} of ${payload.models.length} models.` : "",
  "Drag or use the arrow keys to turn the shape. Click it, then zoom with the wheel.",
].filter((text, i) => !i || text).join(" ")), element("span", {className: "printed"},
  "The right picture is turned by 90° about the vertical axis."));

// ---- fit

const positive = (values) => values.map((value) => (value > 0 ? value : null));
const together = {key: "q", scales: ["x", null]};
const inFit = fit.q.length;
// The points that were not fitted are drawn behind the fitted ones; both share one axis.
const order = [...fit.q, ...fit.left_out.q].map((q, i) => [q, i]).sort((a, b) => a[0] - b[0]).map((pair) => pair[1]);
const q = order.map((i) => (i < inFit ? fit.q[i] : fit.left_out.q[i - inFit]));
const fitted = (values) => order.map((i) => (i < inFit ? values[i] : null));
const measured = fitted(positive(fit.intensity)), sigma = fitted(fit.sigma), model = fitted(positive(fit.model));
const rest = order.map((i) => (i < inFit ? null : positive(fit.left_out.intensity)[i - inFit]));
const known = fit.reference ? fitted(positive(fit.reference)) : null;
const residual = fitted(fit.intensity.map((value, i) => (value - fit.model[i]) / fit.sigma[i]));
const sayPoint = (i) => `q ${plain(q[i])} 1/${A}: I ${plain(measured[i] ?? rest[i] ?? NaN)}` + (residual[i] === null
  ? ", not fitted" : `, model ${plain(model[i] ?? NaN)}, residual ${fixed(residual[i], 2)} σ`);

// The lowest hundredth of the values is noise.
const ordered = [...measured, ...rest, ...model].filter((value) => value !== null).sort((a, b) => a - b);
const lowest = 0.6 * ordered[Math.floor(0.01 * ordered.length)], highest = 1.6 * ordered[ordered.length - 1];
chart(byId("intensity"), "Intensity against q with the fit", 340, () => ({
  data: [q, rest, measured, ...(known ? [known] : []), model],
  cursor: {sync: together, y: false},
  scales: {x: {time: false}, y: {distr: 3, range: () => [lowest, highest]}},
  axes: [axis(null, {size: 8, values: (u, values) => values.map(() => "")}),
    axis("I(q)", {size: 62, ...logAxis, values: plainValues})],
  series: [{}, dots("light", 1.5), dots("grey", 1.75), ...(known ? [line("green", 1.5)] : []), line("red", 1.75)],
  hooks: {drawAxes: [guinier.valid ? band(guinier.q[0], guinier.q[1]) : () => {}, errorBars(measured, sigma)]},
}), null);
const widest = Math.max(4, ...residual.map((value) => Math.abs(value ?? 0)));
chart(byId("residuals"), "Residuals against q", 170, () => ({
  data: [q, residual],
  cursor: {sync: together, y: false},
  scales: {x: {time: false}, y: {range: () => [-1.05 * widest, 1.05 * widest]}},
  axes: [axis(`q (1/${A})`, {values: plainValues}),
    axis("(I − fit) / σ", {size: 62, values: plainValues, space: 14})],
  series: [{}, dots("grey", 1.75)],
  hooks: {drawAxes: [zeroLine]},
}), sayPoint);
function zeroLine(u) {
  const {ctx, bbox} = u, at = u.valToPos(0, "y", true);
  ctx.strokeStyle = colour("red");
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(bbox.left, at);
  ctx.lineTo(bbox.left + bbox.width, at);
  ctx.stroke();
}
byId("fit-caption").append("Dots with bars of one standard deviation: measured" +
  (fit.left_out.q.length ? " (faint: not fitted)" : "") + ". Line: the best model" +
  (known ? "; green: the reference's own curve" : "") +
  (guinier.valid ? ". Shaded: the Guinier region." : ".") +
  " Lower plot: the residuals. Good: they scatter evenly about 0, 19 of 20 between −2 and 2. " +
  "Bad: long runs on one side of 0; there the model misses something." +
  (measures.cormap_p == null ? "" : ` CorMap (Franke, 2015): p = ${plain(measures.cormap_p)}; bad: below 1e-12; a model has errors of its own.`),
  element("span", {className: "screen"}, " Drag across to look closer, double click to see all."));

// ---- P(r)

const pairs = payload.pair_distances;
if (!pairs.reason) {
  chart(byId("distances"), "Distances P(r)", 260, () => ({
    data: [pairs.r, pairs.distribution],
    cursor: {y: false},
    scales: {x: {time: false}},
    axes: [axis(`r (${A})`, {values: plainValues}), axis("P(r) / maximum", {size: 56, values: plainValues})],
    series: [{}, line("blue", 2)],
    hooks: {drawAxes: [errorBars(pairs.distribution, pairs.sigma)]},
  }), (i) => `r ${plain(pairs.r[i])} ${A}: P ${fixed(pairs.distribution[i], 3)} ± ${fixed(pairs.sigma[i], 3)}`);
}
byId("distances-caption").textContent = pairs.reason ? `P(r) is not determined: ${pairs.reason}.`
  : "How often each distance occurs within the particle, by Bayesian indirect transform, with bars of one standard " +
    `deviation. It ends at ${fixed(pairs.end, 0)} ${A}. Good: it falls smoothly to 0. Bad: waves at the end, or a ` +
    "long low tail (aggregates).";

// ---- Guinier region

if (guinier.valid) {
  const squares = guinier.points.q.map((value) => value * value);
  const points = guinier.points.log_intensity, errors = guinier.points.log_sigma;
  const straight = squares.map((x) => Math.log(guinier.i0) - (x * guinier.rg ** 2) / 3);
  const shaded = band(guinier.q[0] ** 2, guinier.q[1] ** 2), squared = {key: "q2", scales: ["x", null]};
  chart(byId("guinier"), "Guinier plot", 210, () => ({
    data: [squares, points, straight],
    cursor: {sync: squared, y: false},
    scales: {x: {time: false}},
    axes: [axis(null, {size: 8, values: (u, values) => values.map(() => "")}),
      axis("ln I", {size: 56, values: plainValues})],
    series: [{}, dots("grey", 2), line("blue", 1.5)],
    hooks: {drawAxes: [shaded, errorBars(points, errors)]},
  }), null);
  const off = points.map((value, i) => (value - straight[i]) / errors[i]);
  // The points beyond the region leave the line; the scale is that of the region.
  const inRegion = off.filter((_, i) => squares[i] >= guinier.q[0] ** 2 && squares[i] <= guinier.q[1] ** 2);
  const limit = 1.05 * Math.max(3, ...inRegion.map(Math.abs));
  chart(byId("guinier-residuals"), "Residuals of the Guinier line", 130, () => ({
    data: [squares, off],
    cursor: {sync: squared, y: false},
    scales: {x: {time: false}, y: {range: () => [-limit, limit]}},
    axes: [axis(`q² (1/${A}²)`, {values: plainValues, space: 70}),
      axis("residual / σ", {size: 56, values: plainValues, space: 14})],
    series: [{}, dots("grey", 1.75)],
    hooks: {drawAxes: [shaded, zeroLine]},
  }), (i) => `q² ${plain(squares[i])} 1/${A}²: ln I ${fixed(points[i], 3)}, line ${fixed(straight[i], 3)}, ` +
    `residual ${fixed(off[i], 2)} σ`);
}
byId("guinier-caption").textContent = guinier.valid
  ? `Rg = ${fixed(guinier.rg, 2)} ± ${fixed(guinier.rg_sigma, 2)} ${A}, I(0) = ${guinier.i0.toPrecision(5)}, ` +
    `from q Rg = ${fixed(guinier.q_rg[0], 2)} to ${fixed(guinier.q_rg[1], 2)} (shaded; ` +
    "good: to at most 1.3). Good: the residuals scatter evenly about 0. Bad: the points bend up towards q = 0 (aggregates), or down (repulsion); then Rg is wrong."
  : `This curve has no Guinier region: ${guinier.reason}. The size is the one that was given.`;

// ---- Kratky plot

const KRATKY_END = 8;  // q Rg; beyond, the plot of a protein is noise
if (guinier.valid) {
  const x = q.map((value) => value * guinier.rg), use = x.map((value) => value <= KRATKY_END);
  const cut = (values) => values.filter((_, i) => use[i]);
  const factor = cut(x.map((value) => value ** 2 / guinier.i0)), at = cut(x);
  const height = cut(order.map((i) => (i < inFit ? fit.intensity[i] : fit.left_out.intensity[i - inFit])))
    .map((value, i) => value * factor[i]);
  const error = cut(sigma).map((value, i) => (value === null ? null : value * factor[i]));
  // Noise at the end must not flatten the plot: the highest hundredth does not count.
  const sorted = [...height].sort((a, b) => a - b), top = Math.max(1.5, 1.15 * sorted[Math.floor(0.99 * (at.length - 1))]);
  chart(byId("kratky"), "Dimensionless Kratky plot", 260, () => ({
    data: [at, height],
    cursor: {y: false},
    scales: {x: {time: false, range: (u, low, high) => [Math.min(0, low), Math.max(high, 3)]}, y: {range: () => [-0.1, top]}},
    axes: [axis("q Rg", {values: plainValues}), axis("(q Rg)² I / I(0)", {size: 56, values: plainValues})],
    series: [{}, dots("grey", 1.75)],
    hooks: {drawAxes: [compactPeak, errorBars(height, error)]},
  }), (i) => `q Rg ${fixed(at[i], 2)}: ${fixed(height[i], 3)}` + (error[i] === null ? "" : ` ± ${fixed(error[i], 3)}`));
}
// The peak of a compact particle, where Guinier's law has it: 3 / e at the square root of 3.
function compactPeak(u) {
  const {ctx, bbox} = u, left = u.valToPos(Math.sqrt(3), "x", true), top = u.valToPos(3 / Math.E, "y", true);
  ctx.strokeStyle = colour("blue");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(left, bbox.top);
  ctx.lineTo(left, bbox.top + bbox.height);
  ctx.moveTo(bbox.left, top);
  ctx.lineTo(bbox.left + bbox.width, top);
  ctx.stroke();
  ctx.setLineDash([]);
}
byId("kratky-caption").textContent = guinier.valid
  ? "Dashed: the peak of a compact particle, 1.10 at q Rg = 1.73 (Durand et al., 2010). Farther right and higher: " +
    "elongated, or flexible parts. No fall after the peak: a disordered chain, or a background."
  : "Without a Guinier region there is no such plot.";

// ---- convergence

const measure = payload.sources.length ? "misfit" : "χ²";  // with the model's error beside sigma, or without
const generations = history.elites.map((_, i) => i);
const along = (values) => generations.map((i) => values[i] ?? null);
const correlation = history.correlation
  ? generations.map((i) => history.correlation[history.correlation_generation.indexOf(i)] ?? null) : null;
if (generations.length > 1) {
  chart(byId("convergence"), "chi squared by step", 260, () => ({
    data: [generations, ...history.best.slice(1).map(along), along(history.elites), along(history.best[0]),
      ...(correlation ? [correlation] : [])],
    cursor: {y: false},
    scales: {x: {time: false}, y: {distr: 3}, r: {range: () => [0, 1]}},
    axes: [axis("step", {values: plainValues, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]}),
      axis(measure, {size: 56, ...logAxis, values: plainValues}),
      ...(correlation ? [axis("correlation", {scale: "r", side: 1, size: 44, values: plainValues, stroke: colour("red"),
        grid: {show: false}})] : [])],
    series: [{}, ...history.best.slice(1).map(() => line("light", 1)), line("blue", 1, {dash: [4, 4]}), line("blue", 2),
      ...(correlation ? [line("red", 1.25, {scale: "r", spanGaps: true, points: {show: true, size: 5, width: 0,
        fill: colour("red")}})] : [])],
  }), (i) => `step ${i}: best ${measure} ${plain(history.best[0][i] ?? NaN)}, ` +
    `mean of the models ${plain(history.elites[i])}` +
    (correlation?.[i] ? `, correlation ${fixed(correlation[i], 3)}` : ""));
}
byId("convergence-caption").textContent = generations.length === 1 ? "There was only one step."
  : "Good: the bold line is level at the end. Bad: it still falls; then more --generations give a better fit. " +
    `Bold: the ${measure} of the best run's best model, of the binned curve; dashed: the mean of its models` +
    (history.best.length > 1 ? "; grey: the other runs" : "") +
    (correlation ? "; red, right axis: the correlation of the best model with the reference." : ".");
