from __future__ import annotations

import keras
import numpy as np
import pytest

from l2zoo.models import backbones
from l2zoo.models.resnet import build_resnet

PREPROCESSING = {
    "MobileNetV2": keras.applications.mobilenet_v2,
    "ResNet50V2": keras.applications.resnet_v2,
    "DenseNet121": keras.applications.densenet,
    "EfficientNetB0": keras.applications.efficientnet,
    "MobileNetV3Small": keras.applications.mobilenet_v3,
}


@pytest.mark.parametrize("name", PREPROCESSING)
def test_pixels_reach_the_weights_as_their_own_preprocessing_gives_them(name):
    model = backbones.application(name, (64, 64, 3))
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype("float32")
    prepared = keras.Model(model.inputs, model.get_layer("prepare").output)
    expected = PREPROCESSING[name].preprocess_input(images.copy())
    np.testing.assert_allclose(prepared.predict(images, verbose=0), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50V2", "DenseNet121", "EfficientNetB0"])
def test_features_are_found_by_their_size(name):
    model = backbones.application(name, (64, 96, 3))
    found = backbones.features(model, (2, 4, 8, 16, 32))
    assert [f.shape[1:3] for f in found] == [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]


def test_our_own_models_are_backbones_too():
    model = build_resnet((32, 32, 3), num_classes=10, depth=20)
    names = [feature._keras_history.operation.name for feature in backbones.features(model, (1, 2, 4))]
    assert names == ["stage1", "stage2", "stage3"]


def test_a_missing_level_is_named_with_those_there_are():
    model = build_resnet((32, 32, 3), num_classes=10, depth=20)
    with pytest.raises(
        ValueError, match=r"no features at stride \[8\] for images 32x32; it has some at \[1, 2, 4\]"
    ):
        backbones.features(model, (4, 8))


def test_a_frozen_backbone_learns_nothing():
    assert backbones.application("MobileNetV2", (32, 32, 3), trainable=False).trainable_weights == []


def test_weights_come_from_a_file(tmp_path):
    model = backbones.application("MobileNetV2", (32, 32, 3))
    model.save_weights(tmp_path / "mine.weights.h5")
    again = backbones.application("MobileNetV2", (32, 32, 3), weights=tmp_path / "mine.weights.h5")
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ValueError, match=r"`name` must be one of .*'MobileNetV2'"):
        backbones.application("VGG16", (32, 32, 3))


def test_what_is_no_functional_model_is_refused():
    with pytest.raises(TypeError, match="`backbone` must be a functional Keras model, got Dense"):
        backbones.features(keras.layers.Dense(2), (2,))


def test_weights_that_cannot_be_fetched_end_in_one_sentence_that_says_what_to_do(monkeypatch):
    def offline(**settings):
        raise Exception("URL fetch failure on https://somewhere")  # Keras raises nothing more special

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(OSError, match=r"weights of MobileNetV2 could not be read: URL .* or weights=None"):
        backbones.application("MobileNetV2", (64, 64, 3), weights="imagenet")
