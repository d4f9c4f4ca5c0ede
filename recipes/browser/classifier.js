/** A classifier that `l2zoo.export` wrote, at work by LiteRT.js: raw pixels go in, probabilities come out. */

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";

import { withBatchOfOne } from "./batch.js";
import { outputKind } from "./output_kind.js";

const MANIFEST = "manifest.json";
const MODEL = "model.tflite";

/**
 * @param {string} folder Address of an artifact's folder, with a slash at its end.
 * @param {string} runtime Address of LiteRT.js's folder `wasm`.
 * @returns {Promise<Classifier>}
 * @throws {Error} With a message for people: what is missing or wrong, and what to do.
 */
export async function openClassifier(folder, runtime) {
  const [manifest, file] = await Promise.all([
    fetched(folder, MANIFEST).then((response) => response.json().catch(noManifest)),
    fetched(folder, MODEL).then((response) => response.arrayBuffer()),
    loadLiteRt(runtime).catch(noRuntime),
  ]);
  const bytes = new Uint8Array(file);
  const known = described(manifest);
  await compareDigest(bytes, manifest.files?.[MODEL]?.sha256);
  return new Classifier(known, await compiled(bytes));
}

/** What goes in and comes out: `height`, `width`, `channels`, `aspect`, `classNames`, `kind`; the model's `name`. */
class Classifier {
  #model;

  constructor(known, model) {
    Object.assign(this, known);
    this.#model = model;
  }

  /**
   * @param {Float32Array} pixels `(H, W, C)`, raw, in [0, 255].
   * @returns {Promise<number[]>} `(K,)`, the probability of each class.
   */
  async predict(pixels) {
    const image = new Tensor(pixels, [1, this.height, this.width, this.channels]);
    try {
      const [answer] = await this.#model.run([image]);
      const numbers = Array.from(await answer.data());
      answer.delete();
      return this.kind.probabilities(numbers);
    } finally {
      image.delete(); // LiteRT.js leaves the memory of tensors to us
    }
  }
}

async function fetched(folder, name) {
  const response = await fetch(folder + name).catch((error) => ({ ok: false, status: error.message }));
  if (!response.ok) {
    const question = "Is it in the artifact's folder, and the server still there?";
    throw new Error(`${name} cannot be had (${response.status}). ${question}`);
  }
  return response;
}

function noManifest(error) {
  throw new Error(`${MANIFEST} cannot be read (${error.message}). Export the model again.`);
}

function noRuntime(error) {
  const why = error.message ?? "a file of it is missing"; // an event, where a script did not come
  throw new Error(`LiteRT.js cannot be loaded (${why}). It needs WebAssembly: try a newer browser.`);
}

/** What the page needs of a manifest. */
function described({ name, task = "classification", aspect, class_names, inputs = {}, outputs = {} }) {
  if (task !== "classification") {
    throw new Error(`This page shows classifiers; the artifact is for ${task}.`);
  }
  const [taken, given] = [inputs, outputs].map((specs) => Object.values(specs).map(({ shape }) => shape));
  const [[, height, width, channels]] = [...taken, []];
  const [[, numbersGiven]] = [...given, []];
  const one = taken.length === 1 && given.length === 1 && taken[0].length === 4 && given[0].length === 2;
  if (!one || !height || !width || !numbersGiven || ![1, 3].includes(channels)) {
    const found = `${JSON.stringify(taken)} and gives ${JSON.stringify(given)}`;
    throw new Error(`This page gives one gray or coloured picture, for classes; the model takes ${found}.`);
  }
  const kind = outputKind(Object.values(outputs)[0]);
  const classes = kind.isBinary ? 2 : numbersGiven;
  const numbers = Array.from({ length: classes }, (_, index) => String(index));
  return { name, height, width, channels, aspect: aspect ?? "stretch", kind, classNames: class_names ?? numbers };
}

async function compareDigest(bytes, expected) {
  if (!expected || !globalThis.crypto?.subtle) return; // browsers have it on https and on this machine only
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== expected) {
    throw new Error(`${MODEL} is not the file that ${MANIFEST} tells of. Export the model again.`);
  }
}

async function compiled(bytes) {
  try {
    return await loadAndCompile(withBatchOfOne(bytes), { accelerator: "wasm" });
  } catch (error) {
    throw new Error(`LiteRT.js cannot open ${MODEL} (${error.message ?? error}). Export the model again.`);
  }
}
