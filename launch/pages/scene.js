// A 3D view of parts that can be shown and hidden, turned by mouse, finger or keys. Looks down z, orthographic.
class Scene {
  // about: what those are told who do not see it.   half: half of the width and height, in units, that are to be seen
  // at first.   unit: of the scale bar.   turns: [degrees, axis] each, from where all is given to how it is seen first.
  constructor(container, about, half, unit, turns = []) {
    this.turns = turns;
    this.container = container;
    this.half = half;
    this.unit = unit;
    this.parts = new Map();
    container.tabIndex = 0;
    container.setAttribute("role", "application");
    container.setAttribute("aria-label", `${about}. Arrow keys turn it, plus and minus zoom, 0 resets the view.`);
    try {
      this.viewer = $3Dmol.createViewer(container, {antialias: true, disableFog: true, orthographic: true});
    } catch {
      // Said below.
    }
    if (!this.viewer) {
      container.append(element("p", {className: "missing"},
        "This browser draws no 3D: WebGL is off. The files beside this one open in any viewer."));
      return;
    }
    lightShadows(this.viewer.getRenderer().getContext());
    this.bar = container.appendChild(element("div", {className: "scale"}));
    this.viewer.setViewChangeCallback(() => this.measure());
    container.addEventListener("keydown", (event) => this.key(event));
    container.addEventListener("pointerdown", () => container.focus({preventScroll: true}), {capture: true});
    // The page scrolls under the wheel until somebody turns to the view.
    container.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== container) event.stopPropagation();
    }, {capture: true});
    new ResizeObserver(() => {
      if (!container.offsetWidth) return;  // taken away: nothing can be drawn on no pixels
      this.viewer.resize();
      this.reset();
    }).observe(container);
    onSchemeChange(() => this.redraw());
  }

  // build(viewer) adds the part and returns what removes it.   balls: surfaces become veils where such are shown.
  add(name, shown, build, balls = false) {
    this.parts.set(name, {shown, build, balls, remove: null});
  }

  show(name, shown) {
    const veiled = this.veiled();
    this.parts.get(name).shown = shown;
    this.redraw(veiled === this.veiled() ? name : null);
  }

  veiled() {
    return [...this.parts.values()].some((part) => part.balls && part.shown);
  }

  redraw(only = null) {
    if (!this.viewer) return;
    this.viewer.setBackgroundColor(colour("panel"));
    for (const [name, part] of this.parts) {
      if (only !== null && name !== only) continue;
      part.remove?.();
      part.remove = part.shown ? part.build(this.viewer) : null;
    }
    this.viewer.render();
    this.measure();
  }

  reset() {
    if (!this.viewer) return;
    const {offsetWidth: width, offsetHeight: height} = this.container;
    if (!width || !height) return;
    const across = 1.06 * Math.max(this.half[0], (this.half[1] * width) / height);
    this.viewer.setSlab(-2000, 2000);
    this.viewer.setView([0, 0, 0, CAMERA_Z - across / HALF_WIDTH_PER_UNIT, 0, 0, 0, 1]);
    this.turns.forEach((turn) => this.viewer.rotate(...turn));
    this.viewer.render();
    this.measure();
  }

  // Half the width of what is seen, in units.
  across() {
    return (CAMERA_Z - this.viewer.getView()[3]) * HALF_WIDTH_PER_UNIT;
  }

  // A bar of a round length.
  measure() {
    const width = this.container.offsetWidth;
    const length = [500, 200, 100, 50, 20, 10, 5, 2, 1, 0.5].find((value) => value <= this.across() / 2) ?? 0.2;
    this.bar.style.width = `${(length / (2 * this.across())) * width}px`;
    this.bar.textContent = `${length} ${this.unit}`;
  }

  key(event) {
    const turns = {ArrowLeft: [-10, "y"], ArrowRight: [10, "y"], ArrowUp: [-10, "x"], ArrowDown: [10, "x"]};
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (turns[event.key]) this.viewer.rotate(...turns[event.key]);
    else if (event.key === "+" || event.key === "=") this.viewer.zoom(1.15);
    else if (event.key === "-") this.viewer.zoom(1 / 1.15);
    else if (event.key === "0") this.reset();
    else return;
    event.preventDefault();
    this.measure();
  }
}

// 3Dmol's orthographic camera.
const CAMERA_Z = 150, HALF_WIDTH_PER_UNIT = Math.tan((20 * Math.PI) / 180);

// 3Dmol lights from the front alone, and what is turned away from the viewer is black: here it keeps a part of its
// colour, as in the figures. Shaders are compiled when they are first needed, after this.
function lightShadows(context) {
  const compile = context.shaderSource.bind(context);
  context.shaderSource = (shader, text) =>
    compile(shader, text.replace(/max\( (-?dotProduct), 0\.0 \)/g, "(0.4 + 0.6 * max($1, 0.0))"));
}

// A surface as a part's build; look(): its color and opacity.
const meshPart = (mesh, look) => (viewer) => {
  const {color, opacity} = look();
  // 3Dmol applies the opacity twice.
  const shape = viewer.addCustom({...mesh(), color, opacity: Math.sqrt(opacity)});
  return () => viewer.removeShape(shape);
};

// Balls as a part's build; points: {x, y, z} each.   colourOf(i): of a ball's number; each colour is a mesh.
const ballsPart = (points, radius, colourOf) => (viewer) => {
  const groups = new Map(), fineness = points.length <= 200 ? 3 : points.length <= 3000 ? 2 : 1;
  points.forEach((point, i) => groups.set(colourOf(i), [...(groups.get(colourOf(i)) ?? []), point]));
  const shapes = [...groups].map(([color, group]) => viewer.addCustom({...ballsOf(group, radius(), fineness), color}));
  return () => shapes.forEach((shape) => viewer.removeShape(shape));
};
