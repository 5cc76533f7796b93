/** Heat maps: coarse grids over a box of the film, blended, coloured and put into words. */

// Perceptually even from dark to bright (after plasma), so that it reads the same with any colour vision and in print.
const RAMP = [[76, 2, 161], [126, 3, 168], [170, 35, 149], [204, 71, 120], [230, 108, 92], [248, 149, 64], [253, 197, 39], [240, 249, 33]];
const LONGEST = 256;

/** Colour of a value 0–1: [red, green, blue, alpha], each 0–255. Weak values are clear. */
export function colour(value) {
  const place = Math.min(Math.max(value, 0), 1) * (RAMP.length - 1);
  const low = Math.min(Math.floor(place), RAMP.length - 2);
  const mixed = RAMP[low].map((part, i) => part + (place - low) * (RAMP[low + 1][i] - part));
  const rise = Math.min(Math.max((value - 0.1) / 0.5, 0), 1);
  return [...mixed, 255 * rise * rise * (3 - 2 * rise)];
}

/**
 * The maps' mean over the whole film, at a longest side of 256 samples: {values, columns, rows}.
 * `size` is [width, height] in the film's own pixels. A map counts as 0 outside its box.
 */
export function blend(maps, size) {
  const step = Math.max(...size) / LONGEST;
  const [columns, rows] = size.map((side) => Math.max(1, Math.round(side / step)));
  const values = new Float32Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const x = ((column + 0.5) * size[0]) / columns;
      const y = ((row + 0.5) * size[1]) / rows;
      let sum = 0;
      for (const map of maps) sum += sample(map, x, y);
      values[row * columns + column] = sum / maps.length;
    }
  }
  return { values, columns, rows };
}

/** The value of one map at a point of the film, bilinear between the centres of its cells. */
export function sample({ box: [left, top, width, height], values }, x, y) {
  const u = (x - left) / width;
  const v = (y - top) / height;
  if (u < 0 || u > 1 || v < 0 || v > 1) return 0;
  const [c0, c1, c] = between(u, values[0].length);
  const [r0, r1, r] = between(v, values.length);
  const upper = values[r0][c0] * (1 - c) + values[r0][c1] * c;
  const lower = values[r1][c0] * (1 - c) + values[r1][c1] * c;
  return upper * (1 - r) + lower * r;
}

function between(share, cells) {
  const place = Math.min(Math.max(share * cells - 0.5, 0), cells - 1);
  const low = Math.floor(place);
  return [low, Math.min(low + 1, cells - 1), place - low];
}

/** A canvas with the field's colours. */
export function paint({ values, columns, rows }) {
  const canvas = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  values.forEach((value, i) => image.data.set(colour(value), 4 * i));
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The field's strongest point as shares of width and height, {x, y}; null where the field is empty. */
export function strongest({ values, columns, rows }) {
  let best = 0;
  values.forEach((value, i) => { if (value > values[best]) best = i; });
  if (!(values[best] > 0)) return null;
  return { x: ((best % columns) + 0.5) / columns, y: (Math.floor(best / columns) + 0.5) / rows };
}

/** Where a point lies, in words: "the lower right of the picture". */
export function place({ x, y }) {
  const across = x < 0.4 ? "left" : x > 0.6 ? "right" : "";
  const down = y < 1 / 3 ? "upper" : y > 2 / 3 ? "lower" : "middle";
  return across ? `the ${down} ${across} of the picture` : `the ${down === "middle" ? "centre" : `${down} centre`} of the picture`;
}

/** Draw the legend into its canvas. */
export function drawLegend(canvas) {
  const context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x++) {
    const [red, green, blue, alpha] = colour(x / (canvas.width - 1));
    context.fillStyle = `rgb(${red} ${green} ${blue} / ${alpha / 255})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}
