from __future__ import annotations

import keras
import numpy as np
import pytest

from l2zoo import audit
from l2zoo.models import backbones
from l2zoo.models.resnet import build_resnet
from l2zoo.models.unet import build_unet


def conv_bn(size: int, before: int, after: int) -> int:
    return size * size * before * after + 2 * after


@pytest.mark.parametrize("upsampling", ["resize", "transpose"])
def test_weights_counted_by_hand(upsampling):
    model = build_unet((16, 16, 3), num_classes=5, filters=(4, 8, 16), upsampling=upsampling)
    encoder = sum(conv_bn(3, a, b) + conv_bn(3, b, b) for a, b in ((3, 4), (4, 8), (8, 16)))
    steps = ((16, 8), (8, 4))
    up = sum(4 * a * b + b if upsampling == "transpose" else conv_bn(1, a, b) for a, b in steps)
    decoder = sum(conv_bn(3, 2 * b, b) + conv_bn(3, b, b) for b in (8, 4))
    head = 4 * 5 + 5
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == encoder + up + decoder + head


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
@pytest.mark.parametrize("upsampling", ["resize", "transpose"])
def test_every_pixel_gets_probabilities(upsampling):
    model = build_unet((16, 24, 1), num_classes=3, filters=(4, 8, 8), upsampling=upsampling, l2=1e-3)
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 1)).astype("uint8")
    out = model.predict(images, verbose=0)
    assert out.shape == (2, 16, 24, 3)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.sum(-1), 1, rtol=1e-5)
    assert audit(model).problems == ()
    assert all((w.regularizer is not None) == (len(w.shape) > 1) for w in model.trainable_weights)


@pytest.mark.parametrize(
    "backbone",
    [
        lambda: build_resnet((64, 64, 3), num_classes=2, depth=18),
        lambda: backbones.application("MobileNetV2", (64, 64, 3)),
    ],
)
def test_a_backbone_takes_the_encoders_place_and_carries_the_penalty(backbone):
    model = build_unet((64, 64, 3), num_classes=4, filters=(8, 8, 8, 8, 8), backbone=backbone(), l2=1e-4)
    assert model.output_shape == (None, 64, 64, 4)
    kernels = [w for w in model.trainable_weights if len(w.shape) > 1]
    assert len(model.losses) == len(kernels) > 25
    assert model(np.zeros((1, 64, 64, 3), "uint8")).shape == (1, 64, 64, 4)


def test_where_a_backbone_has_no_features_the_decoder_goes_on_without():
    inputs = x = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(6, 4, 4, name="patches")(x)  # as ConvNeXt begins: from stride 1 to 4
    x = keras.layers.Conv2D(10, 3, 2, padding="same", name="deeper")(x)
    backbone = keras.Model(inputs, x)
    assert backbones.strides_of(backbone) == [4, 8]
    model = build_unet((16, 16, 3), num_classes=2, filters=(4, 5, 7, 9), backbone=backbone, l2=1e-4)
    skips = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Concatenate)]
    assert skips == ["decoder3_skip", "decoder1_skip"]
    assert model.get_layer("decoder3_conv1").kernel.shape == (3, 3, 6 + 7, 7)
    assert model.get_layer("decoder2_conv1").kernel.shape == (3, 3, 5, 5)  # nothing but what is below
    assert model.get_layer("decoder1_conv1").kernel.shape == (3, 3, 4 + 4, 4)
    assert model(np.zeros((1, 16, 16, 3), "uint8")).shape == (1, 16, 16, 2)
    with pytest.raises(ValueError, match=r"no features at stride \[16\] .* it has some at \[4, 8\]"):
        build_unet((16, 16, 3), num_classes=2, filters=(4,) * 5, backbone=backbone)


@pytest.mark.slow
def test_a_convnext_is_a_backbone():
    backbone = backbones.application("ConvNeXtTiny", (32, 32, 3))
    model = build_unet((32, 32, 3), num_classes=2, filters=(4, 4, 4, 4), backbone=backbone)
    assert model.output_shape == (None, 32, 32, 2)


@pytest.mark.slow
def test_a_step_changes_no_weight_of_a_frozen_backbone():
    backbone = backbones.application("MobileNet", (32, 32, 3), alpha=0.25, trainable=False)
    model = build_unet((32, 32, 3), num_classes=2, filters=(4, 4, 4), backbone=backbone, l2=1e-4)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    theirs = {weight.path for weight in backbone.weights}  # batch norm's statistics too
    before = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}
    rng = np.random.default_rng(0)
    model.train_on_batch(rng.integers(0, 256, (4, 32, 32, 3)), rng.integers(0, 2, (4, 32, 32)))
    after = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}
    still = {path for path in before if np.array_equal(before[path], after[path])}
    assert len(theirs & set(before)) > 20
    assert still == theirs & set(before)


@pytest.mark.slow
@pytest.mark.slow
def test_a_few_steps_learn_which_pixels_are_bright():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (16, 16, 16, 1))
    masks = (images[..., 0] > 127).astype("int64")
    keras.utils.set_random_seed(0)
    model = build_unet((16, 16, 1), num_classes=2, filters=(4, 8), l2=1e-5)
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images, masks, epochs=15, batch_size=4, verbose=0)
    found = keras.ops.convert_to_numpy(model(images)).argmax(axis=-1)
    assert (found == masks).mean() > 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_shape": (20, 16, 3)}, "must have sides that 8 divides"),
        ({"upsampling": "magic"}, r"`upsampling` must be one of \['resize', 'transpose'\], got"),
        ({"num_classes": 1}, "`num_classes` must be a whole number >= 2"),
        ({"filters": ()}, "`filters` must hold at least one whole number"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    arguments = {"input_shape": (16, 16, 3), "num_classes": 2, **changes}
    with pytest.raises(ValueError, match=message):
        build_unet(arguments.pop("input_shape"), **arguments)


def test_a_backbone_needs_two_filters():
    backbone = build_resnet((16, 16, 3), num_classes=2, depth=20)
    with pytest.raises(
        ValueError, match=r"`filters` must be two at least with a `backbone`, .* got filters="
    ):
        build_unet((16, 16, 3), num_classes=2, filters=(4,), backbone=backbone)


def test_a_backbone_for_other_images_is_refused():
    backbone = build_resnet((32, 32, 3), num_classes=2, depth=20)
    with pytest.raises(ValueError, match=r"`backbone` must take images \(16, 16, 3\) as the model does"):
        build_unet((16, 16, 3), num_classes=2, backbone=backbone)
