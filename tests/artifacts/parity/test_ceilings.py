"""An artifact's own limits are not believed: what they may be at most is said here, by its answers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from l2zoo.artifacts import manifest, verify
from l2zoo.artifacts.parity import ceilings
from l2zoo.artifacts.store import locations
from l2zoo.artifacts.verify import _MEASURABLE
from l2zoo.tasks.output_kind import OutputKind
from tests.artifacts.folders import rewrite


def limited(folder: Path, name: str, **limits: float) -> Path:
    """The artifact with other limits of a format in its manifest."""
    formats = manifest.read(folder)["formats"]
    formats[name]["verify"] = limits
    rewrite(folder, formats=formats)
    return folder


@pytest.fixture(scope="module")
def other_files(trained, tmp_path_factory):
    """The files of a model of the same shapes that takes half of the classes for others."""
    import keras

    from l2zoo.artifacts import export

    other = keras.models.clone_model(trained.model)
    other.set_weights(trained.model.get_weights())
    *_, kernel, bias = other.trainable_weights
    half = kernel.numpy().copy()
    half[:, :5] = half[:, 4::-1]  # five of ten classes change places
    kernel.assign(half)
    bias.assign(np.concatenate([bias.numpy()[4::-1], bias.numpy()[5:]]))
    folder, formats = tmp_path_factory.mktemp("other") / "digits", ["tflite", "tflite_int8"]
    return export(other, folder, sample=trained.images[:300], formats=formats).folder


@pytest.fixture
def swapped(small_files, other_files, tmp_path):
    """An artifact whose files are those of another model."""
    folder = Path(shutil.copytree(small_files.folder, tmp_path / "copy"))
    for path in ("model.tflite", "model_int8.tflite"):
        shutil.copy(other_files / path, folder / path)
    return folder


@pytest.mark.parametrize("name", ["tflite", "tflite_int8"])
@pytest.mark.parametrize(
    ("figure", "limit"), [("max_abs_diff", 1e308), ("mean_abs_diff", 0.15), ("relative_diff", 1e9)]
)
def test_limits_of_an_artifact_do_not_verify_another_model_s_file(swapped, name, figure, limit):
    limited(swapped, name, **{figure: limit})
    words = re.escape(f"The artifact's limit for {name} is {figure}={limit:.3g}, at most ")
    with pytest.raises(ValueError, match=words) as told:
        verify(swapped)
    assert f"{name} does not answer like the Keras model: argmax agrees on" in str(told.value)


def test_a_limit_that_is_too_wide_fails_though_the_file_would_keep_a_narrow_one(folder):
    with pytest.raises(ValueError, match=r"tflite is max_abs_diff=0\.5, at most 0\.0[56]"):
        verify(limited(folder, "tflite", max_abs_diff=0.5, argmax_agreement=1.0))
    with pytest.raises(ValueError, match=r"tflite is argmax_agreement=0, at least 0\.9 is accepted"):
        verify(limited(folder, "tflite", argmax_agreement=0.0))


@pytest.mark.parametrize("trusted", [False, True])
def test_who_vouches_for_an_artifact_does_not_vouch_for_its_limits(folder, trusted):
    with pytest.raises(ValueError, match="at most"):
        verify(limited(folder, "tflite", max_abs_diff=1e308), trusted=trusted)


def test_the_ceilings_by_hand():
    answers = {"p": np.array([[0.0, 1.0], [1.0, 0.0]]), "v": np.array([[10.0, 30.0], [10.0, 30.0]])}
    kinds = {"p": OutputKind("probabilities"), "v": OutputKind("values")}
    found = ceilings.highest_limits("float32", answers, kinds)
    assert found.keys() == _MEASURABLE
    assert found["max_abs_diff"] == pytest.approx(0.05 * 20 + 0.01)
    assert found["mean_abs_diff"] == pytest.approx(0.25 * (0.5 + 10) / 2 + 1e-4)
    # Logits are compared as the probabilities that are made of them.
    logits = {"p": np.log([[0.2, 0.8], [0.8, 0.2]]) + 100}
    found = ceilings.highest_limits("int8", logits, {"p": OutputKind("logits")})
    assert found["max_abs_diff"] == pytest.approx(0.2 * 0.6 + 0.01)
    assert found["mean_abs_diff"] == pytest.approx(0.25 * 0.3 + 2**-8)


def test_answers_that_are_all_the_same_leave_room_for_rounding():
    found = ceilings.highest_limits("int8", {"v": np.full((3, 2), 7.0)}, {})
    assert (found["max_abs_diff"], found["mean_abs_diff"]) == (0.01, 2**-8)


@pytest.mark.parametrize("name", sorted(locations.saved_models()))
def test_the_limits_of_the_saved_models_are_a_fifth_of_the_ceilings_at_most(name):
    from l2zoo.artifacts import sample
    from l2zoo.tasks.output_kind import kinds_of

    folder = locations.saved_models()[name]
    content = manifest.read(folder)
    _, expected = sample.read(folder / sample.FILE)
    for row in content["formats"].values():
        highest = ceilings.highest_limits(row["rounding"], expected, kinds_of(content["outputs"]))
        for figure, limit in row["verify"].items():
            assert limit < highest[figure] / 5, (figure, limit, highest)
