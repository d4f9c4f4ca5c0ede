"""What an artifact knows of its output is what `Predictor` makes of the numbers, for every kind."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, softmax

import l2zoo
from l2zoo.artifacts import manifest
from l2zoo.inference import plots, results
from l2zoo.inference.server import app
from tests.inference.kinds import MADE, X


def predict(one, **options):
    return l2zoo.Predictor(one.folder, **options).predict(X)


def test_logits_are_said_as_probabilities(made):
    found = predict(made("logits"))
    expected = softmax(made("logits").answers, axis=1)
    np.testing.assert_allclose([one.probabilities for one in found], expected, atol=1e-5)
    assert [one.class_name for one in found] == ["abc"[i] for i in expected.argmax(axis=1)]
    assert found[0].to_dict()["classes"][0]["probability"] == pytest.approx(expected[0].max(), abs=1e-5)


def test_one_sigmoid_says_one_of_two_classes(made):
    p = made("binary").answers[:, 0]
    found = predict(made("binary"))
    assert [one.class_name == "yes" for one in found] == (p >= 0.5).tolist()
    assert 0 < (p >= 0.5).sum() < len(p)
    np.testing.assert_allclose([one.probability for one in found], np.maximum(p, 1 - p), atol=1e-5)


def test_a_threshold_is_the_artifacts_or_the_callers(made):
    p = expit(made("binary_logits").answers[:, 0])
    for threshold, options in ((0.8, {}), (0.3, {"threshold": 0.3})):
        found = predict(made("binary_logits"), **options)
        assert [one.class_name == "1" for one in found] == (p >= threshold).tolist()
    assert len({(p >= t).sum() for t in (0.3, 0.5, 0.8)}) == 3
    low = found[int(((p >= 0.3) & (p < 0.5)).argmax())]
    assert low.class_name == "1"
    assert low.probability < 0.5


def test_classes_that_stand_on_their_own_are_said_each(made):
    answers = made("multilabel").answers
    found = predict(made("multilabel"))
    for one, p in zip(found, answers, strict=True):
        np.testing.assert_allclose(one.probabilities, p, atol=1e-5)
        assert one.labels == [name for name, there in zip("abc", p >= (0.2, 0.5, 0.9), strict=True) if there]
    assert len({len(one.labels) for one in found}) > 2
    assert found[0].to_dict()["labels"] == found[0].labels
    logits = expit(made("multilabel_logits").answers)
    each = predict(made("multilabel_logits"))
    assert [one.labels for one in each] == [[str(i) for i in np.flatnonzero(p >= 0.5)] for p in logits]


def test_values_are_said_as_they_are(made):
    for name in ("values", "values of pixels"):
        found = predict(made(name))
        np.testing.assert_allclose([one.values for one in found], made(name).answers, atol=1e-4)
        json.dumps(found[0].to_dict())


def test_masks_are_of_the_class_that_is_meant(made):
    for name, expected in (
        ("masks of logits", made("masks of logits").answers.argmax(axis=-1)),
        ("masks of two", (made("masks of two").answers[..., 0] >= 0.5).astype(int)),
    ):
        found = predict(made(name))
        assert (np.stack([one.mask for one in found]) == expected).mean() > 0.999  # but for rounding
        assert len(np.unique(expected)) > 1
    assert found[0].class_names == ("ground", "road")


def test_masks_that_overlap_have_a_layer_each_in_the_images_own_size(made):
    one = made("masks that overlap")
    (found,) = l2zoo.Predictor(one.folder).predict(np.repeat(np.repeat(X[0], 2, axis=0), 3, axis=1))
    assert found.masks.shape == (16, 24, 2)
    here = l2zoo.Predictor(one.folder).predict(X[:1])[0]
    assert (here.masks == (one.answers[0] >= 0.5)).mean() > 0.99
    assert here.shares == {
        name: pytest.approx(layer.mean())
        for name, layer in zip(("car", "shadow"), here.masks.transpose(2, 0, 1), strict=True)
        if layer.any()
    }
    assert set(here.to_dict()["masks"]) == {"car", "shadow"}


@pytest.mark.parametrize("name", MADE)
def test_every_kind_is_verified_drawn_and_described_by_its_server(made, name, tmp_path):
    one = made(name)
    parity = l2zoo.verify(one.folder).parity["tflite"]
    assert (parity.argmax_agreement is None) == name.startswith("values")
    predictor = l2zoo.Predictor(one.folder)
    found = predictor.predict(X[:3])
    assert plots.describe(found[0])
    assert plots.plot_results(X[:3], found, tmp_path / "said.svg").is_file()
    about = app.describe(predictor)
    assert about["kind"] == predictor.output_kind.name
    card = (one.folder / "README.md").read_text()
    assert f"(`{predictor.output_kind.name}`)" in card


def test_what_is_said_in_words():
    labelled = results.Labelled(np.array([0.2, 0.7, 0.9]), "abc", np.array([0.5, 0.5, 0.95]))
    assert plots.describe(labelled) == "b 70%"
    assert plots.describe(results.Labelled(np.array([0.2]), "a", np.array([0.5]))) == "none"
    assert plots.describe(results.Estimated(np.array([1.0, 2.5]))) == "1, 2.5"


@pytest.mark.parametrize(
    ("name", "threshold", "words"),
    [
        ("logits", 0.5, r"`threshold` is for outputs that are binary or multilabel, got threshold=0\.5"),
        ("values", 0.5, r"`threshold` is for outputs that are binary or multilabel"),
        ("binary", 1.5, r"`threshold` must be a number between 0 and 1"),
        ("multilabel", (0.5, 0.5), r"`threshold` must be one number or 3, got 2"),
    ],
)
def test_thresholds_that_nothing_is_held_to_are_refused(made, name, threshold, words):
    with pytest.raises(ValueError, match=words):
        l2zoo.Predictor(made(name).folder, threshold=threshold)


def test_a_detector_has_no_threshold(detector):
    with pytest.raises(ValueError, match=r"`threshold` is for classes, got threshold=0\.3 for detection"):
        l2zoo.Predictor(detector.folder, threshold=0.3)


def test_a_manifest_that_does_not_say_what_is_meant_is_refused(made, tmp_path):
    import shutil

    folder = shutil.copytree(made("logits").folder, tmp_path / "copy")
    content = json.loads((folder / manifest.FILE).read_text())
    content.pop("sha256")
    (spec,) = content["outputs"].values()
    for kind, words in (
        (None, "must say what the output .* means, it says None"),
        ("odd", "`output_kind` must be"),
    ):
        spec["kind"] = kind
        manifest.write(folder, content)
        with pytest.raises(ValueError, match=words):
            l2zoo.Predictor(folder)
