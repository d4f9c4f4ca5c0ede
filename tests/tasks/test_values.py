"""Tasks of numbers and of several labels an image: what they train on, how they judge, what they refuse."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn import metrics

from l2zoo import L2Policy, Variant, compare, fit
from l2zoo.data import load
from l2zoo.studies.experiment import Training
from l2zoo.tasks import Classification, MultiLabel, Regression

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (40, 4, 4, 1)).astype("uint8")
NUMBERS = np.stack([X.mean(axis=(1, 2, 3)) + 200, RNG.normal(size=40)], axis=1)
LABELS = (X[:, 0, :3, 0] > 128).astype("int64")
KINDS = {
    "regression": (Regression(("brightness", "noise")), NUMBERS, None),
    "multilabel": (MultiLabel(("left", "middle", "right")), LABELS, "sigmoid"),
}


def build(policy, outputs: int, activation) -> keras.Model:
    layers = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(outputs, activation),
    ]
    return L2Policy.of(policy).apply(keras.Sequential([keras.Input((4, 4, 1)), *layers]))


@pytest.mark.parametrize("name", KINDS)
def test_a_task_trains_and_judges_as_scikit_learn_does(name, tmp_path):
    task, y, activation = KINDS[name]
    data = load((X, y), task=name)
    assert (data.task, data.arrays()[1].dtype) == (name, "float32")
    model = build(1e-4, y.shape[1], activation)
    history = fit(model, task.prepared(data), epochs=1, verbose=0, **task.compiling())
    assert task.objective.removeprefix("val_") in history.history
    said, found = model.predict(X, verbose=0), task.measure(model, data)
    if name == "regression":
        assert found["mae"] == pytest.approx(np.abs(said - y).mean(), rel=1e-5)
        assert found["r2"] == pytest.approx(metrics.r2_score(y, said), rel=1e-5)
    else:
        assert found["label_accuracy"] == pytest.approx(((said > 0.5) == y).mean())
        assert found["f1"] == pytest.approx(
            metrics.f1_score(y, said > 0.5, average="macro", zero_division=0.0)
        )
        assert found["all_right"] == pytest.approx(metrics.accuracy_score(y, said > 0.5))
    assert task.picture(model, data, tmp_path / "said.svg").stat().st_size > 1000


@pytest.mark.slow
def test_variants_are_compared_by_an_error_of_which_less_is_better():
    data = load((X, NUMBERS[:, 0]), task="regression")
    settings = {"folds": 2, "seeds": 2, "verbose": False, "training": Training(3, 16, learning_rate=0.5)}
    variants = [Variant("slow", learning_rate=1e-6), Variant("fast")]
    found = compare(lambda policy: build(policy, 1, None), data, variants, task=Regression(), **settings)
    assert (found.metric, found.mode) == ("val_mae", "min")
    assert found["fast"].mean < found["slow"].mean
    assert found["fast"].difference.mean < 0
    assert found.verdict(found["fast"]) in ("better", "unclear")


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        (np.full(40, np.nan), "regression", "example 0 is not"),
        (NUMBERS[:, :, None], "regression", r"shape \(N,\) or \(N, D\)"),
        (LABELS[:, 0], "multilabel", r"shape \(N, K\)"),
        (LABELS * 2, "multilabel", "must be 0 or 1"),
        (LABELS[1:], "multilabel", "same length"),
    ],
)
def test_targets_that_are_not_of_the_task_are_refused(y, task, message):
    with pytest.raises(ValueError, match=message):
        load((X, y), task=task)


def test_what_a_task_of_numbers_cannot_do_is_refused():
    data = load((X, NUMBERS), task="regression")
    with pytest.raises(ValueError, match="but the task has 1 names"):
        Regression().prepared(data)
    with pytest.raises(ValueError, match="`augment` must be 'none' for regression, got augment='flip'"):
        Regression(("a", "b")).prepared(data, augment="flip")
    with pytest.raises(ValueError, match=r"must have outputs \(B, 2\) for regression"):
        Regression(("a", "b")).measure(build(0.0, 3, None), data)
    with pytest.raises(ValueError, match="must have targets for classification"):
        Classification(("a", "b")).prepared(data)
    with pytest.raises(ValueError, match="`source` must be arrays"):
        load("mnist", task="regression")
