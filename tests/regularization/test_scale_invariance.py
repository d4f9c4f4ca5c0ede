"""Which kernels a normalisation follows."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from l2zoo import build_cnn, build_resnet
from l2zoo.regularization.scale_invariance import layers_before_norms


def names(model: keras.Model) -> list[str]:
    return [layer.name for layer in layers_before_norms(model)]


def test_a_sequential_model_says_what_follows_what() -> None:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="before"),
            layers.BatchNormalization(),
            layers.Conv2D(4, 3, activation="relu", name="bent"),
            layers.LayerNormalization(),
            layers.Dense(4, name="free"),
            layers.ReLU(),
            layers.DepthwiseConv2D(2, name="last"),
        ]
    )
    assert names(model) == ["before"]


@pytest.mark.slow_elsewhere
@pytest.mark.backends
def test_scaling_what_is_found_changes_nothing_and_scaling_the_rest_does() -> None:
    keras.utils.set_random_seed(0)
    model = build_resnet((16, 16, 3), num_classes=4)
    x = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    before = layers_before_norms(model)
    with_kernel = [layer for layer in model.layers if getattr(layer, "kernel", None) is not None]
    assert [layer.name for layer in with_kernel if layer not in before] == ["logits"]

    def answers() -> np.ndarray:
        return keras.ops.convert_to_numpy(model(x, training=True))  # by the norms of this batch

    first = answers()
    for layer in before:
        layer.kernel.assign(3.0 * layer.kernel)
    np.testing.assert_allclose(answers(), first, atol=2e-3)
    logits = model.get_layer("logits")
    logits.kernel.assign(3.0 * logits.kernel)
    assert np.abs(answers() - first).max() > 0.01


def test_nested_models_are_looked_into() -> None:
    inner = build_cnn((8, 8, 1), num_classes=3, filters=(4,))
    inputs = keras.Input((8, 8, 1))
    outer = keras.Model(inputs, inner(inputs))
    assert names(outer) == names(inner) == ["stage1_conv1"]


def test_a_kernel_with_two_readers_is_free_of_the_norm() -> None:
    inputs = keras.Input((4,))
    x = layers.Dense(3, name="both")(inputs)
    assert names(keras.Model(inputs, [layers.BatchNormalization()(x), x])) == []
    assert names(keras.Model(inputs, layers.Add()([layers.BatchNormalization()(x), layers.ReLU()(x)]))) == []
    assert names(keras.Model(inputs, layers.BatchNormalization()(x))) == ["both"]


def test_plain_operations_are_no_norms() -> None:
    inputs = keras.Input((4,))
    bent = keras.ops.erf(layers.Dense(3, name="bent")(inputs))
    both = layers.Dense(3, name="before")(bent)
    assert names(keras.Model(inputs, layers.BatchNormalization()(both))) == ["before"]


def test_of_a_model_without_layers_nothing_is_known() -> None:
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    assert names(Own()) == []


def test_applications_too() -> None:
    model = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=5)
    assert len(layers_before_norms(model)) == 52  # all but the dense layer
