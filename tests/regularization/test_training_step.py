"""What one real step does with penalties and weight decay, against models whose code says what it must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from l2zoo import L2Policy
from l2zoo.regularization.training_step import measure_decay, measure_penalties, own_parts

RNG = np.random.default_rng(0)
BATCH = RNG.normal(size=(12, 6)).astype("float32"), RNG.integers(0, 3, 12)
LOSS = "sparse_categorical_crossentropy"
Step = Callable[..., Any]


class WithoutPenalties(keras.Model):
    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
        return ops.mean(keras.losses.sparse_categorical_crossentropy(y, y_pred))


class WithPenaltiesTwice(keras.Model):
    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, **_: Any
    ) -> Any:
        return super().compute_loss(x, y, y_pred, sample_weight) + sum(self.losses)


class WithHalfOfThem(keras.Model):
    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
        return ops.mean(keras.losses.sparse_categorical_crossentropy(y, y_pred)) + 0.5 * sum(self.losses)


class OfTheLayers(keras.Model):
    """Reads the regularizers where layers keep them."""

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
        data = ops.mean(keras.losses.sparse_categorical_crossentropy(y, y_pred))
        dense = [layer for layer in self.layers if isinstance(layer, keras.layers.Dense)]
        return data + sum(layer.kernel_regularizer(layer.kernel) for layer in dense)


class WithoutLosses(keras.Model):
    @property
    def losses(self) -> list[Any]:
        return []


def model_of(kind: type[keras.Model] = keras.Model, **settings: Any) -> keras.Model:
    """All kinds of state that a step changes: batch norm, dropout, an embedding's sparse gradient."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6,))
    x = keras.layers.Dense(5, name="first")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dropout(0.5, seed=2)(x)
    outputs = keras.layers.Dense(3, activation="softmax", name="last")(x)
    model = L2Policy(1e-3).apply(kind(inputs, outputs))
    model.compile(**{"optimizer": "adam", "loss": LOSS, **settings})
    return model


KERNELS = ("first/kernel", "last/kernel")


@pytest.mark.backends
@pytest.mark.parametrize(
    ("kind", "factor"),
    [
        (keras.Model, 1.0),
        (WithoutPenalties, 0.0),
        pytest.param(WithPenaltiesTwice, 2.0, marks=pytest.mark.sweep_elsewhere),
        pytest.param(WithHalfOfThem, 0.5, marks=pytest.mark.sweep_elsewhere),
        pytest.param(OfTheLayers, 1.0, marks=pytest.mark.sweep_elsewhere),
        pytest.param(WithoutLosses, 0.0, marks=pytest.mark.sweep_elsewhere),
    ],
)
def test_the_factor_of_a_penalty_is_the_one_in_the_code(kind: type[keras.Model], factor: float) -> None:
    model = model_of(kind)
    arrivals = measure_penalties(model, BATCH)
    assert [arrivals[path].factor for path in KERNELS] == pytest.approx([factor, factor], abs=1e-4)
    assert all(arrival.handed for arrival in arrivals.values())
    assert bool(own_parts(model)) == (kind is not keras.Model)


def everything(model: keras.Model) -> list[np.ndarray]:
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


@pytest.mark.backends
@pytest.mark.parametrize("trained", [False, True])
def test_all_that_a_step_changes_is_put_back(trained: bool) -> None:
    model = model_of(WithPenaltiesTwice, metrics=["accuracy"])
    model.counter = 3
    keras.random.normal((1,))  # so that there is a generator to go on from
    if trained:
        model.fit(*BATCH, verbose=0)
    before, optimizer, attributes = everything(model), model.optimizer, dict(vars(model))
    regularizers = [v.regularizer for v in model.trainable_variables]
    measure_penalties(model, BATCH)
    measure_decay(model)
    assert model.optimizer is optimizer
    assert optimizer.built == trained
    assert vars(model) == attributes
    assert [v.regularizer for v in model.trainable_variables] == regularizers
    for mine, its in zip(everything(model), before, strict=False):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.slow
@pytest.mark.backends
def test_a_training_is_the_same_whether_or_not_it_was_measured_before() -> None:
    def weights(*, measured: bool) -> list[np.ndarray]:
        model = model_of(WithPenaltiesTwice)
        if measured:
            measure_penalties(model, BATCH)
            measure_decay(model)
        model.fit(*BATCH, batch_size=6, epochs=2, shuffle=False, verbose=0)
        return model.get_weights()

    for mine, its in zip(weights(measured=True), weights(measured=False), strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-7)


