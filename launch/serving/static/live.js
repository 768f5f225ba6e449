// A running reconstruction: its best shape and chi^2, step by step.

const VOXELS = 31;

// Returns {size, values} of a shape that is base64 of bits, x slowest; smoothed a little, so its surface is not made of
// cubes.
function shapeOf(text) {
  const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  let values = Float32Array.from({length: VOXELS ** 3}, (_, i) => (packed[i >> 3] >> (7 - (i & 7))) & 1);
  for (const step of [1, VOXELS, VOXELS ** 2]) {
    values = values.map((value, i) => {
      const at = Math.floor(i / step) % VOXELS;
      return (2 * value + (at ? values[i - step] : 0) + (at < VOXELS - 1 ? values[i + step] : 0)) / 4;
    });
  }
  return {size: [VOXELS, VOXELS, VOXELS], values};
}

export class Live {
  constructor() {
    this.lines = [];
    this.shown = false;
  }

  remove() {
    byId("live-shape").hidden = true;
    this.plot?.destroy();
    // A scene cannot be removed; the next one gets a new element.
    byId("scene").replaceWith(element("div", {id: "scene", className: "scene"}));
    byId("chart").replaceChildren();
  }

  tell(line) {
    this.shown = true;
    byId("live-shape").hidden = false;
    const last = line.generations - 1;
    byId("progress").value = line.running ? line.generation / last : 1;
    byId("progress-text").textContent = line.running
      ? `${line.search ? `${line.search}: step` : "Step"} ${line.generation} of at most ${last}`
      : "The search has ended. The models are superposed, and the result is written.";
    // What is drawn is the first search. One that follows is for comparison, and counts its steps anew.
    if (this.lines.length && line.search !== this.lines[0].search) return;
    this.lines.push(line);
    this.drawChart();
    if (line.shape) this.drawShape(line);
  }

  drawShape(line) {
    this.map = shapeOf(line.shape);
    this.pitch = line.pitch_angstrom;
    const half = 14 * this.pitch;
    if (!this.scene) {
      this.scene = new Scene(byId("scene"), "The best shape so far", [half, half], "Å");
      const place = (x, y, z) => ({x: (x - 15) * this.pitch, y: (y - 15) * this.pitch, z: (z - 15) * this.pitch});
      const turn = (x, y, z) => ({x, y, z});
      this.scene.add("shape", true, meshPart(() => surfaceOf(this.map, 0.5, place, turn),
        () => ({color: colour("blue"), opacity: 1})));
    }
    this.scene.redraw();
    byId("scene-caption").textContent = `From step ${line.generation}, largest radius `
      + `${line.radius_angstrom.toFixed(1)} Å. Drag to turn it.`;
  }

  drawChart() {
    const last = this.lines.at(-1), best = Math.min(...last.chi_squared);
    const data = [this.lines.map(({generation}) => generation),
      ...last.chi_squared.map((_, run) => this.lines.map(({chi_squared}) => chi_squared[run])),
      this.lines.map(({chi_squared}) => Math.min(...chi_squared))];
    byId("chart-caption").textContent = `Blue: the best model, now ${plain(+best.toPrecision(3))}. `
      + "Good: about 1. Bad: the curves are level above 2; then the model misses something.";
    if (this.plot) {
      this.plot.setData(data);
      return;
    }
    const place = byId("chart");
    const build = () => {
      this.plot?.destroy();
      this.plot = new uPlot({
        width: place.clientWidth, height: 320, legend: {show: false}, padding: [8, 12, 0, 0],
        cursor: {show: false},
        scales: {x: {time: false, range: [0, last.generations - 1]}, y: {distr: 3, range: (u, low, high) => [0.8 * low, 1.25 * high]}},
        axes: [axis("step", {incrs: [1, 2, 5, 10, 20, 50]}), axis("χ²", {values: plainValues, ...logAxis, size: 56})],
        series: [{}, ...last.chi_squared.map(() => line("bar", 1.2)),
          line("blue", 2, {points: {show: true, size: 6, fill: colour("blue")}})],
      }, this.plot?.data ?? data, place);
    };
    build();
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", "chi squared of the search by step; the caption gives the best");
    onSchemeChange(build);
    new ResizeObserver(() => this.plot.setSize({width: place.clientWidth, height: 320})).observe(place);
  }
}
