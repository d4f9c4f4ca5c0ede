/**
 * TFLite files for any number of images, made files for one.
 *
 * The signature of such a file says -1 for the batch, and LiteRT.js (2.5.3) compares the shapes of tensors
 * with it to the letter: no tensor fits -1. Each -1 is an int32 at a known place in the file; it becomes 1,
 * the batch that the file's own `shape` beside it already says. Nothing moves, no weight changes.
 */

// Numbers of fields in TensorFlow Lite's schema (schema.fbs), which are never given out again.
const MODEL_SUBGRAPHS = 2;
const SUBGRAPH_TENSORS = 0;
const TENSOR_SHAPE_SIGNATURE = 7;

/**
 * @param {Uint8Array} file A TFLite file.
 * @returns {Uint8Array} A copy in which the batch of every tensor is 1 where it was open.
 * @throws {RangeError} The file ends too early.
 */
export function withBatchOfOne(file) {
  const copy = file.slice();
  const view = new DataView(copy.buffer);
  const model = pointedAt(view, 0);
  for (const subgraph of tables(view, model, MODEL_SUBGRAPHS)) {
    for (const tensor of tables(view, subgraph, SUBGRAPH_TENSORS)) {
      const [first] = entries(view, tensor, TENSOR_SHAPE_SIGNATURE);
      if (first !== undefined && view.getInt32(first, true) === -1) {
        view.setInt32(first, 1, true);
      }
    }
  }
  return copy;
}

/** Where each table of a vector of tables is. */
function tables(view, table, field) {
  return entries(view, table, field).map((place) => pointedAt(view, place));
}

/** Where each entry, of 4 bytes, of a table's vector is; none if the table has no such field. */
function entries(view, table, field) {
  const fields = table - view.getInt32(table, true);
  const slot = 4 + 2 * field;
  const offset = slot < view.getUint16(fields, true) ? view.getUint16(fields + slot, true) : 0;
  if (offset === 0) return [];
  const vector = pointedAt(view, table + offset);
  return Array.from({ length: view.getUint32(vector, true) }, (_, index) => vector + 4 * (index + 1));
}

function pointedAt(view, place) {
  return place + view.getUint32(place, true);
}
