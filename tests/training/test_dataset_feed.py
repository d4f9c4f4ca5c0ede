"""Every form that Keras's `fit` takes trains what arrays train; every other is refused with what to give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

from l2zoo.training import fit
from tests.training.conftest import eager

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 6)).astype("float32"), np.arange(12) % 3
BATCHES = [(X[start : start + 4], Y[start : start + 4]) for start in (0, 4, 8)]


def model_of(**settings: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    softmax = keras.layers.Dense(3, activation="softmax", name="dense")
    model = keras.Sequential([keras.Input((6,)), softmax])
    return eager(
        model,
        **{"optimizer": keras.optimizers.SGD(0.1), "loss": "sparse_categorical_crossentropy", **settings},
    )


def tensors(parts: Any = (X, Y)) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(parts)


def generator() -> Iterator[Any]:
    yield from BATCHES


def loader(rows: Any = None) -> Any:
    torch = pytest.importorskip("torch")
    rows = rows or [(torch.tensor(x), int(y)) for x, y in zip(X, Y, strict=True)]
    return torch.utils.data.DataLoader(rows, batch_size=4)


class Batches(keras.utils.PyDataset):
    def __init__(self, batches: list[Any]):
        super().__init__()
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Any:
        return self.batches[index]


FORMS: dict[str, Callable[[], Any]] = {
    "dataset": lambda: tensors().batch(4),
    "generator": generator,
    "PyDataset": lambda: Batches(BATCHES),
    "DataLoader": loader,
    "weights": lambda: tensors((X, Y, np.ones(12))).batch(4),
}


@pytest.mark.backends
@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")  # Keras says it of any generator
@pytest.mark.parametrize(
    "form", [pytest.param(n, marks=() if n == "dataset" else pytest.mark.sweep_elsewhere) for n in FORMS]
)
def test_every_form_trains_what_keras_trains_on_the_same_batches(form: str) -> None:
    model, peer = model_of(), model_of()
    fit(model, FORMS[form](), epochs=1, verbose=0)
    peer.fit(X, Y, batch_size=4, shuffle=False, verbose=0)
    for mine, its in zip(model.get_weights(), peer.get_weights(), strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-6)


@pytest.mark.parametrize("several", [[X, X], (X, X), {"a": X, "b": X}])
def test_several_inputs_come_as_lists_tuples_and_dicts(several: Any) -> None:
    inputs = {name: keras.Input((6,), name=name) for name in "ab"}
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.add(list(inputs.values())))
    model = keras.Model(inputs if isinstance(several, dict) else list(inputs.values()), outputs)
    eager(model, optimizer="sgd", loss="sparse_categorical_crossentropy")
    assert fit(model, (several, Y), epochs=1, verbose=0).epoch == [0]
    batched = tensors((tuple(several) if isinstance(several, list) else several, Y)).batch(4)
    assert fit(model, batched, epochs=1, verbose=0).epoch == [0]


ROWS = {"image": X, "label": Y}
REFUSALS = {
    "a dataset of dicts": (
        lambda: tensors(ROWS).batch(4),
        r"\.map\(lambda row: \(row\['image'\], row\['label'\]\)\)",
    ),
    "a dict of arrays": (lambda: ROWS, r"give \(data\['image'\], data\['label'\]\)"),
    "a PyDataset of dicts": (
        lambda: Batches([dict(zip(ROWS, batch, strict=True)) for batch in BATCHES]),
        r"pairs, \(row\['image'\], row\['label'\]\)",
    ),
    "a loader of dicts": (
        lambda: loader([{"x": x, "y": y} for x, y in BATCHES]),
        r"pairs, \(row\['x'\], row\['y'\]\)",
    ),
    "single examples": (tensors, r"single examples, shape=\(6,\), shape=\(\)\. Give data\.batch\(32\)"),
    "single one-hot examples": (lambda: tensors((X, np.eye(3)[Y])), r"single examples.*batch\(32\)"),
    "inputs alone": (lambda: X, r"one part, .* but the loss needs them: give \(x, y\)"),
    "a generator for two epochs": (generator, r"can be read once, but 2 epochs"),
    "an empty generator": (lambda: (batch for batch in ()), r"is empty"),
    "no end": (lambda: tensors().batch(4).repeat(), r"never ends: give it without repeat"),
}


@pytest.mark.parametrize("form", REFUSALS)
def test_what_keras_would_take_for_something_else_is_refused_with_what_to_give(form: str) -> None:
    data, words = REFUSALS[form]
    model = model_of()
    before = model.get_weights()
    with pytest.raises(ValueError, match=words):
        fit(model, data(), epochs=2, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_a_model_that_adds_its_own_loss_needs_no_targets() -> None:
    class Small(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(keras.ops.mean(x**2))
            return x

    inputs = keras.Input((6,))
    model = eager(keras.Model(inputs, Small()(keras.layers.Dense(3)(inputs))), optimizer="sgd")
    for data in (X, (X,), tensors(X).batch(4)):
        assert fit(model, data, epochs=1, verbose=0).epoch == [0]


def test_a_step_of_ones_own_is_given_whatever_it_wants() -> None:
    class Own(keras.Model):
        def train_step(self, data: Any) -> Any:
            self.keys = sorted(data)
            return super().train_step((data["image"], data["label"]))

    inputs = keras.Input((6,))
    model = Own(inputs, keras.layers.Dense(3, activation="softmax")(inputs))
    eager(model, optimizer="sgd", loss="sparse_categorical_crossentropy")
    if keras.backend.backend() != "jax":
        fit(model, tensors(ROWS).batch(4), epochs=1, l2=1e-3, verbose=0)
        assert model.keys == ["image", "label"]


@pytest.mark.parametrize(
    ("loss", "targets", "words"),
    [
        (
            "sparse_categorical_crossentropy",
            np.eye(3)[Y],
            r"one-hot targets of shape \(3,\).*'categorical_cross",
        ),
        (
            "categorical_crossentropy",
            Y,
            r"has labels, but .* 'sparse_categorical_crossentropy'|to_categorical",
        ),
        ("categorical_crossentropy", np.eye(5)[Y], r"5 classes, but the model has 3 outputs.*num_classes=5"),
    ],
)
def test_targets_of_another_form_than_the_loss_takes_are_refused(loss: str, targets: Any, words: str) -> None:
    for data in ((X, targets), tensors((X, targets)).batch(4)):
        with pytest.raises(ValueError, match=words):
            fit(model_of(loss=loss), data, epochs=1, verbose=0)


@pytest.mark.backends
@pytest.mark.parametrize("form", ["dataset", "PyDataset"])
def test_labels_that_the_model_has_no_output_for_are_refused_in_datasets_too(form: str) -> None:
    data = tensors((X, Y + 1)).batch(4) if form == "dataset" else Batches([(x, y + 1) for x, y in BATCHES])
    with pytest.raises(ValueError, match=r"Labels in `data` must be in \[0, 3\), as the model has 3 outputs"):
        fit(model_of(), data, epochs=1, verbose=0)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_weights_that_were_unfrozen_need_a_new_optimizer() -> None:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, name="body"), keras.layers.Dense(3)])
    model.layers[0].trainable = False
    eager(model, optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    fit(model, (X, Y), epochs=1, verbose=0)
    model.layers[0].trainable = True
    with pytest.raises(
        ValueError, match=r"built for 2 weights, but 4 train now, and it does not know .*body"
    ):
        fit(model, (X, Y), epochs=1, verbose=0)
    assert fit(model, (X, Y), epochs=1, optimizer="adam", verbose=0).epoch == [0]
