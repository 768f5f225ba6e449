// What is asked of the server, and how numbers are said.

// The answer as JSON; an Error with the server's one line.
export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is launch.serve still running?");
  }
  if (response.status === 204) return null;
  const text = await response.text();
  let answer = null;
  try {
    answer = JSON.parse(text);
  } catch {
    // Said below.
  }
  if (!response.ok) throw new Error(answer?.error ?? (text.slice(0, 200) || `The server answered ${response.status}.`));
  return answer;
}

export const post = (path, value) => ask(path, {method: "POST", body: JSON.stringify(value ?? {})});

export const upload = (kind, file, unit = "") =>
  ask(`/api/uploads?${new URLSearchParams({kind, name: file.name, unit})}`, {method: "POST", body: file});

// Says a mistake in an alert, or takes it away.
export function say(alert, message = "") {
  alert.textContent = message;
  alert.hidden = !message;
}

export function bytes(count) {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${Math.round(count / 1e3)} kB` : `${(count / 1e6).toPrecision(2)} MB`;
}

export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  return whole < 3600 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${(whole / 3600).toFixed(1)} h`;
}

export const when = (seconds) =>
  new Date(seconds * 1000).toLocaleString([], {month: "short", day: "numeric", hour: "2-digit", minute: "2-digit"});

// A number to so many digits, with a minus that is one.
export const figure = (value, digits = 3) => String(+value.toPrecision(digits)).replace("-", "−");

const KINDS = {curve: "Shape from a curve", patterson: "Atoms from a Patterson map"};
export const kindOf = (job) => KINDS[job.kind];

const STATUS = {queued: "Waiting", running: "Running", done: "Done", failed: "Failed", cancelled: "Cancelled"};
export const statusOf = (job) => STATUS[job.status];

// What was asked for, in a line.
export function askedFor({settings: s}) {
  const said = [];
  if (s.source === "curve") {
    said.push(`${s.num_models} model${s.num_models === 1 ? "" : "s"}`, `q to ${s.q_max} 1/Å`,
      s.radius === null ? "radius searched for" : `radius ${s.radius} Å`);
    if (s.unit) said.push(`q in ${typeset(s.unit)}`);
    if (s.reference) said.push(`laid upon ${s.reference}`);
    if (s.background === "yes") said.push("with a background");
    if (s.generations) said.push(`${s.generations} generations at most`);
  } else {
    said.push(s.num_atoms === null ? "as many atoms as it tells" : `${s.num_atoms} atoms`);
    if (s.source === "random") said.push(`box of ${s.inner_box}`);
    said.push(s.noise ? `noise ${figure(100 * s.noise)}%` : "no noise");
    if (s.h_max) said.push(`|h| to ${s.h_max}`);
    if (s.pitch) said.push(`voxels of ${s.pitch} Å`);
  }
  if (s.weights) said.push(`weights ${s.weights}`);
  said.push(`seed ${s.seed}`);
  return said.join(" · ");
}
