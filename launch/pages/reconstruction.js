// The report of launch.reconstruct.

const A = "Å", {fit, guinier, history, shape} = payload;
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
byId("shape-caption").textContent = [
  "The surface lies where the map has this value; inside a body it is near 100%, where the models agree.",
  "At the first level its volume is the mean volume of the models.",
  count > 1 ? `RSC: the real-space correlation of a model with ${payload.sources.length ? "the mean" : "the best one"}, 1 for ` +
    "the same shape. Believe a detail that most models show." : "",
  shape.reference
    ? `The reference lies where the correlation with it is highest, ${fixed(payload.summary.correlation, 3)}.` : "",
  shape.models.length < payload.models.length
    ? `This page holds the first ${shape.models.length} of ${payload.models.length} models.` : "",
  "Drag or use the arrow keys to turn the shape. Click it, then zoom with the wheel.",
].filter(Boolean).join(" ");

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
    axis("(I − fit) / σ", {size: 62, values: plainValues, space: 18})],
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
byId("fit-caption").textContent = "Dots with bars of one standard deviation: measured" +
  (fit.left_out.q.length ? " (faint: not fitted)" : "") + ". Line: the best model" +
  (known ? "; green: the reference's own curve" : "") +
  (guinier.valid ? ". Shaded: the Guinier region." : ".") +
  " Lower plot: the residuals. Good: they scatter evenly about 0, 19 of 20 between −2 and 2. " +
  "Bad: long runs on one side of 0; there the model misses something." +
  " Drag across to look closer, double click to see all.";

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
  chart(byId("guinier"), "Guinier plot", 260, () => ({
    data: [squares, points, straight],
    cursor: {y: false},
    scales: {x: {time: false}},
    axes: [axis(`q² (1/${A}²)`, {values: plainValues, space: 70}), axis("ln I", {size: 56, values: plainValues})],
    series: [{}, dots("grey", 2), line("blue", 1.5)],
    hooks: {drawAxes: [band(guinier.q[0] ** 2, guinier.q[1] ** 2), errorBars(points, errors)]},
  }), (i) => `q² ${plain(squares[i])} 1/${A}²: ln I ${fixed(points[i], 3)}, line ${fixed(straight[i], 3)}`);
}
byId("guinier-caption").textContent = guinier.valid
  ? `Rg = ${fixed(guinier.rg, 2)} ± ${fixed(guinier.rg_sigma, 2)} ${A}, I(0) = ${guinier.i0.toPrecision(5)}, ` +
    `from q Rg = ${fixed(guinier.q_rg[0], 2)} to ${fixed(guinier.q_rg[1], 2)} (shaded). ` +
    "Good: the shaded points follow the line. Bad: they bend up towards q = 0 (aggregates), or down (repulsion); " +
    "then Rg is wrong."
  : `This curve has no Guinier region: ${guinier.reason}. The size is the one that was given.`;

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
      axis(`${measure} of the binned curve`, {size: 56, ...logAxis, values: plainValues}),
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
    "Bold: the best run's best model; dashed: the mean of its models" +
    (history.best.length > 1 ? "; grey: the other runs" : "") +
    (correlation ? "; red, right axis: the correlation of the best model with the reference." : ".");
