"""The three tasks from data to figures, on scenes whose answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from l2zoo.data import load
from l2zoo.data.builtin import scenes
from l2zoo.models.cnn import build_cnn
from l2zoo.models.detector import build_detector
from l2zoo.models.unet import build_unet
from l2zoo.search.tune_l2 import tune_l2
from l2zoo.tasks import Classification, Detection, Segmentation
from l2zoo.tasks.detection import boxes
from l2zoo.tasks.detection.task import STRIDES, batch_targets
from l2zoo.training import fit

DIGITS = [str(digit) for digit in range(10)]
SIDE, COUNT = 64, 8


@pytest.fixture(scope="module")
def some() -> list[scenes.Scene]:
    return list(scenes.scenes("test", side=SIDE, count=COUNT))


@pytest.fixture(scope="module")
def images(some: list[scenes.Scene]) -> np.ndarray:
    """Scenes whose first pixel is their number, so that a model can know the answers by heart."""
    images = np.stack([scene.image for scene in some])
    images[:, 0, 0, 0] = np.arange(COUNT)
    return images


@keras.saving.register_keras_serializable("tests")
class ByHeart(keras.layers.Layer):
    """Gives the row of a table that the first pixel of an image names."""

    def __init__(self, table: np.ndarray, **kwargs: Any):
        super().__init__(**kwargs)
        self.table = table.astype("float32")

    def call(self, images: Any) -> Any:
        numbers = keras.ops.cast(images[:, 0, 0, 0], "int32")
        return keras.ops.take(keras.ops.convert_to_tensor(self.table), numbers, axis=0)


def by_heart(tables: Any) -> keras.Model:
    inputs = keras.Input((SIDE, SIDE, 3))
    return keras.Model(inputs, keras.tree.map_structure(lambda table: ByHeart(table)(inputs), tables))


def logits_of(probabilities: np.ndarray) -> keras.Model:
    """A model that gives logits, and is compiled with the loss that takes them."""
    model = by_heart(np.log(probabilities))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_a_classifier_of_logits_is_measured_by_the_probabilities_made_of_them(
    images: np.ndarray, tmp_path: Path
) -> None:
    shares = np.random.default_rng(0).dirichlet(np.ones(10), COUNT)
    data = load((images, np.arange(COUNT)))
    task = Classification(DIGITS)
    expected = task.measure(by_heart(shares), data)
    assert task.measure(logits_of(shares), data) == pytest.approx(expected, rel=1e-5)
    assert task.picture(logits_of(shares), data, tmp_path / "said.svg").is_file()
    assert task.judging(logits_of(shares), data).output_kind == "logits"


def test_one_sigmoid_is_measured_as_two_classes(images: np.ndarray) -> None:
    from sklearn.metrics import log_loss

    second = np.linspace(0.1, 0.9, COUNT)[:, None]
    labels = np.arange(COUNT) % 2
    model = by_heart(second)
    model.compile("sgd", "binary_crossentropy")
    data = load((images, labels))
    task = Classification(["no", "yes"])
    found = task.measure(model, data)
    expected = {
        "accuracy": ((second[:, 0] >= 0.5) == labels).mean(),
        "log_loss": log_loss(labels, second[:, 0]),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert task.judging(model, data).scores(second, labels)["accuracy"] == expected["accuracy"]
    with pytest.raises(
        ValueError, match=r"'probabilities' must have a number for each of two or more classes"
    ):
        task.scores(second, labels)


def test_a_classifier_whose_answers_could_mean_anything_is_refused(images: np.ndarray) -> None:
    data = load((images, np.arange(COUNT)))
    odd = by_heart(np.full((COUNT, 10), 0.5))
    with pytest.raises(ValueError, match=r"whether the answers of .* are probabilities, logits or sigmoids"):
        Classification(DIGITS).measure(odd, data)


def test_a_segmenter_of_logits_or_of_two_classes_is_measured(images: np.ndarray) -> None:
    truth = np.random.default_rng(0).integers(0, 2, (COUNT, SIDE, SIDE))
    data = load((images, truth), task="segmentation")
    task = Segmentation(["ground", "road"])
    logits = by_heart(np.stack([-3.0 * truth, 3.0 * truth], axis=-1))
    logits.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    two = by_heart(truth[..., None] * 0.8 + 0.1)
    two.compile("sgd", "binary_crossentropy")
    assert task.measure(logits, data)["mean_iou"] == task.measure(two, data)["mean_iou"] == 1


def test_a_classifier_is_measured_and_drawn(images: np.ndarray, tmp_path: Path) -> None:
    labels = np.arange(COUNT)
    right = np.full((COUNT, 10), 0.01)
    right[np.arange(COUNT), labels] = 0.91
    right[0] = [0.05, *[0.005] * 8, 0.91]  # takes 0 for 9
    data, task = load((images, labels)), Classification(DIGITS)
    found = task.measure(by_heart(right), data)
    assert found["accuracy"] == pytest.approx(7 / 8)
    assert found["top5"] == 1.0
    assert found["log_loss"] == pytest.approx(-(7 * np.log(0.91) + np.log(0.05)) / 8, rel=1e-4)
    assert task.picture(by_heart(right), data, tmp_path / "p.png").stat().st_size > 10_000


def test_labels_become_one_hot(images: np.ndarray) -> None:
    data = load((images, np.arange(COUNT)))
    x, y = Classification(DIGITS).prepared(data).arrays()
    np.testing.assert_array_equal(x, images)
    np.testing.assert_array_equal(y, np.eye(10)[:COUNT])


@pytest.mark.slow
def test_a_segmenter_that_knows_all_but_one_digit_is_told_so(
    images: np.ndarray, some: list[scenes.Scene], tmp_path: Path
) -> None:
    masks = np.stack([scene.semantic for scene in some])
    present = sorted(set(np.unique(masks)))
    lost = present[-1]
    found = np.eye(11)[np.where(masks == lost, 0, masks)]
    data = load((images, masks), task="segmentation")
    task = Segmentation(["background", *DIGITS])
    measured = task.measure(by_heart(found), data)
    background, gone = (masks == 0).sum(), (masks == lost).sum()
    ious = [background / (background + gone), *[1.0] * (len(present) - 2), 0.0]
    assert measured["mean_iou"] == pytest.approx(np.mean(ious))
    assert measured["pixel_accuracy"] == pytest.approx(1 - gone / masks.size)
    assert task.picture(by_heart(found), data, tmp_path / "p.png").stat().st_size > 10_000


def test_pixels_without_a_label_become_zero_for_every_class(images: np.ndarray) -> None:
    masks = np.zeros((COUNT, SIDE, SIDE), "uint8")
    masks[0, 0] = 255
    masks[1, 1] = 1
    data = load((images, masks), task="segmentation")
    _, y = Segmentation(["background", "line"]).prepared(data).arrays()
    assert y.shape == (COUNT, SIDE, SIDE, 2)
    assert y[0, 0].sum() == 0
    assert (y[1, 1] == [0, 1]).all()
    assert y.sum() == masks.size - SIDE


def objects_of(some: list[scenes.Scene]) -> dict[str, list[np.ndarray]]:
    return {
        "boxes_xyxy": [scene.boxes_xyxy.astype("float32") for scene in some],
        "labels": [scene.labels for scene in some],
    }


@pytest.mark.slow
def test_a_detector_that_answers_its_targets_is_perfect(
    images: np.ndarray, some: list[scenes.Scene], tmp_path: Path
) -> None:
    data = load((images, objects_of(some)), task="detection")
    task = Detection(DIGITS)
    _, wanted = task.prepared(data).arrays()
    classes = wanted["class_logits"][..., 0]
    answers = {
        "class_logits": np.where(classes[..., None] == np.arange(10), 8.0, -20.0),
        "sides": wanted["sides"][..., :4],
        "centerness_logits": 8 * wanted["centerness_logits"] - 4,
    }
    measured = task.measure(by_heart(answers), data)
    assert measured == pytest.approx({"map": 1.0, "map50": 1.0, "map75": 1.0})
    assert task.picture(by_heart(answers), data, tmp_path / "p.png").stat().st_size > 10_000


def test_every_place_gets_its_target_and_padding_gives_none(some: list[scenes.Scene]) -> None:
    where = boxes.places(SIDE, SIDE, strides=STRIDES)
    corners, labels = np.zeros((2, 3, 4), "float32"), np.full((2, 3), -1)
    corners[0, 1], labels[0, 1] = some[0].boxes_xyxy[0], some[0].labels[0]  # padding before it too
    found = batch_targets(corners, labels, where)
    alone = boxes.place_targets(some[0].boxes_xyxy[:1], some[0].labels[:1], where)
    np.testing.assert_array_equal(found["class_logits"][0, :, 0], alone.classes)
    np.testing.assert_array_equal(found["sides"][0, :, :4], alone.sides)
    np.testing.assert_array_equal(found["sides"][0, :, 4], alone.centerness)
    assert (found["class_logits"][1] == boxes.NOTHING).all()
    assert not found["centerness_logits"][1].any()


def test_training_batches_are_augmented_and_those_of_validation_are_not(images: np.ndarray) -> None:
    prepared = Classification(DIGITS).prepared(load((images, np.arange(COUNT))), augment="shift")
    plain = next(iter(prepared.once(COUNT)))[0].numpy()
    np.testing.assert_array_equal(plain, images)
    changed, labels = next(iter(prepared.training(COUNT, seed=0, start_epoch=0)))
    original = images[labels.numpy().argmax(axis=1)]
    assert (changed.numpy() != original).any()


def test_augmented_batches_joined_late_are_those_of_an_uninterrupted_run(
    images: np.ndarray, some: list[scenes.Scene]
) -> None:
    data = load((images, objects_of(some)), task="detection")
    prepared = Detection(DIGITS).prepared(data, augment="shift")
    whole = list(prepared.training(3, seed=4, start_epoch=0).take(9))[6:]  # 3 batches an epoch
    late = list(prepared.training(3, seed=4, start_epoch=2).take(3))
    for one, other in zip(keras.tree.flatten(whole), keras.tree.flatten(late), strict=True):
        np.testing.assert_array_equal(one, other)


def test_data_of_another_task_or_of_more_classes_is_refused(images: np.ndarray) -> None:
    labels, masks = load((images, np.arange(COUNT))), np.zeros((COUNT, SIDE, SIDE), "uint8")
    with pytest.raises(ValueError, match=r"targets for segmentation, got arrays for classification: load it"):
        Segmentation(["ground", "digit"]).prepared(labels)
    masks[0], masks[1] = 2, 1
    with pytest.raises(ValueError, match="`data` has 3 classes, the task 2 `class_names`"):
        Segmentation(["ground", "digit"]).prepared(load((images, masks), task="segmentation"))
    with pytest.raises(TypeError, match=r"must be an ImageData from l2zoo\.data\.load, got tuple"):
        Classification(DIGITS).measure(by_heart(np.eye(10)[:COUNT]), (images, np.arange(COUNT)))


def test_a_model_of_other_classes_is_refused_before_training(images: np.ndarray) -> None:
    task = Classification(DIGITS)
    model = by_heart(np.full((COUNT, 4), 0.25))
    with pytest.raises(ValueError, match=r"has 10 classes, but the model has 4\. Build it with"):
        fit(model, task.prepared(load((images, np.arange(COUNT)))), epochs=1, **task.compiling())


@pytest.fixture(scope="module")
def tasks(images: np.ndarray, some: list[scenes.Scene]) -> dict[str, tuple[Any, Any]]:
    """A task and its data, each with ten classes (and the background)."""
    masks = np.stack([scene.semantic for scene in some])
    return {
        "classification": (Classification(DIGITS), load((images, np.arange(COUNT)))),
        "segmentation": (
            Segmentation(["background", *DIGITS]),
            load((images, masks), task="segmentation"),
        ),
        "detection": (Detection(DIGITS), load((images, objects_of(some)), task="detection")),
    }


@pytest.fixture(scope="module")
def models() -> dict[str, keras.Model]:
    shape = (SIDE, SIDE, 3)
    return {
        "classification": build_cnn(shape, num_classes=10),
        "segmentation": build_unet(shape, num_classes=11, filters=(4, 4)),
        "detection": build_detector(shape, num_classes=10, channels=8, depth=1),
    }


PAIRS = [
    (task, model)
    for task in ("classification", "segmentation", "detection")
    for model in ("classification", "segmentation", "detection")
    if task != model
]


@pytest.mark.parametrize(("task", "model"), PAIRS)
def test_a_model_of_another_task_is_told_so_before_it_trains_or_answers(
    task: str, model: str, tasks: dict[str, Any], models: dict[str, keras.Model], tmp_path: Path
) -> None:
    mine, data = tasks[task]
    message = rf"`model` must be for {task}, with outputs .*, got .*list_models\(task='{task}'\)"
    with pytest.raises(ValueError, match=message):
        fit(models[model], mine.prepared(data), epochs=1, **mine.compiling())
    with pytest.raises(ValueError, match=message):
        mine.measure(models[model], data)
    with pytest.raises(ValueError, match=message):
        mine.picture(models[model], data, tmp_path / "p.png")


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_bare_images_for_a_model_of_another_task_are_refused(
    task: str, tasks: dict[str, Any], models: dict[str, keras.Model]
) -> None:
    other = {"classification": "segmentation", "segmentation": "classification"}[task]
    with pytest.raises(ValueError, match=f"`model` must be for {task}, with outputs"):
        fit(models[other], tasks[task][1], epochs=1, loss="sparse_categorical_crossentropy")


@pytest.mark.parametrize("task", ["classification", "segmentation", "detection"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[..., :1], r"model's shape \(64, 64, 3\), got \(64, 64, 1\), grey images for a colour"),
        (lambda x: x[:, :48, :48], r"model's shape \(64, 64, 3\), got \(48, 48, 3\)\. Resize them, or build"),
    ],
)
def test_images_that_the_model_is_not_for_are_refused_when_it_is_measured_or_drawn(
    task: str,
    change: Any,
    message: str,
    tasks: dict[str, Any],
    models: dict[str, keras.Model],
    images: np.ndarray,
    tmp_path: Path,
) -> None:
    mine, data = tasks[task]
    x, targets = change(images), data.arrays()[1]
    if task == "segmentation":
        targets = targets[:, : x.shape[1], : x.shape[2]]
    if task == "detection":
        first = np.array([[4.0, 4.0, 20.0, 20.0]], "float32")
        targets = {"boxes_xyxy": [first] * COUNT, "labels": [np.array([3])] * COUNT}
    wrong = load((x, targets), task=task)
    with pytest.raises(ValueError, match=message):
        mine.measure(models[task], wrong)
    with pytest.raises(ValueError, match=message):
        mine.picture(models[task], wrong, tmp_path / "p.png")
    with pytest.raises(ValueError, match=message):
        fit(models[task], mine.prepared(wrong), epochs=1, **mine.compiling())


@pytest.mark.parametrize("task", ["classification", "segmentation", "detection"])
def test_a_model_of_other_classes_than_the_task_is_not_measured(
    task: str, tasks: dict[str, Any], models: dict[str, keras.Model]
) -> None:
    mine = type(tasks[task][0])([f"class {number}" for number in range(12)])
    known = 11 if task == "segmentation" else 10
    message = rf"The task has 12 classes, but the model has {known}\. Build it with num_classes=12"
    with pytest.raises(ValueError, match=message):
        mine.measure(models[task], tasks[task][1])


def test_a_detector_of_too_few_classes_does_not_train_the_others_as_background(
    images: np.ndarray, tasks: dict[str, Any]
) -> None:
    mine, data = tasks["detection"]
    blind = build_detector((SIDE, SIDE, 3), num_classes=1, channels=8, depth=1)
    with pytest.raises(ValueError, match=r"`data` has 10 classes, but the model has 1\. Build it with"):
        fit(blind, mine.prepared(data), epochs=1, **mine.compiling())
    x, y = mine.prepared(data).arrays()
    highest = int(y["class_logits"].max())
    message = rf"`data` has the class {highest}, but the model knows 1, .* num_classes={highest + 1} or more"
    with pytest.raises(ValueError, match=message):
        fit(blind, (x, y), epochs=1, **mine.compiling())


@pytest.mark.slow
def test_a_search_refuses_a_detector_of_too_few_classes_too(tasks: dict[str, Any]) -> None:
    mine, data = tasks["detection"]

    def build(l2: float) -> keras.Model:
        model = build_detector((SIDE, SIDE, 3), num_classes=1, channels=8, depth=1, l2=l2)
        model.compile("adam", **mine.compiling())
        return model

    with pytest.raises(ValueError, match=r"`data` has the class \d, but the model knows 1, .* num_classes="):
        tune_l2(build, mine.prepared(data), strengths=[1e-4], folds=2, epochs=1, objective="val_data_loss")


def test_strides_that_are_not_those_of_the_detector_are_named(
    tasks: dict[str, Any], models: dict[str, keras.Model]
) -> None:
    mine, data = Detection(DIGITS, strides=(8, 16)), tasks["detection"][1]
    places, others = 8**2 + 4**2, 16**2 + 8**2 + 4**2
    message = rf"stand for {places} places, but the detector has {others}\. Give Detection\(strides=\.\.\.\)"
    with pytest.raises(ValueError, match=message):
        mine.measure(models["detection"], data)
    with pytest.raises(ValueError, match=message):
        fit(models["detection"], mine.prepared(data), epochs=1, **mine.compiling())
