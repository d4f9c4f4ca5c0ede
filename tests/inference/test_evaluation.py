"""`Predictor.evaluate`: the figures of scikit-learn and of the tasks, for every kind of output."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from scipy.special import expit, softmax
from sklearn import metrics

from l2zoo import Predictor
from l2zoo.data import load
from l2zoo.inference import evaluation_data, judges
from l2zoo.inference.evaluation_data import number_classes, warn_of_training_data
from l2zoo.inference.results import Detected
from l2zoo.tasks import Classification, Detection, Segmentation
from l2zoo.tasks.output_kind import OutputKind
from l2zoo.tasks.scores import calibration_error
from tests.inference import tiny
from tests.inference.kinds import X
from tests.processes import output_of

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, len(X))
TWO = RNG.integers(0, 2, len(X))
SEVERAL = RNG.integers(0, 2, (len(X), 3)).astype("float32")
NUMBERS = RNG.normal(size=(len(X), 2)).astype("float32")


# ---- Figures -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_classifier_of_logits_is_judged_as_scikit_learn_judges(made):
    found = Predictor(made("logits").folder).evaluate((X, LABELS))
    shares = softmax(made("logits").answers.astype("float64"), axis=1)
    said = shares.argmax(axis=1)
    assert found.metrics["accuracy"] == metrics.accuracy_score(LABELS, said)
    assert found.metrics["log_loss"] == pytest.approx(metrics.log_loss(LABELS, shares), abs=1e-5)
    gaps = calibration_error(shares, LABELS, OutputKind("probabilities"))
    assert found.metrics["calibration_error"] == pytest.approx(gaps, abs=1e-5)
    np.testing.assert_array_equal(found.matrix, metrics.confusion_matrix(LABELS, said))
    expected = metrics.precision_recall_fscore_support(LABELS, said, labels=range(3), zero_division=0)
    for name, column in zip(("precision", "recall", "f1", "images"), expected, strict=True):
        np.testing.assert_allclose([row[name] or 0 for row in found.classes], column)
    assert [row["name"] for row in found.classes] == ["a", "b", "c"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "threshold"), [("binary", 0.5), ("binary_logits", 0.8)])
def test_one_number_for_two_classes_is_judged_by_its_threshold(made, name, threshold):
    answers = made(name).answers[:, 0]
    p = answers if name == "binary" else expit(answers)
    found = Predictor(made(name).folder).evaluate((X, TWO))
    assert found.metrics["accuracy"] == metrics.accuracy_score(TWO, p >= threshold)
    np.testing.assert_array_equal(found.matrix, metrics.confusion_matrix(TWO, p >= threshold))
    other = Predictor(made(name).folder, threshold=0.3).evaluate((X, TWO))
    assert other.metrics["accuracy"] == metrics.accuracy_score(TWO, p >= 0.3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "thresholds"), [("multilabel", (0.2, 0.5, 0.9)), ("multilabel_logits", (0.5, 0.5, 0.5))]
)
def test_several_labels_are_judged_by_their_thresholds(made, name, thresholds):
    answers = made(name).answers
    said = (answers if name == "multilabel" else expit(answers)) >= thresholds
    found = Predictor(made(name).folder).evaluate((X, SEVERAL))
    assert found.metrics["f1"] == pytest.approx(
        metrics.f1_score(SEVERAL, said, average="macro", zero_division=0)
    )
    assert found.metrics["label_accuracy"] == pytest.approx(1 - metrics.hamming_loss(SEVERAL, said))
    assert found.metrics["all_right"] == metrics.accuracy_score(SEVERAL, said)
    assert found.matrix is None
    recall = metrics.recall_score(SEVERAL, said, average=None, zero_division=0)
    np.testing.assert_allclose([row["recall"] for row in found.classes], recall)


def test_numbers_are_judged_as_scikit_learn_judges(made):
    found = Predictor(made("values").folder).evaluate((X, NUMBERS))
    answers = made("values").answers
    for name, figure in (
        ("mae", metrics.mean_absolute_error),
        ("rmse", metrics.root_mean_squared_error),
        ("r2", metrics.r2_score),
    ):
        assert found.metrics[name] == pytest.approx(figure(NUMBERS, answers), abs=1e-4)
        second = figure(NUMBERS[:, 1], answers[:, 1])
        assert found.classes[1][name] == pytest.approx(second, abs=1e-4)
    far = (np.abs(answers - NUMBERS) / NUMBERS.std(axis=0)).mean(axis=1)
    assert [one.name for one in found.worst] == [f"#{i}" for i in np.argsort(-far)[:12]]


@pytest.mark.parametrize(("name", "classes"), [("masks of logits", 3), ("masks of two", 2)])
def test_masks_are_judged_as_scikit_learn_judges_labelled_pixels(made, name, classes):
    masks = RNG.integers(0, classes, X.shape[:3]).astype("uint8")
    masks[:, :2] = 255
    answers = made(name).answers
    said = answers.argmax(axis=-1) if classes == 3 else (answers[..., 0] >= 0.5).astype(int)
    true, wanted = masks[masks != 255], said[masks != 255]
    found = Predictor(made(name).folder).evaluate((X, masks))
    iou = metrics.jaccard_score(true, wanted, average=None)
    np.testing.assert_allclose([row["iou"] for row in found.classes], iou)
    assert found.metrics["mean_iou"] == pytest.approx(iou.mean())
    assert found.metrics["dice"] == pytest.approx(metrics.f1_score(true, wanted, average="macro"))
    assert found.metrics["pixel_accuracy"] == pytest.approx(metrics.accuracy_score(true, wanted))


@pytest.mark.slow
def test_figures_are_those_that_the_tasks_measure_on_the_keras_model(classifier, segmenter, detector):
    images = tiny.random_images(40, 8, 8, 3, seed=1)
    data = load((images, np.arange(40) % 3))
    found = Predictor(classifier.folder).evaluate(data)
    assert found.metrics == pytest.approx(
        Classification(tiny.NAMES).measure(classifier.model, data), abs=1e-5
    )
    masks = (images[..., 0] % 3).astype("uint8")
    data = load((images[..., :1], masks), task="segmentation")
    found = Predictor(segmenter.folder).evaluate(data)
    assert found.metrics == pytest.approx(Segmentation(tiny.NAMES).measure(segmenter.model, data), abs=1e-5)
    found, data = boxes_found(detector)
    measured = Detection(tiny.NAMES, strides=(8, 16)).measure(detector.model, data)
    assert found.metrics == pytest.approx(measured, abs=1e-4)
    assert [row["objects"] for row in found.classes] == np.bincount(
        data.arrays()[1]["labels"].ravel()
    ).tolist()
    known = [row["map"] for row in found.classes if row["map"] is not None]
    assert found.metrics["map"] == pytest.approx(np.mean(known))


def boxes_found(detector, **options):
    """What is found where the truth is, of the boxes that the model says, the third; and the data."""
    images = tiny.random_images(8, 32, 32, 3)
    said = {name: np.asarray(part) for name, part in detector.model.predict(images, verbose=0).items()}
    boxes = np.clip(said["boxes_xyxy"][:, 2:4], 0, 32)
    truth = {"boxes_xyxy": boxes, "labels": np.rint(said["classes"][:, 2:4]).astype(int)}
    data = load((images, truth), task="detection")
    return Predictor(detector.folder, **options).evaluate(data), data


# ---- Mistakes of a detector --------------------------------------------------------------------------------

TRUE = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 0, 0]], "f4")
TRUE_LABELS = np.array([0, 1, -1])


@pytest.mark.parametrize(
    ("boxes", "scores", "classes", "mistakes"),
    [
        ([[0, 0, 10, 10], [20, 20, 30, 30]], [0.9, 0.8], [0, 1], 0),
        ([[0, 0, 10, 10]], [0.9], [0], 1),  # one is missed
        ([[0, 0, 10, 10], [0, 0, 10, 9]], [0.9, 0.8], [0, 0], 2),  # one is found twice, and one is missed
        ([[0, 0, 10, 10]], [0.9], [1], 3),  # of another class: it is none, and both are missed
        ([[0, 0, 10, 4]], [0.9], [0], 3),  # too small
        ([[0, 0, 10, 10], [20, 20, 30, 30]], [0.9, 0.2], [0, 1], 1),  # not sure enough
        ([[0, 0, 0, 0]], [0.0], [0], 2),
    ],
)
def test_missed_boxes_and_such_as_are_none_are_the_mistakes_of_an_image(boxes, scores, classes, mistakes):
    judge = judges.BoxJudge(["a", "b"], 0.3)
    outputs = {"boxes_xyxy": [boxes], "scores": [scores], "classes": [classes]}
    outputs = {name: np.array(part, "f4") for name, part in outputs.items()}
    targets = {"boxes_xyxy": TRUE[None], "labels": TRUE_LABELS[None]}
    assert judge.add(outputs, targets).tolist() == [mistakes]


def test_the_overlap_of_boxes_is_that_of_keras():
    corners = RNG.integers(0, 10, (20, 2, 4)).astype("f4")
    pairs = np.concatenate([corners[..., :2], corners[..., :2] + 1 + corners[..., 2:]], axis=-1)
    expected = [
        keras.ops.convert_to_numpy(
            keras.utils.bounding_boxes.compute_iou(one[None], other[None], bounding_box_format="xyxy")
        ).item()
        for one, other in pairs
    ]
    np.testing.assert_allclose([judges.iou(one, other) for one, other in pairs], expected, atol=1e-6)


# ---- The worst, tables, pictures, JSON ---------------------------------------------------------------------


def test_the_worst_images_are_those_whose_true_class_is_least_believed(made):
    found = Predictor(made("logits").folder).evaluate((X, LABELS))
    losses = -np.log(softmax(made("logits").answers.astype("float64"), axis=1)[np.arange(len(X)), LABELS])
    order = np.argsort(-losses)[:12]
    assert [one.name for one in found.worst] == [f"#{i}" for i in order]
    np.testing.assert_allclose([one.error for one in found.worst], losses[order], atol=1e-4)
    assert [one.true for one in found.worst] == ["abc"[LABELS[i]] for i in order]
    np.testing.assert_array_equal(found.worst[0].pixels, X[order[0]])


def test_batches_do_not_change_what_is_found(made):
    predictor = Predictor(made("logits").folder)
    whole, small = (predictor.evaluate((X, LABELS), batch_size=size) for size in (64, 5))
    assert whole.metrics == pytest.approx(small.metrics, abs=1e-6)
    assert [one.name for one in whole.worst] == [one.name for one in small.worst]


def test_everything_goes_into_text_and_json(made, detector):
    found = Predictor(made("logits").folder).evaluate((X, LABELS))
    assert f"accuracy {found.metrics['accuracy']:.4g}" in str(found)
    console = Console(file=io.StringIO(), width=80)
    console.print(found)
    shown = console.file.getvalue()
    assert f"{found.metrics['accuracy']:.4f}" in shown
    assert found.worst[0].name in shown
    content = json.loads(json.dumps(found.to_dict()))
    assert content["metrics"]["accuracy"] == pytest.approx(found.metrics["accuracy"], abs=1e-6)
    assert (content["data"], content["num_examples"], content["format"]) == ("arrays given", 64, "tflite")
    assert np.array(content["confusion"]).sum() == 64
    assert len(content["worst"]) == 12
    assert json.loads(json.dumps(boxes_found(detector)[0].to_dict()))["confusion"] is None


def test_the_card_s_figures_stand_beside(tmp_path):
    from l2zoo.artifacts import Card, export
    from tests.inference.kinds import classifier as build

    said = {"test_accuracy": {"mean": 0.97, "se": 0.01}, "log_loss": 0.5, "epochs": 3}
    card = Card(class_names=("a", "b", "c"))
    export(build(3), tmp_path / "a", sample=X, formats=["tflite"], card=card, metrics=said)
    found = Predictor(tmp_path / "a").evaluate((X, LABELS))
    assert found.exported == {"accuracy": 0.97, "log_loss": 0.5}
    assert "0.9700" in str(found.table())


def test_the_confusion_is_drawn_and_told_in_words(made, tmp_path):
    found = Predictor(made("logits").folder).evaluate((X, LABELS))
    text = found.plot(tmp_path / "said.svg").read_text()
    true, said = divmod(int(np.argmax(found.matrix - np.diag(np.diagonal(found.matrix)))), 3)
    assert f"{'abc'[true]} taken for {'abc'[said]} {found.matrix[true, said]} times" in text
    assert f"Right: {np.trace(found.matrix)} of 64." in text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["logits", "multilabel", "values", "masks of logits"])
def test_the_worst_images_are_drawn_for_every_kind(made, name, tmp_path):
    targets = {"logits": LABELS, "multilabel": SEVERAL, "values": NUMBERS, "masks of logits": X[..., 0] % 3}
    found = Predictor(made(name).folder).evaluate((X, targets[name]))
    text = found.plot(tmp_path / "worst.svg", kind="worst").read_text()
    assert f"{found.worst[0].name}: true {found.worst[0].true}, said " in text
    assert "The worst 12 of 64 images of arrays given." in text


def test_the_worst_boxes_are_drawn_beside_the_true_ones(detector, tmp_path):
    found, _ = boxes_found(detector, min_score=0.0)
    assert found.plot(tmp_path / "worst.png").is_file()
    with pytest.raises(ValueError, match="`kind` must be 'worst' for detection"):
        found.plot(tmp_path / "worst.png", kind="confusion")


def test_where_nothing_is_wrong_there_is_no_picture_of_it():
    from l2zoo.inference import evaluation_plots

    with pytest.raises(ValueError, match="There is no image that the file gets wrong"):
        evaluation_plots.worst([], ["a"], about="3 images")


# ---- Classes by their names --------------------------------------------------------------------------------


def named(names, task="classification", name="mine"):
    data = load((np.zeros((6, 8, 8)), np.arange(6) % len(names)))
    return dataclasses.replace(data, class_names=tuple(names), name=name, num_classes=len(names), task=task)


@pytest.mark.parametrize(
    ("theirs", "numbers"),
    [
        (("a", "b", "c"), [0, 1, 2]),
        (("c", "a", "b"), [2, 0, 1]),
        (("c", "a"), [2, 0]),
    ],
)
def test_classes_are_found_by_their_names_in_any_order(theirs, numbers):
    assert number_classes(named(theirs), ("a", "b", "c")).tolist() == numbers


def test_numbers_that_are_names_are_names():
    assert number_classes(named(("0", "3", "4")), tuple("01234")).tolist() == [0, 3, 4]
    with pytest.raises(ValueError, match=r"which are \[0, 3, 4\], got \[0, 1, 2\]: 1, 2 are not among them"):
        number_classes(named(("0", "1", "2")), ("0", "3", "4"))


def test_classes_without_names_are_found_by_their_numbers():
    arrays = load((np.zeros((4, 8, 8)), np.arange(4) % 2))
    assert number_classes(arrays, ("cat", "dog", "owl")).tolist() == [0, 1]
    assert number_classes(named(("cat", "dog")), ()).tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"which are \[cat\], got \[0, 1\]"):
        number_classes(arrays, ("cat",))


def test_one_unknown_class_is_refused_with_both_lists():
    with pytest.raises(ValueError, match=r"which are \[a, b\], got \[a, fox\]: fox is not among them"):
        number_classes(named(("a", "fox")), ("a", "b"))


def test_data_whose_classes_are_in_another_order_are_judged_alike(made):
    predictor = Predictor(made("logits").folder)
    turned = np.array([2, 0, 1])  # class a of the artifact is class 2 of the data
    data = dataclasses.replace(load((X, turned[LABELS])), class_names=("b", "c", "a"), name="mine")
    assert predictor.evaluate(data).metrics == predictor.evaluate((X, LABELS)).metrics
    rows = predictor.evaluate((X, SEVERAL[:, 0].astype(int))).classes
    assert [row["images"] for row in rows][2] == 0


def test_labels_masks_and_boxes_are_renumbered_each_as_they_are(made, detector):
    predictor = Predictor(made("multilabel").folder)
    data = load((X, SEVERAL[:, [2, 0]]), task="multilabel")
    data = dataclasses.replace(data, class_names=("c", "a"), name="mine")
    assert [row["images"] for row in predictor.evaluate(data).classes] == [
        SEVERAL[:, 0].sum(), 0, SEVERAL[:, 2].sum(),
    ]  # fmt: skip
    masks = np.zeros((len(X), 8, 8), "uint8")
    masks[:, 2:4], masks[:, 4:] = 1, 255
    data = load((X, masks), task="segmentation")
    data = dataclasses.replace(data, class_names=("2", "0"), name="mine")
    rows = Predictor(made("masks of logits").folder).evaluate(data).classes
    assert [row["pixels"] for row in rows] == [16 * len(X), 0, 16 * len(X)]
    _, boxes = boxes_found(detector)
    other = dataclasses.replace(boxes, class_names=("owl", "dog", "cat"), name="mine")
    counts = [row["objects"] for row in Predictor(detector.folder).evaluate(boxes).classes]
    assert [row["objects"] for row in Predictor(detector.folder).evaluate(other).classes] == counts[::-1]


# ---- Folders -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Coloured images of the model's size in class folders, as they come later."""
    folder = tmp_path_factory.mktemp("later")
    for i, pixels in enumerate(tiny.random_images(12, 8, 8, 3, seed=5)):
        place = folder / tiny.NAMES[i % 3]
        place.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(place / f"{i}.png")
    return folder


