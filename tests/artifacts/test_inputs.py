"""What may go in: as the model takes it, in the types that are exported."""

import keras
import numpy as np
import pytest

from l2zoo.artifacts.inputs import check_inputs


def model(*shapes):
    """A model of these inputs, of which only what goes in matters here."""
    inputs = [keras.Input(shape[1:]) for shape in shapes]
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], [keras.ops.mean(one) for one in inputs])


def named(**inputs):
    """A model of a dict of inputs; each is a shape, with the dtype."""
    taken = {name: keras.Input(shape, dtype=dtype, name=name) for name, (shape, dtype) in inputs.items()}
    return keras.Model(taken, [keras.ops.mean(keras.ops.cast(one, "float32")) for one in taken.values()])


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


DIGITS = model((None, 8, 8, 1))
DENOISER = named(images=((4, 4, 1), "float32"), times=((), "float32"), labels=((), "int32"))
NOISY = {
    "images": np.full((5, 4, 4, 1), -300.5),
    "times": np.linspace(0, 1, 5),
    "labels": np.arange(5),
}


def test_no_sample_says_what_to_give():
    with pytest.raises(ValueError, match=r"must hold real images.*got sample=None.*sample=test_images"):
        check_inputs(None, DIGITS)


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        (np.array([["cat"]]), TypeError, "must hold numbers"),
        (np.zeros((0, 8, 8, 1)), ValueError, r"must hold images of shape \(B, H, W, C\), got shape=\(0, 8"),
        (np.zeros((8, 8, 1)), ValueError, r"input shape \(None, 8, 8, 1\), got shape=\(8, 8, 1\)"),
        (np.zeros((5, 9, 8, 1)), ValueError, r"input shape \(None, 8, 8, 1\), got shape=\(5, 9, 8, 1\)"),
        (np.full((5, 8, 8, 1), 256), ValueError, r"raw pixels in \[0, 255\], got values in \[256, 256\]"),
        (np.full((5, 8, 8, 1), -1.0), ValueError, r"raw pixels in \[0, 255\], got values in \[-1, -1\]"),
        (np.full((5, 8, 8, 1), 0.5), ValueError, "before any scaling"),
    ],
)
def test_what_is_not_raw_pixels_is_refused(images, error, words):
    with pytest.raises(error, match=words):
        check_inputs(images, DIGITS)


def test_nan_pixels_name_the_image():
    images = np.full((5, 8, 8, 1), 9.0)
    images[3, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity in image 3"):
        check_inputs(images, DIGITS)


def test_a_list_of_inputs_is_refused_with_what_to_build():
    with pytest.raises(ValueError, match=r"got a list of 2 inputs\. Build it with names: keras\.Model\(\{"):
        check_inputs(np.zeros((5, 8, 8, 1), np.uint8), model((None, 8, 8, 1), (None, 3)))


def test_an_open_height_takes_the_samples():
    found = check_inputs(np.zeros((5, 9, 7, 1), np.uint8), model((None, None, None, 1)))
    assert found["images"].shape == (5, 9, 7, 1)


def test_videos_are_images_in_time():
    found = check_inputs(np.zeros((5, 3, 8, 8, 1), np.uint8), model((None, 3, 8, 8, 1)))
    assert list(found) == ["images"]


def test_named_inputs_take_the_types_of_the_model_and_may_leave_the_range_of_pixels():
    found = check_inputs(NOISY, DENOISER)
    assert {name: array.dtype.name for name, array in found.items()} == {
        "images": "float32",
        "times": "float32",
        "labels": "int32",
    }
    np.testing.assert_array_equal(found["images"], NOISY["images"])


def test_the_only_input_may_be_given_a_name():
    found = check_inputs({"clips": np.full((5, 8, 8, 1), -2.0)}, DIGITS)
    assert list(found) == ["clips"]


def test_of_a_subclassed_model_the_arrays_tell():
    found = check_inputs({"images": np.arange(3).reshape(3, 1), "words": np.arange(3)}, Subclassed())
    assert {name: array.dtype.name for name, array in found.items()} == {
        "images": "float32",
        "words": "int32",
    }


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (
            {"times": None},
            ValueError,
            r"dict of the model's inputs \['images', 'labels', 'times'\], got \['im",
        ),
        ({"times": np.zeros(4)}, ValueError, r"equally many of every input, got \{'images': 5, .*'times': 4"),
        ({"times": np.full(5, np.nan)}, ValueError, r"`sample\['times'\]` must hold finite .* image 0"),
        (
            {"times": np.zeros((5, 1))},
            ValueError,
            r"`sample\['times'\]` must have the model's input shape \(No",
        ),
        ({"labels": np.zeros(5)}, TypeError, r"`sample\['labels'\]` must hold whole numbers"),
        ({"labels": np.full(5, 2**40)}, ValueError, r"`sample\['labels'\]` must fit into int32"),
    ],
)
def test_wrong_named_inputs_are_refused_by_name(changes, error, words):
    given = {name: array for name, array in {**NOISY, **changes}.items() if array is not None}
    with pytest.raises(error, match=words):
        check_inputs(given, DENOISER)


def test_a_dict_is_needed_where_the_model_takes_one():
    with pytest.raises(ValueError, match=r"dict of the model's inputs .*, got one ndarray"):
        check_inputs(NOISY["images"], DENOISER)


@pytest.mark.parametrize("name", ["a b", "class", "expected_images", "", 3])
def test_a_name_that_is_no_variable_is_refused(name):
    with pytest.raises(ValueError, match="must name inputs like Python's variables"):
        check_inputs({name: np.zeros((5, 8, 8, 1))}, DIGITS)


def test_two_arrays_for_one_input_are_refused():
    with pytest.raises(ValueError, match=r"the one input that `model` takes, got \['a', 'b'\]"):
        check_inputs({"a": np.zeros((5, 8, 8, 1)), "b": np.zeros((5, 8, 8, 1))}, DIGITS)


def test_a_black_image_is_fine():
    check_inputs(np.zeros((1, 8, 8, 1)), DIGITS)
