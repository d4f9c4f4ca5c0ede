from __future__ import annotations

import keras
import numpy as np
import pytest

from l2zoo import audit
from l2zoo.models import backbones
from l2zoo.models.detector import build_detector
from l2zoo.models.resnet import build_resnet


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build_detector((64, 96, 3), num_classes=7, channels=16, l2=1e-3)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_every_place_of_every_level_answers(model):
    places = sum((64 // s) * (96 // s) for s in (4, 8, 16))
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype("uint8")
    out = model.predict(images, verbose=0)
    shapes = {"class_logits": (2, places, 7), "sides": (2, places, 4), "centerness_logits": (2, places, 1)}
    assert {name: value.shape for name, value in out.items()} == shapes
    assert {value.dtype for value in out.values()} == {np.dtype("float32")}
    assert (out["sides"] >= 0).all()


def test_before_it_has_learnt_hardly_any_place_sees_an_object(model):
    out = model.predict(np.zeros((2, 64, 96, 3), "uint8"), verbose=0)
    assert (1 / (1 + np.exp(-out["class_logits"]))).mean() < 0.02


def test_levels_share_the_heads(model):
    last = [w.path for w in model.trainable_weights if w.path.startswith(("class_logits/", "sides/"))]
    assert len(last) == 2 * 2
    tower = model.get_layer("box_tower").trainable_weights
    assert len(tower) == 2 * 3  # of each convolution the kernel, and the two of its norm


def test_every_kernel_is_penalised_once(model):
    kernels = [w for w in model.trainable_weights if len(w.shape) > 1]
    assert len(model.losses) == len(kernels)
    assert audit(model).problems == ()


def test_sides_are_in_pixels_of_the_image():
    model = build_detector((32, 32, 3), num_classes=1, channels=8, depth=1)
    sides = model.get_layer("sides")
    sides.set_weights([np.zeros((3, 3, 8, 4)), np.full(4, np.log(np.e - 1))])  # softplus: 1
    out = model(np.zeros((1, 32, 32, 3), "uint8"))["sides"][0]
    np.testing.assert_allclose(out[:64], 4, rtol=1e-5)
    np.testing.assert_allclose(out[64:80], 8, rtol=1e-5)
    np.testing.assert_allclose(out[80:], 16, rtol=1e-5)


@pytest.mark.parametrize(
    ("backbone", "strides"),
    [
        (lambda: build_resnet((64, 64, 3), num_classes=2, depth=18), (4, 8, 16)),
        (lambda: backbones.application("MobileNetV2", (64, 64, 3)), (8, 16, 32)),
        (lambda: build_resnet((64, 64, 3), num_classes=2, depth=20), (4,)),
    ],
)
def test_any_model_with_the_strides_is_a_backbone(backbone, strides):
    model = build_detector((64, 64, 3), num_classes=3, backbone=backbone(), strides=strides, channels=8)
    assert model.output["sides"].shape == (None, sum((64 // s) ** 2 for s in strides), 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_shape": (40, 64, 3)}, "must have sides that 16 divides"),
        ({"strides": (4, 16)}, r"`strides` must double .* got \(4, 16\)"),
        ({"channels": 12}, "`channels` must be a multiple of 8, got channels=12"),
        ({"num_classes": 0}, "`num_classes` must be a whole number >= 1"),
        ({"depth": 0}, "`depth` must be a whole number >= 1"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    arguments = {"input_shape": (64, 64, 3), "num_classes": 2, **changes}
    with pytest.raises(ValueError, match=message):
        build_detector(arguments.pop("input_shape"), **arguments)
