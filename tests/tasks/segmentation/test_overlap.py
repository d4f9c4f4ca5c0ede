from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from l2zoo.tasks.segmentation import overlap
from l2zoo.tasks.segmentation import training_metrics as training

CLASSES = 4
MATRIX = np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])  # rows: truth


def masks(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth `(B, H, W)` with unlabelled pixels, and predictions that are right for most of them."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, CLASSES, (5, 6, 7)).astype(np.uint8)
    predicted = np.where(rng.random(truth.shape) < 0.4, rng.integers(0, CLASSES, truth.shape), truth)
    truth[rng.random(truth.shape) < 0.1] = overlap.UNLABELLED
    return truth, predicted


def one_hot(truth: np.ndarray, num_classes: int = CLASSES) -> np.ndarray:
    """`(..., K)`, 0 for every class where the truth is not labelled."""
    return (truth[..., None] == np.arange(num_classes)).astype("float32")


def probabilities(predicted: np.ndarray) -> np.ndarray:
    """`(..., K)`: any whose largest is the predicted one."""
    rng = np.random.default_rng(9)
    raw = rng.random((*predicted.shape, CLASSES)) + one_hot(predicted)
    return (raw / raw.sum(axis=-1, keepdims=True)).astype("float32")


def test_figures_by_hand():
    """Class 0 has 3 right of 4 true and 3 predicted, class 1 has 2 of 2 and 3, class 2 occurs nowhere."""
    np.testing.assert_allclose(overlap.iou_by_class(MATRIX), [3 / 4, 2 / 3, np.nan])
    np.testing.assert_allclose(overlap.dice_by_class(MATRIX), [6 / 7, 4 / 5, np.nan])
    assert overlap.mean_iou(MATRIX) == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert overlap.mean_dice(MATRIX) == pytest.approx((6 / 7 + 4 / 5) / 2)
    assert overlap.pixel_accuracy(MATRIX) == pytest.approx(5 / 6)


def test_a_class_that_is_only_predicted_counts_as_0():
    matrix = overlap.confusion(np.zeros(4, int), np.array([0, 0, 0, 1]), 3)
    np.testing.assert_allclose(overlap.iou_by_class(matrix), [3 / 4, 0, np.nan])
    assert overlap.mean_iou(matrix) == pytest.approx(3 / 8)


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_scikit_learn(seed):
    truth, predicted = masks(seed)
    labelled = truth != overlap.UNLABELLED
    y = truth[labelled], predicted[labelled]
    matrix = overlap.confusion(truth, predicted, CLASSES)
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix, sklearn_metrics.confusion_matrix(*y))
    np.testing.assert_allclose(overlap.iou_by_class(matrix), sklearn_metrics.jaccard_score(*y, average=None))
    np.testing.assert_allclose(overlap.dice_by_class(matrix), sklearn_metrics.f1_score(*y, average=None))
    assert overlap.pixel_accuracy(matrix) == pytest.approx(sklearn_metrics.accuracy_score(*y))


def test_the_mean_is_that_of_keras():
    truth, predicted = masks()
    metric = keras.metrics.MeanIoU(CLASSES + 2, ignore_class=overlap.UNLABELLED)
    metric.update_state(truth.astype("int32"), predicted.astype("int32"))
    matrix = overlap.confusion(truth, predicted, CLASSES + 2)
    assert overlap.mean_iou(matrix) == pytest.approx(float(metric.result()), abs=1e-6)


def test_the_matrices_of_batches_add_up():
    truth, predicted = masks()
    batches = [overlap.confusion(truth[i : i + 2], predicted[i : i + 2], CLASSES) for i in range(0, 5, 2)]
    np.testing.assert_array_equal(sum(batches), overlap.confusion(truth, predicted, CLASSES))


def test_the_mark_of_unlabelled_pixels_can_be_another_or_none():
    truth, predicted = np.array([0, 1, 2, 1]), np.array([0, 1, 1, 0])
    assert overlap.confusion(truth, predicted, 2, ignore=2).tolist() == [[1, 0], [1, 1]]
    assert overlap.confusion(truth, predicted, 3, ignore=None).sum() == 4


@pytest.mark.parametrize(
    ("truth", "predicted", "text"),
    [
        (np.zeros((2, 3), int), np.zeros((2, 3, 4), int), r"same shape, got \(2, 3\) and \(2, 3, 4\)"),
        (np.array([0, 4]), np.array([0, 0]), r"`masks` must be in \[0, 4\) for num_classes=4, got 4"),
        (np.array([0, 1]), np.array([0, -1]), r"`predicted` must be in \[0, 4\) .* got -1"),
        (np.array([0, 1]), np.array([0.0, 1.0]), "`predicted` must be integers, got dtype=float64"),
    ],
)
def test_what_are_no_masks_is_refused(truth, predicted, text):
    with pytest.raises(ValueError, match=text):
        overlap.confusion(truth, predicted, CLASSES)


@pytest.mark.parametrize("figure", [overlap.mean_iou, overlap.mean_dice, overlap.pixel_accuracy])
def test_without_a_labelled_pixel_there_is_no_figure(figure):
    truth = np.full((2, 3), overlap.UNLABELLED)
    with pytest.raises(ValueError, match="`matrix` must count at least one pixel"):
        figure(overlap.confusion(truth, np.zeros((2, 3), int), CLASSES))