def tensorflow_step(model: Any, data: Any, *, penalty: bool, update: Step) -> dict[str, Any]:
    import tensorflow as tf

    x, y = data
    with tf.GradientTape() as tape:
        loss = ops.mean(keras.losses.sparse_categorical_crossentropy(y, model(x, training=True)))
        loss += sum(model.losses) if penalty else 0.0
    update(model, tape.gradient(loss, model.trainable_variables))
    return {"loss": loss}


def by_optimizer(model: Any, gradients: list[Any]) -> None:
    model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))


def clipped(model: Any, gradients: list[Any]) -> None:
    import tensorflow as tf

    by_optimizer(model, tf.clip_by_global_norm(gradients, 1.0)[0])


def by_hand(model: Any, gradients: list[Any]) -> None:
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        variable.assign_sub(0.1 * gradient)


def by_another(model: Any, gradients: list[Any]) -> None:
    model.second_optimizer.apply(gradients, model.trainable_variables)


@pytest.mark.parametrize("decorated", [False, True])
@pytest.mark.parametrize(
    ("penalty", "update", "factor", "handed"),
    [
        (True, by_optimizer, 1.0, True),
        (False, by_optimizer, 0.0, True),
        pytest.param(True, by_another, 1.0, True, marks=pytest.mark.slow),
        (True, clipped, None, True),
        pytest.param(False, clipped, 0.0, True, marks=pytest.mark.slow),
        (True, by_hand, None, False),
        pytest.param(False, by_hand, 0.0, False, marks=pytest.mark.slow),
    ],
)
def test_steps_of_ones_own_are_measured_on_tensorflow(
    penalty: bool, update: Step, factor: float | None, handed: bool, decorated: bool
) -> None:
    import tensorflow as tf

    class Own(keras.Model):
        def train_step(self, data: Any) -> dict[str, Any]:
            return tensorflow_step(self, data, penalty=penalty, update=update)

    if decorated:
        Own.train_step = tf.function(Own.train_step)
    model = model_of(Own)
    model.second_optimizer = keras.optimizers.SGD(0.1)
    arrivals = measure_penalties(model, BATCH)
    found = [arrivals[path].factor for path in KERNELS]
    assert found == [factor, factor] if factor is None else found == pytest.approx([factor] * 2, abs=1e-4)
    assert arrivals["first/kernel"].handed == handed
    before = model.get_weights()
    model.train_step(tuple(map(tf.constant, BATCH)))  # what was measured is not what trains
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_a_step_that_moves_nothing_is_told_apart() -> None:
    class Idle(keras.Model):
        def train_step(self, data: Any) -> dict[str, Any]:
            return {"loss": ops.mean(self(data[0], training=True))}

    assert measure_penalties(model_of(Idle), BATCH) == {}


@pytest.mark.backends
@pytest.mark.parametrize("name", ["sgd", "adamw", "lion"])
def test_weight_decay_arrives_where_keras_says(name: str) -> None:
    optimizer = keras.optimizers.get({"class_name": name, "config": {"weight_decay": 1e-5}})
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    found = measure_decay(model_of(optimizer=optimizer))
    for path, factor in found.items():
        assert factor == pytest.approx(float(path.endswith("kernel")), abs=1e-4), path


def test_an_optimizer_that_computes_weights_from_its_state_undoes_the_decay() -> None:
    model = model_of(optimizer=keras.optimizers.Ftrl(0.1, weight_decay=1e-2))
    model.fit(*BATCH, verbose=0)
    assert max(map(abs, measure_decay(model).values())) < 0.5


def test_gradient_accumulation_and_mixed_precision_hide_no_decay() -> None:
    optimizer = keras.optimizers.SGD(0.1, weight_decay=1e-2, gradient_accumulation_steps=3)
    assert measure_decay(model_of(optimizer=optimizer))["first/kernel"] == pytest.approx(1, abs=1e-4)
    wrapped = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1, weight_decay=1e-2))
    model = model_of(optimizer=wrapped)
    assert measure_decay(model)["first/kernel"] == pytest.approx(1, abs=1e-4)
    assert measure_penalties(model, BATCH)["first/kernel"].factor == pytest.approx(1, abs=1e-4)


def test_a_gradient_of_few_rows_is_measured_too() -> None:
    inputs = keras.Input((4,), dtype="int32")
    x = keras.layers.Flatten()(keras.layers.Embedding(7, 2, name="words")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    model.compile("adam", LOSS)
    found = measure_penalties(model, (RNG.integers(0, 7, (5, 4)), RNG.integers(0, 3, 5)))
    assert found["words/embeddings"].factor == pytest.approx(1, abs=1e-3)
