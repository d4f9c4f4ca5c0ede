"""What is tried, against stock keras-tuner: the same hypermodel, oracle, seed and scores."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import pytest
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from l2zoo import L2Policy, L2Tuner
from l2zoo.search.driver import split_plan
from tests.engine.known import Known
from tests.search import small
from tests.test_contract import more_of_the_same

X, Y = small.data()
OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")


def model_of(*units: int, l2: float | None = 0.0, rate: float = 0.1) -> keras.Model:
    hidden = [keras.layers.Dense(count) for count in units]
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten(), *hidden, keras.layers.Dense(3)]
    model = L2Policy.of(l2 or 0.0).apply(keras.Sequential(layers))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss, metrics=["accuracy"])
    return model


def only(declare: Callable[[Any], float]) -> Callable[[Any], keras.Model]:
    return lambda hp: model_of(l2=declare(hp))


def with_others(hp):
    """Beside the strength a number of each kind, words, booleans, and one that stays."""
    l2 = hp.Float("l2", 1e-6, 1e-1, sampling="log")
    units = hp.Int("units", 2, 8, step=3) + hp.Int("more", 1, 4, step=2, sampling="log")
    rate = hp.Choice("rate", [0.1, 0.01]) * hp.Float("factor", 0.5, 1.0, step=0.5)
    units += (hp.Choice("size", ["small", "large"]) == "large") + hp.Boolean("wider") + hp.Fixed("fixed", 1)
    return model_of(units, l2=l2, rate=rate)


def in_a_loop(hp):
    """How many hyperparameters there are depends on one of them: the default asks for the fewest."""
    layers = hp.Int("layers", 1, 3)
    units = [hp.Choice(f"units_{number}", [2, 3]) for number in range(layers)]
    return model_of(*units, l2=hp.Choice("l2", [1e-4, 1e-2]))


def in_a_condition(hp):
    """In a Python `if`, which keras-tuner learns of when a model is built that goes there."""
    hidden = hp.Boolean("hidden")
    l2 = hp.Float("l2", 1e-5, 1e-1, step=100, sampling="log")
    return model_of(*([hp.Int("units", 2, 4)] if hidden else []), l2=l2)


def in_scopes(hp):
    """In keras-tuner's conditional scopes, the strength itself among them."""
    l2, kind = None, hp.Choice("kind", ["free", "penalised", "both"])
    with hp.conditional_scope("kind", ["penalised", "both"]):
        if kind in ("penalised", "both"):
            l2 = hp.Float("l2", 1e-4, 1e-2, sampling="log", step=10)
    with hp.conditional_scope("kind", ["both"]):
        units = hp.Int("units", 2, 3) if kind == "both" else 2
    return model_of(units, l2=l2)


def too_large(hp):
    """As keras-tuner's guide on failed trials has it."""
    units = hp.Int("units", 2, 8, step=2)
    if units == 6:
        raise keras_tuner.errors.FailedTrialError("too large")
    return model_of(units, l2=hp.Choice("l2", [1e-4, 1e-2]))


class Rate(keras_tuner.HyperModel):
    def build(self, hp):
        return hp.Float("rate", 1e-3, 1e-1, sampling="log")


class Nested(keras_tuner.HyperModel):
    """A class, with another within, and a name scope."""

    def build(self, hp):
        with hp.name_scope("optimizer"):
            rate = Rate().build(hp)
        return model_of(l2=hp.Float("l2", 0.0, 1e-2), rate=rate)


STRENGTHS = {
    "linear": only(lambda hp: hp.Float("l2", 0.0, 0.1)),
    "log": only(lambda hp: hp.Float("l2", 1e-6, 1e-1, sampling="log")),
    "reverse_log": only(lambda hp: hp.Float("l2", 1e-6, 1e-1, sampling="reverse_log")),
    "linear_step": only(lambda hp: hp.Float("l2", 0.0, 0.1, step=0.03)),
    "log_step": only(lambda hp: hp.Float("l2", 1e-6, 1e-1, step=10, sampling="log")),
    "reverse_log_step": only(lambda hp: hp.Float("l2", 1e-4, 1e-1, step=10, sampling="reverse_log")),
    "default": only(lambda hp: hp.Float("l2", 1e-6, 1e-1, sampling="log", default=3e-4)),
    "int": only(lambda hp: hp.Int("l2", 0, 4)),
    "choice": only(lambda hp: hp.Choice("l2", [1e-2, 0.0, 1e-4], default=0.0)),
    "whole_choice": only(lambda hp: hp.Choice("l2", [1, 0])),
    "fixed": only(lambda hp: hp.Fixed("l2", 1e-3)),
}
HYPERMODELS: dict[str, Any] = {
    **STRENGTHS,
    "others": with_others,
    "loop": in_a_loop,
    "condition": in_a_condition,
    "scopes": in_scopes,
    "nested": Nested(),
    "failing": too_large,
}
SETTINGS = {"objective": OBJECTIVE, "seed": 3}
ORACLES = {
    "grid": (12, keras_tuner.oracles.GridSearchOracle),
    "random": (12, keras_tuner.oracles.RandomSearchOracle),
    "bayesian": (5, keras_tuner.oracles.BayesianOptimizationOracle),  # three at random, and two it has learnt
}
GIVEN = {
    "grid": lambda: keras_tuner.oracles.GridSearchOracle(**SETTINGS),
    "random": lambda: keras_tuner.oracles.RandomSearchOracle(max_trials=6, **SETTINGS),
    "bayesian": lambda: keras_tuner.oracles.BayesianOptimizationOracle(
        max_trials=5, num_initial_points=3, beta=1.0, **SETTINGS
    ),
    "hyperband": lambda: keras_tuner.oracles.HyperbandOracle(max_epochs=4, factor=2, **SETTINGS),
}


