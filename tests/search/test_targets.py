"""Searches over other targets than labels, other folds, and weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GroupKFold, TimeSeriesSplit

from l2zoo import L2Policy, L2Tuner, Training, Variant, compare, tune_l2
from l2zoo.data import load

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (48, 4, 4, 1)).astype("uint8")
QUICK = {"strengths": [1e-2], "folds": 3, "epochs": 1, "batch_size": 16, "verbose": False}
SEVERAL = {
    "loss": "binary_crossentropy",
    "metrics": ("binary_accuracy",),
    "objective": "val_binary_accuracy",
}
REGRESSION = {"loss": "mse", "metrics": ("mae",), "objective": "val_mae"}


def dense(outputs: int = 1, activation: str | None = None):
    def build(l2):
        layers = [keras.layers.Rescaling(1 / 127.5, -1), keras.layers.Flatten()]
        layers += [keras.layers.Dense(outputs, activation)]
        return L2Policy.of(l2).apply(keras.Sequential([keras.Input((4, 4, 1)), *layers]))

    return build


@pytest.mark.sweep
@pytest.mark.slow
def test_a_search_over_numbers_scores_as_ridge_does_on_the_same_folds():
    """`loss + lambda * sum(w ** 2)` with the mean squared error is Ridge with `alpha = lambda * n`."""
    flat = X.reshape(48, 16) / 127.5 - 1
    y = 3 + 10 * flat @ RNG.normal(size=16) + RNG.normal(size=48)
    folds = list(TimeSeriesSplit(2, test_size=10).split(X))
    adam = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.5, 800))
    result = tune_l2(
        dense(), (X, y), strengths=[0.03], folds=folds, epochs=800, batch_size=48, verbose=False,
        optimizer=adam, **REGRESSION,
    )  # fmt: skip
    assert result.selection.mode == "min"
    for candidate in result.candidates[1:]:
        for (_, fold), score in candidate.scores.items():
            rows, held = folds[fold]
            ridge = Ridge(candidate.strength * len(rows)).fit(flat[rows], y[rows])
            assert score == pytest.approx(mean_absolute_error(y[held], ridge.predict(flat[held])), rel=2e-3)
    best = min(result.candidates, key=lambda candidate: candidate.mean)
    assert result.best == best.strength
    if result.chosen:
        ridge = Ridge(result.chosen * 48).fit(flat, y)
        np.testing.assert_allclose(result.model.predict(X, verbose=0)[:, 0], ridge.predict(flat), rtol=5e-3)


def test_what_follows_from_errors_is_told_in_their_units():
    y = 5000 + 1000 * (X.reshape(48, 16) / 255.0) @ RNG.normal(size=16)
    result = tune_l2(dense(), (X, y), **QUICK, **REGRESSION)
    assert "Mae" in [column.name for column in result.table().columns][1]
    scores = [score for candidate in result.candidates for score in candidate.scores.values()]
    assert 1000 < min(scores) == pytest.approx(max(scores), rel=0.5)


@pytest.mark.parametrize(
    ("outputs", "activation", "y", "settings"),
    [
        (3, "softmax", np.eye(3)[np.arange(48) % 3], {"loss": "categorical_crossentropy"}),
        pytest.param(4, "sigmoid", RNG.integers(0, 2, (48, 4)), SEVERAL, marks=pytest.mark.slow),
    ],
    ids=["one-hot", "several labels"],
)  # fmt: skip
def test_one_hot_and_several_labels_are_searched(outputs, activation, y, settings):
    result = tune_l2(dense(outputs, activation), (X, y), **QUICK, **settings)
    assert result.model.output_shape == (None, outputs)
    assert all(candidate.n == 3 for candidate in result.candidates)


@pytest.mark.slow
def test_groups_stay_together_and_other_folds_or_weights_are_another_search(tmp_path):
    y, patients = np.arange(48) % 2, np.repeat(np.arange(12), 4)
    settings = {**QUICK, "directory": tmp_path, "loss": "binary_crossentropy"}
    first = tune_l2(dense(1, "sigmoid"), (X, y), groups=patients, **settings)
    assert tune_l2(dense(1, "sigmoid"), (X, y), groups=patients, **settings).records == first.records
    for changes, name in [
        ({}, "folds"),
        ({"groups": patients, "class_weight": {1: 3.0}}, "weights"),
        ({"groups": patients, "sample_weight": np.arange(48.0)}, "weights"),
        ({"groups": patients, "folds": GroupKFold(3)}, "folds"),
    ]:
        with pytest.raises(ValueError, match=f"the ledger of another search: .*{name} is"):
            tune_l2(dense(1, "sigmoid"), (X, y), **{**settings, **changes})


@pytest.mark.parametrize(
    ("y", "outputs", "settings", "message"),
    [
        (RNG.random(48), 3, {}, "Numbers to be predicted take another loss, such as loss='mse'"),
        (np.arange(48) % 4, 3, {}, r"Labels must be in \[0, 3\), as the model has 3 outputs, got 3 in `y`"),
        (np.arange(48) % 2 - 1, 3, {}, r"Labels must be in \[0, 3\)"),
        (RNG.normal(size=48), 1, {"loss": "binary_crossentropy"}, r"`y` must be in \[0, 1\]"),
        (RNG.random(48), 1, {"loss": "mse"}, "for which accuracy means nothing: measure an error"),
        (
            np.ones((48, 3), int),
            3,
            {"loss": "binary_crossentropy"},
            "Keras's 'accuracy' would look at one",
        ),
    ],
)
def test_targets_that_the_loss_or_the_score_is_not_for_are_refused(y, outputs, settings, message):
    with pytest.raises(ValueError, match=message):
        tune_l2(dense(outputs, "sigmoid" if outputs == 1 else "softmax"), (X, y), **QUICK, **settings)


@pytest.mark.parametrize(
    "search",
    [
        lambda data, folds: tune_l2(dense(), data, folds=folds),
        lambda data, folds: L2Tuner(lambda hp: dense()(hp.Float("l2", 1e-4, 1e-2)), folds=folds).search(data),
        lambda data, folds: compare(
            dense(), data, [Variant("a"), Variant("b")], training=Training(1), folds=folds
        ),
    ],
    ids=["tune_l2", "L2Tuner", "compare"],
)
def test_images_in_no_order_are_not_divided_by_time(search):
    with pytest.raises(ValueError, match=r"`folds` is a TimeSeriesSplit.*l2zoo_digits gives its images in"):
        search(load("l2zoo_digits", limit=20), TimeSeriesSplit(2))
