from __future__ import annotations

import sys

import keras
import numpy as np
import pytest

from l2zoo.models import backbones
from l2zoo.models.resnet import build_resnet
from l2zoo.regularization.policy import L2Policy
from tests.test_contract import more_of_the_same

# One of each family; in the larger ones the same layers come more often.
FAMILIES = ("ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionV3", "MobileNet",
            "MobileNetV2", "MobileNetV3Small", "ResNet50", "ResNet50V2", "VGG16", "Xception")  # fmt: skip
QUICK = ("MobileNetV3Small",)
SLOW = ("ConvNeXtTiny", "EfficientNetB0")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in FAMILIES else more_of_the_same(False)) for n in backbones.APPLICATIONS],
)
def test_pixels_reach_the_weights_as_their_own_preprocessing_gives_them(name, monkeypatch):
    published = sys.modules[getattr(keras.applications, name).__module__]

    def only_the_way_in(include_top, input_tensor, weights):
        inputs = keras.utils.get_source_inputs(input_tensor)
        return keras.Model(inputs, keras.layers.Identity()(input_tensor))

    monkeypatch.setattr(keras.applications, name, only_the_way_in)
    model = backbones.application(name, (32, 48, 3))
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3)).astype("float32")
    expected = published.preprocess_input(images.copy())
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-4)


def test_every_model_of_keras_applications_is_a_backbone():
    assert set(backbones.APPLICATIONS) == {
        name for name, value in vars(keras.applications).items() if name[0].isupper() and callable(value)
    }
    assert set(backbones.NAMES) - set(backbones.APPLICATIONS) == {f"EfficientNetLite{n}" for n in range(5)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side"),
    [
        pytest.param("ResNet50", 32, marks=pytest.mark.sweep),
        ("VGG16", 32),
        pytest.param("Xception", 71, marks=pytest.mark.sweep),
    ],
)
def test_raw_pixels_give_the_features_of_the_published_model_and_its_preprocessing(name, side, tmp_path):
    keras.utils.set_random_seed(0)
    published = getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(side, side, 3)
    )
    published.save_weights(tmp_path / "its.weights.h5")
    model = backbones.application(name, (side, side, 3), weights=tmp_path / "its.weights.h5")
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3)).astype("float32")
    prepared = sys.modules[getattr(keras.applications, name).__module__].preprocess_input(images.copy())
    expected = published.predict(prepared, verbose=0)
    found = model.predict(images, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert expected.std() > 0
    modules = {type(layer).__module__.split(".")[0] for layer in model.layers}
    assert modules == {"keras"}  # so that a file with it loads anywhere


@pytest.mark.slow
def test_turned_colours_survive_a_file(tmp_path):
    model = backbones.application("VGG16", (32, 32, 3))
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype("float32")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(images, verbose=0), model.predict(images, verbose=0))


@pytest.mark.slow
def test_turned_colours_survive_eight_bits(monkeypatch, tmp_path):
    from l2zoo import export

    def colours_alone(include_top, input_tensor, weights):
        x = keras.layers.AveragePooling2D(32)(input_tensor)
        x = keras.layers.Rescaling(1 / 64)(keras.layers.Flatten()(x))
        inputs = keras.utils.get_source_inputs(input_tensor)
        return keras.Model(inputs, keras.layers.Softmax()(x))

    monkeypatch.setattr(keras.applications, "VGG16", colours_alone)
    model = backbones.application("VGG16", (32, 32, 3))
    images = np.random.default_rng(0).integers(0, 256, (64, 1, 1, 3)) * np.ones((1, 32, 32, 1))
    images = images.astype("uint8")
    export(model, tmp_path / "artifact", sample=images, formats=["tflite_int8"])  # refuses what loses much
    blue_to_red = np.argmax(images[:, 0, 0, ::-1] - np.array([103.939, 116.779, 123.68]), axis=1)
    assert (model.predict(images, verbose=0).argmax(axis=1) == blue_to_red).all()


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else more_of_the_same(n in SLOW)) for n in FAMILIES]
)
def test_names_of_layers_with_weights_do_not_depend_on_what_was_built_before(name):
    keras.layers.Conv2D(1, 1), keras.layers.LayerNormalization(), keras.layers.Normalization()
    side = {"InceptionV3": 75, "Xception": 71}.get(name, 32)
    models = [backbones.application(name, (side, side, 3)) for _ in range(2)]
    names = [[layer.name for layer in model.layers if layer.weights] for model in models]
    assert names[0] == names[1]
    assert len(set(names[0])) == len(names[0]) > 10
    # ConvNeXt's scales are variables without a name, which Keras counts.
    paths = [[w.path for w in model.weights if "layer_scale" not in w.path] for model in models]
    assert paths[0] == paths[1]


