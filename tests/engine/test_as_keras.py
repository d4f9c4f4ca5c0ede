"""A unit of a search gives what Keras's own `fit` and `evaluate` give on the same rows, weights and order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from l2zoo import L2Policy
from l2zoo.engine.examples import weights_of_rows
from l2zoo.engine.job import Job
from l2zoo.engine.record import Unit
from l2zoo.engine.trainer import Trainer

ROWS, BATCH, EPOCHS, STRENGTH = 44, 8, 3, 1e-2
UNIT = Unit(STRENGTH, fold=1, seed=1)


class InOrder(keras.utils.PyDataset):
    """Batches in the order of a unit, another in every epoch."""

    def __init__(self, parts: tuple, rows: np.ndarray, unit: Unit):
        super().__init__()
        self.parts, self.rows, self.unit, self.epoch = parts, rows, unit, 0

    def __len__(self) -> int:
        return -(-len(self.rows) // BATCH)

    def __getitem__(self, number: int) -> tuple:
        order = np.random.default_rng((self.unit.seed, self.unit.fold, self.epoch)).permutation(self.rows)
        batch = take(self.parts, order[number * BATCH : (number + 1) * BATCH])
        return tuple(tuple(part) if isinstance(part, list) else part for part in batch)

    def in_time(self) -> keras.callbacks.Callback:
        """Tells it the epoch: how often a data set is asked to begin one differs from backend to backend."""
        return keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: setattr(self, "epoch", epoch)
        )


def take(parts: Any, rows: np.ndarray) -> Any:
    return keras.tree.map_structure(lambda part: part[rows], parts)


def body(*more: Any, outputs: int = 3, activation: str = "softmax") -> Callable[[float], keras.Model]:
    """A dense model with layers in its middle, whose penalty is a strength of L2."""

    def build(l2: float) -> keras.Model:
        stack = [keras.Input((4, 4, 1)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(6)]
        stack += [each() for each in more]
        return L2Policy.of(l2).apply(keras.Sequential([*stack, layers.Dense(outputs, activation)]))

    return build


def job_of(build: Callable, *, y: Any = None, weights: Any = None, **changes: Any) -> Job:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (ROWS, 4, 4, 1)).astype("uint8")
    y = np.arange(ROWS) % 3 if y is None else y
    compiled = {"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    compiled |= {
        name: changes.pop(name) for name in [*changes] if name in (*compiled, "loss_weights", "more")
    }
    more = compiled.pop("more", {})

    def made(values: dict) -> keras.Model:
        model = build(values["l2"])
        settings = {name: part() if callable(part) else part for name, part in compiled.items()}
        extra = {name: part() if callable(part) else part for name, part in more.items()}
        model.compile(**settings, **extra)
        return model

    objective = changes.pop("objective", None)
    return Job(made, x, y, 3, EPOCHS, BATCH, None, None, (), objective, weights=weights, **changes)


def by_keras(job: Job, unit: Unit) -> tuple[dict[str, list[float]], dict[str, float], keras.Model]:
    """The history of Keras's `fit`, what its `evaluate` says afterwards, and the model."""
    trained, held = job.rows(unit.seed)[unit.fold]
    model = job.model({"l2": unit.strength}, seed=unit.seed)
    model.optimizer.build(model.trainable_variables)  # else the first step would be traced twice
    held_out = take(job.held_out, held)
    batches = InOrder(job.training, trained, unit)
    history = model.fit(
        batches,
        epochs=EPOCHS,
        validation_data=held_out,
        validation_batch_size=BATCH,
        callbacks=[batches.in_time(), *job.callbacks],
        shuffle=False,
        verbose=0,
    ).history
    x, y, *weights = held_out
    scores = model.evaluate(
        x, y, sample_weight=weights[0] if weights else None, batch_size=BATCH, verbose=0, return_dict=True
    )
    return history, scores, model


