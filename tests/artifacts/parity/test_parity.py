"""The figures of parity, against NumPy and by hand."""

import dataclasses

import numpy as np
import pytest

from l2zoo.artifacts import Limits
from l2zoo.artifacts.parity.parity import Parity, batches, compare
from l2zoo.artifacts.parity.table import parity_table, problems
from l2zoo.tasks.output_kind import OutputKind

INPUTS = {"images": np.zeros((70, 2, 2, 1), np.uint8)}  # three batches
EXACT = {"max_abs_diff": 1e-4}


def answering(outputs):
    """A predict function that hands out the rows of fixed outputs, in order."""
    position = 0

    def predict(inputs):
        nonlocal position
        rows = slice(position, position + len(inputs["images"]))
        position += len(inputs["images"])
        return {name: array[rows] for name, array in outputs.items()}

    return predict


def figures(expected, got, limits=EXACT, **options):
    found = compare(batches(INPUTS, expected), {"tflite": answering(got)}, **options)
    return dataclasses.replace(found["tflite"], limits=limits)


def softmax(logits):
    shares = np.exp(logits)
    return shares / shares.sum(axis=-1, keepdims=True)


def test_figures_equal_numpy_over_all_batches():
    rng = np.random.default_rng(0)
    wanted = softmax(rng.random((70, 10))).astype(np.float32)
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
    equal = {"output_0": np.ones((70, 3)) / 3}
    found = figures(equal, equal, {"max_abs_diff": 0.0})
    assert found == Parity(70, 0.0, 0.0, 1.0, None, 0, {}, {"max_abs_diff": 0.0})
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
    wanted = np.full((70, 2, 2, 2), 0.5)
    answered = wanted + np.array([0, 1e-6]) * (np.arange(70) == 0)[:, None, None, None]
    assert figures({"mask": wanted}, {"mask": answered}).argmax_agreement == 1 - 4 / (70 * 4)


def test_numbers_that_are_no_probabilities_have_classes_only_if_it_is_known():
    wanted = np.random.default_rng(0).normal(size=(70, 4))
    assert figures({"y": wanted}, {"y": wanted}).argmax_agreement is None
    assert figures({"y": wanted}, {"y": wanted}, kinds={"y": OutputKind("logits")}).argmax_agreement == 1.0


def test_the_relative_difference_is_in_standard_deviations_of_the_worst_output():
    rng = np.random.default_rng(0)
    wanted = {"far": rng.normal(100, 5, (70, 3)), "near": rng.normal(0, 1, (70, 3, 3))}
    answered = {name: value + rng.normal(0, 0.1, value.shape) for name, value in wanted.items()}
    expected = max(np.abs(answered[name] - wanted[name]).mean() / wanted[name].std() for name in wanted)
    assert figures(wanted, answered).relative_diff == pytest.approx(expected, rel=1e-9)


def test_metrics_of_model_and_file_are_of_all_examples():
    labels = np.arange(70) % 3
    wanted = np.eye(3)[labels]
    answered = wanted.copy()
    answered[60:] = np.roll(answered[60:], 1, axis=1)

    def measure(outputs):
        return {"accuracy": (outputs.argmax(axis=-1) == labels).mean()}

    found = figures({"output_0": wanted}, {"output_0": answered}, {"metric_drop": 0.01}, measure=measure)
    assert found.metrics == {"accuracy": {"model": 1.0, "file": pytest.approx(60 / 70)}}
    assert found.metric_drop == pytest.approx(10 / 70)
    assert not found.holds


def test_several_outputs_are_measured_by_name():
    outputs = {"boxes": np.zeros((70, 4)), "scores": np.zeros((70, 1))}
    found = figures(outputs, outputs, measure=lambda by_name: {"count": len(by_name["boxes"])})
    assert found.metrics == {"count": {"model": 70, "file": 70}}


@pytest.mark.parametrize(
    ("answer", "error"), [(0.5, TypeError), ({}, TypeError), ({"a": np.nan}, ValueError)]
)
def test_a_measure_of_something_else_is_refused(answer, error):
    with pytest.raises(error, match="`measure` must give finite numbers by name"):
        figures({"y": np.zeros((70, 3))}, {"y": np.zeros((70, 3))}, measure=lambda outputs: answer)


def test_a_drop_of_just_the_limit_is_allowed():
    found = Parity(9, 1.0, 1.0, None, None, 0, {"map": {"model": 0.97, "file": 0.96}}, {"metric_drop": 0.01})
    assert found.holds