@pytest.mark.slow
def test_what_an_efficientnet_has_learnt_of_pixels_is_kept_under_its_stable_name(tmp_path):
    keras.utils.set_random_seed(0)
    published = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(32, 32, 3))
    [norm] = [layer for layer in published.layers if isinstance(layer, keras.layers.Normalization)]
    norm.set_weights([np.array([0.5, 0.4, 0.3]), np.array([0.05, 0.06, 0.07]), np.array(0)])
    norm.finalize_state()
    published.save_weights(tmp_path / "its.weights.h5")
    model = backbones.application("EfficientNetB0", (32, 32, 3), weights=tmp_path / "its.weights.h5")
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    expected = published.predict(images, verbose=0)
    found = model.predict(images, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    "name",
    [
        "MobileNetV2",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("ResNet50V2", "DenseNet121", "EfficientNetB0")),
    ],
)
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


def test_the_hint_of_a_missing_level_is_one_that_helps():
    small = build_resnet((32, 32, 3), num_classes=10, depth=20)
    with pytest.raises(ValueError, match=r"\[1, 2, 4\]\. Use fewer `filters` or other `strides`, or a"):
        backbones.features(small, (8,))
    odd = build_resnet((36, 36, 3), num_classes=10, depth=20)
    with pytest.raises(ValueError, match=r"\[1, 2, 4\]\. Images whose sides 8 divides help"):
        backbones.features(odd, (8,))


def test_a_frozen_backbone_learns_nothing():
    assert backbones.application("MobileNet", (32, 32, 3), trainable=False).trainable_weights == []


def test_weights_come_from_a_file(tmp_path):
    model = backbones.application("MobileNet", (32, 32, 3))
    model.save_weights(tmp_path / "mine.weights.h5")
    again = backbones.application("MobileNet", (32, 32, 3), weights=tmp_path / "mine.weights.h5")
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_file_of_weights_that_is_not_there_is_named(tmp_path):
    missing = tmp_path / "missing.h5"
    with pytest.raises(FileNotFoundError, match=r"None, 'imagenet' or a file, got weights='.*missing\.h5'"):
        backbones.application("MobileNetV2", (32, 32, 3), weights=missing)


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ValueError, match=r"`name` must be one of .*'MobileNetV2'"):
        backbones.application("VGG15", (32, 32, 3))


def test_what_is_no_functional_model_is_refused():
    with pytest.raises(TypeError, match="`backbone` must be a functional Keras model, got Dense"):
        backbones.features(keras.layers.Dense(2), (2,))


def test_weights_that_cannot_be_fetched_end_in_one_sentence_that_says_what_to_do(monkeypatch):
    def offline(**settings):
        raise Exception("URL fetch failure on https://somewhere")  # Keras raises nothing more special

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(OSError, match=r"weights of MobileNetV2 could not be read: URL .* or weights=None"):
        backbones.application("MobileNetV2", (64, 64, 3), weights="imagenet")


@pytest.mark.slow
def test_alpha_is_the_width_of_a_mobilenet():
    model = backbones.application("MobileNetV2", (32, 32, 3), alpha=0.35)
    published = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, include_top=False, weights=None)
    assert model.count_params() == published.count_params()
    with pytest.raises(ValueError, match="`alpha` must be 1 for ResNet50V2, which has one width"):
        backbones.application("ResNet50V2", (32, 32, 3), alpha=0.5)


def test_a_grey_image_is_the_same_as_one_whose_channels_are_equal():
    grey = backbones.application("MobileNet", (32, 32, 1))
    colour = backbones.application("MobileNet", (32, 32, 3))
    colour.set_weights(grey.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1)).astype("float32")
    np.testing.assert_allclose(grey(images), colour(np.repeat(images, 3, axis=-1)), rtol=1e-5)


