"""What `build_cnn` promises: shapes, names, sizes, errors, and that it learns digits on every backend."""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from l2zoo.models import blocks
from l2zoo.models.cnn import build_cnn


def parameters_by_hand(channels: int, filters: tuple[int, ...], classes: int) -> int:
    """3x3 kernels without bias, four numbers a channel in each norm, one dense layer with bias."""
    total, before = 0, channels
    for stage, width in enumerate(filters):
        for _ in range(1 if stage == 0 else 2):
            total += 9 * before * width + 4 * width
            before = width
    return total + before * classes + classes


def penalty_of(model: keras.Model) -> float:
    return sum(float(keras.ops.convert_to_numpy(loss)) for loss in model.losses)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return build_cnn((8, 8, 1), num_classes=10)


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return np.rint(data.images[..., None] * (255 / 16)).astype("uint8"), data.target


@pytest.mark.parametrize(
    "shape", [pytest.param((9, 13, 2), marks=pytest.mark.backends), (8, 8, 1), (28, 28, 1), (33, 32, 3)]
)
def test_every_shape_from_8x8_gives_float32_probabilities(shape):
    model = build_cnn(shape, num_classes=3)
    answer = model.predict(np.full((2, *shape), 200, "uint8"), verbose=0)
    assert answer.shape == (2, 3)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_integer_and_float_pixels_are_answered_alike(model, digits):
    x = digits[0][:16]
    expected = model.predict(x, verbose=0)
    np.testing.assert_array_equal(model.predict(x.astype("float32"), verbose=0), expected)
    direct = keras.ops.convert_to_numpy(model(x, training=False))
    np.testing.assert_allclose(direct, expected, atol=1e-6)


def test_pixels_are_scaled_to_one_inside(model):
    scale = keras.Model(model.input, model.get_layer("rescale").output)
    ramp = np.arange(64, dtype="uint8").reshape(1, 8, 8, 1) * 4 + 3
    np.testing.assert_allclose(scale.predict(ramp, verbose=0), ramp / 255.0, rtol=1e-6)


def test_the_stages_halve_the_image_but_for_the_last(model):
    sides = [model.get_layer(f"stage{stage}_conv1").output.shape[1] for stage in (1, 2, 3)]
    assert sides == [8, 4, 2]
    assert model.get_layer("pool").input.shape == (None, 2, 2, 64)


def test_layer_names_are_explicit_unique_and_stable(model):
    convolution = ["{}", "{}_bn", "{}_relu"]
    pooled = ["{}", "{}_pool", "{}_bn", "{}_relu"]
    stages = [
        ("stage1_conv1", pooled),
        ("stage2_conv1", convolution),
        ("stage2_conv2", pooled),
        ("stage3_conv1", convolution),
        ("stage3_conv2", convolution),
    ]
    body = [form.format(name) for name, forms in stages for form in forms]
    expected = ["pixels", "rescale", *body, "pool", "dropout", "logits", "probabilities"]
    assert [layer.name for layer in model.layers] == expected
    again = build_cnn((28, 28, 1), num_classes=10, dropout=0, name="other")
    assert [layer.name for layer in again.layers] == expected
    assert again.name == "other"


@pytest.mark.parametrize(
    ("channels", "filters", "classes"), [(1, (16, 32, 64), 10), (3, (5,), 2), (4, (8, 3, 6, 7), 11)]
)
def test_the_number_of_parameters_is_as_counted_by_hand(channels, filters, classes):
    model = build_cnn((16, 16, channels), num_classes=classes, filters=list(filters))
    assert model.count_params() == parameters_by_hand(channels, filters, classes)


def test_the_default_has_the_parameters_the_docstring_says(model):
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 70_330


def test_the_size_of_the_image_costs_no_parameters(model):
    assert build_cnn((40, 24, 1), num_classes=10).count_params() == model.count_params()


def test_norms_use_the_shared_constants(model):
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 5
    assert {(norm.momentum, norm.epsilon) for norm in norms} == {(blocks.BN_MOMENTUM, blocks.BN_EPSILON)}


def test_numpy_integers_and_an_integral_dropout_are_numbers_too():
    model = build_cnn(
        (np.int64(8), 8, 1), num_classes=np.int32(4), filters=(np.int64(4), 6), dropout=np.float32(0)
    )
    assert model.output_shape == (None, 4)