def test_a_folder_is_judged_as_its_files_are_predicted(classifier, photos):
    predictor = Predictor(classifier.folder)
    files = sorted(photos.glob("*/*.png"))
    said = [one.class_name for one in predictor.predict(files)]
    true = [path.parent.name for path in files]
    for given in (photos, str(photos), f"folder:{photos}", load(f"folder:{photos}", "train")):
        found = predictor.evaluate(given)
        assert found.metrics["accuracy"] == metrics.accuracy_score(true, said)
        np.testing.assert_array_equal(found.matrix, metrics.confusion_matrix(true, said))
        assert {Path(one.name) for one in found.worst} <= set(files)


def test_coloured_files_are_grey_for_a_grey_model_as_in_prediction(made, photos, tmp_path):
    folder = tmp_path / "named"
    for name, ours in zip(tiny.NAMES, "abc", strict=True):
        (folder / ours).mkdir(parents=True)
        for path in (photos / name).iterdir():
            (folder / ours / path.name).write_bytes(path.read_bytes())
    predictor = Predictor(made("logits").folder)
    files = sorted(folder.glob("*/*.png"))
    said = [one.class_name for one in predictor.predict(files)]
    found = predictor.evaluate(folder)
    np.testing.assert_array_equal(
        found.matrix, metrics.confusion_matrix([p.parent.name for p in files], said)
    )


