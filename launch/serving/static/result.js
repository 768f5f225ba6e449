// Shows the result: the report in a frame, or the pictures where there is no report.

export function showFrame(place, id, names) {
  place.hidden = false;
  if (names.includes("report.html")) {
    const source = `/jobs/${id}/files/report.html`;
    const frame = element("iframe", {src: `${source}?framed`, title: "The report"});
    addEventListener("message", ({source: from, data}) => {
      if (from === frame.contentWindow && data?.height > 0) frame.style.height = `${Math.min(data.height, 20000) + 2}px`;
    });
    place.replaceChildren(element("p", {className: "hint"},
      element("a", {href: source}, "Open the report on its own page")), frame);
    return;
  }
  place.replaceChildren(...names.filter((name) => name.endsWith(".png")).map((name) =>
    element("img", {src: `/jobs/${id}/files/${name}`, alt: name.replace(".png", ""), loading: "lazy"})));
}
