// The report on paper: before the browser prints, the page gets the class "print" (page.css: light colours, the width
// of A4, no controls), what scripts draw is drawn again at this width, and the text shrinks until each sheet holds its
// part. Afterwards the page is as it was.

const SHEET_HEIGHT = 960;  // px; 254 mm, so that US Letter holds a sheet too
const PICTURE_HEIGHTS = [170, 340];  // px, least and most of the pictures of the scene
const TEXT_SIZES = [11, 10.5, 10, 9.5, 9, 8.5, 8, 7.5, 7, 6.5];  // px

// Returns the height, in px, that elements take on a sheet.
const heightOf = (elements) => elements.reduce((sum, one) => sum + one.getBoundingClientRect().height +
  parseFloat(getComputedStyle(one).marginTop), 0);

// Shrinks the text of elements until they take at most `height` px; returns what is left of it.
function shrinkText(elements, height) {
  let rest = 0;
  for (const size of TEXT_SIZES) {
    elements.forEach((one) => one.style.setProperty("--text", `${size}px`));
    rest = height - heightOf(elements);
    if (rest >= 0) break;
  }
  return rest;
}

// Moves the view to the verdict and the notes to the end, and back.
function arrange(forPrint) {
  const table = byId("numbers").closest(".split"), notes = document.querySelector(".aside");
  const view = document.querySelector(".scene")?.closest("section");
  if (forPrint) byId("made").after(notes);
  else table.append(notes);
  if (view) (forPrint ? table : document.querySelector("main > section")).before(view);
}

window.addEventListener("beforeprint", () => {
  pageElement.classList.add("print");
  arrange(true);
  // The pictures are drawn below, and get the height that is left.
  const [least, most] = PICTURE_HEIGHTS, rest = shrinkText([document.querySelector("header")], SHEET_HEIGHT - least);
  pageElement.style.setProperty("--picture", `${Math.min(Math.max(rest, 0) + least, most)}px`);
  drawnInColours.forEach((draw) => draw());
  if (document.querySelector(".sheet")) shrinkText([...document.querySelectorAll("main > section")], SHEET_HEIGHT);
});

window.addEventListener("afterprint", () => {
  pageElement.classList.remove("print");
  arrange(false);
  drawnInColours.forEach((draw) => draw());
});