def test_of_a_folder_with_splits_the_test_split_is_judged(classifier, photos, tmp_path):
    for split, count in (("train", 3), ("test", 1)):
        for name in tiny.NAMES:
            (tmp_path / split / name).mkdir(parents=True)
            for path in sorted((photos / name).iterdir())[:count]:
                (tmp_path / split / name / path.name).write_bytes(path.read_bytes())
    predictor = Predictor(classifier.folder)
    assert predictor.evaluate(tmp_path).num_examples == 3
    assert predictor.evaluate(tmp_path, split="train").num_examples == 9
    (tmp_path / "test").rename(tmp_path / "val")
    with pytest.raises(ValueError, match="`split` must name one of train, val in"):
        predictor.evaluate(tmp_path)


# ---- What is refused, or warned of -------------------------------------------------------------------------


def test_data_that_do_not_fit_are_refused_with_the_next_step(made, detector):
    predictor = Predictor(made("logits").folder)
    with pytest.raises(ValueError, match=r"`data` must have images of the size .*\(8, 8\), got \(9, 9\)"):
        predictor.evaluate((np.zeros((3, 9, 9)), np.arange(3)))
    with pytest.raises(ValueError, match="must have images of the 1 channels that the model takes, got 3"):
        predictor.evaluate((np.zeros((3, 8, 8, 3)), np.arange(3)))
    masks = load((X, X[..., 0] % 3), task="segmentation")
    with pytest.raises(ValueError, match="must have targets for classification, got arrays for segmentation"):
        predictor.evaluate(masks)
    with pytest.raises(TypeError, match=r"an ImageData of `l2zoo.data.load`, arrays \(x, y\), .* got int"):
        predictor.evaluate(3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [("masks that overlap", "not for masks that overlap"), ("values of pixels", "for numbers of an image")],
)
def test_what_no_data_have_is_refused(made, name, words):
    with pytest.raises(ValueError, match=words):
        Predictor(made(name).folder).evaluate((X, X))


