"""What the outputs of an exported model mean is known, compared with its answers, or asked for."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from l2zoo.artifacts import Card, export
from l2zoo.artifacts.parity.parity import compare
from l2zoo.tasks.output_kind import OutputKind

X = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)


def model(numbers, activation=None):
    keras.utils.set_random_seed(0)
    body = [keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Flatten()]
    return keras.Sequential([*body, layers.Dense(numbers, activation=activation)])


@pytest.mark.parametrize(
    ("made", "card", "words"),
    [
        ((3,), Card(output_kind="probabilities"), r"to be 'probabilities'.*do not add up to 1.*output_kind="),
        ((3, "softmax"), Card(output_kind="logits"), "to be 'logits'.* are probabilities already"),
        ((3, "softmax"), Card(threshold=0.3), r"`threshold` is for .* got threshold=0\.3"),
        (
            (3, "softmax"),
            Card(task="regression", output_kind="logits"),
            "task='regression', but .*'logits'",
        ),
        ((3, "tanh"), Card(task="classification"), r"cannot be told .*Card\(output_kind=\.\.\.\), one of"),
        ((1, "sigmoid"), Card(class_names=("only",)), "must name the 2 classes of the model, that of 0 and"),
        ((3, "sigmoid"), Card(class_names=("a", "b")), "must name the 3 classes"),
        ((2,), Card(task="regression", class_names=("x", "y")), "`class_names` are for outputs with classes"),
        (
            (3,),
            Card(output_kind={"other": "logits"}),
            r"must be out of .'output_0'., got",
        ),
    ],
)
def test_what_contradicts_itself_is_refused_before_anything_is_written(made, card, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        export(model(*made), tmp_path / "a", sample=X, formats=[], card=card)
    assert list(tmp_path.iterdir()) == []


def test_words_of_a_card_are_looked_at_at_once():
    with pytest.raises(ValueError, match=r"`output_kind` must be one of .*Did you mean 'multilabel'"):
        Card(output_kind="multi-label")


def test_what_nobody_can_tell_stays_open(tmp_path):
    artifact = export(model(3), tmp_path / "a", sample=X, formats=[])
    assert artifact.manifest["task"] is None
    assert "kind" not in artifact.manifest["outputs"]["output_0"]


@pytest.mark.slow
def test_each_of_several_outputs_has_its_kind(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1), name="images")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(inputs))
    heads = {"what": layers.Dense(3, "softmax")(x), "size": layers.Dense(1)(x), "odd": layers.Dense(2)(x)}
    card = Card(output_kind={"size": "values"})
    artifact = export(keras.Model(inputs, heads), tmp_path / "a", sample=X, formats=["tflite"], card=card)
    outputs = artifact.manifest["outputs"]
    assert {name: spec.get("kind") for name, spec in outputs.items()} == {
        "what": "probabilities", "size": "values", "odd": None,
    }  # fmt: skip
    with pytest.raises(ValueError, match="`output_kind` must say what each output means, by its name"):
        export(keras.Model(inputs, heads), tmp_path / "b", sample=X, card=Card(output_kind="logits"))


def compared(wanted, answered, kind):
    """The figures of a file that answers so where the model answers otherwise."""
    batches = [({"images": X[: len(wanted)]}, {"output_0": np.asarray(wanted, "float32")})]
    files = {"file": lambda _: {"output_0": np.asarray(answered, "float32")}}
    return compare(batches, files, kinds={"output_0": kind})["file"]


def test_logits_are_compared_as_the_probabilities_that_are_made_of_them():
    found = compared([[0.0, 100.0]], [[0.0, 90.0]], OutputKind("logits"))
    assert found.max_abs_diff < 1e-6
    assert found.argmax_agreement == 1
    found = compared([[0.0, 0.1]], [[0.1, 0.0]], OutputKind("logits"))
    assert found.argmax_agreement == 0
    assert found.max_abs_diff == pytest.approx(1 / (1 + np.exp(-0.1)) - 1 / (1 + np.exp(0.1)), rel=1e-5)


def test_decisions_agree_by_the_threshold():
    wanted, answered = [[0.2], [0.6], [0.75], [0.9]], [[0.2], [0.4], [0.85], [0.9]]
    assert compared(wanted, answered, OutputKind("binary")).argmax_agreement == 0.75
    assert compared(wanted, answered, OutputKind("binary", 0.8)).argmax_agreement == 0.75
    assert compared(wanted, answered, OutputKind("binary", 0.95)).argmax_agreement == 1
    both = compared([[0.2, 0.6]], [[0.6, 0.6]], OutputKind("multilabel"))
    assert both.argmax_agreement == 0.5
    values = compared([[0.2, 0.8], [0.5, 0.5]], [[0.3, 0.7], [0.5, 0.5]], OutputKind("values"))
    assert values.argmax_agreement is None
    assert values.relative_diff is not None
