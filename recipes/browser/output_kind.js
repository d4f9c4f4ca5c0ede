/** What the numbers of an output mean, as the manifest says: what is made of them, and what is said. */

const softmax = (numbers) => {
  const raised = numbers.map((number) => Math.exp(number - Math.max(...numbers)));
  const sum = raised.reduce((total, one) => total + one);
  return raised.map((one) => one / sum);
};
const sigmoid = (numbers) => numbers.map((number) => 1 / (1 + Math.exp(-number)));
const same = (numbers) => numbers;
const MEANS = {
  probabilities: { probabilities: same },
  logits: { probabilities: softmax },
  binary: { probabilities: same, isBinary: true },
  binary_logits: { probabilities: sigmoid, isBinary: true },
  multilabel: { probabilities: same, isMultilabel: true },
  multilabel_logits: { probabilities: sigmoid, isMultilabel: true },
};

/**
 * @param {{kind: string, threshold?: number | number[]}} spec Of the output, in the manifest.
 * @returns {{isBinary: boolean, probabilities: Function, classesOf: Function}} `probabilities` makes the
 *   probability of each class of the model's numbers; `classesOf` says which classes are there, by those.
 * @throws {Error} The output has no classes, or the manifest does not say what it means.
 */
export function outputKind({ kind, threshold = 0.5 }) {
  const found = Object.hasOwn(MEANS, kind ?? "") ? MEANS[kind] : undefined;
  if (!found) {
    throw new Error(`This page shows classes; the manifest says that the output is ${kind}. Export it anew.`);
  }
  const { probabilities, isBinary = false, isMultilabel = false } = found;
  const both = ([second]) => [1 - second, second];
  return {
    isBinary,
    probabilities: (numbers) => (isBinary ? both(probabilities(numbers)) : probabilities(numbers)),
    classesOf: (shares) => {
      if (isMultilabel) {
        return [...shares.keys()].filter((place) => shares[place] >= (threshold[place] ?? threshold));
      }
      if (isBinary) return [shares[1] >= threshold ? 1 : 0];
      return [shares.indexOf(Math.max(...shares))];
    },
  };
}
