// The parts that every report has: its data and its tables.

const payload = JSON.parse(document.getElementById("payload").textContent);

// Returns {size, values} of what pack_map in page.py packed; values: a Float32Array in C order.
function unpack(map) {
  const text = atob(map.data);
  const steps = $3Dmol.inflateString(Uint8Array.from(text, (c) => c.charCodeAt(0)).buffer, false);
  const scale = (map.high - map.low) / 255;
  return {size: map.size, values: Float32Array.from(steps, (step) => map.low + step * scale)};
}

function fillFacts(id, facts) {
  for (const [name, value] of Object.entries(facts)) {
    const shown = value === null ? "–" : typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
    byId(id).append(element("tr", {}, element("th", {scope: "row"}, name), element("td", {}, shown)));
  }
}

function fillHead() {
  document.getElementById("name").textContent = payload.name;
  payload.rows.forEach(([name, value, more], i) => {
    const cell = element("td", {className: "more"}, typeset(more));
    // What is good and what is bad, from scales.py.
    if (payload.scales?.[i]) cell.append(element("span", {className: "meaning"}, typeset(payload.scales[i])));
    byId("numbers").append(element("tr", {}, element("th", {scope: "row"}, typeset(name)),
      element("td", {className: "value"}, typeset(value)), cell));
  });
  byId("notes").append(...payload.notes.map((note) => element("li", {}, typeset(note))));
  const {flags, weights, versions, revision} = payload.provenance;
  // One paragraph on paper; on the screen three tables.
  const given = Object.entries(flags).filter(([, value]) => value !== null && value !== false)
    .map(([name, value]) => (value === true ? `--${name}` : `--${name}=${value}`));
  const facts = (named) => Object.entries(named).map(([name, value]) => `${name} ${String(value).slice(0, 12)}`).join(", ");
  byId("made-of").textContent = `Flags: ${given.join(" ")}. Weights: ${facts(weights) || "none"}. ` +
    `Versions: ${facts(versions)}; code revision ${revision}.`;
  fillFacts("flags", flags);
  fillFacts("weights", weights);
  fillFacts("versions", {...versions, "code revision": revision});
}

fillHead();
