"""Trained weights out of artifacts, for every builder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import l2zoo
from l2zoo import L2Policy, build, export
from l2zoo.artifacts.store import locations
from l2zoo.tasks import Detection, VideoPrediction
from tests.test_contract import more_of_the_same

SMALL: dict[str, dict[str, Any]] = {
    "cnn": {"input_shape": (8, 8, 1), "num_classes": 3, "options": {"filters": (4, 8)}},
    "cnn_plain": {"input_shape": (8, 8, 1), "num_classes": 3, "options": {"filters": (4, 8)}},
    "resnet20": {"input_shape": (8, 8, 1), "num_classes": 3},
    "unet": {"input_shape": (8, 8, 1), "num_classes": 3, "options": {"filters": (4, 8)}},
    "detector": {"input_shape": (32, 32, 3), "num_classes": 3, "options": {"channels": 8, "depth": 1}},
    "diffusion": {"input_shape": (8, 8, 1), "num_classes": 3, "options": {"filters": (8,), "attention": 0}},
    "video": {"input_shape": (4, 16, 16, 1), "options": {"filters": (4,)}},
}


QUICK = ("cnn",)  # the detector and the clips are exported as another model


def deployed(model: keras.Model) -> keras.Model:
    """The model as the recipes export it."""
    if model.name == "detector":
        return Detection(["a", "b", "c"]).deployed(model)
    return VideoPrediction().deployed(model) if model.name == "video" else model


def write(model: keras.Model, folder: Path) -> None:
    """An artifact with a Keras file alone."""
    model = deployed(model)
    taken = model.input if isinstance(model.input, dict) else {"images": model.inputs[0]}
    sample = {
        name: np.zeros((2, *x.shape[1:]), "int32" if "int" in x.dtype else "float32")
        for name, x in taken.items()
    }
    export(model, folder, sample=sample, formats=["keras"])


@pytest.fixture
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(locations, "search_path", lambda: [tmp_path])
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[] if n in QUICK else more_of_the_same(n in ("detector", "video")))
        for n in SMALL
    ],
)
def test_a_builder_begins_with_trained_weights_and_its_own_penalty(name: str, models_folder: Path) -> None:
    keras.utils.set_random_seed(1)
    trained = build(name, **SMALL[name], l2=1e-3)
    for weight in trained.weights:
        weight.assign(np.random.default_rng(2).uniform(0.5, 1.0, weight.shape))
    write(trained, models_folder / f"{name}_small")
    keras.utils.set_random_seed(3)
    model = build(name, **SMALL[name], weights="small", l2=L2Policy(l2zoo.Strength(1e-4)))
    for mine, theirs in zip(model.weights, trained.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    expected = 1e-4 / 1e-3 * l2zoo.audit(trained).penalty
    assert l2zoo.audit(model).penalty == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    return build("cnn", **SMALL["cnn"])


@pytest.fixture(scope="module")
def artifacts(trained: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the artifact `cnn_small` of it."""
    folder = tmp_path_factory.mktemp("artifacts")
    write(trained, folder / "cnn_small")
    return folder


def test_other_sizes_of_images_and_a_folder_do_too(artifacts: Path, trained: keras.Model) -> None:
    larger = {**SMALL["cnn"], "input_shape": (32, 20, 1)}
    found = build("cnn", **larger, weights=str(artifacts / "cnn_small")).get_weights()
    np.testing.assert_array_equal(found[0], trained.get_weights()[0])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"weights": "letters"},
            FileNotFoundError,
            r"must be one of \['small'\], which were trained for cnn",
        ),
        ({"weights": 3}, TypeError, "`weights` must be a name, a folder or None, got int"),
        ({"num_classes": 4}, ValueError, r"are of a 'cnn'.* Build the model with as many classes"),
        ({"input_shape": (8, 8, 3)}, ValueError, r"for images \[8, 8, 1\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    changes: dict, error: type[Exception], message: str, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locations, "search_path", lambda: [artifacts])
    with pytest.raises(error, match=message):
        build("cnn", **{**SMALL["cnn"], "weights": "small", **changes})


def test_a_damaged_file_is_not_opened(artifacts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(artifacts / "cnn_small", tmp_path / "copy")
    with (folder / "model.keras").open("r+b") as file:
        file.seek(100)
        file.write(b"damage")
    with pytest.raises(ValueError, match=r"model\.keras was changed"):
        build("cnn", **SMALL["cnn"], weights=str(folder))
