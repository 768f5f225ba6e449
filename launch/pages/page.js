// What every report has: its data, its tables, and helpers to make elements. Text is only ever set as text.

const payload = JSON.parse(document.getElementById("payload").textContent);
const byId = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// "size, low, high, data" of page.py as {size, values}: a Float32Array in C order.
function unpack(map) {
  const text = atob(map.data);
  const steps = $3Dmol.inflateString(Uint8Array.from(text, (c) => c.charCodeAt(0)).buffer, false);
  const scale = (map.high - map.low) / 255;
  return {size: map.size, values: Float32Array.from(steps, (step) => map.low + step * scale)};
}

// A colour of the style sheet by its name, as it is in the scheme of the moment.
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Calls again what draws with colours when the scheme changes.
function onSchemeChange(draw) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

// The terminal's words with signs that it may not have.
const typeset = (text) => text.replaceAll("chi^2", "χ²").replaceAll("1/A", "1/Å").replace(/(\d) A\b/g, "$1 Å")
  .replaceAll("+-", "±").replace(/(^|[ (])-(?=\d)/g, "$1−");

const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits).replace(/^-/, "−"));

function checkbox(label, checked, onChange, swatch = null) {
  const input = element("input", {type: "checkbox", checked});
  input.addEventListener("change", () => onChange(input.checked));
  const made = element("label", {className: "check"}, input);
  if (swatch) {
    const patch = element("span", {className: "swatch"});
    patch.style.background = swatch;
    made.append(patch);
  }
  made.append(element("span", {}, label));
  return made;
}

// A slider that says its value; redraws at most once a frame, however fast it is moved.
function slider(id, say, draw) {
  const input = byId(id), output = byId(`${id}-value`);
  let waiting = false;
  const tell = () => {
    output.textContent = say(input.valueAsNumber);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => {
    tell();
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw(input.valueAsNumber);
    });
  });
  tell();
  return input;
}

function fillFacts(id, facts) {
  for (const [name, value] of Object.entries(facts)) {
    const shown = value === null ? "–" : typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
    byId(id).append(element("tr", {}, element("th", {scope: "row"}, name), element("td", {}, shown)));
  }
}

function fillHead() {
  document.getElementById("name").textContent = payload.name;
  for (const [name, value, more] of payload.rows) {
    byId("numbers").append(element("tr", {}, element("th", {scope: "row"}, typeset(name)),
      element("td", {className: "value"}, typeset(value)), element("td", {className: "more"}, typeset(more))));
  }
  byId("notes").append(...payload.notes.map((note) => element("li", {}, typeset(note))));
  const {flags, weights, versions, revision} = payload.provenance;
  fillFacts("flags", flags);
  fillFacts("weights", weights);
  fillFacts("versions", {...versions, "code revision": revision});
}

fillHead();
