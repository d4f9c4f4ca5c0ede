"""The figures of parity, against NumPy and by hand."""

import numpy as np
import pytest

from l2zoo.artifact.parity import Parity, batches, compare, problems, table

IMAGES = np.zeros((70, 2, 2, 1), np.uint8)  # three batches


def answering(outputs):
    """A predict function that hands out the rows of fixed outputs, in order."""
    position = 0

    def predict(images):
        nonlocal position
        rows = slice(position, position + len(images))
        position += len(images)
        return {name: array[rows] for name, array in outputs.items()}

    return predict


def figures(expected, got, tolerance=1e-4):
    found = compare(batches(IMAGES, expected), {"tflite": answering(got)}, {"tflite": tolerance})
    return found["tflite"]


def test_figures_equal_numpy_over_all_batches():
    rng = np.random.default_rng(0)
    wanted = rng.random((70, 10)).astype(np.float32)
    answered = wanted + rng.normal(0, 1e-2, wanted.shape).astype(np.float32)
    answered[41, 3] += 0.5
    found = figures({"output_0": wanted}, {"output_0": answered})
    difference = np.abs(answered.astype(np.float64) - wanted)
    assert found.images == 70
    assert found.max_abs_diff == pytest.approx(difference.max(), rel=1e-12)
    assert found.mean_abs_diff == pytest.approx(difference.mean(), rel=1e-12)
    assert found.argmax_agreement == (wanted.argmax(1) == answered.argmax(1)).mean()
    assert found.worst_image == 41
    assert not found.holds


def test_equal_answers_hold_with_a_limit_of_zero():
    found = figures({"output_0": np.ones((70, 3))}, {"output_0": np.ones((70, 3))}, tolerance=0.0)
    assert found == Parity(70, 0.0, 0.0, 1.0, 0, 0.0)
    assert found.holds


def test_every_output_counts():
    wanted = {"boxes": np.zeros((70, 4)), "scores": np.zeros((70, 1))}
    answered = {"boxes": np.zeros((70, 4)), "scores": np.zeros((70, 1))}
    answered["scores"][69] = 0.25
    found = figures(wanted, answered)
    assert (found.max_abs_diff, found.worst_image) == (0.25, 69)
    assert found.mean_abs_diff == pytest.approx(0.25 / (70 * 5))


def test_one_number_an_image_has_no_argmax():
    assert figures({"output_0": np.zeros((70, 1))}, {"output_0": np.zeros((70, 1))}).argmax_agreement is None


def test_masks_agree_pixel_by_pixel():
    wanted, answered = np.zeros((70, 2, 2, 3)), np.zeros((70, 2, 2, 3))
    answered[0, 0, 0, 2] = 1e-6
    assert figures({"mask": wanted}, {"mask": answered}).argmax_agreement == 1 - 1 / (70 * 4)


@pytest.mark.parametrize(("who", "words"), [("expected", "The Keras model"), ("got", "tflite")])
def test_nan_is_an_error_that_names_the_image(who, words):
    outputs = {name: np.zeros((70, 3)) for name in ("expected", "got")}
    outputs[who][50, 1] = np.nan
    with pytest.raises(ValueError, match=rf"{words} answers 'y' with NaN or infinity, first for image 50 "):
        figures({"y": outputs["expected"]}, {"y": outputs["got"]})


def test_another_shape_is_an_error():
    with pytest.raises(ValueError, match=r"answers 'y' with shape \(32, 4\), the Keras model with \(32, 3\)"):
        figures({"y": np.zeros((70, 3))}, {"y": np.zeros((70, 4))})


def test_other_outputs_are_an_error():
    with pytest.raises(ValueError, match=r"tflite has outputs \['z'\], the Keras model \['y'\]"):
        figures({"y": np.zeros((70, 3))}, {"z": np.zeros((70, 3))})


def test_batches_are_float32_and_at_most_32_images():
    shapes = [(len(images), images.dtype) for images, _ in batches(IMAGES, lambda images: {"y": images})]
    assert shapes == [(32, np.float32), (32, np.float32), (6, np.float32)]


def test_a_problem_says_the_figures_and_the_worst_image():
    found = Parity(300, 0.0321, 1.1e-4, 0.99666, 17, 1e-4)
    assert problems({"keras": Parity(300, 0.0, 0.0, 1.0, 0, 1e-4), "tflite": found}) == [
        "tflite does not answer like the Keras model: the largest absolute difference over 300 images is "
        "0.0321 (mean 0.00011, argmax agrees on 99.66 %), worst at image 17; at most 0.0001 is allowed."
    ]


def test_the_table_never_rounds_up_to_full_agreement():
    text = table(
        {"tflite": Parity(30000, 1e-7, 1e-9, 29999 / 30000, 1, 1e-4)}, {"tflite": ("model.tflite", 5280)}
    )
    assert text.splitlines()[-1] == (
        "| tflite | `model.tflite` | 5,280 | 30000 | 1e-07 | 1e-09 | 99.99 % | 0.0001 |"
    )
