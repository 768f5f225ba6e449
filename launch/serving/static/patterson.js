// The page of amplitudes: starts a run on random atoms, a Patterson map, amplitudes or a crystal.

import {post, say} from "./api.js";
import {crystal} from "./crystal.js";
import {facts, filePlace, fillWeights, refuse, values} from "./files.js";

let map = null;
const source = () => document.querySelector("[name=source]:checked").value;
const SECTIONS = {random: "for-random", patterson: "for-measured", amplitudes: "for-measured", crystal: "for-crystal"};
const part = () => byId(SECTIONS[source()]);
const input = () => ({patterson: map, amplitudes: map, crystal: crystal.reading}[source()]);

function showMap(reading) {
  map = reading;
  byId("reading").hidden = !reading;
  byId("drop-map").classList.toggle("done", Boolean(reading));
  if (!reading) return;
  byId("called").textContent = reading.name;
  facts(byId("facts"), [
    ["Voxels", reading.voxels.join(" × ")],
    ["Edge of a voxel", reading.pitch === null ? "not in the file" : `${+reading.pitch.toPrecision(4)} Å`]]);
  byId("notes").replaceChildren(...reading.notes.map((note) => element("li", {}, note)));
}

function showSource() {
  for (const id of new Set(Object.values(SECTIONS))) byId(id).hidden = id !== SECTIONS[source()];
  say(byId("error"));
  say(byId("refused"));
  // A file that was read as a map is not one of amplitudes.
  if (map && map.kind !== source()) showMap(null);
}

for (const radio of document.querySelectorAll("[name=source]")) radio.addEventListener("change", showSource);
filePlace({input: byId("file-map"), place: byId("drop-map"), alert: byId("error"), kind: source, onRead: showMap});

byId("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  say(byId("refused"));
  if (source() !== "random" && !input()) {
    say(byId("refused"), "Choose a file first.");
    part().querySelector("[type=file]").focus();
    return;
  }
  const button = event.submitter;
  button.disabled = true;
  const {source: _, ...settings} = values(part());
  try {
    const job = await post("/api/jobs", {source: source(), input: input()?.id, settings,
      ...(source() === "crystal" ? {beside: crystal.beside} : {})});
    location.href = `/jobs/${job.id}`;
  } catch (error) {
    refuse(byId("refused"), part(), error.message);
    button.disabled = false;
  }
});
if (location.hash === "#crystal") document.querySelector("[name=source][value=crystal]").checked = true;
addEventListener("pageshow", () => {
  byId("form").querySelectorAll("button").forEach((button) => (button.disabled = false));
  showSource();
});

fillWeights(byId("m-weights"), "patterson");