def score(values: dict[str, Any]) -> float:
    """Of a configuration: none is as good as another, and no oracle could guess it."""
    plain = sorted((k, v) for k, v in values.items() if not k.startswith("tuner/") and k != "l2")
    words = sum(len(str(value)) * (place + 1) for place, (_, value) in enumerate(plain))
    return 0.5 + 0.3 * math.sin(1e3 * values.get("l2", 0.0) + words)


def stock_tries(folder, hypermodel: Any, oracle: keras_tuner.Oracle) -> list[dict[str, Any]]:
    class Stock(keras_tuner.Tuner):
        def run_trial(self, trial, *args, **kwargs):
            self.hypermodel.build(trial.hyperparameters)
            return score(trial.hyperparameters.values)

    tuner = Stock(oracle, hypermodel, directory=str(folder), project_name="stock")
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        tuner.search(verbose=0)
    return [dict(trial.hyperparameters.values) for trial in oracle.trials.values()]


def ours_tries(folder, hypermodel: Any, strategy: Any, **settings) -> tuple[list[dict[str, Any]], L2Tuner]:
    def engine(job):
        return Known(job, score=lambda unit: score(_active(job, unit)))

    settings = {"objective": OBJECTIVE, "engine": engine, "folds": 2, "directory": folder, **settings}
    tuner = L2Tuner(hypermodel, strategy=strategy, **settings)
    tuner.search(X, Y, epochs=4, verbose=0)
    return [dict(trial.hyperparameters.values) for trial in tuner.oracle.trials.values()], tuner


def _active(job: Any, unit: Any) -> dict[str, Any]:
    """The values of a unit as stock keras-tuner has them: without a strength that is not asked for."""
    values = job.values(unit)
    return {k: v for k, v in values.items() if k != "l2" or values.get("kind") != "free"}


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Without the names of trials, which count up in another order."""
    return {k: v for k, v in values.items() if k not in ("tuner/trial_id", "tuner/bracket")}


@pytest.mark.parametrize("strategy", [*ORACLES])
@pytest.mark.parametrize(
    "hypermodel",
    [
        name if name == "log" else pytest.param(name, marks=more_of_the_same(name not in STRENGTHS))
        for name in HYPERMODELS
    ],
)
def test_a_strategy_tries_what_stock_keras_tuner_tries_in_the_same_order(hypermodel, strategy, tmp_path):
    count, oracle = ORACLES[strategy]
    expected = stock_tries(tmp_path, HYPERMODELS[hypermodel], oracle(max_trials=count, **SETTINGS))
    tried, tuner = ours_tries(tmp_path, HYPERMODELS[hypermodel], strategy, max_trials=count, seed=3)
    assert tried == expected
    assert tuner.result.candidates[0].strength == 0
    (best,) = tuner.get_best_hyperparameters()
    values = tuner.result.values
    assert {**best.values, "l2": best.values.get("l2", 0.0)} == values
    assert all(type(values[name]) is type(value) or name == "l2" for name, value in best.values.items())


@pytest.mark.slow
@pytest.mark.parametrize("oracle", [*GIVEN])
@pytest.mark.parametrize(
    "hypermodel", ["log", "choice", pytest.param("others", marks=pytest.mark.sweep), "scopes"]
)
def test_an_oracle_that_is_given_tries_what_it_does_in_stock_keras_tuner(hypermodel, oracle, tmp_path):
    if hypermodel == "others" and oracle == "grid":
        pytest.skip("10 x 3 x 3 x 2 x 2 x 2 x 2 configurations")
    expected = stock_tries(tmp_path, HYPERMODELS[hypermodel], GIVEN[oracle]())
    tried, _ = ours_tries(tmp_path, HYPERMODELS[hypermodel], GIVEN[oracle]())
    if oracle == "hyperband":  # a bracket begins while the one before it waits for scores
        key = lambda values: sorted((k, str(v)) for k, v in values.items())  # noqa: E731
        tried, expected = (sorted(map(plain, side), key=key) for side in (tried, expected))
    assert tried == expected
    assert tried


@pytest.mark.parametrize("name", ["log", pytest.param("others", marks=pytest.mark.slow)])
def test_one_bracket_of_hyperband_stays_within_the_space(name, tmp_path):
    tried, tuner = ours_tries(tmp_path, HYPERMODELS[name], "hyperband", max_epochs=9)
    space = {parameter.name: parameter for parameter in tuner.oracle.get_space().space}
    assert len(tried) == 9 + 3 + 1
    for values in tried:
        for parameter, value in split_plan(values)[0].items():
            assert 0 <= space[parameter].value_to_prob(value) <= 1
