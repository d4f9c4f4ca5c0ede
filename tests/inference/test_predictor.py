"""A predictor answers like the Keras model, in the images' own coordinates, in a process without Keras."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import l2zoo
from l2zoo.artifacts import manifest
from l2zoo.data.preprocessing.resizing import resize
from l2zoo.inference import Classified, Detected, Segmented
from l2zoo.tasks.diffusion.keras_sampling import sample
from l2zoo.tasks.video.keras_rollout import Stepper
from tests.inference.tiny import NAMES, exported, random_images


def seen(image, size):
    """An image as training would have resized it, as a batch."""
    return np.asarray(resize(image, size))[None].astype("float32")


def test_a_classifier_says_class_names_and_probabilities(classifier):
    images = random_images(5, 8, 8, 3, seed=1)
    predictor = l2zoo.Predictor(classifier.folder)
    assert (predictor.task, predictor.format, predictor.class_names) == ("classification", "tflite", NAMES)
    found = predictor.predict(images)
    expected = classifier.model.predict_on_batch(images.astype("float32"))
    np.testing.assert_allclose([one.probabilities for one in found], expected, atol=1e-6)
    assert [one.class_name for one in found] == [NAMES[i] for i in expected.argmax(axis=1)]
    assert [one.probability for one in found] == pytest.approx(expected.max(axis=1))
    assert len({one.class_name for one in found}) > 1


def test_an_image_of_another_size_is_resized_as_in_training(classifier):
    image = random_images(37, 23, 3)
    (found,) = l2zoo.Predictor(classifier.folder).predict(image)
    expected = classifier.model.predict_on_batch(seen(image, (8, 8)))[0]
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)


def test_arrays_pillow_images_and_files_of_any_size_in_one_list_answer_alike(classifier, tmp_path):
    image = random_images(20, 30, 3)
    Image.fromarray(image).save(tmp_path / "image.png")
    given = [image, image.astype("float64"), Image.fromarray(image), tmp_path / "image.png"]
    given += [str(tmp_path / "image.png"), random_images(8, 8, 3)]
    found = l2zoo.Predictor(classifier.folder).predict(given, batch_size=4)
    assert len(found) == 6
    for one in found[2:5]:
        np.testing.assert_array_equal(one.probabilities, found[0].probabilities)
    # Bytes are rounded when they are resized, floats are not.
    np.testing.assert_allclose(found[1].probabilities, found[0].probabilities, atol=0.05)


def test_more_threads_answer_the_same(classifier):
    images = random_images(3, 8, 8, 3)
    one, two = (l2zoo.Predictor(classifier.folder, threads=count).predict(images) for count in (1, 2))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_allclose(first.probabilities, second.probabilities, atol=1e-6)


def test_bytes_in_and_out_of_an_int8_file_are_converted_by_the_numbers_in_it(classifier):
    images = random_images(40, 8, 8, 3, seed=2)
    whole = l2zoo.Predictor(classifier.folder, format="tflite_int8")
    assert whole.format == "tflite_int8"
    found = np.array([one.probabilities for one in whole.predict(images)])
    expected = classifier.model.predict_on_batch(images.astype("float32"))
    np.testing.assert_allclose(found, expected, atol=0.1)
    np.testing.assert_allclose(found * 256, np.rint(found * 256), atol=1e-4)  # softmax is in 256ths in int8


def test_a_mask_has_the_size_of_the_image(segmenter):
    image = random_images(16, 24, 1)
    (found,) = l2zoo.Predictor(segmenter.folder).predict(image)
    classes = segmenter.model.predict_on_batch(seen(image, (8, 8)))[0].argmax(axis=-1)
    assert found.mask.dtype == np.uint8
    np.testing.assert_array_equal(found.mask, classes.repeat(2, axis=0).repeat(3, axis=1))
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.shares[NAMES[0]] == pytest.approx((classes == 0).mean())


def test_boxes_are_those_of_the_image(detector):
    image = random_images(64, 96, 3, seed=4)
    (found,) = l2zoo.Predictor(detector.folder).predict(image)
    expected = {
        name: part[0] for name, part in detector.model.predict_on_batch(seen(image, (32, 32))).items()
    }
    there = expected["scores"] > 0
    assert there.sum() == 5
    np.testing.assert_allclose(found.scores, expected["scores"][there], atol=1e-4)
    np.testing.assert_allclose(found.boxes_xyxy, expected["boxes_xyxy"][there] * [3, 2, 3, 2], atol=1e-2)
    assert found.names == [NAMES[i] for i in expected["classes"][there]]


@pytest.mark.parametrize(
    ("labels", "guidance"), [pytest.param(None, 1.0, marks=pytest.mark.slow), ([0, 1, 2, 1, 0], 2.0)]
)
def test_the_file_draws_what_the_model_draws(denoiser, labels, guidance):
    settings = {"steps": 10, "labels": labels, "guidance": guidance, "seed": 3}
    drawn = l2zoo.Predictor(denoiser.folder).sample(5, batch_size=2, **settings)
    expected = sample(denoiser.model, 5, progress=False, **settings)
    assert drawn.shape == (5, 8, 8, 1)
    assert drawn.dtype == np.uint8
    assert drawn.std() > 10
    assert np.abs(drawn.astype(float) - expected.astype(float)).mean() <= 1  # of 255


@pytest.mark.slow
def test_the_file_continues_clips_as_the_model_does(stepper):
    frames = random_images(3, 4, 16, 16, 1)
    found = l2zoo.Predictor(stepper.folder).generate(frames, 6, batch_size=2)
    expected = Stepper(stepper.model).rollout(frames, 6)
    assert found.shape == (3, 6, 16, 16, 1)
    assert found.std() > 1
    assert np.abs(found - expected).mean() <= 1  # of 255


def test_progress_is_shown_where_it_is_wanted(denoiser, stepper, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # Rich takes any stream for a terminal then
    drawing, going_on = l2zoo.Predictor(denoiser.folder), l2zoo.Predictor(stepper.folder)
    frames = random_images(3, 4, 16, 16, 1)
    drawing.sample(3, steps=2), going_on.generate(frames, 2)
    assert capsys.readouterr().err == ""
    drawing.sample(3, steps=2, batch_size=2, progress=True)
    assert "4/4" in capsys.readouterr().err
    going_on.generate(frames, 2, batch_size=2, progress=True)
    assert "10/10" in capsys.readouterr().err  # two batches, each of 3 frames looked at and 2 added


def test_results_are_frozen_and_go_through_json(classifier, segmenter, detector):
    (one,) = l2zoo.Predictor(classifier.folder).predict(random_images(8, 8, 3))
    said = json.loads(json.dumps(one.to_dict()))
    assert said["class_name"] == said["classes"][0]["name"] == one.class_name
    assert [row["probability"] for row in said["classes"]] == sorted(one.probabilities.round(6), reverse=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.class_names = ()
    (one,) = l2zoo.Predictor(segmenter.folder).predict(random_images(4, 4, 1))
    said = json.loads(json.dumps(one.to_dict()))
    assert np.array_equal(said["mask"], one.mask)
    (one,) = l2zoo.Predictor(detector.folder).predict(random_images(32, 32, 3))
    said = json.loads(json.dumps(one.to_dict()))
    assert [row["class_name"] for row in said["objects"]] == one.names
    assert all(len(row["box_xyxy"]) == 4 for row in said["objects"])


def test_results_by_hand():
    (first, second) = Classified(np.array([0.2, 0.5, 0.3], np.float32), NAMES).top(2)
    assert first == ("dog", 0.5)
    assert second == ("owl", pytest.approx(0.3))
    assert Segmented(np.array([[0, 0], [0, 2]]), NAMES).to_dict() == {
        "class_names": list(NAMES), "shares": {"cat": 0.75, "owl": 0.25}, "mask": [[0, 0], [0, 2]]
    }  # fmt: skip
    unnamed = Detected(np.array([[1.0, 2, 3, 4]]), np.array([0.5]), np.array([7]), ())
    assert unnamed.to_dict() == {
        "objects": [{"class_name": "7", "score": 0.5, "box_xyxy": [1.0, 2.0, 3.0, 4.0]}]
    }


def test_no_process_that_predicts_loads_keras_or_tensorflow(classifier, denoiser, stepper):
    code = (
        "import sys, numpy as np, l2zoo\n"
        "one, two, three = map(l2zoo.Predictor, sys.argv[1:])\n"
        "print(one.predict(np.full((9, 9, 3), 99, np.uint8))[0].class_name)\n"
        "two.sample(1, steps=1), three.generate(np.zeros((1, 2, 16, 16, 1)), 1)\n"
        "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'scipy', 'sklearn', 'matplotlib', 'rich'}\n"
        "heavy |= {'l2zoo.data.load', 'l2zoo.inference.evaluation', 'l2zoo.inference.plots'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    folders = [str(made.folder) for made in (classifier, denoiser, stepper)]
    done = subprocess.run([sys.executable, "-c", code, *folders], capture_output=True, text=True, check=True)
    name, heavy = done.stdout.split("\n", 1)
    assert name in NAMES
    assert heavy.strip() == "[]"


# ---- What is refused ---------------------------------------------------------------------------------------


def test_a_predictor_is_refused_what_the_folder_does_not_have(classifier):
    words = (
        r"one of \['tflite', 'tflite_int8'\], which run here, got format='onnx'.* has \['keras', 'tflite', "
    )
    with pytest.raises(ValueError, match=words):
        l2zoo.Predictor(classifier.folder, format="onnx")
    with pytest.raises(ValueError, match=r"got format='keras'"):
        l2zoo.Predictor(classifier.folder, format="keras")
    with pytest.raises(ValueError, match=r"`threads` must be a whole number >= 1, got threads=0"):
        l2zoo.Predictor(classifier.folder, threads=0)
    with pytest.raises(TypeError, match=r"`threads` must be a whole number >= 1, got threads='two'"):
        l2zoo.Predictor(classifier.folder, threads="two")
    with pytest.raises(TypeError, match="`name_or_folder` must be a name or a path, got int"):
        l2zoo.Predictor(3)


def test_every_method_belongs_to_its_task(classifier, denoiser, stepper):
    with pytest.raises(ValueError, match=r"`sample` is not for classification.* Call `predict`"):
        l2zoo.Predictor(classifier.folder).sample(3)
    with pytest.raises(ValueError, match=r"`predict` is not for generation.* Call `sample`"):
        l2zoo.Predictor(denoiser.folder).predict(np.zeros((8, 8, 1)))
    with pytest.raises(ValueError, match=r"`predict` is not for video.* Call `generate`"):
        l2zoo.Predictor(stepper.folder).predict(np.zeros((8, 8, 1)))


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        ([], ValueError, "must hold at least one image, got none"),
        (np.zeros((0, 8, 8, 3)), ValueError, "must hold at least one image, got none"),
        (np.zeros((8, 8, 1)), ValueError, r"Image 0 of `images` must have shape \(H, W, 3\)"),
        (np.zeros((2, 8, 8, 4)), ValueError, r"Image 0 of `images` must have shape \(H, W, 3\)"),
        (np.zeros((8, 8)), ValueError, r"Image 0 of `images` must have shape \(H, W, 3\)"),
        (np.zeros((0, 8, 3)), ValueError, r"must have shape \(H, W, 3\)"),
        (np.zeros(8), ValueError, r"must have shape \(H, W, C\) or \(B, H, W, C\), got shape=\(8,\)"),
        ([np.zeros((8, 8, 3)), np.full((8, 8, 3), np.nan)], ValueError, "Image 1 .* NaN or infinity"),
        (np.full((8, 8, 3), 256), ValueError, r"raw pixels in \[0, 255\], got values in \[256, 256\]"),
        (np.full((8, 8, 3), -1), ValueError, r"raw pixels in \[0, 255\]"),
        (np.full((8, 8, 3), 0.5), ValueError, "ass them before any scaling"),
        (np.full((8, 8, 3), "x"), TypeError, "Image 0 of `images` must hold numbers"),
        (np.full((8, 8, 3), True), TypeError, "must hold numbers, got dtype=bool"),
        (None, TypeError, "must be arrays, Pillow images or paths, one or a list, got NoneType"),
        (b"GIF89a", TypeError, "got bytes"),
        ([None], TypeError, "Image 0 of `images` must be an array, a Pillow image or a path, got NoneType"),
        ("no/such.png", FileNotFoundError, "must be paths of image files, got 'no/such.png'"),
        (".", ValueError, "must be a folder with images"),
    ],
)
def test_what_is_no_image_is_a_clear_error(classifier, images, error, words):
    with pytest.raises(error, match=words):
        l2zoo.Predictor(classifier.folder).predict(images)


def test_bad_clips_and_labels_are_clear_errors(denoiser, stepper):
    predictor = l2zoo.Predictor(stepper.folder)
    with pytest.raises(ValueError, match=r"`frames` must be of shape \(H, W, C\)=\(16, 16, 1\)"):
        predictor.generate(np.zeros((1, 2, 8, 8, 1)), 1)
    with pytest.raises(ValueError, match="NaN or infinity"):
        predictor.generate(np.full((1, 2, 16, 16, 1), np.nan), 1)
    with pytest.raises(TypeError, match="`frames` must hold numbers"):
        predictor.generate(np.full((1, 2, 16, 16, 1), "x"), 1)
    with pytest.raises(ValueError, match=r"`labels` must be in \[0, 3\), got 3"):
        l2zoo.Predictor(denoiser.folder).sample(1, labels=3)
    with pytest.raises(ValueError, match="`n` must be a whole number >= 1"):
        l2zoo.Predictor(denoiser.folder).sample(0)


@pytest.mark.parametrize("names", [NAMES[:2], (*NAMES, "fox")])
def test_a_denoiser_is_not_exported_with_more_or_fewer_names_than_classes(denoiser, names, tmp_path):
    sample = {"images": random_images(2, 8, 8, 1), "times": np.ones(2), "labels": np.array([0, 3])}
    with pytest.raises(
        ValueError, match=rf"must name the 3 classes that the model draws, got {len(names)} n"
    ):
        exported(denoiser.model, tmp_path / "named", sample, names=names, task="generation")
    assert not (tmp_path / "named").exists()


def test_an_artifact_that_does_not_name_the_classes_of_its_labels_does_not_draw(denoiser, tmp_path):
    folder = shutil.copytree(denoiser.folder, tmp_path / "unnamed")
    content = {**manifest.read(folder), "class_names": None}
    del content["sha256"]
    manifest.write(folder, content)
    with pytest.raises(ValueError, match=r"does not name its classes\. Export it with Card\(class_names="):
        l2zoo.Predictor(folder).sample(1)
