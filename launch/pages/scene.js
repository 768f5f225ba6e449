// A 3D view of parts that can be shown and hidden; mouse, finger or keys turn it. Orthographic, along -z.
class Scene {
  // about: the name for screen readers.   half: half of the width and height, in units, that the first view shows.
  // unit: of the scale bar.   turns: [degrees, axis] each, the rotations from the coordinates to the first view.
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
      // The message below says it.
    }
    if (!this.viewer) {
      container.append(element("p", {className: "missing"},
        "This browser shows no 3D because WebGL is off. Turn it on, or open the files in this folder with a viewer."));
      return;
    }
    lightShadows(this.viewer.getRenderer().getContext());
    this.bar = container.appendChild(element("div", {className: "scale"}));
    this.viewer.setViewChangeCallback(() => this.measure());
    container.addEventListener("keydown", (event) => this.key(event));
    container.addEventListener("pointerdown", () => container.focus({preventScroll: true}), {capture: true});
    // The wheel scrolls the page until the view has the focus; then it zooms.
    container.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== container) event.stopPropagation();
    }, {capture: true});
    new ResizeObserver(() => {
      const size = `${container.offsetWidth} ${container.offsetHeight}`;
      // Hidden: there are no pixels to draw on. The same size: it was hidden while the page was printed.
      if (!container.offsetWidth || isPrinting() || size === this.size) return;
      this.size = size;
      this.viewer.resize();
      this.reset();
    }).observe(container);
    onSchemeChange(() => {
      if (isPrinting()) this.print();
      else if (this.pictures) this.endPrint();
      else this.redraw();
    });
  }

  // build(viewer) adds the part and returns the function that removes it.
  // balls: true for a part of balls; while one is shown, the surfaces are translucent.
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

  // Returns half the width of the view, in units.
  across() {
    return (CAMERA_Z - this.viewer.getView()[3]) * HALF_WIDTH_PER_UNIT;
  }

  // Draws the scale bar, of a round length.
  measure() {
    const width = this.container.offsetWidth;
    const length = [500, 200, 100, 50, 20, 10, 5, 2, 1, 0.5].find((value) => value <= this.across() / 2) ?? 0.2;
    this.bar.style.width = `${(length / (2 * this.across())) * width}px`;
    this.bar.textContent = `${length} ${this.unit}`;
  }

  // Puts two pictures beside the view, which is hidden on paper: as it is turned, and turned by 90 degrees about the
  // vertical axis. Both show at least what the view shows.
  print() {
    const {viewer, container} = this, drawn = container.querySelector("canvas"), {width, height} = drawn;
    this.view = viewer.getView();
    const across = this.across();
    this.pictures = element("div", {className: "pictures"});
    container.before(this.pictures);
    const shown = [0, 90].map(() => this.pictures.appendChild(element("img", {alt: "", decoding: "sync"})));
    const {offsetWidth, offsetHeight} = shown[0];
    container.style.cssText = `display: block; width: ${FINENESS * offsetWidth}px; height: ${FINENESS * offsetHeight}px`;
    viewer.resize();
    const view = [...this.view];
    view[3] = CAMERA_Z - (across * Math.max(1, (offsetWidth * height) / (offsetHeight * width))) / HALF_WIDTH_PER_UNIT;
    viewer.setView(view);
    this.redraw();
    for (const picture of shown) {
      viewer.render();
      picture.src = drawn.toDataURL();
      viewer.rotate(90, "y");
    }
    const bar = this.pictures.appendChild(this.bar.cloneNode(true));
    bar.style.width = `${parseFloat(bar.style.width) / FINENESS}px`;
    container.style.cssText = "";
  }

  endPrint() {
    this.pictures.remove();
    this.pictures = null;
    this.viewer.resize();
    this.viewer.setView(this.view);
    this.redraw();
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
const FINENESS = 1.5;  // pixels of a printed picture for each pixel of the page
const CAMERA_Z = 150, HALF_WIDTH_PER_UNIT = Math.tan((20 * Math.PI) / 180);

// 3Dmol has one light, in front, so surfaces that face away are black. This gives them a part of their colour, as in
// the figures. It must run before 3Dmol compiles its shaders, which happens when they are first needed.
function lightShadows(context) {
  const compile = context.shaderSource.bind(context);
  context.shaderSource = (shader, text) =>
    compile(shader, text.replace(/max\( (-?dotProduct), 0\.0 \)/g, "(0.4 + 0.6 * max($1, 0.0))"));
}

// Returns the build of a part for a surface; look(): its color and opacity.
const meshPart = (mesh, look) => (viewer) => {
  const {color, opacity} = look();
  // 3Dmol applies the opacity twice.
  const shape = viewer.addCustom({...mesh(), color, opacity: Math.sqrt(opacity)});
  return () => viewer.removeShape(shape);
};

// Returns the build of a part for balls; points: {x, y, z} each.   colourOf(i): of ball i; each colour is one mesh.
const ballsPart = (points, radius, colourOf) => (viewer) => {
  const groups = new Map(), fineness = points.length <= 200 ? 3 : points.length <= 3000 ? 2 : 1;
  points.forEach((point, i) => groups.set(colourOf(i), [...(groups.get(colourOf(i)) ?? []), point]));
  const shapes = [...groups].map(([color, group]) => viewer.addCustom({...ballsOf(group, radius(), fineness), color}));
  return () => shapes.forEach((shape) => viewer.removeShape(shape));
};
