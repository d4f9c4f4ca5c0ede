"""What counts as the same training."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from l2zoo.engine.identity import fingerprint, identity_of_model
from l2zoo.engine.job import Job
from l2zoo.engine.trainer import Trainer
from tests.search import small


def test_the_fingerprint_sees_values_types_and_shapes() -> None:
    x = np.arange(6, dtype=np.float32)
    others = [x + 1, x.astype(np.float64), x.reshape(2, 3), x[::-1], x[:0]]
    assert fingerprint(x) == fingerprint(x.copy()) == fingerprint(np.repeat(x, 2)[::2])
    assert len({fingerprint(x), *map(fingerprint, others), fingerprint(x, x)}) == 7
    with pytest.raises(TypeError, match="`arrays` must be numeric, got dtype=object"):
        fingerprint(np.array([None]))


def model(l2: float = 1e-3, rate: float = 0.1) -> keras.Model:
    made = small.build(l2)
    made.compile(keras.optimizers.SGD(rate), "mse")
    return made


def test_a_model_is_another_with_another_strength_rate_or_length_of_training_but_not_with_other_weights():
    same = {identity_of_model(model(), epochs=2, batch_size=8) for _ in range(2)}
    others = {
        identity_of_model(model(1e-2), epochs=2, batch_size=8),
        identity_of_model(model(rate=0.2), epochs=2, batch_size=8),
        identity_of_model(model(), epochs=3, batch_size=8),
        identity_of_model(model(), epochs=2, batch_size=9),
    }
    assert len(same) == 1
    assert len(same | others) == 5


def tiny(l2: float) -> keras.Model:
    dense = keras.layers.Dense(1, "sigmoid", kernel_regularizer=keras.regularizers.L2(l2))
    return keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), dense])


@pytest.mark.slow
def test_a_search_is_another_with_another_loss_metric_optimizer_fold_or_weight():
    auc, crossentropy = keras.metrics.AUC, keras.losses.BinaryCrossentropy
    scored = {"objective": "val_auc"}
    pairs = [(np.arange(9), np.arange(9, 18))]
    different = [
        {},
        {"optimizer": lambda: keras.optimizers.SGD(0.01, use_ema=True)},
        {"optimizer": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01))},
        {"optimizer": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.02))},
        {"loss": crossentropy(label_smoothing=0.1)},
        {"loss": crossentropy(label_smoothing=0.2)},
        {"metrics": [auc()], **scored},
        {"metrics": [auc(curve="PR")], **scored},
        {"folds": pairs},
        {"weights": np.ones(18, "float32")},
        {"weights": np.arange(18, dtype="float32")},
        {"weights": np.ones(18, "float32"), "weighted_scores": True},
    ]
    found = [repr(identity_with(**changes)) for changes in different]
    assert len(set(found)) == len(different)
    assert repr(identity_with(metrics=[auc()], **scored)) == found[6]  # whatever number Keras gives its name


def identity_with(*, folds=3, **changes) -> dict:
    settings = {
        "optimizer": "sgd",
        "loss": "binary_crossentropy",
        "metrics": ("accuracy",),
        "objective": None,
    }
    x, y = small.data(18)
    job = Job(lambda values: tiny(values["l2"]), x, y % 2, folds, 1, 8, **{**settings, **changes})
    return Trainer(job).identity()
