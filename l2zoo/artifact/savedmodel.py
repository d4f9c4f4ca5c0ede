"""`saved_model/1/`: TensorFlow's SavedModel, in the layout TensorFlow Serving expects.

The signature `serving_default` takes the inputs by name, any number of examples.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.artifact import feeding
from l2zoo.artifact.inputs import Inputs
from l2zoo.artifact.parity import Predict
from l2zoo.artifact.sample import Outputs

if TYPE_CHECKING:
    import keras

    from l2zoo.artifact.conversion import Source

SIGNATURE = "serving_default"


def specs(model: keras.Model, inputs: Inputs, *, batch: int | None = None) -> list[Any]:
    """The exported signature in Keras's words: shapes, types and names of what the model is called with."""
    import keras

    named = {
        name: keras.InputSpec(shape=(batch, *shape[1:]), dtype=dtype, name=name)
        for name, (shape, dtype) in feeding.signature(inputs).items()
    }
    return [feeding.in_form_of(model, named)]


def trace(model: keras.Model, inputs: Inputs, graph: Path, *, batch: int | None = None) -> None:
    """Writes the model's inference graph, from which the formats of TensorFlow are made.

    Tracing is the expensive part (11 of 22 s for MobileNetV2), so it is done once for all of them.

    Args:
        model: A built model.
        inputs: Real inputs, for their names, shapes and types.
        graph: Folder to write.
        batch: How many examples it takes at once; any number if None.
    """
    signature = specs(model, inputs, batch=batch)
    model.export(graph, format="tf_saved_model", verbose=False, input_signature=signature)


def write(source: Source, path: Path) -> None:
    """Puts the traced graph where the server looks for version 1."""
    shutil.copytree(source.graph, path)


def open_folder(path: Path) -> tuple[Predict, dict[str, Any]]:
    """Loads the SavedModel with TensorFlow alone and reads its signature."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures[SIGNATURE]

    def predict(inputs: Inputs) -> Outputs:
        # `loaded` must live as long as its signature: the variables are its own.
        feed = {name: tf.constant(array) for name, array in inputs.items()}
        answers = loaded.signatures[SIGNATURE](**feed)
        return {name: value.numpy() for name, value in answers.items()}

    found = {
        "signature": SIGNATURE,
        "inputs": _specs(signature.structured_input_signature[1]),
        "outputs": _specs(signature.structured_outputs),
    }
    return predict, found


def _specs(tensors: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {"shape": list(spec.shape), "dtype": spec.dtype.name} for name, spec in sorted(tensors.items())
    }
