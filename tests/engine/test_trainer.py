from __future__ import annotations

from typing import ClassVar

import keras
import numpy as np
import pytest

from l2zoo import L2Policy
from l2zoo.engine.folds import Division
from l2zoo.engine.job import Job
from l2zoo.engine.record import Unit
from l2zoo.engine.trainer import Collapse, Trainer
from tests.search import small

# PyTorch's dropout draws from a generator of its own that the plain run below cannot share.
RTOL = {"tensorflow": 1e-4, "jax": 1e-4}


def job(build=small.build, **changes) -> Job:
    x, y = small.data()
    settings = {
        "folds": 3,
        "epochs": 2,
        "batch_size": 8,
        "optimizer": lambda: keras.optimizers.Adam(1e-2),
        "loss": "sparse_categorical_crossentropy",
        "metrics": ("accuracy",),
        "objective": None,
    }
    return Job(lambda values: build(values["l2"]), x, y, **{**settings, **changes})


@pytest.fixture(scope="module")
def warm() -> Trainer:
    return Trainer(job())


def same(one, other) -> None:
    assert one.curves.keys() == other.curves.keys()
    for name, values in one.curves.items():
        np.testing.assert_allclose(values, other.curves[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.backends
def test_a_unit_gives_the_same_whatever_ran_before_it(warm):
    unit = Unit(1e-2, fold=1, seed=1)
    first = warm.run(unit)[0]
    for other in (Unit(0.0, 0, 0), Unit(10.0, 2, 0), Unit(1e-2, 1, 0)):
        warm.run(other)
    same(warm.run(unit)[0], first)
    same(Trainer(job()).run(unit)[0], first)


class Precision(keras.metrics.Metric):
    """How much of what is said to be class 0 is: a ratio of sums, no mean over rows."""

    def __init__(self, name="precision"):
        super().__init__(name=name)
        self.right, self.said = (self.add_weight(name=n, initializer="zeros") for n in ("right", "said"))

    def update_state(self, y_true, y_pred, sample_weight=None):
        is_zero = keras.ops.cast(keras.ops.reshape(y_true, (-1,)) == 0, "float32")
        self.right.assign(self.right + keras.ops.sum(y_pred[:, 0] * is_zero))
        self.said.assign(self.said + keras.ops.sum(y_pred[:, 0]))

    def result(self):
        return self.right / (self.said + 1e-9)


class Surest(Precision):
    """Not even made of sums: the largest probability of class 0."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.right.assign(keras.ops.maximum(self.right, keras.ops.max(y_pred[:, 0])))

    def result(self):
        return self.right + 0.0


class WithoutEachPart(keras.callbacks.Callback):
    """What Keras's `evaluate` says of the last weights: on all held-out rows, and on all but each part."""

    found: ClassVar[list[list[float]]] = []

    def on_train_end(self, logs=None):
        x, y = small.data()
        rows = Division(y, 3)(0)[0][1]
        parts = np.array_split(np.random.default_rng(0).permutation(rows), 5)
        all_but = [rows, *(np.setdiff1d(rows, part) for part in parts)]
        said = [self.model.evaluate(x[some], y[some], verbose=0, return_dict=True) for some in all_but]
        self.found.append([next(value for name, value in each.items() if name != "loss") for each in said])


@pytest.mark.backends
@pytest.mark.parametrize(
    "metric",
    [
        pytest.param("accuracy", id="mean"),
        pytest.param(Precision(), id="ratio", marks=pytest.mark.slow),
        pytest.param(Surest(), id="largest", marks=pytest.mark.slow),
    ],
)
def test_parts_of_the_held_out_rows_have_the_pseudo_values_of_the_jackknife(metric):
    objective = f"val_{metric if isinstance(metric, str) else metric.name}"
    settings = {"metrics": (metric,), "objective": objective, "callbacks": (WithoutEachPart(),), "parts": 5}
    record = Trainer(job(**settings)).run(Unit(1e-2, 0, 0))[0]
    whole, *without = WithoutEachPart.found.pop()
    assert record.score == pytest.approx(whole, abs=1e-6)
    np.testing.assert_allclose(record.parts, [5 * whole - 4 * other for other in without], atol=1e-4)
    assert len({round(part, 6) for part in record.parts}) > 1


class Listener(keras.callbacks.Callback):
    """What a callback is told at the end of an epoch, beside the penalty at that moment."""

    heard: ClassVar[list[tuple[float, float]]] = []

    def on_epoch_end(self, epoch, logs=None):
        kernels = [keras.ops.convert_to_numpy(self.model.layers[i].kernel) for i in (1, -1)]
        penalty = 1e-2 * sum(float((kernel.astype("float64") ** 2).sum()) for kernel in kernels)
        self.heard.append((logs["val_loss"] - logs["val_data_loss"], penalty))


def test_callbacks_hear_of_keras_s_val_loss_which_contains_the_penalty():
    Listener.heard.clear()
    Trainer(job(callbacks=[Listener()])).run(Unit(1e-2, 0, 0))
    told, penalties = np.transpose(Listener.heard)
    np.testing.assert_allclose(told, penalties, rtol=1e-4)
    assert len(told) == 2
    assert penalties.min() > 0.01


@pytest.mark.backends
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="its dropout draws from a global generator")
def test_a_unit_trains_as_plain_keras_does_on_the_same_batches(warm):
    strength, seed, fold = 1e-2, 1, 2
    record = warm.run(Unit(strength, fold, seed))[0]

    x, y = small.data()
    train, held_out = Division(y, 3)(seed)[fold]
    keras.utils.set_random_seed(seed)
    model = small.build(None)
    for layer in (model.layers[1], model.layers[-1]):
        layer.kernel.regularizer = keras.regularizers.L2(strength)
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    for epoch in range(2):
        rows = np.random.default_rng((seed, fold, epoch)).permutation(train)
        for start in range(0, len(rows), 8):
            batch = rows[start : start + 8]
            model.train_on_batch(x[batch], y[batch])
    kernels = [keras.ops.convert_to_numpy(model.layers[i].kernel) for i in (1, -1)]
    squares = sum(float((kernel.astype("float64") ** 2).sum()) for kernel in kernels)
    probabilities = keras.ops.convert_to_numpy(model(x[held_out]))
    loss = -np.log(probabilities[np.arange(len(held_out)), y[held_out]]).mean()

    assert record.score == pytest.approx((probabilities.argmax(axis=1) == y[held_out]).mean(), abs=1e-6)
    assert record.weight_norm == pytest.approx(np.sqrt(squares), rel=RTOL[keras.backend.backend()])
    assert record.penalty == pytest.approx(strength * squares, rel=RTOL[keras.backend.backend()])
    assert record.curves["val_data_loss"][-1] == pytest.approx(loss, rel=1e-3)


@pytest.mark.slow
def test_every_strength_starts_from_the_weights_of_its_seed_and_sees_the_same_batches():
    """At learning rate 0 nothing moves, so the training accuracies tell weights and batches."""
    still = Trainer(job(optimizer=lambda: keras.optimizers.SGD(0.0)))
    one, other = still.run(Unit(0.0, 0, 1))[0], still.run(Unit(1.0, 0, 1))[0]
    assert one.curves["accuracy"] == other.curves["accuracy"]
    assert one.curves["val_data_loss"] == other.curves["val_data_loss"]
    assert still.run(Unit(0.0, 0, 2))[0].curves["val_data_loss"] != one.curves["val_data_loss"]


def test_nothing_is_traced_again_for_another_strength_fold_or_seed():
    calls = []

    @keras.saving.register_keras_serializable("tests")
    class Counted(keras.layers.Layer):
        def call(self, x):
            calls.append(1)
            return x

    def build(l2):
        model = keras.Sequential(
            [keras.Input((4, 4, 1)), Counted(), keras.layers.Flatten(), keras.layers.Dense(3)]
        )
        model = L2Policy.of(l2).apply(model)
        model.compile(
            "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
        )
        return model

    warm = Trainer(job(build))
    warm.run(Unit(0.0, 0, 0))
    warm.run(Unit(0.0, 0, 1))  # the weights of another seed come from another model, built but not traced
    before = len(calls)
    for unit in (Unit(1e-3, 1, 0), Unit(1e-2, 2, 1), Unit(0.0, 0, 1)):
        warm.run(unit)
    assert len(calls) == before + 2  # two new strengths, each built once to read its numbers, and not traced


def test_a_diverged_training_is_recorded_as_failed_with_the_epoch():
    warm = Trainer(job(optimizer=lambda: keras.optimizers.SGD(1e30), epochs=3))
    record = warm.run(Unit(1.0, 0, 0))[0]
    assert record.status == "failed"
    assert record.score is None
    assert "in epoch" in record.reason
    assert record.epochs < 3
    with pytest.raises(
        FloatingPointError, match=r"The final training with \{'l2': 1\.0\} diverged in epoch \d of 3, though"
    ):
        warm.train_on_all({"l2": 1.0}, seed=0, epochs=3)


def test_an_objective_that_is_not_measured_is_refused():
    with pytest.raises(ValueError, match=r"must be one of \['val_data_loss', 'val_accuracy'\]"):
        Trainer(job(objective="val_mistakes"))


def test_a_builder_that_ignores_its_strength_is_refused():
    with pytest.raises(ValueError, match="does not depend on `l2`"):
        Trainer(job(lambda l2: small.build(1e-3)))


def test_other_penalties_are_not_part_of_the_data_loss():
    def build(l2):
        model = keras.Sequential(
            [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
        )
        return L2Policy(l2, l1=0.5).apply(model)

    warm = Trainer(job(build, optimizer=lambda: keras.optimizers.SGD(0.0), epochs=1))
    record = warm.run(Unit(1.0, 0, 0))[0]
    x, y = small.data()
    keras.utils.set_random_seed(0)
    plain = build(0.0)
    L2Policy.remove(plain)
    plain.compile("sgd", "sparse_categorical_crossentropy")
    held = Division(y, 3)(0)[0][1]
    assert record.curves["val_data_loss"][-1] == pytest.approx(
        plain.evaluate(x[held], y[held], verbose=0), rel=1e-4
    )


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_the_final_model_has_a_plain_number_and_the_weights_it_was_trained_to(warm, tmp_path):
    state = warm.train_on_all({"l2": 1e-2}, seed=0, epochs=2)
    model = warm.job.final_model({"l2": 1e-2}, seed=0, state=state)
    assert type(model.layers[1].kernel.regularizer) is keras.regularizers.L2
    model.save(tmp_path / "final.keras")
    loaded = keras.saving.load_model(tmp_path / "final.keras")
    x, _ = small.data()
    np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6)
    assert not np.allclose(model.get_weights()[0], small.build(0.0).get_weights()[0])


@pytest.mark.slow
@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_training_that_has_collapsed_is_stopped_and_says_so():
    def build(l2):
        layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3, activation="relu")]
        layers += [keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
        return L2Policy.of(l2).apply(keras.Sequential([keras.Input((4, 4, 1)), *layers]))

    trainer = Trainer(job(build, epochs=60, optimizer=lambda: keras.optimizers.Adam(2e-2)))
    collapsed, _ = trainer.run(Unit(3.0, 0, 0))
    assert collapsed.status == "done"
    assert collapsed.reason.startswith("the weights collapsed, and it was stopped after epoch ")
    assert collapsed.trained == len(collapsed.curves["loss"]) < 60
    assert collapsed.curves["val_data_loss"][-1] == pytest.approx(np.log(3), rel=1e-2)  # a constant's
    assert collapsed.score == collapsed.curves["val_accuracy"][-1]
    healthy, _ = trainer.run(Unit(1e-3, 0, 0))
    assert (healthy.reason, healthy.trained) == ("", 60)


def test_small_kernels_before_a_normalisation_are_no_collapse():
    trainer = Trainer(job(epochs=40, optimizer=lambda: keras.optimizers.SGD(0.1)))
    warm, numbers = trainer._warm_model({"l2": 0.1}, seed=0)
    warm.reset(numbers, seed=0)
    watch = Collapse(warm.telling_kernels)
    conv, dense = (layer for layer in warm.model.layers if hasattr(layer, "kernel"))
    conv.kernel.assign(conv.kernel * 1e-3)
    assert not any(watch.after_epoch(1.0) for _ in range(3))
    dense.kernel.assign(dense.kernel * 1e-3)
    assert not watch.after_epoch(0.9)  # the loss still falls
    assert watch.after_epoch(0.9)
