// What the scripts of launch/pages and of this page build with. Text is only ever set as text, never as markup.

const byId = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// A colour of the style sheet by its name, as it is in the scheme of the moment.
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Calls again what draws with colours when the scheme changes.
function onSchemeChange(draw) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits).replace(/^-/, "−"));
