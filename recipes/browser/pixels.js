/** Pictures as the model takes them: the same numbers that Pillow and TensorFlow made of them in training. */

/**
 * @param {ImageData} image Any size.
 * @param {{height: number, width: number, channels: number, aspect: string}} shape What the model takes: 1 or 3
 *   channels; images of another aspect are stretched, cropped or padded ("stretch", "crop", "pad").
 * @param {boolean} inverted Whether light becomes dark and dark light.
 * @returns {Float32Array} `(H, W, C)`, whole numbers in [0, 255].
 */
export function pixelsOf(image, { height, width, channels, aspect = "stretch" }, inverted = false) {
  const pixels = new Float32Array(height * width * channels);
  const frame = frameOf(image, { height, width }, aspect);
  for (let channel = 0; channel < channels; channel++) {
    const plane = channels === 1 ? gray(image.data) : colour(image.data, channel);
    const seen = inverted ? plane.map((value) => 255 - value) : plane;
    resized(cut(seen, image, frame), frame, { height, width }).forEach((value, index) => {
      pixels[index * channels + channel] = Math.min(Math.max(rounded(value), 0), 255);
    });
  }
  return pixels;
}

/** The part of an image that is resized, which may reach beyond it, as `l2zoo.data.preprocessing.aspect` has it. */
export function frameOf({ height, width }, wanted, aspect) {
  const fitting = {
    height: Math.floor((width * wanted.height) / wanted.width),
    width: Math.floor((height * wanted.width) / wanted.height),
  };
  if (aspect === "crop") {
    const rows = Math.max(Math.min(height, fitting.height), 1);
    const columns = Math.max(Math.min(width, fitting.width), 1);
    const [top, left] = [Math.floor((height - rows) / 2), Math.floor((width - columns) / 2)];
    return { top, left, height: rows, width: columns };
  }
  if (aspect === "pad") {
    const above = Math.floor(Math.max(fitting.height - height, 0) / 2);
    const beside = Math.floor(Math.max(fitting.width - width, 0) / 2);
    return { top: -above, left: -beside, height: height + 2 * above, width: width + 2 * beside };
  }
  return { top: 0, left: 0, height, width };
}

/** That part of a plane, black where there is no image. */
function cut(plane, image, { top, left, height, width }) {
  const result = new Float32Array(height * width);
  for (let row = Math.max(top, 0); row < Math.min(top + height, image.height); row++) {
    const first = Math.max(left, 0);
    const end = Math.min(left + width, image.width);
    result.set(plane.subarray(row * image.width + first, row * image.width + end), (row - top) * width + first - left);
  }
  return result;
}

/** The way back: pixels `(H, W, C)` as an image to show. */
export function imageOf(pixels, { height, width, channels }) {
  const image = new ImageData(width, height);
  for (let index = 0; index < height * width; index++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * index + channel] = pixels[index * channels + (channel % channels)];
    }
    image.data[4 * index + 3] = 255;
  }
  return image;
}

/** Rec. 601 in whole numbers, as Pillow computes it. */
function gray(rgba) {
  const plane = new Float32Array(rgba.length / 4);
  for (let index = 0, at = 0; index < plane.length; index++, at += 4) {
    plane[index] = (19595 * rgba[at] + 38470 * rgba[at + 1] + 7471 * rgba[at + 2] + 0x8000) >> 16;
  }
  return plane;
}

function colour(rgba, channel) {
  const plane = new Float32Array(rgba.length / 4);
  for (let index = 0; index < plane.length; index++) plane[index] = rgba[4 * index + channel];
  return plane;
}

/** Bilinear, smoothed where it shrinks: first the width, then the height. */
function resized(plane, from, to) {
  const narrow = resizedAndTurned(plane, from.height, from.width, to.width);
  return resizedAndTurned(narrow, to.width, from.height, to.height);
}

/** A plane `(rows, columns)` as `(wanted, rows)`: its columns are resized, and it is transposed. */
function resizedAndTurned(plane, rows, columns, wanted) {
  const result = new Float32Array(wanted * rows);
  for (let place = 0; place < wanted; place++) {
    const { first, shares } = neighbours(place, columns, wanted);
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let k = 0; k < shares.length; k++) sum += shares[k] * plane[row * columns + first + k];
      result[place * rows + row] = sum;
    }
  }
  return result;
}

/** Which of `many` values, from `first` on, one of `wanted` places is made of, and the share of each. */
function neighbours(place, many, wanted) {
  const scale = many / wanted;
  const reach = Math.max(scale, 1);
  const middle = (place + 0.5) * scale;
  const first = Math.max(Math.trunc(middle - reach + 0.5), 0);
  const end = Math.min(Math.trunc(middle + reach + 0.5), many);
  const heights = Array.from({ length: end - first }, (_, k) =>
    Math.max(1 - Math.abs(first + k + 0.5 - middle) / reach, 0),
  );
  const total = heights.reduce((sum, height) => sum + height, 0);
  return { first, shares: heights.map((height) => height / total) };
}

/** To the nearest whole number, halves to the even one, as NumPy rounds. */
function rounded(value) {
  const below = Math.floor(value);
  const part = value - below;
  return part < 0.5 || (part === 0.5 && below % 2 === 0) ? below : below + 1;
}
