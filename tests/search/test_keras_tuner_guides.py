"""What keras-tuner's guides do, in our words, with one line changed: that of the tuner."""

from __future__ import annotations

import keras
import keras_tuner
import numpy as np
import pytest
from keras import layers

from l2zoo import L2Tuner
from l2zoo.data import load

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits():
    """Images and labels to train on, and others to validate on."""
    x, y = load("l2zoo_digits", "train", limit=240).arrays()
    return (x[:180], y[:180]), (x[180:], y[180:])


def perceptron(hp):
    """Layers in a loop, dropout or not, a learning rate; the guides have no penalty, their users do."""
    penalty = keras.regularizers.L2(hp.Float("l2", 1e-6, 1e-1, sampling="log"))
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Flatten()])
    for number in range(hp.Int("layers", 1, 3)):
        units, activation = (
            hp.Int(f"units_{number}", 8, 24, step=8),
            hp.Choice("activation", ["relu", "tanh"]),
        )
        model.add(layers.Dense(units, activation=activation, kernel_regularizer=penalty))
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(rate=0.25))
    model.add(layers.Dense(10, activation="softmax"))
    rate = hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
    adam = keras.optimizers.Adam(learning_rate=rate)
    model.compile(optimizer=adam, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param({"strategy": "random", "max_trials": 3}, marks=pytest.mark.sweep),  # RandomSearch
        pytest.param({"strategy": "bayesian", "max_trials": 3}, marks=pytest.mark.sweep),
        pytest.param({"strategy": "hyperband", "max_epochs": 3}, marks=pytest.mark.sweep),  # Hyperband
        {"max_trials": 3},  # GridSearch
    ],
)
def test_getting_started(strategy, digits, tmp_path, capsys):
    (x, y), validation = digits
    perceptron(keras_tuner.HyperParameters())
    tuner = L2Tuner(
        hypermodel=perceptron,
        objective="val_accuracy",
        executions_per_trial=2,
        overwrite=True,
        directory=str(tmp_path),
        project_name="helloworld",
        **strategy,
    )
    tuner.search_space_summary()
    tuner.search(x, y, epochs=2, validation_data=validation, verbose=0)
    models = tuner.get_best_models(num_models=2)
    models[0].summary()
    tuner.results_summary()
    assert "Search space summary" in capsys.readouterr().out
    best = tuner.get_best_hyperparameters(5)
    model = perceptron(best[0])
    everything = [np.concatenate(both) for both in zip((x, y), validation, strict=True)]
    history = model.fit(*everything, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    assert len(models) == 2


class Classifier(keras_tuner.HyperModel):
    """A hypermodel with settings of its own."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.num_classes = num_classes

    def build(self, hp):
        l2 = hp.Choice("l2", [1e-2])
        inputs = x = keras.Input((8, 8, 1))
        x = layers.Rescaling(1 / 255)(x)
        kind = hp.Choice("kind", ["mlp", "cnn"])
        with hp.conditional_scope("kind", ["mlp"]):
            if kind == "mlp":
                units = hp.Int("units", 8, 16, step=8)
                x = layers.Dense(units, "relu", kernel_regularizer=keras.regularizers.L2(l2))(
                    layers.Flatten()(x)
                )
        with hp.conditional_scope("kind", ["cnn"]):
            if kind == "cnn":
                filters = hp.Int("filters", 4, 4)
                x = layers.Conv2D(filters, 3, kernel_regularizer=keras.regularizers.L2(l2))(x)
                x = layers.GlobalAveragePooling2D()(x)
        model = keras.Model(inputs, layers.Dense(self.num_classes, activation="softmax")(x))
        optimizer = hp.Choice("optimizer", ["adam", "sgd"])
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model


def test_model_selection_in_conditional_scopes(digits, tmp_path):
    (x, y), _ = digits
    tuner = L2Tuner(Classifier(num_classes=10), "val_accuracy", folds=2, directory=tmp_path)
    result = tuner.search(x, y, epochs=1, verbose=0)
    asked = {tuple(sorted(hp.values)) for hp in tuner.get_best_hyperparameters(99)}
    both = ("kind", "l2", "optimizer")
    assert asked == {tuple(sorted((*both, "units"))), tuple(sorted((*both, "filters")))}
    tried = [c for c in (*result.candidates, *result.selection.rest) if c.strength]
    assert len(tried) == (2 + 1) * 2  # sizes of either kind, optimizers
    tuner.hypermodel.build(tuner.get_best_hyperparameters()[0])


def test_tailor_the_search_space(digits, tmp_path):
    """Some hyperparameters in other ranges, the rest at their defaults, and another loss and metric."""
    (x, y), _ = digits
    hp = keras_tuner.HyperParameters()
    hp.Float("lr", min_value=1e-3, max_value=1e-2, sampling="log")
    hp.Float("l2", min_value=1e-3, max_value=1e-2, sampling="log")
    hp.Fixed("activation", "tanh")
    tuner = L2Tuner(
        hypermodel=perceptron,
        hyperparameters=hp,
        tune_new_entries=False,
        objective=keras_tuner.Objective("val_sparse_categorical_accuracy", "max"),
        optimizer=keras.optimizers.SGD(0.05),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=["sparse_categorical_accuracy"],
        strategy="random",
        max_trials=2,
        folds=2,
        directory=tmp_path,
    )
    result = tuner.search(x, y, epochs=1, verbose=0)
    best = tuner.get_best_hyperparameters()[0].values
    assert (best["activation"], best["layers"], best["dropout"]) == ("tanh", 1, False)
    assert all(1e-3 <= c.strength <= 1e-2 for c in result.candidates if c.strength)
    assert type(result.model.optimizer) is keras.optimizers.SGD


def test_visualize(digits, tmp_path):
    """In the place of TensorBoard's callback."""
    (x, y), _ = digits
    tuner = L2Tuner(
        perceptron, "val_accuracy", strategy="random", max_trials=2, folds=2, directory=tmp_path / "search"
    )
    result = tuner.search(x, y, epochs=2, verbose=0)
    written = result.tensorboard(tmp_path / "logs")
    assert len(list(written.rglob("events.out.tfevents.*"))) == 1 + len(result.records)


def test_a_training_loop_of_one_s_own_is_refused(digits, tmp_path):
    class Own(keras_tuner.HyperModel):
        def build(self, hp):
            return perceptron(hp)

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs)

    with pytest.raises(TypeError, match=r"Own has a `fit` of its own.*whole epochs run inside the graph"):
        L2Tuner(Own(), "val_accuracy", directory=tmp_path)
