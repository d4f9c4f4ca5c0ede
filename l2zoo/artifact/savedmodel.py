"""`saved_model/1/`: TensorFlow's SavedModel, in the layout TensorFlow Serving expects.

The signature `serving_default` takes `images`, float32, any number of them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.artifact.parity import Predict
from l2zoo.artifact.sample import Outputs

if TYPE_CHECKING:
    import keras

INPUT = "images"
SIGNATURE = "serving_default"


def trace(model: keras.Model, shape: tuple[int, ...], graph: Path) -> None:
    """Writes the model's inference graph, from which the formats of TensorFlow are made.

    Tracing is the expensive part (11 of 22 s for MobileNetV2), so it is done once for all of them.

    Args:
        model: A built model.
        shape: Shape `(H, W, C)` of one image; the batch stays open.
        graph: Folder to write.
    """
    import keras

    signature = [keras.InputSpec(shape=(None, *shape), dtype="float32", name=INPUT)]
    model.export(graph, format="tf_saved_model", verbose=False, input_signature=signature)


def write(model: keras.Model, graph: Path, path: Path) -> None:
    """Puts the traced graph where the server looks for version 1."""
    del model
    shutil.copytree(graph, path)


def open_folder(path: Path) -> tuple[Predict, dict[str, Any]]:
    """Loads the SavedModel with TensorFlow alone and reads its signature."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures[SIGNATURE]

    def predict(images: np.ndarray) -> Outputs:
        # `loaded` must live as long as its signature: the variables are its own.
        answers = loaded.signatures[SIGNATURE](**{INPUT: tf.constant(images)})
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
