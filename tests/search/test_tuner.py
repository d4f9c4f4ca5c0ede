from __future__ import annotations

import keras
import keras_tuner
import numpy as np
import pytest

from l2zoo import L2Policy, L2Tuner
from l2zoo.engine.workers.local import InProcess
from tests.search import small

X, Y = small.data()


class Hypermodel(keras_tuner.HyperModel):
    """As a user of keras-tuner has it: a strength, a width and a learning rate."""

    def build(self, hp):
        policy = L2Policy(hp.Float("l2", 1e-4, 1e-1, sampling="log"), convention="pytorch")
        model = keras.Sequential(
            [
                keras.Input((4, 4, 1)),
                keras.layers.Flatten(),
                keras.layers.Dense(hp.Choice("units", [4, 8]), activation="relu"),
                keras.layers.Dense(3, activation="softmax"),
            ]
        )
        policy.apply(model)
        rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model


def tuner(folder, hypermodel=None, **settings) -> L2Tuner:
    settings = {"objective": "val_accuracy", "strategy": "random", "max_trials": 4, "folds": 3, **settings}
    return L2Tuner(hypermodel or Hypermodel(), directory=folder, **settings)


def one_width() -> keras_tuner.HyperParameters:
    """In the place of a choice."""
    hp = keras_tuner.HyperParameters()
    hp.Fixed("units", 4)
    return hp


@pytest.fixture(scope="module")
def engines() -> list[InProcess]:
    """Those with which `searched` has searched."""
    return []


@pytest.fixture(scope="module")
def searched(tmp_path_factory, engines) -> L2Tuner:
    class Watched(InProcess):
        def __init__(self, job):
            super().__init__(job)
            engines.append(self)

    made = tuner(tmp_path_factory.mktemp("tuner"), engine=Watched)
    made.search(X, Y, epochs=3, batch_size=8, verbose=0)
    return made


def test_a_hypermodel_of_keras_tuner_is_searched_unchanged(searched, capsys):
    best = searched.get_best_hyperparameters()[0]
    assert best.values.keys() == {"l2", "units", "learning_rate"}
    trials = searched.oracle.get_best_trials(4)
    candidates = [*searched.result.candidates, *searched.result.selection.rest]
    means = {c.strength: c.mean for c in candidates}
    for trial in trials:
        assert trial.score == pytest.approx(means[trial.hyperparameters.get("l2")])
    searched.results_summary(2)
    said = capsys.readouterr().out
    assert "Showing 2 best trials" in said
    assert str(searched.result.verdict) in said
    assert isinstance(searched, keras_tuner.Tuner)


@pytest.mark.slow
def test_the_best_models_are_trained_on_all_data_and_have_plain_penalties(searched):
    models = searched.get_best_models(3)
    values = [hp.values for hp in searched.get_best_hyperparameters(3)]
    assert sum(chosen["l2"] > 0 for chosen in values) >= 2
    for model, chosen in zip(models, values, strict=True):
        assert model.layers[1].units == chosen["units"]
        penalty = model.layers[1].kernel.regularizer
        assert type(penalty) is (keras.regularizers.L2 if chosen["l2"] else type(None))
        assert getattr(penalty, "l2", 0.0) == pytest.approx(chosen["l2"] / 2)
        assert float(model.optimizer.learning_rate.numpy()) == pytest.approx(chosen["learning_rate"])


def test_the_curve_is_shown_at_the_best_other_values_with_zero_in_it(searched):
    strengths = [c.strength for c in searched.result.candidates]
    assert strengths[0] == 0
    assert searched.result.chosen in strengths


def test_keras_regularizers_and_another_name_do_as_well(tmp_path):
    def build(hp):
        strength = hp.Choice("decay", [1e-3, 1e-1])
        model = keras.Sequential(
            [
                keras.Input((4, 4, 1)),
                keras.layers.Flatten(),
                keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L1(strength)),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, metrics=["accuracy"])
        return model

    made = tuner(tmp_path, build, strategy="grid", strength="decay", max_trials=None)
    result = made.search(X, Y, epochs=2, batch_size=8, verbose=0)
    assert [c.strength for c in result.candidates] == [0.0, 1e-3, 1e-1]
    norms = [np.mean([r.weight_norm for r in c.done]) for c in result.candidates]
    assert norms[2] < norms[0]


