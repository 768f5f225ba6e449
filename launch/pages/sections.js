// Draws sections through a cube of values as pictures.

// Paints size x size pixels (x, y), y upwards; paint(x, y): red, green, blue and opacity, 0 to 255 each.
function paintSection(canvas, size, paint) {
  canvas.width = size;
  canvas.height = size;
  const context = canvas.getContext("2d"), image = context.createImageData(size, size);
  for (let row = 0; row < size; row++) for (let column = 0; column < size; column++) {
    image.data.set(paint(column, size - 1 - row), 4 * (row * size + column));
  }
  context.putImageData(image, 0, 0);
}

// Returns a colour #rrggbb of the style sheet as three numbers, 0 to 255.
const rgb = (name) => [1, 3, 5].map((at) => parseInt(colour(name).slice(at, at + 2), 16));