def check(job: Job, *, unit: Unit = UNIT, rtol: float = 1e-3) -> None:
    """A unit, trained after another, has Keras's curves, score and final weights."""
    trainer = Trainer(job)
    trainer.run(Unit(0.5, 0, 0))
    record, state = trainer.run(unit, keep=True)
    history, scores, model = by_keras(job, unit)
    names = trainer._warm_model(job.reference, seed=0)[0].names
    theirs = same_results(names, scores)
    for own, name in names.items():
        wanted = history[theirs[own]]
        np.testing.assert_allclose(record.curves[name], wanted, rtol, atol=1e-5, err_msg=name)
    name = trainer.objective.removeprefix("val_")
    score = scores["loss"] - penalty(model)
    if name != "data_loss":
        score = scores[next(theirs[own] for own, stable in names.items() if stable == name)]
    assert record.score == pytest.approx(score, rel=rtol, abs=1e-5)
    assert record.penalty == pytest.approx(penalty(model), rel=rtol)
    assert state is not None
    final = trainer.train_on_all({"l2": STRENGTH}, seed=0, epochs=1)
    assert all(np.isfinite(part).all() for part in final)


def same_results(names: Iterable[str], of_keras: Iterable[str]) -> dict[str, str]:
    """The names that Keras's model has for the results of another one, which counts otherwise."""

    def natural(name: str) -> list[Any]:
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]

    mine, its = (sorted(each, key=natural) for each in (names, of_keras))
    found = dict(zip(mine, its, strict=True))
    assert all(re.sub(r"_?\d+", "", one) == re.sub(r"_?\d+", "", other) for one, other in found.items())
    return found


def penalty(model: keras.Model) -> float:
    found = [w.regularizer(w) for w in model.trainable_variables if w.regularizer is not None]
    return float(keras.ops.convert_to_numpy(sum(found)))


def optimizers_of_keras() -> list[str]:
    base = optimizers.Optimizer
    found = [kind for kind in vars(optimizers).values() if isinstance(kind, type) and issubclass(kind, base)]
    around = ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")
    return sorted({kind.__name__ for kind in found}.difference(around))


class Untold(optimizers.schedules.LearningRateSchedule):
    """A schedule as people write it for themselves, without a config."""

    def __call__(self, step: Any) -> Any:
        return 0.1 / (1.0 + keras.ops.cast(step, "float32"))


def several_optimizers() -> Any:
    if not hasattr(optimizers, "MultiOptimizer"):
        pytest.skip("this Keras has no MultiOptimizer")
    one, other = optimizers.SGD(0.1, use_ema=True, ema_momentum=0.6), optimizers.Adam(0.02)
    return optimizers.MultiOptimizer(lambda variable: one if len(variable.shape) == 1 else other)


OPTIONS: dict[str, Callable[[], Any]] = {
    "ema": lambda: optimizers.Adam(0.02, use_ema=True, ema_momentum=0.8),
    "ema that overwrites": lambda: optimizers.SGD(
        0.1, use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=4
    ),
    "clipnorm": lambda: optimizers.SGD(0.5, clipnorm=0.05),
    "clipvalue": lambda: optimizers.SGD(0.5, clipvalue=0.01),
    "global_clipnorm": lambda: optimizers.Adam(0.02, global_clipnorm=0.05),
    "accumulation": lambda: optimizers.SGD(0.2, momentum=0.9, gradient_accumulation_steps=3),
    "accumulation and schedule": lambda: optimizers.Adam(
        optimizers.schedules.CosineDecay(0.05, 12), gradient_accumulation_steps=2
    ),
    "loss scale": lambda: optimizers.Adam(0.02, loss_scale_factor=128.0),
    "dynamic loss scale": lambda: optimizers.LossScaleOptimizer(
        optimizers.SGD(0.2, use_ema=True, ema_momentum=0.7), initial_scale=2.0**8, dynamic_growth_steps=3
    ),
    "weight decay": lambda: optimizers.SGD(0.1, weight_decay=0.1),
    "weight decay, schedule and ema": lambda: optimizers.AdamW(
        optimizers.schedules.ExponentialDecay(0.05, 4, 0.5), weight_decay=0.1, use_ema=True, ema_momentum=0.6
    ),
    "excluded from decay under a schedule": lambda: without_decay_of_biases(
        optimizers.AdamW(optimizers.schedules.PolynomialDecay(0.05, 12), weight_decay=0.5)
    ),
    "schedule with a warm-up": lambda: optimizers.Adam(
        optimizers.schedules.CosineDecay(0.0, 10, warmup_target=0.05, warmup_steps=4)
    ),
    "function for a rate": lambda: optimizers.SGD(lambda: 0.05),
    "schedule that does not tell what it is": lambda: optimizers.SGD(Untold()),
    "several optimizers": lambda: several_optimizers(),
}
QUICK_OPTIONS = ("excluded from decay under a schedule",)
# What is kept beside the weights, and in which order it is used.
SLOW_OPTIONS = ("accumulation and schedule", "several optimizers")
SLOW_OPTIMIZERS = ("AdamW", "Muon", "SGD")