def test_half_precision_inside_still_answers_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_cnn((8, 8, 1), num_classes=10)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("stage3_conv2").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"
    answer = model.predict(np.zeros((1, 8, 8, 1), "uint8"), verbose=0)
    np.testing.assert_allclose(answer.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.backends
def test_the_penalty_is_lambda_times_the_squares_of_the_kernels_alone():
    model = build_cnn((8, 8, 1), num_classes=10, l2=3e-3)
    kernels = [
        np.asarray(keras.ops.convert_to_numpy(weight), "float64")
        for weight in model.trainable_weights
        if weight.path.endswith("/kernel")
    ]
    assert len(kernels) == 6
    assert penalty_of(model) == pytest.approx(3e-3 * sum((kernel**2).sum() for kernel in kernels), rel=1e-6)


@pytest.mark.parametrize("l2", [None, 0.0])
def test_no_strength_adds_no_loss(l2):
    assert build_cnn((8, 8, 1), num_classes=10, l2=l2).losses == []


@pytest.mark.slow
@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_few_steps_on_real_digits_reduce_the_loss(digits):
    x, y = digits[0][:256], digits[1][:256]
    keras.utils.set_random_seed(0)
    model = build_cnn((8, 8, 1), num_classes=10)
    loss, jit = "sparse_categorical_crossentropy", keras.backend.backend() == "jax"  # JAX crawls without
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"], jit_compile=jit)
    history = model.fit(x, y, batch_size=32, epochs=3, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["accuracy"][-1] > 0.9


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_save_and_load_keep_the_outputs_and_the_penalty(tmp_path, digits):
    model = build_cnn((8, 8, 1), num_classes=10, l2=1e-4)
    model.save(tmp_path / "cnn.keras")
    again = keras.saving.load_model(tmp_path / "cnn.keras")
    x = digits[0][:8]
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
    assert penalty_of(again) == pytest.approx(penalty_of(model), rel=1e-6)


def test_extreme_probabilities_still_have_a_gradient():
    """The loss must see the logits under the softmax: a probability of exactly 0 has no logarithm."""
    model = build_cnn((8, 8, 1), num_classes=2)
    model.get_layer("logits").bias.assign([0.0, 200.0])
    model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy", jit_compile=False)
    loss = model.train_on_batch(np.zeros((4, 8, 8, 1), "uint8"), np.zeros(4, "int64"))
    assert float(loss) == pytest.approx(200.0, rel=1e-3)


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ({"input_shape": (7, 8, 1)}, ValueError, r"at least 8x8 pixels, got input_shape=\(7, 8, 1\)\. Enl"),
        ({"input_shape": (28, 28)}, ValueError, r"got input_shape=\(28, 28\)\. Grey images need a last axis"),
        ({"input_shape": (None, 28, 28, 1)}, ValueError, r"without the batch, got input_shape=\(None, 28,"),
        ({"input_shape": 28}, TypeError, r"must be \(height, width, channels\), .* got input_shape=28\."),
        ({"input_shape": "28x28"}, TypeError, r"got input_shape='28x28'\."),
        ({"input_shape": (8, 8, 0)}, ValueError, r"`input_shape\[2\]` must be a whole number >= 1, got .*=0"),
        ({"input_shape": (8.0, 8, 1)}, TypeError, r"`input_shape\[0\]` must be a whole number >= 1, .*=8\.0"),
        ({"input_shape": (None, 8, 1)}, TypeError, r"`input_shape\[0\]` must be a whole number .*=None"),
        ({"num_classes": 1}, ValueError, r"`num_classes` must be a whole number >= 2, got num_classes=1\."),
        (
            {"num_classes": True},
            TypeError,
            r"`num_classes` must be a whole number >= 2, got num_classes=True",
        ),
        ({"num_classes": 10.0}, TypeError, r"got num_classes=10\.0\."),
        ({"filters": ()}, ValueError, r"`filters` must hold at least one whole number, got filters=\(\)\."),
        ({"filters": 16}, TypeError, r"`filters` must be a sequence of whole numbers, got filters=16\."),
        ({"filters": (16, 0)}, ValueError, r"`filters\[1\]` must be a whole number >= 1, got .*=0\."),
        ({"dropout": 1.0}, ValueError, r"`dropout` must be a number in \[0, 1\), got dropout=1\.0\."),
        ({"dropout": -0.1}, ValueError, r"got dropout=-0\.1\."),
        ({"dropout": float("nan")}, ValueError, r"got dropout=nan\."),
        ({"dropout": "half"}, TypeError, r"got dropout='half'\."),
        ({"dropout": None}, TypeError, r"got dropout=None\."),
        ({"l2": "l2"}, TypeError, r"`l2` must be"),
        ({"l2": -1.0}, ValueError, r"`strength` must be a finite number >= 0"),
    ],
)
def test_a_wrong_argument_is_named_with_what_came(wrong, error, text):
    arguments = {"input_shape": (8, 8, 1), "num_classes": 10, **wrong}
    with pytest.raises(error, match=text):
        build_cnn(arguments.pop("input_shape"), **arguments)


@pytest.mark.backends
def test_without_batch_norm_the_convolutions_have_biases_and_there_is_no_norm():
    plain = build_cnn((8, 8, 3), num_classes=4, filters=(5, 6), batch_norm=False)
    kinds = {type(layer).__name__ for layer in plain.layers}
    assert "BatchNormalization" not in kinds
    by_hand = (9 * 3 * 5 + 5) + (9 * 5 * 6 + 6) + (9 * 6 * 6 + 6) + (6 * 4 + 4)
    assert plain.count_params() == by_hand
