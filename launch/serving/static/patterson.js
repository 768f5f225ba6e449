// The page of a Patterson map: starts a run on random atoms, a map or amplitudes.

import {post, say} from "./api.js";
import {facts, filePlace, fillWeights, refuse, values} from "./files.js";

let map = null;
const source = () => document.querySelector("[name=source]:checked").value;
const part = () => byId(source() === "random" ? "for-random" : "for-measured");

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
  const random = source() === "random";
  byId("for-random").hidden = !random;
  byId("for-measured").hidden = random;
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
  if (source() !== "random" && !map) {
    say(byId("refused"), "Choose a file first.");
    byId("file-map").focus();
    return;
  }
  const button = event.submitter;
  button.disabled = true;
  const {source: _, ...settings} = values(part());
  try {
    const job = await post("/api/jobs", {source: source(), input: map?.id, settings});
    location.href = `/jobs/${job.id}`;
  } catch (error) {
    refuse(byId("refused"), part(), error.message);
    button.disabled = false;
  }
});
addEventListener("pageshow", () => {
  byId("form").querySelectorAll("button").forEach((button) => (button.disabled = false));
  showSource();
});

fillWeights(byId("m-weights"), "patterson");