def test_generators_are_measured_elsewhere():
    for name in ("diffusion_digits", "video_moving_digits"):
        with pytest.raises(ValueError, match=r"`evaluate` is for .* Measure the Keras model"):
            Predictor(name).evaluate((X, LABELS))


def test_data_that_were_trained_on_are_warned_of():
    data = load("l2zoo_digits", "train[100:300]+test")
    trained = {"name": "l2zoo_digits", "split": "train[:150]", "parts": [["train", 0, 150]]}
    with pytest.warns(UserWarning, match="trained on l2zoo_digits train.*shares 50 examples with"):
        warn_of_training_data(data, trained)
    for fine in (
        None,
        {**trained, "name": "mnist"},
        {**trained, "parts": [["train", 0, 100]]},
    ):
        warn_of_training_data(data, fine)


def test_an_artifact_is_not_judged_on_its_training_data_without_a_word(tmp_path):
    from l2zoo.artifacts import export
    from l2zoo.data import provenance
    from tests.inference.kinds import classifier as build

    data = load("l2zoo_digits", "train[:64]")
    model = build(10, "softmax")
    provenance.remember(model, data)
    export(model, tmp_path / "a", sample=data.arrays()[0], formats=["tflite"])
    with pytest.warns(UserWarning, match="shares 64 examples with"):
        Predictor(tmp_path / "a").evaluate(data)


