"""`model.keras`: the model as Keras itself writes it, to train on or to inspect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.artifacts import feeding
from l2zoo.artifacts.formats import inspect_keras
from l2zoo.artifacts.formats.conversion import Source
from l2zoo.artifacts.inputs import Inputs
from l2zoo.artifacts.parity.parity import Predict
from l2zoo.artifacts.sample import Outputs
from l2zoo.artifacts.store import load_model

if TYPE_CHECKING:
    import keras


def write(source: Source, path: Path) -> None:
    """Saves the model, with its optimizer's state if it is compiled, so that training can go on.

    Raises:
        ValueError: Keras could not read back what it wrote.
    """
    source.model.save(path)


def open_file(path: Path) -> tuple[Predict, dict[str, Any]]:
    """Loads the model, without compiling it, to be run, and reads what is inside.

    Raises:
        ValueError: The model cannot be loaded.
    """
    model = load_model.loaded(path, compiled=False)

    def predict(inputs: Inputs) -> Outputs:
        return named(model.predict_on_batch(feeding.in_form_of(model, inputs)))

    return predict, {"parameters": model.count_params(), **inspect_keras.contents(path)}


def answers(model: keras.Model, inputs: Inputs) -> Predict:
    """The model's own answers in inference, the truth that files are compared with.

    The graph is traced here, outside the model, so that the model's own `predict` stays as it was; nor does
    it go through XLA, which on the CPU costs more than it saves.

    Args:
        model: A built model.
        inputs: Real inputs, for their names, shapes and types.
    """
    import tensorflow as tf

    signature = {name: tf.TensorSpec(*spec) for name, spec in feeding.signature(inputs).items()}
    traced = tf.function(
        lambda feed: model(feeding.in_form_of(model, feed), training=False),
        input_signature=[signature],
        autograph=False,
    )
    return lambda feed: named(traced(feed))


def named(outputs: Any) -> Outputs:
    """Outputs by name: those of a dict as they are, others `output_0`, `output_1`, as Keras exports them.

    Example:
        >>> list(named([np.zeros(3), np.zeros(3)]))
        ['output_0', 'output_1']
    """
    if not isinstance(outputs, dict):
        many = isinstance(outputs, list | tuple)
        outputs = {f"output_{index}": one for index, one in enumerate(outputs if many else [outputs])}
    return {name: np.asarray(value) for name, value in outputs.items()}
