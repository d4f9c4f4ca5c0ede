"""What a model is for is said, or read off where there is no doubt, and held against what goes in and out."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from l2zoo.artifacts import Card, export, task_spec


def specs(**shapes):
    return {name: {"shape": [None, *shape], "dtype": "float32"} for name, shape in shapes.items()}


IMAGES = specs(images=(8, 8, 3))
SIDES = {
    "classification": (IMAGES, specs(output_0=(10,))),
    "segmentation": (IMAGES, specs(output_0=(8, 8, 5))),
    "detection": (IMAGES, specs(boxes_xyxy=(9, 4), scores=(9,), classes=(9,))),
    "generation": (specs(images=(8, 8, 3), times=(), labels=()), specs(output_0=(8, 8, 3))),
    "video": (
        specs(frame=(8, 8, 1), state0=(2, 2, 4), state1=(2, 2, 4)),
        specs(next=(8, 8, 1), state0=(2, 2, 4), state1=(2, 2, 4)),
    ),
}


@pytest.mark.parametrize("task", SIDES)
def test_each_task_fits_its_own_models_and_no_others(task):
    assert {name for name, sides in SIDES.items() if task_spec.fits(task, *sides)} == {task}


@pytest.mark.parametrize("task", SIDES)
def test_the_task_is_read_off_where_it_is_sure(task):
    assert task_spec.infer(*SIDES[task], task_spec.TASKS) == task
    sure = task if task in task_spec.BY_SHAPE else None
    assert task_spec.infer(*SIDES[task], task_spec.BY_SHAPE) == sure


def test_values_may_have_any_shape_but_come_from_one_input_of_images():
    for shape in ((10,), (8, 8, 5), (4, 4, 5)):
        assert task_spec.fits("regression", IMAGES, specs(output_0=shape))
    assert not task_spec.fits("regression", IMAGES, specs(output_0=(1,), output_1=(1,)))
    assert not task_spec.fits("regression", specs(x=(8,)), specs(output_0=(1,)))


@pytest.mark.parametrize(
    ("task", "inputs", "outputs"),
    [
        ("classification", specs(a=(8, 8, 3), b=(8, 8, 3)), specs(output_0=(10,))),
        ("classification", specs(x=(8,)), specs(output_0=(10,))),
        ("classification", IMAGES, specs(output_0=(10,), output_1=(10,))),
        ("segmentation", IMAGES, specs(output_0=(4, 4, 5))),
        ("detection", IMAGES, specs(boxes_xyxy=(9, 5), scores=(9,), classes=(9,))),
        ("detection", IMAGES, specs(boxes_xyxy=(), scores=(9,), classes=(9,))),
        ("generation", specs(images=(8, 8, 3), times=(3,)), specs(output_0=(8, 8, 3))),
        ("generation", specs(images=(8, 8, 3), times=()), specs(output_0=(8, 8, 1))),
        ("video", specs(frame=(8, 8, 1)), specs(next=(8, 8, 1))),
        ("video", specs(frame=(8, 8, 1), state0=(2,)), specs(next=(8, 8, 1), state0=(3,))),
        ("video", specs(frame=(8, 8, 1), state0=(2,)), specs(next=(8, 8, 1), state1=(2,))),
        ("painting", IMAGES, specs(output_0=(10,))),
    ],
)
def test_what_is_nearly_a_task_is_none(task, inputs, outputs):
    assert not task_spec.fits(task, inputs, outputs)


def test_an_artifact_says_its_task(written, small_files):
    assert written.manifest["task"] == small_files.manifest["task"] == "classification"


def test_a_task_that_the_model_is_not_for_is_refused(trained, tmp_path):
    words = r"got task='detection' of a model from .*'images': \[None, 8, 8, 1\].* to .*\[None, 10\]"
    with pytest.raises(ValueError, match=words):
        export(
            trained.model, tmp_path / "a", sample=trained.images[:3], formats=[], card=Card(task="detection")
        )
    with pytest.raises(ValueError, match=r"`task` must be one of \['classification', .*got task='painting'"):
        Card(task="painting")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def final_boxes():
    """A model whose outputs are called as those of a detector."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1), name="images")
    x = keras.layers.Flatten()(inputs)
    outputs = {
        "boxes_xyxy": keras.layers.Reshape((2, 4))(keras.layers.Dense(8)(x)),
        "scores": keras.layers.Dense(2, activation="sigmoid")(x),
        "classes": keras.layers.Dense(2)(x),
    }
    return keras.Model(inputs, outputs)


def test_the_classes_of_a_detector_have_names_though_no_output_counts_them(final_boxes, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    names = ["cat", "dog", "owl", "elk"]  # as many as a box has numbers, which are no classes
    artifact = export(final_boxes, tmp_path / "a", sample=images, formats=[], card=Card(class_names=names))
    assert artifact.manifest["task"] == "detection"
    assert artifact.manifest["class_names"] == names
    text = (artifact.folder / "README.md").read_text(encoding="utf-8")
    assert "- classes, in the order of their numbers: cat, dog, owl, elk" in text
    assert artifact.parity["keras"].argmax_agreement is None