def some(names: Iterable[str], quick: Iterable[str], slow: Iterable[str]) -> list[Any]:
    """Parameters: a few are tried after every change, a few with the slow tests, all others in the sweep."""
    marks = dict.fromkeys(names, (pytest.mark.slow, pytest.mark.sweep))
    marks |= dict.fromkeys(slow, (pytest.mark.slow,)) | dict.fromkeys(quick, ())
    return [pytest.param(name, marks=marks[name]) for name in names]


def without_decay_of_biases(optimizer: Any) -> Any:
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


@pytest.mark.slow
@pytest.mark.backends
@pytest.mark.sweep_elsewhere
@pytest.mark.parametrize("name", some(OPTIONS, QUICK_OPTIONS, SLOW_OPTIONS))
def test_every_option_of_an_optimizer_counts(name):
    check(job_of(body(), optimizer=OPTIONS[name]))


@pytest.mark.parametrize("name", some(optimizers_of_keras(), (), SLOW_OPTIMIZERS))
def test_every_optimizer_trains(name):
    check(job_of(body(), optimizer=lambda: getattr(optimizers, name)(learning_rate=0.02)))


def regression(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=ROWS)  # float64, as NumPy gives them


def two_outputs(l2: float) -> keras.Model:
    inputs = keras.Input((4, 4, 1))
    features = layers.Dense(6, activation="relu")(layers.Flatten()(layers.Rescaling(1 / 255)(inputs)))
    outputs = [layers.Dense(3, activation="softmax")(features), layers.Dense(1)(features)]
    return L2Policy.of(l2).apply(keras.Model(inputs, outputs))


def named_outputs(l2: float) -> keras.Model:
    model = two_outputs(l2)
    return keras.Model(model.inputs, dict(zip(("kind", "size"), model.outputs, strict=True)))


def other_penalties(l2: float) -> keras.Model:
    stack = [layers.Rescaling(1 / 255), layers.Flatten()]
    stack += [layers.Dense(5, kernel_regularizer=keras.regularizers.OrthogonalRegularizer())]
    stack += [layers.Dense(3, "softmax", kernel_regularizer=keras.regularizers.L1L2(0.01, l2))]
    return keras.Sequential([keras.Input((4, 4, 1)), *stack])


def adapted() -> Any:
    layer = layers.Normalization(axis=None)
    layer.adapt(np.linspace(-1, 3, 50))
    return layer


def one_hot() -> np.ndarray:
    return np.eye(3, dtype="float32")[np.arange(ROWS) % 3]


def several_labels() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 2, (ROWS, 4))


