// Helpers that make page elements. Text is always set as text, never as markup.

const byId = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Returns a colour of the style sheet by its name, in the current colour scheme.
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Calls draw again when the colours change: with the colour scheme, before the page is printed, and after it (print.js).
const drawnInColours = [];
function onSchemeChange(draw) {
  drawnInColours.push(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

// Returns a line of the terminal with typographic signs, which a terminal may lack.
const typeset = (text) => text.replaceAll("chi^2", "χ²").replaceAll("1/A", "1/Å").replaceAll("A^2", "Å²").replaceAll("A^3", "Å³").replace(/(\d) A\b/g, "$1 Å")
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

// A slider whose value is shown as say(value); calls draw(value) at most once a frame.
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

// The root of the page, and whether print.js has turned the page into one for paper.
const pageElement = document.documentElement;
const isPrinting = () => pageElement.classList.contains("print");
