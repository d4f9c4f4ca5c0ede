/** Pictures out of the file dialog, or dropped anywhere on the page. */

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

/** A file's pixels, as they are: colour profiles are not looked at, as in training. */
async function opened(file) {
  try {
    return await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${file.name} cannot be read as a picture. Choose a PNG, JPEG, GIF, BMP or WEBP file.`);
  }
}
