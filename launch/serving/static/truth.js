// True atoms beside the found ones of a random case.

import {ask} from "./api.js";
import {facts} from "./files.js";

const spheres = (points, look) => (viewer) => {
  const made = points.map(([x, y, z]) => viewer.addSphere({center: {x, y, z}, ...look()}));
  return () => made.forEach((shape) => viewer.removeShape(shape));
};

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
  scene.add("true", true, spheres(real, () => ({radius: 1, color: colour("grey"), opacity: 0.45})), true);
  scene.add("found", true, spheres(found, () => ({radius: 0.5, color: colour("blue")})), true);
  for (const [name, text] of [["true", "true, at their own radius"], ["found", "found"]]) {
    const input = element("input", {type: "checkbox", checked: true});
    input.addEventListener("change", () => scene.show(name, input.checked));
    byId("truth-parts").append(element("label", {className: "check"}, input,
      element("span", {className: `swatch ${name}`}), element("span", {}, text)));
  }
  scene.redraw();
  scene.reset();
}
