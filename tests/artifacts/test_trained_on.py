"""What an artifact takes from the data its model was trained on: never what the card says otherwise."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from packaging.version import Version

from l2zoo import Predictor, fit, load, tune_l2, verify
from l2zoo.artifacts import Card, export
from l2zoo.data import load as load_data
from l2zoo.data import provenance
from l2zoo.tasks import Classification, Detection, MultiLabel, Segmentation

layers = keras.layers
NAMES = ("zero", "three", "four")


@pytest.fixture(scope="module")
def digits():
    data = load_data("l2zoo_digits", "train[:120]", classes=["0", "3", "4"])
    return dataclasses.replace(data, class_names=NAMES)


def build(*, classes=3, activation="softmax", name="small"):
    keras.utils.set_random_seed(0)
    parts = [keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Flatten()]
    return keras.Sequential([*parts, layers.Dense(classes, activation=activation)], name=name)


def trained_on(data, model=None, **compiling):
    """A model of which is remembered what `fit` would remember, without the minutes of `fit`."""
    model = model or build()
    if compiling:
        model.compile(**compiling)
    provenance.remember(model, data)
    return model


def written(model, data, folder: Path, **options):
    return export(model, folder, sample=data.arrays()[0][:20], formats=options.pop("formats", []), **options)


@pytest.mark.slow
def test_class_names_task_and_data_reach_the_artifact_without_a_card(digits, tmp_path):
    model = build()
    fit(model, digits, epochs=1, verbose=0)
    artifact = written(model, digits, tmp_path / "a", formats=["tflite"])
    assert artifact.manifest["class_names"] == list(NAMES)
    assert artifact.manifest["task"] == "classification"
    assert artifact.manifest["data"].startswith("Trained on l2zoo_digits train[:120], ")
    said = artifact.manifest["trained_on"]
    assert (said["name"], said["split"], said["shape"]) == ("l2zoo_digits", "train[:120]", [8, 8, 1])
    assert said["parts"] == [["train", 0, 120]]
    assert Predictor(tmp_path / "a").class_names == NAMES
    assert (tmp_path / "a" / "labels.txt").read_text() == "zero\nthree\nfour\n"
    assert "labels.txt" in artifact.manifest["files"]


@pytest.mark.slow
def test_the_model_of_a_search_knows_its_data(digits, tmp_path):
    result = tune_l2(lambda l2: build_with(l2), digits, strengths=[0, 1e-3], folds=2, epochs=1, verbose=False)
    assert written(result.model, digits, tmp_path / "a").manifest["class_names"] == list(NAMES)


def build_with(l2):
    from l2zoo import L2Policy

    return L2Policy.of(l2).apply(build())


def test_the_deployed_model_knows_what_the_trained_one_does(digits, tmp_path):
    task = Classification(NAMES)
    model = trained_on(task.prepared(digits), **task.compiling())
    assert written(task.deployed(model), digits, tmp_path / "a").manifest["class_names"] == list(NAMES)


def test_a_model_out_of_an_artifact_knows_its_data_again(digits, tmp_path):
    model = trained_on(digits)
    written(model, digits, tmp_path / "a")
    loaded = load(tmp_path / "a")
    assert dataclasses.replace(provenance.recall(model), license="") == provenance.recall(loaded)
    content = written(loaded, digits, tmp_path / "b").manifest
    assert content["class_names"] == list(NAMES)
    assert content["trained_on"] == verify(tmp_path / "a").manifest["trained_on"]


def test_what_the_card_says_is_not_replaced(digits, tmp_path):
    card = Card(class_names=["a", "b", "c"], data="Mine.")
    content = written(trained_on(digits), digits, tmp_path / "a", card=card).manifest
    assert (content["class_names"], content["data"]) == (["a", "b", "c"], "Mine.")
    assert content["trained_on"]["name"] == "l2zoo_digits"


def test_a_model_of_features_gets_no_class_names(digits, tmp_path):
    model = trained_on(digits, build(classes=7, activation=None), loss="mse", metrics=[])
    content = written(model, digits, tmp_path / "a").manifest
    assert (content["class_names"], content["task"]) == (None, "regression")
    assert not (tmp_path / "a" / "labels.txt").exists()


def test_names_of_other_than_the_model_s_classes_are_left_out(digits, tmp_path):
    content = written(trained_on(digits, build(classes=5)), digits, tmp_path / "a").manifest
    assert content["class_names"] is None
    assert (tmp_path / "a" / "labels.txt").read_text().split() == list("01234")


def test_a_model_trained_on_arrays_afterwards_is_not_called_by_the_old_names(digits, tmp_path):
    model = trained_on(digits)
    fit(model, digits.arrays(), epochs=1, verbose=0)
    content = written(model, digits, tmp_path / "a").manifest
    assert (content["class_names"], "trained_on" in content) == (None, False)


def test_one_sigmoid_stands_for_the_two_classes_of_its_data(tmp_path):
    data = load_data("l2zoo_digits", "train[:120]", classes=["3", "8"])
    model = trained_on(data, build(classes=1, activation="sigmoid"), loss="binary_crossentropy")
    content = written(model, data, tmp_path / "a").manifest
    assert (content["class_names"], content["task"]) == (["3", "8"], "classification")
    assert (tmp_path / "a" / "labels.txt").read_text() == "3\n8\n"


def test_several_labels_an_image_keep_their_names(tmp_path):
    rng = np.random.default_rng(0)
    data = load_data(
        (rng.integers(0, 256, (12, 8, 8, 1), np.uint8), np.eye(3)[rng.integers(0, 3, 12)]), task="multilabel"
    )
    data = dataclasses.replace(data, class_names=NAMES)
    task = MultiLabel(NAMES)
    model = trained_on(task.prepared(data), build(activation="sigmoid"), **task.compiling())
    content = written(model, data, tmp_path / "a").manifest
    assert (content["class_names"], content["task"]) == (list(NAMES), "classification")
    assert content["outputs"]["output_0"]["kind"] == "multilabel"


def test_masks_keep_the_names_of_their_classes(tmp_path):
    data = load_data("l2zoo_scenes", "train[:8]", task="segmentation")
    x = inputs = keras.Input((64, 64, 3))
    model = keras.Model(inputs, layers.Conv2D(data.num_classes, 1, activation="softmax")(x))
    task = Segmentation(data.class_names)
    trained_on(task.prepared(data), model, **task.compiling())
    content = export(model, tmp_path / "a", sample=data.arrays()[0][:2], formats=[]).manifest
    assert (content["class_names"], content["task"]) == (list(data.class_names), "segmentation")
    assert (tmp_path / "a" / "labels.txt").read_text().splitlines() == list(data.class_names)


@pytest.mark.slow
def test_boxes_keep_the_names_of_their_classes(tmp_path):
    from l2zoo import build_detector

    data = load_data("l2zoo_scenes", "train[:8]", task="detection")
    model = build_detector((64, 64, 3), num_classes=data.num_classes, channels=8, depth=1)
    task = Detection(data.class_names)
    trained_on(task.prepared(data), model, **task.compiling())
    content = export(task.deployed(model), tmp_path / "a", sample=data.arrays()[0][:2], formats=[]).manifest
    assert (content["class_names"], content["task"]) == (list(data.class_names), "detection")


def test_a_name_of_two_lines_is_refused():
    with pytest.raises(ValueError, match=r"`class_names` must be of one line each, got 'a\\nb'"):
        Card(class_names=["a\nb", "c"])


def test_a_spoilt_labels_file_is_found(digits, tmp_path):
    written(trained_on(digits), digits, tmp_path / "a")
    (tmp_path / "a" / "labels.txt").write_text("zero\nfour\nthree\n")
    with pytest.raises(ValueError, match=r"labels\.txt was changed"):
        verify(tmp_path / "a")


def test_artifacts_without_a_labels_file_load_and_verify():
    saved = Path(__file__).parents[2] / "saved_models" / "cnn_digits"
    assert not (saved / "labels.txt").exists()
    written = json.loads((saved / "manifest.json").read_text())["versions"]["keras"]
    if Version(keras.__version__) < Version(written):
        pytest.skip(f"Keras {keras.__version__} does not read what Keras {written} has written")
    assert verify(saved).manifest["class_names"] == [str(digit) for digit in range(10)]
    assert load(saved).output_shape == (None, 10)
