/** The square to draw in, light on dark, which also shows a picture that was chosen. */

const LONGER_SIDE = 320;
const INK = "#fff";
const PAPER = "#000";

export class Pad {
  #canvas;
  #context;
  #changed;
  #picture = null; // what was chosen, in its own pixels
  #drawn = false;
  #pen = null; // where it was last, while it is down

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{height: number, width: number}} shape What the model takes: the pad has its proportions.
   * @param {() => void} changed Called when there is something else to see.
   */
  constructor(canvas, { height, width }, changed) {
    const longer = Math.max(height, width);
    const scale = LONGER_SIDE / longer;
    [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { willReadFrequently: true });
    this.#changed = changed;
    Object.assign(this.#context, { lineCap: "round", strokeStyle: INK, fillStyle: PAPER });
    this.#context.lineWidth = scale * Math.max(1.5, longer / 11); // 1.5 of the model's pixels, or more
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", () => (this.#pen = null));
    canvas.addEventListener("pointercancel", () => (this.#pen = null));
    this.#wipe();
  }

  /** The image to look at, a picture's own pixels if one was chosen; `null` if there is nothing. */
  get content() {
    const { width, height } = this.#canvas;
    return this.#picture ?? (this.#drawn ? this.#context.getImageData(0, 0, width, height) : null);
  }

  clear() {
    this.#wipe();
    this.#changed();
  }

  /** @param {ImageBitmap} bitmap */
  show(bitmap) {
    this.#wipe();
    this.#picture = imageOf(bitmap);
    const { width, height } = this.#canvas;
    this.#context.imageSmoothingEnabled = bitmap.width > width;
    this.#context.drawImage(bitmap, 0, 0, width, height);
    this.#changed();
  }

  #wipe() {
    this.#picture = this.#pen = null;
    this.#drawn = false;
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  #begin(event) {
    if (event.button !== 0 || this.#pen) return;
    if (this.#picture) this.#wipe();
    this.#canvas.setPointerCapture(event.pointerId);
    this.#pen = { id: event.pointerId, ...this.#place(event) };
    this.#lineTo(this.#place(event));
  }

  #move(event) {
    if (event.pointerId !== this.#pen?.id) return;
    const passed = event.getCoalescedEvents();
    for (const each of passed.length ? passed : [event]) this.#lineTo(this.#place(each));
  }

  #lineTo({ x, y }) {
    this.#context.beginPath();
    this.#context.moveTo(this.#pen.x, this.#pen.y);
    this.#context.lineTo(x, y);
    this.#context.stroke();
    Object.assign(this.#pen, { x, y });
    this.#drawn = true;
    this.#changed();
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    const across = (event.clientX - box.left) / box.width;
    const down = (event.clientY - box.top) / box.height;
    return { x: across * this.#canvas.width, y: down * this.#canvas.height };
  }
}

/** The pixels of a bitmap; what is transparent lies on white, as in training. */
export function imageOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}