def test_arrays_are_judged_without_keras_and_tensorflow(made):
    code = """
import sys
import numpy as np
from l2zoo import Predictor
x, y = np.load(sys.argv[2]), np.arange(64) % 3
found = Predictor(sys.argv[1]).evaluate((x, y))
found.plot(sys.argv[2] + ".png")
print(sorted({"keras", "tensorflow", "torch", "jax"} & set(sys.modules)), found.num_examples)
"""
    path = made("logits").folder / ".." / "x.npy"
    np.save(path, X)
    printed = output_of([sys.executable, "-c", code, str(made("logits").folder), str(path)])
    assert printed == "[] 64\n"


# ---- From which score on a box is there --------------------------------------------------------------------


def test_boxes_are_said_from_a_score_on(detector):
    images = tiny.random_images(8, 32, 32, 3)
    every = Predictor(detector.folder, min_score=0).predict(images)
    scores = np.concatenate([one.scores for one in every])
    middle = float(np.median(scores))
    assert 0 < (scores >= middle).sum() < len(scores)
    for options, least in (({}, 0.3), ({"min_score": middle}, middle)):
        for one, all_boxes in zip(Predictor(detector.folder, **options).predict(images), every, strict=True):
            kept = all_boxes.scores >= least
            assert (one.min_score, one.names) == (least, list(np.array(all_boxes.names)[kept]))
            np.testing.assert_array_equal(one.boxes_xyxy, all_boxes.boxes_xyxy[kept])


