// Requests to the server, and how numbers and settings are written.

// Returns the answer as JSON; throws an Error with the server's message.
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
    // The error below says it.
  }
  if (!response.ok) throw new Error(answer?.error ?? (text.slice(0, 200) || `The server answered ${response.status}.`));
  return answer;
}

export const post = (path, value) => ask(path, {method: "POST", body: JSON.stringify(value ?? {})});

export const upload = (kind, file, more = {}) =>
  ask(`/api/uploads?${new URLSearchParams({kind, name: file.name, ...more})}`, {method: "POST", body: file});

// Shows a message in an alert; hides the alert without one.
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

// Returns a number to this many significant digits, with a typographic minus.
export const figure = (value, digits = 3) => String(+value.toPrecision(digits)).replace("-", "−");

const KINDS = {curve: "Shape from a curve", patterson: "Atoms from a Patterson map",
  crystal: "Atoms of a measured crystal"};
export const kindOf = (job) => KINDS[job.kind];

const STATUS = {queued: "Waiting", running: "Running", done: "Done", failed: "Failed", cancelled: "Cancelled"};
export const statusOf = (job) => STATUS[job.status];

// Returns the settings of a run as one line.
export function askedFor({settings: s}) {
  const said = [];
  if (s.source === "curve") {
    if (s.num_models) said.push(`${s.num_models} model${s.num_models === 1 ? "" : "s"}`);
    said.push(`q to ${s.q_max} 1/Å`,
      s.radius === null ? "radius found by the search" : `radius ${s.radius} Å`);
    if (s.unit) said.push(`q in ${typeset(s.unit)}`);
    if (s.symmetry) said.push(`symmetry ${s.symmetry}`);
    if (s.reference) said.push(`compared with ${s.reference}`);
    if (s.background === "yes") said.push("with a background");
    if (s.generations) said.push(`${s.generations} steps at most`);
  } else if (s.source === "crystal") {
    said.push(s.formula ?? "composition from the files", s.unknown_group === "yes" ? "space group left aside"
      : s.space_group ?? "space group from the files", `${s.num_starts} starts at most`);
    if (s.cell) said.push(`cell ${s.cell}`);
    if (s.radiation) said.push(s.radiation);
    for (const kind of ["crystal.ins", "crystal.cif"]) if (s[kind]) said.push(`with ${s[kind]}`);
  } else {
    said.push(s.num_atoms === null ? "number of atoms estimated" : `${s.num_atoms} atoms`);
    if (s.source === "random") said.push(`box of ${s.inner_box}`);
    said.push(s.noise ? `noise ${figure(100 * s.noise)}%` : "no noise");
    if (s.h_max) said.push(`|h| to ${s.h_max}`);
    if (s.pitch) said.push(`voxels of ${s.pitch} Å`);
  }
  if (s.weights) said.push(`weights ${s.weights}`);
  said.push(`seed ${s.seed}`);
  return said.join(" · ");
}
