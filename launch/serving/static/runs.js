// The list of all runs, the newest first.

import {ask, askedFor, duration, kindOf, say, statusOf, when} from "./api.js";

let shown = "";

function row(job) {
  const remove = element("button", {type: "button", className: "quiet"}, "Remove");
  remove.setAttribute("aria-label", `Remove ${job.name}`);
  remove.hidden = !job.ended;
  remove.addEventListener("click", async () => {
    if (!confirm(`Remove ${job.name} and its files?`)) return;
    await act(() => ask(`/api/jobs/${job.id}`, {method: "DELETE"}));
  });
  const cancel = element("button", {type: "button", className: "quiet"}, "Cancel");
  cancel.setAttribute("aria-label", `Cancel ${job.name}`);
  cancel.hidden = Boolean(job.ended);
  cancel.addEventListener("click", () => act(() => ask(`/api/jobs/${job.id}/cancel`, {method: "POST"})));
  const status = element("span", {className: "status"}, statusOf(job));
  status.dataset.status = job.status;
  const time = job.ended && job.started ? `, took ${duration(job.ended - job.started)}` : "";
  return element("li", {},
    element("div", {className: "what"}, element("a", {href: `/jobs/${job.id}`}, job.name),
      element("span", {className: "hint"}, `${kindOf(job)} · ${askedFor(job)}`),
      job.message ? element("span", {className: "message"}, job.message) : ""),
    element("span", {className: "hint time"}, `${when(job.created)}${time}`), status,
    element("span", {className: "buttons"}, cancel, remove));
}

async function act(what) {
  say(byId("error"));
  try {
    await what();
    await show();
  } catch (error) {
    say(byId("error"), error.message);
  }
}

async function show() {
  const jobs = await ask("/api/jobs");
  const now = JSON.stringify(jobs);
  if (now === shown) return;  // unchanged, so keyboard focus stays in the list
  shown = now;
  byId("empty").hidden = jobs.length > 0;
  byId("runs").replaceChildren(...jobs.map(row));
}

await act(async () => {});
setInterval(() => {
  if (!document.hidden) show().catch((error) => say(byId("error"), error.message));
}, 2000);