SETTINGS: dict[str, Callable[[], Job]] = {
    "batch norm, dropout and noise": lambda: job_of(
        body(layers.BatchNormalization, lambda: layers.Dropout(0.3), lambda: layers.GaussianNoise(0.1)),
        optimizer=lambda: optimizers.Adam(0.02),
    ),
    "normalization that was adapted": lambda: job_of(body(adapted)),
    "several metrics without a name": lambda: job_of(
        body(outputs=1, activation="sigmoid"),
        y=np.arange(ROWS) % 2,
        loss="binary_crossentropy",
        metrics=lambda: [keras.metrics.AUC(), keras.metrics.Precision(), keras.metrics.Recall()],
        objective="val_auc",
    ),
    "numbers to be predicted": lambda: job_of(
        body(outputs=1, activation="linear"),
        y=regression(),
        loss="mse",
        metrics=lambda: ["mae", keras.metrics.RootMeanSquaredError()],
        objective="val_mae",
    ),
    "one-hot labels": lambda: job_of(body(), y=one_hot(), loss="categorical_crossentropy"),
    "several labels an image": lambda: job_of(
        body(outputs=4, activation="sigmoid"),
        y=several_labels(),
        loss="binary_crossentropy",
        metrics=["binary_accuracy"],
        objective="val_binary_accuracy",
    ),
    "two outputs": lambda: job_of(
        two_outputs,
        y=[np.arange(ROWS) % 3, regression()],
        loss=["sparse_categorical_crossentropy", "mse"],
        metrics=[["accuracy"], ["mae"]],
        loss_weights=[1.0, 0.3],
        objective="val_dense_2_mae",
    ),
    "a dict of outputs": lambda: job_of(
        named_outputs,
        y={"kind": np.arange(ROWS) % 3, "size": regression()},
        loss={"kind": "sparse_categorical_crossentropy", "size": "mae"},
        metrics={"kind": ["accuracy"]},
        objective="val_kind_accuracy",
    ),
    "weights of examples": lambda: job_of(body(), weights=np.linspace(0, 4, ROWS).astype("float32")),
    "weights of examples, in scores too": lambda: job_of(
        body(),
        weights=np.linspace(0, 4, ROWS).astype("float32"),
        weighted_scores=True,
        more={"weighted_metrics": ["accuracy"]},
        objective="val_weighted_accuracy",
    ),
    "a loss that is a sum": lambda: job_of(
        body(outputs=1, activation="linear"),
        y=regression(),
        loss=lambda: keras.losses.MeanSquaredError(reduction="sum"),
        metrics=["mae"],
        optimizer=lambda: optimizers.SGD(0.001),
    ),
    "a loss of the whole batch": lambda: job_of(
        body(), y=one_hot(), loss=lambda: keras.losses.Dice(axis=(0, 1))
    ),
    "a metric of the whole batch": lambda: job_of(
        body(outputs=1, activation="linear"),
        y=regression(),
        loss="mse",
        metrics=lambda: [spread],
        objective="val_spread",
    ),
    "averages for evaluation alone": lambda: job_of(
        body(),
        optimizer=lambda: optimizers.SGD(0.2, use_ema=True, ema_momentum=0.7),
        callbacks=[keras.callbacks.SwapEMAWeights()],
    ),
    "averages and early stopping": lambda: job_of(
        body(),
        optimizer=lambda: optimizers.SGD(1.5, use_ema=True, ema_momentum=0.7),
        callbacks=[
            keras.callbacks.EarlyStopping("val_accuracy", mode="max", patience=1, restore_best_weights=True)
        ],
    ),
    "a rate that a callback lowers": lambda: job_of(
        body(), callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / (epoch + 1))]
    ),
    "penalties that are no L2": lambda: job_of(other_penalties),
}
QUICK_SETTINGS = ("two outputs",)
SLOW_SETTINGS = (
    "averages and early stopping",
    "batch norm, dropout and noise",
    "weights of examples, in scores too",
)


def spread(y_true: Any, y_pred: Any) -> Any:
    return keras.ops.std(y_pred)


@pytest.mark.slow
@pytest.mark.backends
@pytest.mark.sweep_elsewhere
@pytest.mark.parametrize("name", some(SETTINGS, QUICK_SETTINGS, SLOW_SETTINGS))
def test_every_target_weight_metric_and_layer_counts(name):
    if "dropout" in name and keras.backend.backend() == "torch":
        pytest.skip("its dropout draws from a global generator")
    check(SETTINGS[name]())


def test_class_weights_are_those_of_keras():
    y, by_class = np.arange(ROWS) % 3, {0: 1.0, 1: 5.0, 2: 0.5}
    weights = weights_of_rows(y, class_weight=by_class)
    x = np.random.default_rng(0).uniform(0, 255, (ROWS, 4, 4, 1))
    losses = []
    for settings in ({"class_weight": by_class}, {"sample_weight": weights}):
        keras.utils.set_random_seed(0)
        model = body()(0.0)
        model.compile("sgd", "sparse_categorical_crossentropy")
        losses.append(model.fit(x, y, shuffle=False, verbose=0, **settings).history["loss"])
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(weights_of_rows(np.eye(3)[y], class_weight=by_class), weights)
