// The page of a run: waiting, running, done, failed or cancelled, as the server's events say.

import {ask, askedFor, bytes, duration, kindOf, post, say, statusOf} from "./api.js";
import {showFrame} from "./result.js";
import {Live} from "./live.js";
import {showTruth} from "./truth.js";

const id = location.pathname.split("/")[2];
const path = `/api/jobs/${id}`;
const FILES = {
  "density.ccp4": "mean of the models, CCP4", "beads.pdb": "the mean as beads", "beads.cif": "the mean as beads",
  "occupancy.ccp4": "probability of being filled", "density_sd.ccp4": "standard deviation of the models",
  "fit.fit": "curve and fit", "reference_fit.fit": "curve and fit of the structure",
  "density_on_reference.ccp4": "the mean superposed on the structure", "log.json": "all settings and numbers", "report.html": "the report in one file",
  "positions.csv": "table of the atoms", "positions.pdb": "atoms for viewers", "positions.xyz": "atoms for viewers",
  "solution.res": "SHELX instructions", "solution.cif": "CIF", "solution.pdb": "atoms for viewers",
  "solution_density.ccp4": "F_obs with calculated phases, CCP4", "solution_difference.ccp4": "F_obs − F_calc, CCP4",
  "truth.json": "true and found atoms"};
let live = null, job = null, clock = null;

const ORDINALS = ["next", "second", "third", "fourth", "fifth"];
const place = (count) => (ORDINALS[count - 1] ?? `number ${count}`);

function button(text, act, className = "") {
  const made = element("button", {type: "button", className}, text);
  made.addEventListener("click", async () => {
    made.disabled = true;
    say(byId("error"));
    try {
      await act();
    } catch (error) {
      say(byId("error"), error.message);
    } finally {
      made.disabled = false;
    }
  });
  return made;
}

function buttons() {
  if (!job.ended) return [button("Cancel", () => post(`${path}/cancel`))];
  return [
    button("Run it again", async () => (location.href = `/jobs/${(await post(`${path}/again`)).id}`)),
    element("a", {className: "button", href: {curve: "/", patterson: "/patterson", crystal: "/patterson#crystal"}[job.kind]}, "Start another"),
    button("Remove", async () => {
      if (!confirm(`Remove ${job.name} and its files?`)) return;
      await ask(path, {method: "DELETE"});
      location.href = "/runs";
    }, "quiet")];
}

function tick() {
  // Screen readers announce the word only, not each second.
  const word = byId("status-text");
  if (word.textContent !== statusOf(job)) word.textContent = statusOf(job);
  const until = job.status === "running" ? Date.now() / 1000 : job.ended;
  byId("elapsed").textContent = until && job.started ? duration(until - job.started) : "";
  byId("status").dataset.status = job.status;
}

function show(now) {
  const before = job?.status;
  job = now;
  document.title = `${statusOf(job)}: ${job.name}`;
  byId("kind").textContent = kindOf(job);
  byId("name").textContent = job.name;
  byId("asked").textContent = askedFor(job);
  tick();
  clearInterval(clock);
  if (job.status === "running") clock = setInterval(tick, 1000);
  byId("waiting").hidden = job.status !== "queued";
  byId("waiting-text").textContent = job.place === 0 ? "This run starts at once."
    : `This run is ${place(job.place)} in the queue: runs are done one at a time. You may close this page; the run continues.`;
  byId("live").hidden = job.status !== "running" && !(job.ended && live?.shown && job.status !== "done");
  byId("bar").hidden = job.status !== "running";
  if (before !== job.status) byId("buttons").replaceChildren(...buttons());
  say(byId("error"), job.status === "failed" ? job.message : "");
  if (job.status === "cancelled") {
    byId("waiting").hidden = false;
    byId("waiting-text").textContent = "This run was cancelled. Its settings are kept, its results are not.";
  }
  if (job.status === "done" && before !== "done") {
    live?.remove();
    showDone();
  }
}

function showDone() {
  byId("downloads").hidden = false;
  byId("archive").href = `/jobs/${id}/archive.zip`;
  const link = (name, text) => element("a", {href: `/jobs/${id}/files/${name}?download`, download: ""}, text);
  const hint = (text) => element("span", {className: "hint"}, text);
  const models = job.files.filter(({name}) => name.startsWith("model_"));
  const others = job.files.filter((file) => !models.includes(file) && !file.name.endsWith(".png"));
  byId("files").replaceChildren(...others.map(({name, bytes: size}) =>
    element("li", {}, link(name, name), hint(`${FILES[name] ? `${FILES[name]}, ` : ""}${bytes(size)}`))));
  if (models.length) {
    const numbers = models.flatMap(({name}) => [" ", link(name, name.replace(/\D*(\d+).*/, "$1"))]);
    byId("files").append(element("li", {}, element("span", {}, "Models", ...numbers),
      hint(`the best first, CCP4, ${bytes(models[0].bytes)} each`)));
  }
  if (job.files.some(({name}) => name === "truth.json")) showTruth(`/jobs/${id}/files/truth.json`);
  showFrame(byId("result"), id, job.files.map(({name}) => name));
}

function begin() {
  live?.remove();
  live = job?.kind === "curve" ? new Live() : null;
  byId("log").textContent = "";
  byId("log-part").hidden = true;
}

function follow() {
  const events = new EventSource(`${path}/events`);
  const on = (name, act) => events.addEventListener(name, (event) => act(JSON.parse(event.data)));
  on("begin", begin);
  on("job", (now) => {
    show(now);
    if (now.ended) events.close();
  });
  on("progress", (line) => live?.tell(line));
  on("log", (lines) => {
    byId("log-part").hidden = false;
    byId("log").textContent += `${lines.join("\n")}\n`;
  });
  events.onopen = () => job && say(byId("error"), job.status === "failed" ? job.message : "");
  // The browser tries again by itself; the events then begin anew.
  events.onerror = () => say(byId("error"), "The server does not answer; trying again. An interrupted run starts again when the server is back.");
}

try {
  show(await ask(path));
  follow();
} catch (error) {
  byId("name").textContent = "No such run";
  say(byId("error"), `${error.message[0].toUpperCase()}${error.message.slice(1)}.`);
}
