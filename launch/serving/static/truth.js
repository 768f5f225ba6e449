// Shows the true atoms of a random case beside those found.

import {ask} from "./api.js";
import {facts} from "./files.js";

const ballsAt = (points, radius, name, opacity) =>
  meshPart(() => ballsOf(points.map(([x, y, z]) => ({x, y, z})), radius, 3), () => ({color: colour(name), opacity}));

export async function showTruth(path) {
  const {true: real, found, matched, mean_error: error} = await ask(path);
  byId("truth").hidden = false;
  const count = matched.filter(Boolean).length;
  facts(byId("truth-facts"), [
    ["True atoms", String(real.length)], ["Found atoms", String(found.length)],
    ["Matched within a voxel", `${count} of ${real.length}`],
    ["Mean error", error === null ? "–" : error < 0.0005 ? "below 0.001 voxel" : `${error.toFixed(3)} voxel`]]);
  const reach = Math.max(...[...real, ...found].flat().map(Math.abs)) + 1.5;
  const scene = new Scene(byId("truth-scene"), "True and found atoms", [reach, reach], "voxels");
  scene.add("true", true, ballsAt(real, 1, "grey", 0.4));
  scene.add("found", true, ballsAt(found, 0.5, "blue", 1));
  for (const [name, text] of [["true", "true, at their radius of 1 voxel"], ["found", "found"]]) {
    byId("truth-parts").append(checkbox(text, true, (on) => scene.show(name, on), `var(--${name === "true" ? "grey" : "blue"})`));
  }
  scene.redraw();
  scene.reset();
}