@pytest.mark.parametrize(
    ("rounding", "figures", "limits"),
    [
        ("float32", {"metrics": {"a": {"model": 1, "file": 0}}}, {"max_abs_diff": 1e-4}),
        ("float32", {"final_boxes": True, "max_abs_diff": 5e-5}, {"max_abs_diff": 1e-4}),
        ("float32", {"final_boxes": True}, {"mean_abs_diff": 1e-4}),
        (
            "float32",
            {"final_boxes": True, "metrics": {"a": {"model": 1, "file": 1}}},
            {"mean_abs_diff": 1e-4, "metric_drop": pytest.approx(1e-3)},
        ),
        ("float16", {"max_abs_diff": 0.01}, {"max_abs_diff": 0.01}),
        ("float16", {"metrics": {"a": {"model": 1, "file": 1}}}, {"metric_drop": 0.01}),
        ("float16", {"argmax_agreement": 1.0}, {"max_abs_diff": 0.01}),
        ("float16", {"relative_diff": 0.5}, {"relative_diff": 0.01}),
        ("int8", {"metrics": {"a": {"model": 1, "file": 1}}}, {"metric_drop": 0.01}),
        ("int8", {"argmax_agreement": 1.0}, {"argmax_agreement": 0.98}),
        ("int8", {"relative_diff": 0.5}, {"relative_diff": 0.1}),
        (
            "int8",
            {"argmax_agreement": 1.0, "relative_diff": 0.5},
            {"argmax_agreement": 0.98, "relative_diff": 0.1},
        ),
    ],
)
def test_what_decides_depends_on_the_rounding(rounding, figures, limits):
    plain = Parity(9, 1.0, 1.0, None, None, 0)
    assert Limits().of(rounding, dataclasses.replace(plain, **figures)) == limits


def test_boxes_of_one_score_between_which_rounding_decides_are_known_as_such():
    rng = np.random.default_rng(0)
    wanted = {
        "boxes_xyxy": rng.random((70, 5, 4)), "scores": rng.random((70, 5)), "classes": np.ones((70, 5)),
    }  # fmt: skip
    other = {name: part.copy() for name, part in wanted.items()}
    other["boxes_xyxy"][2, 3] += 0.1  # a neighbour that the detector likes as well
    found = figures(wanted, other)
    assert found.final_boxes
    assert found.max_abs_diff == pytest.approx(0.1)
    assert found.mean_abs_diff == pytest.approx(4 * 0.1 / (70 * 5 * 6))
    assert not figures({"y": wanted["scores"]}, {"y": other["scores"]}).final_boxes


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


def test_batches_are_as_exported_and_at_most_32_examples():
    inputs = {**INPUTS, "labels": np.zeros(70, np.int32)}
    fed = [batch for batch, _ in batches(inputs, lambda batch: {"y": batch["images"]})]
    assert [len(batch["labels"]) for batch in fed] == [32, 32, 6]
    assert {(batch["images"].dtype.name, batch["labels"].dtype.name) for batch in fed} == {
        ("float32", "int32")
    }


def test_a_problem_says_the_figures_and_the_worst_image():
    found = Parity(300, 0.0321, 1.1e-4, 0.99666, None, 17, {}, EXACT)
    assert problems({"keras": Parity(300, 0.0, 0.0, 1.0, None, 0, {}, EXACT), "tflite": found}) == [
        "tflite does not answer like the Keras model: the largest absolute difference is 0.0321, at most "
        "0.0001 is allowed. Differences over 300 images: largest 0.0321, mean 0.00011; argmax agrees on "
        "99.66 %; worst at image 17."
    ]


def test_every_broken_limit_is_said():
    limits = {"metric_drop": 0.01, "argmax_agreement": 0.98, "relative_diff": 0.1}
    found = Parity(300, 1.0, 0.5, 0.9, 0.3, 17, {"accuracy": {"model": 0.97, "file": 0.94}}, limits)
    for words in (
        "accuracy falls from 0.97 to 0.94, at most 0.01 is allowed, and argmax agrees on 90 %, at least 98 %",
        "and the mean absolute difference, in standard deviations of the output, is 0.3, at most 0.1 is",
    ):
        assert words in problems({"tflite_int8": found})[0]


def test_the_table_never_rounds_up_to_full_agreement():
    found = {"tflite": Parity(30000, 1e-7, 1e-9, 29999 / 30000, None, 1, {}, EXACT)}
    assert parity_table(found, {"tflite": {"path": "model.tflite", "bytes": 5280}}).markdown().splitlines()[
        -1
    ] == ("| tflite | `model.tflite` | 5,280 | 30000 | 1e-07 | 1e-09 | 99.99 % | max abs diff ≤ 0.0001 |")


def test_the_table_shows_metrics_beside_the_models():
    pair = {"accuracy": {"model": 0.975, "file": 0.9725}}
    found = {"tflite_int8": Parity(400, 0.1, 0.01, 1.0, None, 1, pair, {"metric_drop": 0.01})}
    formats = {"tflite_int8": {"path": "model_int8.tflite", "bytes": 1280}}
    head, _, row = parity_table(found, formats).markdown().splitlines()
    assert head.endswith("| same argmax | accuracy (model 0.9750) | limit |")
    assert row.endswith("| 100 % | 0.9725 | drop ≤ 0.01 |")