@pytest.mark.backends
def test_training_metrics_are_the_figures_of_the_data_so_far():
    truth, predicted = masks()
    mean_iou, dice = training.training_metrics(CLASSES + 1)
    assert (mean_iou.name, dice.name) == ("mean_iou", "dice")
    wide = np.pad(probabilities(predicted), [(0, 0)] * 3 + [(0, 1)])  # the last class occurs nowhere
    for batch in (slice(0, 2), slice(2, 5)):
        for metric in (mean_iou, dice):
            metric.update_state(one_hot(truth[batch], CLASSES + 1), wide[batch])
        matrix = overlap.confusion(truth[: batch.stop], predicted[: batch.stop], CLASSES + 1)
        assert float(mean_iou.result()) == pytest.approx(overlap.mean_iou(matrix), abs=1e-6)
        assert float(dice.result()) == pytest.approx(overlap.mean_dice(matrix), abs=1e-6)
    mean_iou.reset_state()
    assert float(mean_iou.result()) == 0


def test_mean_iou_is_that_of_keras_with_the_labelled_pixels_as_weights():
    truth, predicted = masks()
    theirs = keras.metrics.OneHotMeanIoU(CLASSES)
    rows = one_hot(truth)
    theirs.update_state(rows, probabilities(predicted), sample_weight=rows.sum(axis=-1).astype("int32"))
    ours = training.MeanIoU(CLASSES)
    ours.update_state(rows, probabilities(predicted))
    assert float(ours.result()) == pytest.approx(float(theirs.result()), abs=1e-6)


@pytest.mark.backends
@pytest.mark.parametrize("axes", [0, 1, 3])
def test_weights_weigh_images_or_pixels(axes):
    """Weight 2 for some is the same as giving them twice."""
    truth, predicted = masks()
    weights = np.random.default_rng(0).integers(1, 3, truth.shape[:axes])
    often = np.broadcast_to(weights.reshape(weights.shape + (1,) * (3 - axes)), truth.shape).ravel()
    expected = overlap.confusion(np.repeat(truth, often), np.repeat(predicted, often), CLASSES)
    metric = training.MeanDice(CLASSES)
    metric.update_state(one_hot(truth), probabilities(predicted), sample_weight=weights)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(metric.matrix), expected)
    assert float(metric.result()) == pytest.approx(overlap.mean_dice(expected), abs=1e-6)


def segmenter() -> keras.Model:
    inputs = keras.Input((6, 7, 1))
    outputs = keras.layers.Conv2D(CLASSES, 3, padding="same", activation="softmax")(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(
        optimizer="sgd",
        loss="categorical_crossentropy",
        metrics=training.training_metrics(CLASSES),
        weighted_metrics=[training.MeanIoU(CLASSES, name="weighted")],
    )
    return model


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_they_count_while_a_model_trains():
    truth, _ = masks()
    model = segmenter()
    images = np.random.default_rng(1).random((*truth.shape, 1)).astype("float32")
    stop = keras.callbacks.EarlyStopping(monitor="val_mean_iou", patience=5)  # mode "auto" knows it goes up
    history = model.fit(
        images,
        one_hot(truth),
        sample_weight=np.random.default_rng(2).random(truth.shape).astype("float32"),
        validation_data=(images, one_hot(truth)),
        batch_size=2,
        epochs=2,
        callbacks=[stop],
        verbose=0,
    ).history
    assert {"mean_iou", "dice", "weighted", "val_mean_iou", "val_dice"} <= set(history)
    assert 0 < history["weighted"][-1] < 1
    predicted = model.predict(images, verbose=0).argmax(axis=-1)
    matrix = overlap.confusion(truth, predicted, CLASSES)
    assert history["val_mean_iou"][-1] == pytest.approx(overlap.mean_iou(matrix), abs=1e-6)
    assert history["val_dice"][-1] == pytest.approx(overlap.mean_dice(matrix), abs=1e-6)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_they_are_saved_and_loaded_with_a_model(tmp_path):
    truth, _ = masks()
    model = segmenter()
    images = np.random.default_rng(1).random((*truth.shape, 1)).astype("float32")
    expected = model.evaluate(images, one_hot(truth), verbose=0, return_dict=True)
    model.save(tmp_path / "segmenter.keras")
    again = keras.saving.load_model(tmp_path / "segmenter.keras")
    found = again.evaluate(images, one_hot(truth), verbose=0, return_dict=True)
    assert found == pytest.approx(expected, abs=1e-6)
    assert set(found) >= {"mean_iou", "dice", "weighted"}


@pytest.mark.backends
def test_a_metric_is_made_again_from_its_config():
    for metric in training.training_metrics(3):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
        assert type(again) is type(metric)
        assert again.get_config() == metric.get_config()


@pytest.mark.backends
def test_masks_instead_of_one_hot_rows_are_refused():
    truth, predicted = masks()
    with pytest.raises(ValueError, match=r"must end in num_classes=4, got shapes \(5, 6, 7\)"):
        training.MeanIoU(CLASSES).update_state(truth, probabilities(predicted))
