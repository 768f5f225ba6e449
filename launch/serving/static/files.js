// Places where a file can be chosen or dropped; each file is uploaded, and the server reads it. Tables and forms.

import {say, upload} from "./api.js";

// input: of type file.   place: takes dropped files.   alert: shows the server's message if the file is not readable.
// kind(): "curve", "reference", ...   onRead(reading): gets null when reading begins or fails.
// read(files): uploads the files in another way and returns the reading.   Returns take(files), which does the same
// for files that were chosen before.
export function filePlace({input, place, alert, kind, onRead, read = ([file]) => upload(kind(), file)}) {
  let latest = 0;
  const take = async (files) => {
    if (!files.length) return;
    const mine = ++latest;
    say(alert);
    onRead(null);
    place.dataset.state = "reading";
    place.dataset.saying = `Reading ${files.map((file) => file.name).join(", ")} …`;
    place.setAttribute("aria-busy", "true");
    try {
      const reading = await read(files);
      if (mine === latest) onRead(reading);
    } catch (error) {
      if (mine === latest) say(alert, error.message);
    } finally {
      if (mine === latest) {
        delete place.dataset.state;
        place.removeAttribute("aria-busy");
      }
      input.value = "";  // the same file can be chosen again
    }
  };
  input.addEventListener("change", () => take([...input.files]));
  for (const name of ["dragenter", "dragover"]) {
    place.addEventListener(name, (event) => {
      event.preventDefault();
      place.dataset.state = "over";
    });
  }
  place.addEventListener("dragleave", (event) => {
    if (!place.contains(event.relatedTarget)) delete place.dataset.state;
  });
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    delete place.dataset.state;
    take([...event.dataTransfer.files]);
  });
  return take;
}

// Without this, a file that is dropped beside a place replaces the page.
for (const name of ["dragover", "drop"]) {
  addEventListener(name, (event) => event.preventDefault());
}

// Fills a table with rows of a name and a value.
export function facts(table, rows) {
  table.replaceChildren(...rows.filter(Boolean).map(([name, value]) => element("tr", {},
    element("th", {scope: "row"}, name), element("td", {}, value))));
}

// Returns the values of the fields in a part of a form, by their names; a number may have a decimal comma.
export function values(part) {
  return Object.fromEntries([...part.querySelectorAll("input[name], select[name]")]
    .map((field) => [field.name,
      field.inputMode ? field.value.trim().replace(",", ".") : field.value.trim()]));
}

// Shows why the server refused a form, and moves to the field that the message begins with.
export function refuse(alert, part, message) {
  say(alert, message);
  for (const field of part.querySelectorAll("[name]")) field.removeAttribute("aria-invalid");
  const field = part.querySelector(`[name="${CSS.escape(message.split(":")[0])}"]`);
  if (!field) return;
  field.closest("details")?.setAttribute("open", "");
  field.setAttribute("aria-invalid", "true");
  say(alert, `${part.querySelector(`label[for="${field.id}"]`).textContent}: ${message.split(": ").slice(1).join(": ")}`);
  field.focus();
}

export async function fillWeights(select, kind) {
  const {ask} = await import("./api.js");
  const {names, first} = (await ask("/api/weights"))[kind];
  select.replaceChildren(...names.map((name) => element("option", {value: name, selected: name === first}, name)));
}
