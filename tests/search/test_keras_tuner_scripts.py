"""What stands in scripts for keras-tuner: it works in `L2Tuner`, or is refused with what to write instead."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from l2zoo import L2Policy, L2Tuner
from tests.engine.known import Known
from tests.search import small

X, Y = small.data()


def build(hp):
    units = hp.Int("units", 2, 4)
    layers = [keras.layers.Flatten(), keras.layers.Dense(units, activation="relu")]
    model = keras.Sequential([keras.Input((4, 4, 1)), *layers, keras.layers.Dense(3, activation="softmax")])
    L2Policy(hp.Choice("l2", [1e-3, 1e-1])).apply(model)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def strength_only(hp):
    hp.Fixed("units", 2)
    return build(hp)


def tuner(folder, hypermodel=build, **settings) -> L2Tuner:
    settings = {"objective": "val_accuracy", "folds": 2, "directory": folder, **settings}
    return L2Tuner(hypermodel, **settings)


def known(score=lambda unit: 0.5, seen: list[Any] | None = None):
    """An engine that trains nothing, and tells which job it was given."""

    def engine(job):
        if seen is not None:
            seen.append(job)
        return Known(job, score=score)

    return engine


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (
            {"num_initial_points": 5},
            r"oracles\.BayesianOptimizationOracle\(num_initial_points=\.\.\., max_tri",
        ),
        ({"beta": 1.0}, r"oracles\.BayesianOptimizationOracle\(beta=\.\.\."),
        ({"factor": 3}, r"oracles\.HyperbandOracle\(factor=\.\.\., max_epochs=\.\.\."),
        ({"hyperband_iterations": 2}, r"oracles\.HyperbandOracle\(hyperband_iterations=\.\.\."),
        ({"max_retries_per_trial": 1}, "a training that fails is recorded with its reason"),
        ({"max_consecutive_failed_trials": 1}, "a training that fails is recorded with its reason"),
        ({"distribution_strategy": object()}, r"write workers=2 .* or address="),
        ({"max_model_size": 10}, "leave it out"),
        ({"logger": None}, "leave it out"),
        ({"max_trails": 10}, "argument `max_trails`. Did you mean 'max_trials'"),
    ],
)
def test_arguments_of_other_tuners_are_refused_with_what_to_write_instead(arguments, instead, tmp_path):
    with pytest.raises(TypeError, match=rf"L2Tuner has no .*{instead}"):
        tuner(tmp_path, **arguments)


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        ({"shuffle": False}, "the rows are in a new order in every epoch"),
        ({"steps_per_epoch": 3}, "an epoch is one pass"),
        ({"validation_steps": 3}, "an epoch is one pass"),
        ({"validation_batch_size": 64}, "it changes no score"),
        ({"validation_freq": 2}, "scored after every epoch"),
        ({"initial_epoch": 1}, "from its first epoch"),
        ({"epoch": 1}, "Did you mean 'epochs'"),
    ],
)
def test_arguments_of_fit_are_refused_with_what_to_write_instead(arguments, instead, tmp_path):
    with pytest.raises(TypeError, match=rf"L2Tuner\.search has no .*{instead}"):
        tuner(tmp_path, engine=known()).search(X, Y, **arguments)


@pytest.mark.parametrize(
    ("objective", "error"),
    [
        (["val_accuracy", "val_loss"], TypeError),
        ([keras_tuner.Objective("val_accuracy", "max")], TypeError),
        (keras.metrics.AUC, TypeError),
    ],
)
def test_several_objectives_are_refused(objective, error, tmp_path):
    with pytest.raises(error, match="`objective` must be one score"):
        tuner(tmp_path, objective=objective)


@pytest.mark.parametrize(
    ("declare", "got"),
    [
        (lambda hp: hp.Choice("l2", ["weak", "strong"]), "Choice"),
        (lambda hp: hp.Choice("l2", ["1e-4", "1e-2"]), "Choice"),
        (lambda hp: hp.Boolean("l2"), "Boolean"),
        (lambda hp: hp.Int("l2", -6, -1), "Int"),
        (lambda hp: hp.Float("l2", -0.1, 0.1), "Float"),
        (lambda hp: hp.Fixed("l2", "none"), "Fixed"),
    ],
)
def test_a_strength_that_is_no_number_from_0_on_is_refused(declare, got, tmp_path):
    def hypermodel(hp):
        declare(hp)
        return small.build(1e-3)

    with pytest.raises(
        ValueError, match=rf"must be declared as numbers >= 0, as in hp\.Float\('l2'.* got {got}"
    ):
        tuner(tmp_path, hypermodel)


def test_a_strength_that_is_always_0_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`l2` must be able to be above 0"):
        tuner(tmp_path, lambda hp: small.build(hp.Fixed("l2", 0.0)))


@pytest.mark.parametrize(
    "hook", ["run_trial", "on_trial_end", "on_epoch_end", "on_batch_begin", "on_search_end"]
)
def test_a_tuner_of_one_s_own_that_acts_within_trials_is_refused(hook, tmp_path):
    own = type("Own", (L2Tuner,), {hook: lambda self, *args, **kwargs: None})
    with pytest.raises(TypeError, match=f"Own overrides `{hook}`, which is never called"):
        own(build, "val_accuracy", directory=tmp_path)


def test_the_chief_and_workers_of_keras_tuner_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "tuner0")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    with pytest.raises(RuntimeError, match=r"KERASTUNER_ORACLE_IP is set.* write workers=2"):
        tuner(tmp_path)


@pytest.mark.parametrize("hypermodel", [None, 3, "build"])
def test_what_builds_no_model_is_refused(hypermodel, tmp_path):
    with pytest.raises(TypeError, match="`hypermodel` must be a function"):
        tuner(tmp_path, hypermodel)


@pytest.mark.parametrize(
    "settings", [{"max_trials": 3}, {"seed": 4}, {"tune_new_entries": False}, {"allow_new_entries": False}]
)
def test_what_an_oracle_has_is_not_given_beside_it(settings, tmp_path):
    oracle = keras_tuner.oracles.RandomSearchOracle(max_trials=2)
    with pytest.raises(ValueError, match=f"`{next(iter(settings))}` belongs to the oracle"):
        tuner(tmp_path, strategy=oracle, **settings)


def test_the_objective_of_an_oracle_that_is_given_is_that_of_the_search(tmp_path):
    oracle = keras_tuner.oracles.RandomSearchOracle(
        keras_tuner.Objective("val_data_loss", "min"), max_trials=2
    )
    result = tuner(tmp_path, strategy=oracle, objective=None, engine=known()).search(X, Y, verbose=0)
    assert (result.selection.metric, result.selection.mode) == ("val_data_loss", "min")


def test_hyperband_of_an_oracle_that_is_given_trains_for_its_own_epochs(tmp_path):
    oracle = keras_tuner.oracles.HyperbandOracle(max_epochs=4, factor=2)
    jobs: list[Any] = []
    result = tuner(tmp_path, strategy=oracle, engine=known(seen=jobs)).search(X, Y, epochs=7, verbose=0)
    assert jobs[0].epochs == 4
    assert {c.epochs for c in (*result.candidates, *result.selection.rest)} == {4}


@pytest.mark.parametrize("choose", ["best", "one_se"])
@pytest.mark.parametrize("winner", [None, 0.0, 1e-3])
def test_the_best_hyperparameters_are_those_of_the_final_model(choose, winner, tmp_path):
    """Of equal scores the strongest, strength 0 too, although no oracle asks for it."""
    score = known(lambda unit: 0.5 + 0.1 * (unit.strength == winner) + 0.01 * unit.fold)
    made = tuner(tmp_path, engine=score, choose=choose)
    result = made.search(X, Y, verbose=0)
    strength = {None: 0.1, 0.0: 0.0, 1e-3: 1e-3}[winner]
    assert made.get_best_hyperparameters()[0].values == result.values == {"l2": strength, "units": 2}
    assert made.get_best_models()[0] is result.model
    everything = made.get_best_hyperparameters(100)
    assert len(everything) == len({repr(sorted(hp.values.items())) for hp in everything}) == 2 * 3 + 1
    rebuilt = made.hypermodel.build(everything[0])  # as keras-tuner's guide does
    assert rebuilt.layers[1].units == 2


def test_executions_per_trial_are_seeds(tmp_path):
    made = tuner(tmp_path, strength_only, engine=known(), executions_per_trial=3)
    result = made.search(X, Y, verbose=0)
    chosen = {unit for candidate in result.candidates for unit in candidate.scores}
    assert chosen == {(seed, fold) for seed in range(3) for fold in range(2)}
    with pytest.raises(ValueError, match="`executions_per_trial` and `seeds` say the same"):
        tuner(tmp_path, seeds=2, executions_per_trial=3)


@pytest.mark.slow
def test_what_a_tuner_is_given_takes_the_place_of_what_the_hypermodel_compiles_with(tmp_path):
    jobs: list[Any] = []
    optimizer = keras.optimizers.Adam(0.25)
    given = {"optimizer": optimizer, "loss": keras.losses.SparseCategoricalCrossentropy(name="own")}
    tuner(tmp_path, engine=known(seen=jobs), **given).search(X, Y, verbose=0)
    one, other = (jobs[0].model({"l2": 1e-3, "units": 2}) for _ in range(2))
    assert type(one.optimizer) is keras.optimizers.Adam
    assert float(one.optimizer.learning_rate.numpy()) == 0.25
    assert len({id(optimizer), id(one.optimizer), id(other.optimizer)}) == 3
    assert one.loss.name == "own"
    one.train_on_batch(X[:8], Y[:8])
    assert sorted(one.get_metrics_result()) == ["accuracy", "loss"]  # its own metrics stay


def test_entries_that_are_not_to_be_tuned_have_their_default(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Choice("l2", [1e-4, 1e-2])
    made = tuner(tmp_path, engine=known(), hyperparameters=hp, tune_new_entries=False)
    result = made.search(X, Y, verbose=0)
    assert {c.strength for c in result.candidates} == {0.0, 1e-4, 1e-2}
    assert {hp.get("units") for hp in made.get_best_hyperparameters(9)} == {2}
    with pytest.raises(RuntimeError, match="`allow_new_entries` is `False`"):
        tuner(tmp_path, hyperparameters=hp, allow_new_entries=False)


def test_a_share_for_validation_is_keras_s(tmp_path):
    jobs: list[Any] = []
    tuner(tmp_path, strength_only, engine=known(seen=jobs)).search(X, Y, validation_split=0.3, verbose=0)
    train, held_out = jobs[0].rows(0)[0]
    first = int(np.floor(len(X) * (1 - 0.3)))  # keras.src.trainers: the last rows, before any shuffling
    assert train.tolist() == list(range(first))
    assert held_out.tolist() == list(range(first, len(X)))
    for share in (0.999, 1.0, 1.5):
        with pytest.raises(ValueError, match="`validation_split` must leave rows on both sides"):
            tuner(tmp_path, strength_only).search(X, Y, validation_split=share)


def test_summaries_are_printed_and_a_finished_search_answers_again(tmp_path, capsys):
    made = tuner(tmp_path, engine=known(), project_name="kept")
    made.search_space_summary()
    assert "units (Int)" in capsys.readouterr().out
    for ask in (made.get_best_hyperparameters, made.get_best_models, made.results_summary):
        with pytest.raises(ValueError, match="There is no answer before `search` has ended"):
            ask()
    with pytest.raises(ValueError, match="There is nothing to reload: call `search` as before"):
        made.reload()
    result = made.search(X, Y, verbose=0)
    made.results_summary(num_trials=2)
    said = capsys.readouterr().out
    assert said.count("Score: 0.5") == 2
    assert str(result.verdict) in said
    again = tuner(tmp_path, engine=known(lambda unit: 0.9), project_name="kept")
    assert again.search(X, Y, verbose=0).selection == result.selection


@pytest.mark.slow
def test_early_stopping_knows_by_itself_that_more_accuracy_is_better(tmp_path):
    stop = keras.callbacks.EarlyStopping("val_accuracy", patience=1)
    result = tuner(tmp_path, strength_only).search(X, Y, epochs=6, batch_size=8, callbacks=[stop], verbose=0)
    for record in result.records:
        scores = record.curves["val_accuracy"]
        best, waited = -np.inf, 0
        for epoch, score in enumerate(scores):
            waited = 0 if score > best else waited + 1
            best = max(best, score)
            assert (waited >= 1) == (epoch == len(scores) - 1) or len(scores) == 6


@pytest.mark.parametrize(
    ("callback", "instead"),
    [
        (lambda: keras.callbacks.TensorBoard("logs"), r"`result\.tensorboard\(folder\)`"),
        (lambda: keras.callbacks.ModelCheckpoint("model.keras"), r"`result\.model`"),
        (lambda: keras.callbacks.TerminateOnNaN(), "recorded as failed"),
        (lambda: keras.callbacks.BackupAndRestore("backup"), "not trained again"),
        (lambda: keras.callbacks.LambdaCallback(on_train_batch_end=print), "act between epochs"),
    ],
)
def test_callbacks_for_every_batch_are_refused_with_what_to_use_instead(callback, instead, tmp_path):
    with pytest.raises(ValueError, match=rf"wants to be called at every batch .*{instead}"):
        tuner(tmp_path, strength_only).search(X, Y, epochs=1, callbacks=[callback()], verbose=0)


def test_values_that_a_hypermodel_will_not_have_are_passed_over(tmp_path):
    def build_small(hp):
        if hp.Int("units", 2, 4) == 3:
            raise keras_tuner.errors.FailedTrialError("too large")
        return build(hp)

    made = tuner(tmp_path, build_small, engine=known())
    made.search(X, Y, verbose=0)
    assert {hp.get("units") for hp in made.get_best_hyperparameters(99)} == {2, 4}
    failed = [trial for trial in made.oracle.trials.values() if trial.status == "FAILED"]
    assert {(t.hyperparameters.get("units"), t.message) for t in failed} == {(3, "too large")}


@pytest.mark.slow
def test_callbacks_between_epochs_are_called_as_they_are_given(tmp_path):
    heard: list[float] = []
    listen = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: heard.append(logs.get("val_accuracy"))
    )
    made = tuner(tmp_path, lambda hp: strength_only(hp), strategy="grid", max_trials=1)
    result = made.search(X, Y, epochs=2, batch_size=8, callbacks=[listen], verbose=0)
    told = [score for record in result.records for score in record.curves["val_accuracy"]]
    assert heard == [*told, None, None]  # the final model has all rows, and none held out


def test_a_callback_that_needs_held_out_scores_in_the_final_training_is_told_that_there_are_none(tmp_path):
    need = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs["val_accuracy"])
    with pytest.raises(KeyError, match="val_accuracy") as caught:
        tuner(tmp_path, strength_only, max_trials=1).search(X, Y, epochs=1, callbacks=[need], verbose=0)
    assert "nothing held out, as the final one of a search" in caught.value.__notes__[-1]
