"""What an output means is read off the last activation, the loss, and the answers, or nobody knows."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from l2zoo import build_cnn, build_unet
from l2zoo.tasks.infer_output_kind import check_probabilities, exclusive_kind, infer_output_kinds

pytestmark = pytest.mark.backends

X = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1)).astype("float32")


def body(numbers: int, activation: str | None = None) -> list:
    return [
        keras.Input((8, 8, 1)),
        layers.Rescaling(1 / 255),
        layers.Flatten(),
        layers.Dense(numbers, activation),
    ]


def model(numbers: int, activation: str | None = None, loss: object = None) -> keras.Model:
    keras.utils.set_random_seed(0)
    made = keras.Sequential(body(numbers, activation))
    if loss is not None:
        made.compile("sgd", loss)
    return made


def kind_of(made: keras.Model, *, exclusive: bool = False) -> str | None:
    found = infer_output_kinds(made, {"output_0": answers_of(made)}, exclusive=exclusive)
    return found["output_0"]


def answers_of(made: keras.Model) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(made(X)))


sparse = keras.losses.SparseCategoricalCrossentropy
binary = keras.losses.BinaryCrossentropy


@pytest.mark.parametrize(
    ("numbers", "activation", "loss", "kind"),
    [
        (3, "softmax", None, "probabilities"),
        (3, "softmax", "mse", "probabilities"),
        (3, "softmax", "sparse_categorical_crossentropy", "probabilities"),
        (1, "sigmoid", None, "binary"),
        (1, "sigmoid", "binary_crossentropy", "binary"),
        (4, "sigmoid", None, "multilabel"),
        (4, "sigmoid", "binary_crossentropy", "multilabel"),
        (4, "sigmoid", "categorical_crossentropy", None),
        (4, "sigmoid", "mse", "values"),
        (3, None, sparse(from_logits=True), "logits"),
        (3, None, keras.losses.CategoricalFocalCrossentropy(from_logits=True), "logits"),
        (3, "log_softmax", None, "logits"),
        (1, None, binary(from_logits=True), "binary_logits"),
        (4, None, binary(from_logits=True), "multilabel_logits"),
        (1, None, keras.losses.BinaryFocalCrossentropy(from_logits=True), "binary_logits"),
        (3, None, "sparse_categorical_crossentropy", None),
        (1, None, "binary_crossentropy", None),
        (2, None, "mse", "values"),
        (1, None, keras.losses.MeanAbsoluteError(), "values"),
        (1, None, keras.losses.Huber(), "values"),
        (1, "softplus", "poisson", "values"),
        (3, None, None, None),
        (1, None, None, None),
        (3, None, keras.losses.CategoricalHinge(), None),
    ],
)
def test_activation_and_loss_tell(numbers, activation, loss, kind):
    assert kind_of(model(numbers, activation, loss)) == kind


@pytest.mark.parametrize(
    ("numbers", "activation", "loss", "kind"),
    [
        (3, None, None, "logits"),
        (1, None, None, "binary_logits"),
        (3, None, "mse", None),
        (3, None, keras.losses.CategoricalHinge(), None),
        (3, "tanh", None, None),
        (1, "sigmoid", "mse", "binary"),
        (4, "sigmoid", "mse", None),
        (4, "sigmoid", None, "multilabel"),
    ],
)
def test_where_a_class_is_said_numbers_beyond_one_are_logits(numbers, activation, loss, kind):
    assert kind_of(model(numbers, activation, loss), exclusive=True) == kind


def test_numbers_within_one_may_be_either_and_are_asked_about():
    made = model(3)
    made.set_weights([0.001 * w for w in made.get_weights()])
    answers = np.abs(answers_of(made))
    assert answers.max() < 1
    assert infer_output_kinds(made, {"output_0": answers}, exclusive=True) == {"output_0": None}


class Mine(keras.losses.SparseCategoricalCrossentropy):
    """A loss of somebody's own that is one of Keras's."""


def test_a_loss_that_extends_one_of_keras_is_that():
    assert kind_of(model(3, None, Mine(from_logits=True, name="mine"))) == "logits"


def functional(end) -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, end(layers.Dense(3)(layers.Flatten()(inputs))))


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (keras.ops.softmax, "probabilities"),
        (keras.ops.sigmoid, "multilabel"),
        (layers.Softmax(), "probabilities"),
        (layers.Activation("softmax"), "probabilities"),
        (layers.Activation("softmax", dtype="float32"), "probabilities"),
        (lambda x: layers.Reshape((3, 1))(layers.Activation("sigmoid")(x)), "binary"),
        (lambda x: layers.Activation("linear")(keras.ops.softmax(x)), "probabilities"),
        (lambda x: x / keras.ops.sum(x, axis=-1, keepdims=True), None),
        (lambda x: keras.Sequential([keras.Input((3,)), layers.Softmax()])(x), "probabilities"),
    ],
)
def test_the_last_activation_is_found_behind_what_changes_nothing(end, kind):
    assert kind_of(functional(end)) == kind


def test_a_layer_that_is_used_twice_is_found():
    dense, inputs = layers.Dense(3, "softmax"), keras.Input((3,))
    made = keras.Model(inputs, dense(dense(inputs)))
    answers = np.asarray(keras.ops.convert_to_numpy(made(X[:, 0, :3, 0])))
    assert infer_output_kinds(made, {"output_0": answers}) == {"output_0": "probabilities"}


class Subclass(keras.Model):
    def __init__(self, activation: str | None) -> None:
        super().__init__()
        self.dense = layers.Dense(3, activation)

    def call(self, x):
        return self.dense(keras.ops.reshape(x, (-1, 64)))


def test_a_model_that_does_not_tell_its_layers_is_known_by_loss_and_answers():
    keras.utils.set_random_seed(0)
    assert kind_of(Subclass("softmax")) == "probabilities"
    assert kind_of(Subclass(None)) is None
    made = Subclass(None)
    made.compile("sgd", sparse(from_logits=True))
    assert kind_of(made) == "logits"


def test_each_of_several_outputs_has_a_kind():
    inputs = keras.Input((8, 8, 1))
    x = layers.Flatten()(inputs)
    heads = {"what": layers.Dense(3, "softmax")(x), "size": layers.Dense(1)(x)}
    made = keras.Model(inputs, heads)
    made.compile("sgd", {"what": "sparse_categorical_crossentropy", "size": "mse"})
    answers = {name: np.asarray(keras.ops.convert_to_numpy(one)) for name, one in made(X).items()}
    assert infer_output_kinds(made, answers) == {"what": "probabilities", "size": "values"}


@pytest.mark.sweep_elsewhere
@pytest.mark.parametrize(
    "made", [lambda: build_cnn((8, 8, 1), num_classes=3), lambda: build_unet((32, 32, 1), num_classes=3)]
)
def test_models_of_the_zoo_give_probabilities(made):
    built = made()
    x = np.zeros((1, *built.input_shape[1:]), "float32")
    answers = np.asarray(keras.ops.convert_to_numpy(built(x)))
    assert infer_output_kinds(built, {"output_0": answers}) == {"output_0": "probabilities"}
    check_probabilities(built)


def test_a_model_of_logits_is_not_for_a_loss_of_probabilities():
    with pytest.raises(
        ValueError, match=r"must give a model of probabilities.*Add one: keras\.layers\.Softmax"
    ):
        check_probabilities(model(3))


def test_what_says_no_single_class_is_refused_with_the_next_step():
    made = model(4, "sigmoid")
    with pytest.raises(ValueError, match=r"must say one of several classes, but .*'multilabel'"):
        exclusive_kind(made, answers_of(made))
    made = model(3, None, "mse")
    with pytest.raises(ValueError, match="cannot be told from its last activation and its loss"):
        exclusive_kind(made, answers_of(made))
    assert exclusive_kind(made, answers_of(made), said="logits").name == "logits"
