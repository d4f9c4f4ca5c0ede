"""A metric is called the same in every model that is built."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from l2zoo.engine.checks import check_callbacks, check_model
from l2zoo.engine.metric_names import stable_names


def names_of(metrics, *, heads: int = 1, named: bool = False, weighted=None) -> dict[str, str]:
    inputs = keras.Input((4,))
    features = keras.layers.Dense(3)(inputs)
    names = [f"head_{n}" if named else None for n in range(heads)]
    outputs = [keras.layers.Dense(1, "sigmoid", name=name)(features) for name in names]
    model = keras.Model(inputs, outputs)
    model.compile("sgd", ["binary_crossentropy"] * heads, metrics=metrics, weighted_metrics=weighted)
    model.test_on_batch(np.ones((2, 4)), [np.ones((2, 1))] * heads)
    return stable_names(model)


def several():
    return [
        keras.metrics.AUC(),
        keras.metrics.AUC(curve="PR"),
        "accuracy",
        keras.metrics.Recall(name="found"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("before", range(3))
def test_names_that_keras_counts_are_counted_within_the_model(before):
    for _ in range(before):
        keras.metrics.AUC()
        keras.layers.Dense(1)
    assert set(names_of(several()).values()) == {"loss", "auc", "auc_1", "accuracy", "found"}
    both = set(names_of([["accuracy"], [keras.metrics.Precision()]], heads=2).values())
    assert both == {"loss", "dense_1_loss", "dense_2_loss", "dense_1_accuracy", "dense_2_precision"}


def test_names_that_were_given_stay():
    found = names_of([["accuracy"], [keras.metrics.AUC(name="auc_pr")]], heads=2, named=True)
    assert all(own == name for own, name in found.items())
    assert set(found) == {"loss", "head_0_loss", "head_1_loss", "head_0_accuracy", "head_1_auc_pr"}


def test_a_metric_that_is_weighted_too_keeps_the_words_that_keras_puts_before_it():
    keras.metrics.AUC()
    found = names_of(
        [keras.metrics.AUC(name="auc"), "accuracy"], weighted=["accuracy", keras.metrics.Recall()]
    )
    assert set(found.values()) == {"loss", "auc", "accuracy", "weighted_accuracy", "recall"}


class OwnFit(keras.Model):
    def fit(self, *args, **kwargs):
        raise NotImplementedError


class EveryBatch(keras.callbacks.Callback):
    def on_test_batch_end(self, batch, logs=None):
        pass


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({}, OwnFit, "OwnFit has a `fit` of its own"),
        ({"run_eagerly": True}, keras.Model, "was compiled with run_eagerly=True"),
    ],
)
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="it always runs eagerly")
def test_a_model_that_keras_would_not_train_in_the_graph_is_refused(settings, kind, message):
    inputs = keras.Input((4,))
    model = kind(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse", **settings)
    with pytest.raises((TypeError, ValueError), match=message):
        check_model(model)


def test_a_callback_that_wants_every_batch_of_an_evaluation_is_refused():
    with pytest.raises(ValueError, match="EveryBatch in `callbacks` wants to be called at every batch"):
        check_callbacks([EveryBatch()])
