// The page of a curve: uploads it, shows how it was read, starts a run.

import {ask, figure, post, say} from "./api.js";
import {facts, filePlace, fillWeights, refuse, values} from "./files.js";

let curve = null, reference = null;

function showCurve(reading) {
  curve = reading;
  byId("reading").hidden = byId("settings").hidden = !reading;
  byId("drop-curve").classList.toggle("done", Boolean(reading));
  byId("choose-text").textContent = reading ? "Choose another curve" : "Choose a curve";
  if (!reading) return;
  say(byId("refused"));
  byId("unit").removeAttribute("aria-invalid");
  if (reading.undecided) say(byId("error"), typeset(reading.undecided));
  const line = reading.guinier;
  byId("called").textContent = reading.name;
  facts(byId("facts"), [
    ["Points", String(reading.points)],
    ["q", `${figure(reading.q_min)} to ${figure(reading.q_max)} 1/Å`],
    ["Unit of q", reading.undecided ? "not stated: choose it below" : typeset(reading.unit)],
    ["Sigma", reading.sigma_estimated ? "estimated from the curve's own scatter" : "from the file"],
    line ? ["Guinier Rg", `${line.rg.toFixed(2)} ± ${line.rg_sigma.toFixed(2)} Å`]
      : ["Guinier region", `none: ${reading.no_guinier}`],
    !reading.undecided && ["Verdict on the curve, without options", typeset(reading.verdict)],
    line && ["I(0)", figure(line.i0, 5)],
    line && ["Guinier points", `${line.first} to ${line.last} (q Rg ${line.q_rg_min.toFixed(2)} to ${line.q_rg_max.toFixed(2)})`]]);
  byId("notes").replaceChildren(...reading.notes.map((note) => element("li", {}, typeset(note))));
  byId("example-reference").hidden = reading.id !== "example" || Boolean(reference);
  drawCurve(reading);
}

function drawCurve({q, intensity, sigma, guinier}) {
  const positive = intensity.map((value) => (value > 0 ? value : null));
  const place = element("div");
  byId("plot").replaceChildren(place);
  const dropped = positive.filter((value) => value === null).length;
  byId("plot-caption").textContent = "Intensity against q, with bars of one standard deviation; the band is the Guinier region. "
    + "Good: the curve falls smoothly, and is flat towards q = 0. Bad: it rises steeply towards q = 0 (aggregates)."
    + (dropped ? ` ${dropped} points are negative because of noise and are not drawn.` : "");
  chart(place, "The curve as it was read", 300, () => ({
    data: [q, positive],
    scales: {x: {time: false}, y: {distr: 3}},
    axes: [axis("q (1/Å)", {values: plainValues}), axis("I(q)", {values: plainValues, ...logAxis, size: 62})],
    series: [{}, dots("blue", 1.6)],
    hooks: {drawClear: [guinier ? band(guinier.q_rg_min / guinier.rg, guinier.q_rg_max / guinier.rg) : () => {}],
      drawAxes: [errorBars(positive, sigma)]},
  }), (i) => `q ${plain(q[i])} 1/Å, I ${plain(intensity[i])} ± ${plain(sigma[i])}`);
}

function showReference(reading) {
  reference = reading;
  const given = byId("given-reference");
  given.hidden = !reading;
  byId("example-reference").hidden = Boolean(reading) || curve?.id !== "example";
  if (reading) given.firstElementChild.textContent = reading.atoms ? `${reading.name}: ${reading.atoms} ${reading.of}` : reading.name;
}

filePlace({input: byId("file-curve"), place: byId("drop-curve"), alert: byId("error"), kind: () => "curve",
  onRead: (reading) => {
    if (reading) byId("unit").value = "";
    showCurve(reading);
  }});
filePlace({input: byId("file-reference"), place: byId("drop-reference"), alert: byId("error-reference"),
  kind: () => "reference", onRead: showReference});

async function readAgain(id, unit) {
  say(byId("error"));
  try {
    showCurve(await ask(`/api/uploads/${id}?${new URLSearchParams({unit})}`));
  } catch (error) {
    say(byId("error"), error.message);
  }
}

byId("example").addEventListener("click", () => {
  byId("unit").value = "";
  readAgain("example", "");
});
byId("unit").addEventListener("change", () => readAgain(curve.id, byId("unit").value));
byId("example-reference").addEventListener("click", () => showReference({id: "example", name: "three_lobes.pdb"}));
byId("drop-it").addEventListener("click", () => {
  showReference(null);
  byId("file-reference").focus();
});

byId("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!curve) return;
  say(byId("refused"));
  if (curve.undecided) {
    refuse(byId("refused"), byId("settings"), "unit: the file does not state it and both are possible, so choose it");
    return;
  }
  const button = event.submitter;
  button.disabled = true;
  try {
    const job = await post("/api/jobs", {source: "curve", input: curve.id, beside: {reference: reference?.id},
      settings: values(byId("settings"))});
    location.href = `/jobs/${job.id}`;
  } catch (error) {
    refuse(byId("refused"), byId("settings"), error.message);
    button.disabled = false;
  }
});
// After the browser's back button the form can be used again.
addEventListener("pageshow", () => byId("form").querySelectorAll("button").forEach((button) => (button.disabled = false)));

fillWeights(byId("weights"), "curve");
