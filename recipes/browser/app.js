/** The page at work: what is drawn or chosen goes to the model, and what it says to the bars. */

import { Bars, percent } from "./bars.js";
import { openClassifier } from "./classifier.js";
import { Pad } from "./pad.js";
import { takePictures } from "./pictures.js";
import { imageOf, pixelsOf } from "./pixels.js";

const part = (id) => document.getElementById(id);

/** The classifier, once it is there; `undefined` if there is none, and the page says why. */
export const ready = openClassifier("artifact/", "litert/wasm/").then(start).catch(problem);

function start(classifier) {
  const bars = new Bars(part("bars"), classifier.classNames);
  const pad = new Pad(part("pad"), classifier, () => answer());
  const answer = latestOnly(() => show(classifier, bars, pad.content));
  part("clear").addEventListener("click", () => pad.clear());
  part("invert").addEventListener("change", answer);
  takePictures(part("file"), (bitmap) => pad.show(bitmap), problem);
  part("model").textContent = described(classifier);
  part("given").disabled = false;
  answer();
  return classifier;
}

async function show(classifier, bars, image) {
  const { height, width, channels, aspect, kind, classNames } = classifier;
  Object.assign(part("eye"), { width, height }); // which also wipes it
  part("problem").hidden = true;
  if (!image) {
    bars.clear();
    say("?", "Nothing to look at yet.");
    return;
  }
  const pixels = pixelsOf(image, { height, width, channels, aspect }, part("invert").checked);
  part("eye").getContext("2d").putImageData(imageOf(pixels, { height, width, channels }), 0, 0);
  const began = performance.now();
  const probabilities = await classifier.predict(pixels);
  const took = performance.now() - began;
  const there = kind.classesOf(probabilities);
  bars.show(probabilities, there);
  const shares = there.map((place) => percent(probabilities[place])).join(", ");
  const names = there.map((place) => classNames[place]).join(", ");
  say(names || "none", `${shares && `with ${shares}, `}in ${took.toFixed(1)} ms`);
}

/** Calls `work` once more after what is under way, however often it was asked for meanwhile. */
function latestOnly(work) {
  const { dataset } = document.body; // which says it to others, too
  let again = false;
  return async () => {
    again = true;
    if (dataset.state === "busy") return;
    dataset.state = "busy";
    while (again) {
      again = false;
      await work().catch(problem);
      await new Promise(requestAnimationFrame);
    }
    dataset.state = "ready";
  };
}

function described({ name, width, height, channels, classNames }) {
  const seconds = (performance.now() / 1000).toFixed(1);
  const pixels = `${width} × ${height} ${channels === 1 ? "gray" : "coloured"} pixels`;
  return `${name}: ${pixels}, ${classNames.length} classes. Loaded in ${seconds} s.`;
}

function say(name, more) {
  part("name").textContent = name;
  part("name").classList.toggle("word", name.length > 2);
  part("more").textContent = more;
}

function problem(error) {
  part("problem").textContent = error.message;
  part("problem").hidden = false;
  if (document.body.dataset.state === "loading") document.body.dataset.state = "failed";
}
