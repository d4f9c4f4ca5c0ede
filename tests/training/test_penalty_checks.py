"""A penalty that was asked for trains, or nothing does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from l2zoo import L2Policy, tune_l2
from l2zoo.training import fit
from tests.training.conftest import eager

RNG = np.random.default_rng(0)
DATA = RNG.integers(0, 256, (24, 2, 3, 1)).astype("uint8"), np.arange(24) % 2
LOSS = "sparse_categorical_crossentropy"


class WithoutPenalties(keras.Model):
    """Leaves `self.losses` out, as many tutorials do."""

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
        return ops.mean(keras.losses.sparse_categorical_crossentropy(y, y_pred))


class WithPenalties(WithoutPenalties):
    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        return super().compute_loss(*args, **kwargs) + sum(self.losses)


class WithSomePenalties(WithoutPenalties):
    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        return super().compute_loss(*args, **kwargs) + self.losses[0]


class WithPenaltiesTwice(WithoutPenalties):
    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        return super().compute_loss(*args, **kwargs) + 2 * sum(self.losses)


def built(kind: type[keras.Model], **settings: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2, 3, 1))
    x = keras.layers.Dense(4, activation="relu", name="first")(
        keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    )
    model = kind(inputs, keras.layers.Dense(2, activation="softmax", name="last")(x), name="mine")
    return eager(model, **{"optimizer": keras.optimizers.SGD(0.1), "loss": LOSS, **settings})


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_fit_refuses_before_anything_is_trained_or_written(tmp_path: Path) -> None:
    model = built(WithoutPenalties)
    before = model.get_weights()
    words = r"given an L2 penalty, but none of it trains.*WithoutPenalties has a compute_loss of its own"
    with pytest.raises(ValueError, match=words):
        fit(model, DATA, epochs=1, l2=100.0, run_dir=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()
    for mine, its in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, its)
    assert fit(model, DATA, epochs=1, l2=0.0, verbose=0).epoch == [0]  # nothing was asked for


@pytest.mark.backends
def test_a_penalty_that_the_models_own_loss_holds_trains_as_keras_trains_it() -> None:
    models = [built(kind) for kind in (WithPenalties, keras.Model)]
    for model in models:
        fit(model, DATA, epochs=2, batch_size=8, l2=1e-2, verbose=0)
    for mine, its in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-6)


def test_what_trains_in_part_or_twice_is_said() -> None:
    with pytest.warns(UserWarning, match=r"penalty of these weights does not train: last/kernel\."):
        fit(built(WithSomePenalties), DATA, epochs=1, l2=1e-3, verbose=0)
    with pytest.warns(UserWarning, match=r"trains with 2 times its strength in first/kernel, last/kernel"):
        fit(built(WithPenaltiesTwice), DATA, epochs=1, l2=1e-3, verbose=0)


def test_a_step_that_fails_when_it_is_measured_is_said_and_fit_goes_on() -> None:
    class Fussy(WithPenalties):
        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            if type(self.optimizer) is not keras.optimizers.SGD:
                raise RuntimeError("only SGD")
            return super().compute_loss(*args, **kwargs)

    if keras.backend.backend() == "tensorflow":
        with pytest.warns(UserWarning, match="not be measured, as a step of 'mine' failed: RuntimeError"):
            fit(built(Fussy), DATA, epochs=1, l2=1e-3, verbose=0)


class ByHand(keras.Model):
    """Moves its weights without any optimizer."""

    def train_step(self, data: Any) -> dict[str, Any]:
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = ops.mean(keras.losses.sparse_categorical_crossentropy(y, self(x, training=True)))
        for variable, gradient in zip(
            self.trainable_variables, tape.gradient(loss, self.trainable_variables), strict=True
        ):
            variable.assign_sub(0.1 * gradient)
        return {"loss": loss}


def test_a_weight_decay_that_no_optimizer_is_asked_for_is_refused() -> None:
    policy = L2Policy(1e-2, decoupled=True)
    with pytest.raises(ValueError, match=r"given a weight decay, but the training step of ByHand gives"):
        fit(built(ByHand), DATA, epochs=1, l2=policy, verbose=0)
    assert fit(built(WithoutPenalties), DATA, epochs=1, l2=policy, verbose=0).epoch == [0]


def test_a_search_refuses_a_model_that_trains_no_penalty() -> None:
    def build(l2: Any) -> keras.Model:
        model = built(WithoutPenalties)
        model.compile(keras.optimizers.SGD(0.1), LOSS)  # a search runs in the graph
        return L2Policy.of(l2).apply(model)

    with pytest.raises(ValueError, match="none of it trains"):
        tune_l2(build, DATA, strengths=[0, 1e-2], folds=2, epochs=1, verbose=0)


class OfTheLayers(WithoutPenalties):
    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        dense = [layer for layer in self.layers if isinstance(layer, keras.layers.Dense)]
        penalties = [v.kernel_regularizer(v.kernel) for v in dense if v.kernel_regularizer]
        return super().compute_loss(*args, **kwargs) + sum(penalties)


def test_a_search_refuses_a_loss_that_would_not_see_its_strengths() -> None:
    def build(l2: Any) -> keras.Model:
        model = built(OfTheLayers)
        model.compile(keras.optimizers.SGD(0.1), LOSS)  # a search runs in the graph
        return L2Policy.of(l2).apply(model)

    assert fit(build(1e-3), DATA, epochs=1, verbose=0).epoch == [0]
    with pytest.raises(ValueError, match=r"none of it trains.*let it add sum\(self\.losses\)"):
        tune_l2(build, DATA, strengths=[0, 1e-3], folds=2, epochs=1, verbose=0)
