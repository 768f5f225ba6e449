// Charts of curves, drawn by uPlot: drag across to zoom, double click to see all, arrow keys move the cursor.

const charts = [];
const PRINTED = 0.56, LEAST_PRINTED = 110;  // height on paper over height on the screen, and the least, px

// Draws a chart, and draws it anew when the colour scheme or the width changes.
// container: gives the width.   about: a name for screen readers.   build(): options and data, in current colours.
// say(index): the text about a point, shown below the chart; null where the text of another chart includes it.
function chart(container, about, height, build, say) {
  const readout = element("output", {className: "readout"});
  container.tabIndex = 0;
  container.setAttribute("role", "group");
  container.setAttribute("aria-label", `${about}. Arrow keys read out its points.`);
  let plot = null;
  const options = {
    legend: {show: false}, padding: [8, 12, 0, 0],
    hooks: {setCursor: [(u) => {
      const at = u.cursor.idx;
      if (say) readout.textContent = at === null || at === undefined ? "" : say(at);
    }]},
  };
  const size = () => ({width: container.clientWidth, height: isPrinting() ? Math.max(LEAST_PRINTED, Math.round(PRINTED * height)) : height});
  const draw = () => {
    plot?.destroy();
    charts.splice(0, charts.length, ...charts.filter((other) => other !== plot));
    const {data, ...more} = build();
    container.style.height = `${size().height}px`;  // uPlot sets its own only after this script
    plot = new uPlot({...options, ...more, ...size(), hooks: {...options.hooks, ...more.hooks}}, data, container);
    charts.push(plot);
  };
  draw();
  if (say) container.after(readout);
  onSchemeChange(draw);
  new ResizeObserver(() => plot.setSize(size())).observe(container);
  container.addEventListener("keydown", (event) => {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const last = plot.data[0].length - 1;
    const at = Math.min(last, Math.max(0, (plot.cursor.idx ?? (step > 0 ? -1 : last + 1)) + step));
    plot.setCursor({left: plot.valToPos(plot.data[0][at], "x"), top: 1}, true, true);
  });
}

// Returns an axis in the colours of the page.
function axis(label, more = {}) {
  const ink = colour("quiet");
  const font = `${isPrinting() ? 10 : 12}px system-ui, sans-serif`;
  return {label, stroke: ink, font, labelFont: font, labelSize: 20, labelGap: 0, gap: 4, size: 28,
    grid: {stroke: colour("rule"), width: 1}, ticks: {stroke: colour("rule"), width: 1, size: 4}, ...more};
}

// Returns the labelled values of a logarithmic axis: powers of ten, with 3, or 2 and 5, between them where few.
function logSplits(u, index, low, high) {
  const decades = Math.log10(high / low);
  const steps = decades > 3.5 ? [1] : decades > 1.5 ? [1, 3] : [1, 2, 5];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const step of steps) {
      const value = step * 10 ** power;
      if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
    }
  }
  return found;
}

// Every split gets a label; by default uPlot labels powers of ten only.
const logAxis = {splits: logSplits, filter: (u, splits) => splits};

const plain = (value) => {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(0).replace("e+", "e") : String(+value.toPrecision(4));
  return text.replace(/^-/, "−");
};
// Labels of one axis: all with the same number of decimals; on a logarithmic axis each with its own.
const plainValues = (u, values, index) => {
  if (u.scales[u.axes[index].scale].distr === 3) return values.map(plain);
  const decimals = Math.max(...values.map((value) => (String(+value.toPrecision(10)).split(".")[1] ?? "").length));
  return values.map((value) => fixed(value, decimals));
};

// A series of dots; radius in CSS pixels.
const dots = (name, radius) => ({stroke: colour(name), points: {show: true, size: 2 * radius, width: 0,
  fill: colour(name)}, paths: () => null});
const line = (name, width, more = {}) => ({stroke: colour(name), width, pxAlign: 0, points: {show: false}, ...more});

// Returns a hook that draws bars of +- sigma behind the points.
const errorBars = (values, sigma) => (u) => {
  const {ctx, bbox} = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = colour("bar");
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  const bottom = bbox.top + bbox.height;
  u.data[0].forEach((x, i) => {
    if (values[i] === null || sigma[i] === null) return;
    const at = u.valToPos(x, "x", true), low = values[i] - sigma[i];
    ctx.moveTo(at, u.valToPos(values[i] + sigma[i], "y", true));
    ctx.lineTo(at, low > 0 || u.scales.y.distr !== 3 ? u.valToPos(low, "y", true) : bottom);
  });
  ctx.stroke();
  ctx.restore();
};

// Returns a hook that shades the band from one x to another.
const band = (from, to) => (u) => {
  const {ctx, bbox} = u;
  const clamp = (x) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, u.valToPos(x, "x", true)));
  ctx.fillStyle = colour("band");
  ctx.fillRect(clamp(from), bbox.top, clamp(to) - clamp(from), bbox.height);
};