def test_all_boxes_count_in_the_precision_whatever_is_said(detector):
    assert boxes_found(detector, min_score=0.99)[0].metrics == boxes_found(detector, min_score=0)[0].metrics


@pytest.mark.parametrize(("score", "words"), [(1.5, r"must be in \[0, 1\]"), (-1, "finite number >= 0")])
def test_a_score_that_cannot_be_is_refused(detector, score, words):
    with pytest.raises(ValueError, match=words):
        Predictor(detector.folder, min_score=score)


def test_each_task_has_the_threshold_that_it_knows(detector, made):
    with pytest.raises(ValueError, match="or give min_score"):
        Predictor(detector.folder, threshold=0.5)
    with pytest.raises(ValueError, match=r"`min_score` is for boxes, got min_score=0\.5 for classification"):
        Predictor(made("binary").folder, min_score=0.5)


def test_the_surest_boxes_come_first():
    found = Detected(np.zeros((2, 4)), np.array([0.75, 0.5]), np.array([1, 0]), ("a", "b"))
    assert found.top(1) == [("b", 0.75)]
    assert found.top() == [("b", 0.75), ("a", 0.5)]


def test_what_is_read_is_fitted_into_the_size_as_in_training(monkeypatch):
    asked = {}

    def read(source, split, **settings):
        asked.update(settings, source=source, split=split)
        return load((np.zeros((2, 8, 8), "uint8"), np.arange(2)))

    monkeypatch.setattr(evaluation_data, "load", read)
    monkeypatch.setattr(evaluation_data, "split_names", lambda *_, **__: {"train", "test"})
    facts = {"task": "classification", "image_shape": (8, 8, 1), "class_names": ("a", "b"), "data_dir": None}
    evaluation_data.open_data("mnist", split=None, aspect="pad", **facts)
    assert (asked["source"], asked["split"], asked["image_size"]) == ("mnist", "test", (8, 8))
    assert asked["aspect"] == "pad"
    evaluation_data.open_data("mnist", split="train[:2]", aspect="stretch", **facts)
    assert (asked["split"], asked["aspect"]) == ("train[:2]", "stretch")