def small(head: bool = True) -> keras.Model:
    """A backbone of three levels with weights, at strides 1, 2 and 4, with a squeeze in the last."""
    layers = keras.layers
    inputs = x = keras.Input((16, 16, 3))
    for number, stride in enumerate((1, 2, 2), start=1):
        x = layers.Conv2D(4, 3, stride, padding="same", name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"norm{number}")(x)
    squeezed = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply()([x, layers.Conv2D(4, 1, name="squeeze")(squeezed)])
    x = layers.Conv2D(4, 1, name="conv4")(x)
    outputs = layers.Dense(2, name="head")(layers.GlobalAveragePooling2D()(x)) if head else x
    return keras.Model(inputs, outputs)


LEVELS = [["conv4", "norm3", "squeeze", "conv3"], ["conv2", "norm2"], ["conv1", "norm1"]]


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("levels", [0, 1, 2, 3, None])
def test_the_head_and_the_top_levels_learn_and_nothing_below(levels, head):
    model = backbones.unfreeze(small(head), levels, batch_norm=True)
    learning = {weight.path.split("/")[0] for weight in model.trainable_weights}
    expected = {name for level in LEVELS[:levels] for name in level} | ({"head"} if head else set())
    assert learning == expected


def test_batch_norm_that_does_not_learn_keeps_its_statistics_in_a_training_step():
    model = backbones.unfreeze(small(), None)
    before = {weight.path: weight.numpy() for weight in model.weights}
    model.compile("sgd", "mse")
    images = np.random.default_rng(0).normal(0, 9, (8, 16, 16, 3))
    model.fit(images, np.ones((8, 2)), verbose=0)
    for weight in model.weights:
        assert np.array_equal(weight, before[weight.path]) == weight.path.startswith("norm"), weight.path


def test_a_frozen_level_carries_its_penalty_which_counts_once_it_learns():
    model = L2Policy(1e-3).apply(small())
    for levels, names in ((0, ["head"]), (1, ["head", "conv4", "squeeze", "conv3"])):
        backbones.unfreeze(model, levels)
        squares = [np.sum(model.get_layer(name).kernel.numpy() ** 2) for name in names]
        assert float(sum(model.losses)) == pytest.approx(1e-3 * sum(squares), rel=1e-5)


def test_levels_go_with_the_published_blocks_of_a_mobilenet():
    model = backbones.unfreeze(backbones.application("MobileNetV2", (64, 64, 3)), 1)
    blocks = {weight.path.split("/")[0].rsplit("_", 1)[0] for weight in model.trainable_weights}
    # Sandler et al. 2018, table 2: the last blocks with stride 2 and after; `block_13` begins before.
    numbers = {name.removeprefix("block_") for name in blocks if name.startswith("block")}
    assert numbers == {"13", "14", "15", "16"}
    assert "block_13_expand" not in {weight.path.split("/")[0] for weight in model.trainable_weights}
    assert len(backbones.unfreeze(model, 5).trainable_weights) == 52  # a kernel a convolution


def test_more_levels_than_there_are_is_an_error():
    with pytest.raises(ValueError, match=r"`levels` must be at most the 3 that .* has, got levels=4"):
        backbones.unfreeze(small(), 4)


@pytest.mark.slow
def test_after_a_short_training_a_backbone_predicts_by_the_statistics_of_its_data():
    model = keras.Sequential([backbones.application("MobileNetV2", (32, 32, 3), alpha=0.35)])
    norms = [x for x in model.layers[0].layers if isinstance(x, keras.layers.BatchNormalization)]
    before = [keras.ops.convert_to_numpy(norm.moving_variance) for norm in norms]
    assert len(norms) == 52
    for _ in range(12):
        model(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype("float32"), training=True)
    after = [keras.ops.convert_to_numpy(norm.moving_variance) for norm in norms]
    # 0.9 ** 12 = 0.28 of the 1 that they begin with; of Keras's 0.999 it would be 0.99.
    assert all((b == 1).all() for b in before)
    assert np.median([np.median(a) for a in after]) < 0.5
