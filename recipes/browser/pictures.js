/** Pictures out of the file dialog, or dropped anywhere on the page. */

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]; // how such a file begins
const PNG_DEPTH = 24; // where it says how many bits a value has

/**
 * @param {HTMLInputElement} input For files.
 * @param {(bitmap: ImageBitmap) => void} show Called with each picture.
 * @param {(error: Error) => void} problem Called where a file is none.
 */
export function takePictures(input, show, problem) {
  const take = (file) => file && opened(file).then(show).catch(problem);
  input.addEventListener("change", () => {
    take(input.files[0]);
    input.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault(); // or the browser leaves the page for the picture
    take(event.dataTransfer.files[0]);
  });
}

/**
 * A file's pixels, upright and as they are: colour profiles are not looked at, as in training.
 *
 * @param {File} file
 * @returns {Promise<ImageBitmap>}
 * @throws {Error} It is no picture, or of 16 bits: a canvas would round to 8 what the model was trained on.
 */
export async function opened(file) {
  const start = new Uint8Array(await file.slice(0, PNG_DEPTH + 1).arrayBuffer());
  if (PNG.every((byte, place) => start[place] === byte) && start[PNG_DEPTH] === 16) {
    throw new Error(`${file.name} has 16 bits a value, of which a browser shows 8. Give it to Predictor in Python.`);
  }
  try {
    return await createImageBitmap(file, { colorSpaceConversion: "none", imageOrientation: "from-image" });
  } catch {
    throw new Error(`${file.name} cannot be read as a picture. Choose a PNG, JPEG, GIF, BMP or WEBP file.`);
  }
}
