// The files of a crystal on the page of amplitudes: reflections, and what lies beside them.

import {say, upload} from "./api.js";
import {facts, filePlace, values} from "./files.js";

// How a file beside the reflections is stored, by its ending; see launch/serving/crystals.py.
const BESIDE = {ins: "crystal.ins", res: "crystal.ins", cif: "crystal.cif"};
const ending = (file) => file.name.split(".").at(-1).toLowerCase();
const isBeside = (file) => ending(file) in BESIDE;

export const crystal = {reading: null, beside: {}};
let files = [];

// Uploads what lies beside the reflections, then the reflections; returns how the server reads them together.
async function readFiles(given) {
  // Files that hold no rows are added to those that were given before.
  files = given.some((file) => !isBeside(file)) || !files.length ? given
    : [...files.filter((file) => !given.some((other) => BESIDE[ending(other)] === BESIDE[ending(file)])), ...given];
  const rows = files.filter((file) => !isBeside(file));
  if (rows.length > 1) throw new Error(`${rows.map((file) => file.name).join(", ")}: give one file of reflections at a time.`);
  const [main] = [...rows, ...files.filter((file) => ending(file) === "cif"), ...files];
  crystal.beside = {};
  for (const file of files.filter((other) => other !== main)) {
    crystal.beside[BESIDE[ending(file)]] = (await upload(BESIDE[ending(file)], file)).id;
  }
  const {cell, space_group, formula, radiation} = values(byId("crystal-fields"));
  return upload("crystal.hkl", main, {cell, space_group, formula, radiation,
    beside: Object.values(crystal.beside).join(",")});
}

function showReading(reading) {
  crystal.reading = reading;
  byId("crystal-reading").hidden = !reading;
  byId("drop-crystal").classList.toggle("done", Boolean(reading));
  if (!reading) return;
  byId("crystal-called").textContent = [reading.name, ...reading.beside].join(" with ");
  const contents = Object.entries(reading.elements).map(([name, count]) => `${name}${count || "?"}`).join(" ");
  facts(byId("crystal-facts"), [
    ["Reflections", `${reading.reflections}, ${reading.form}`],
    ["Unit cell", `${reading.cell.slice(0, 3).map((edge) => +edge.toFixed(4)).join(" × ")} Å, ` +
      `${reading.cell.slice(3).map((angle) => +angle.toFixed(3)).join("°, ")}°`],
    ["Space group", reading.space_group ?? (reading.has_symmetry ? "given by its operators" : "not given: taken from the data")],
    ["In the cell", contents || "not known: guessed from the volume"], ["Radiation", reading.radiation]]);
  byId("crystal-notes").replaceChildren(...reading.notes.map((note) => element("li", {}, typeset(note))));
}

const take = filePlace({input: byId("file-crystal"), place: byId("drop-crystal"), alert: byId("crystal-error"),
  read: readFiles, onRead: showReading});
for (const name of ["formula", "space_group", "cell", "radiation"]) {
  byId(`c-${name}`).addEventListener("change", () => {
    say(byId("crystal-error"));
    if (files.length) take(files);
  });
}