def test_models_are_traced_once_for_all_that_differ_in_numbers_alone(searched, engines):
    units = {c.values["units"] for c in searched.get_best_hyperparameters(4)}
    assert len(units) == 2
    assert len(engines[0]._trainer._warm) == len(units)


@pytest.mark.slow
def test_validation_data_take_the_place_of_folds(tmp_path):
    held = small.data(seed=1)
    made = tuner(tmp_path, max_trials=1, hyperparameters=one_width())
    result = made.search(X, Y, epochs=2, batch_size=8, validation_data=held, verbose=0)
    assert {c.n for c in result.candidates} == {1}
    assert "cannot be told" in str(result.verdict)


@pytest.mark.parametrize("how", [{"validation_data": small.data(seed=1)}, {"validation_split": 0.3}])
def test_scores_are_taken_on_folds_that_somebody_made_or_elsewhere(tmp_path, how):
    words = "divide `x`, but `validation_data` or `validation_split` says what scores"
    with pytest.raises(ValueError, match=words):
        tuner(tmp_path).search(X, Y, groups=np.arange(len(X)) // 2, verbose=0, **how)
    with pytest.raises(ValueError, match=words):
        tuner(tmp_path, folds=[(np.arange(9), np.arange(9, 18))]).search(X, Y, verbose=0, **how)


@pytest.mark.slow
def test_early_stopping_gives_the_final_training_the_median_of_its_epochs(tmp_path):
    stop = keras.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)
    epochs = []

    class Watched(InProcess):
        def __init__(self, job):
            super().__init__(job)
            train = self.train_on_all
            self.train_on_all = lambda values, *, seed, epochs: (
                used.append(epochs) or train(values, seed=seed, epochs=epochs)
            )

    used: list = []
    made = tuner(tmp_path, engine=Watched, max_trials=1, hyperparameters=one_width())
    result = made.search(X, Y, epochs=30, batch_size=8, callbacks=[stop], verbose=0)
    chosen = next(c for c in result.candidates if c.strength == result.chosen)
    for record in chosen.done:
        losses = record.curves["val_data_loss"]
        assert record.trained == len(losses)
        assert record.epochs <= record.trained
        assert record.score == pytest.approx(record.curves["val_accuracy"][record.epochs - 1], abs=1e-6)
    epochs = sorted(r.epochs for r in chosen.done)
    assert used == [epochs[1]]
    assert any(r.trained < 30 for c in result.candidates for r in c.done)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"strength": "lambda"}, ValueError, "`strength`='lambda' is no hyperparameter of the hypermodel"),
        ({"strategy": "annealing"}, ValueError, r"`strategy` must be one of \['grid', 'random', 'bayesian'"),
        ({"workers": 0}, ValueError, "`workers` must be a whole number >= 1"),
        ({"max_trials": 0.5}, TypeError, "`max_trials` must be a whole number >= 1"),
        ({"workers": 2, "engine": InProcess}, ValueError, "either `engine`, or `workers`"),
    ],
)
def test_bad_settings_are_refused_at_once(settings, error, message, tmp_path):
    with pytest.raises(error, match=message):
        tuner(tmp_path, **settings)


def test_a_fit_of_its_own_is_refused(tmp_path):
    class Fits(Hypermodel):
        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, **kwargs)

    with pytest.raises(TypeError, match="Fits has a `fit` of its own"):
        tuner(tmp_path, Fits())


def test_a_callback_for_every_batch_is_refused(tmp_path):
    class PerBatch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    with pytest.raises(ValueError, match="PerBatch in `callbacks` wants to be called at every batch"):
        tuner(tmp_path).search(X, Y, epochs=1, callbacks=[PerBatch()], verbose=0)


def test_batches_that_cannot_be_divided_are_refused(tmp_path):
    import tensorflow as tf

    with pytest.raises(TypeError, match="needs them in memory"):
        tuner(tmp_path).search(tf.data.Dataset.from_tensor_slices((X, Y)).batch(8), epochs=1)
