"""The artifacts that come with the package: whole, small, as good as they say, and in the wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2zoo import Predictor, build, load, verify
from l2zoo.artifact.shelving import TABLE, table
from l2zoo.data import load as load_data
from l2zoo.shelf import manifest, places, whole

ROOT = Path(__file__).parents[1]
SHELF = ROOT / places.SHELF
NAMES = sorted(path.parent.name for path in SHELF.glob(f"*/{manifest.FILE}"))
LARGEST = 25 * 2**20  # bytes of all together


def test_there_are_some_and_they_are_small() -> None:
    assert "cnn_digits" in NAMES
    assert sum(path.stat().st_size for path in SHELF.rglob("*") if path.is_file()) < LARGEST


def test_the_table_is_that_of_the_manifests() -> None:
    assert (SHELF / TABLE).read_text(encoding="utf-8") == table(SHELF)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_was_changed_and_the_card_says_how_it_was_made(name: str) -> None:
    content = whole.checked(SHELF / name)
    assert "keras" in content["formats"]
    assert {"tflite", "tflite_fp16"} & set(content["formats"])  # the large ones with weights of 16 bits
    card = (SHELF / name / "README.md").read_text(encoding="utf-8")
    for words in (
        "Made by `python recipes/",
        "Trained: ",
        "License: ",
        "standard error",
        "Time for one image",
    ):
        assert words in card
    assert str(ROOT) not in card


def test_it_answers_like_the_model_that_it_was() -> None:
    artifact = verify(SHELF / "cnn_digits")
    assert all(found.holds for found in artifact.parity.values())


@pytest.mark.parametrize("kind", ["tflite", "tflite_int8"])
def test_it_is_as_good_as_its_card_says(kind: str) -> None:
    images, labels = load_data("l2zoo_digits", "test").arrays()
    found = Predictor("cnn_digits", format=kind).predict(images)
    accuracy = np.mean([int(one.class_name) == label for one, label in zip(found, labels, strict=True)])
    metrics = whole.checked(SHELF / "cnn_digits")["metrics"]["test_accuracy"]
    assert accuracy == pytest.approx(metrics["mean"], abs=0.02)


def built_for(content: dict[str, Any]) -> tuple[int, ...]:
    """What its builder takes: the shape of an image, or of a clip, which may be of any length."""
    shapes = {name: spec["shape"][1:] for name, spec in content["inputs"].items()}
    return (4, *shapes["frame"]) if "frame" in shapes else tuple(shapes["images"])


@pytest.mark.parametrize("name", NAMES)
def test_its_weights_fit_the_builder_that_it_is_called_after(name: str) -> None:
    architecture, _, weights = name.partition("_")
    content = whole.checked(SHELF / name)
    shape, names = built_for(content), content["class_names"]
    classes = len(names) if names else None
    model = build(architecture, shape, classes, weights=weights)
    random = build(architecture, shape, classes)
    assert not np.array_equal(model.get_weights()[0], random.get_weights()[0])


def test_a_builder_s_answers_are_those_of_the_saved_model() -> None:
    model = build("cnn", (8, 8, 1), 10, weights="digits", l2=1e-4)
    images = load_data("l2zoo_digits", "test").arrays()[0][:16].astype("float32")
    expected = load("cnn_digits").predict(images, verbose=0)
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-6)


@pytest.mark.slow
def test_the_wheel_holds_them(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), str(ROOT)], check=True, capture_output=True
    )
    (wheel,) = wheels.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True)
    code = (
        "import json, l2zoo, numpy as np\n"
        "found = l2zoo.Predictor('cnn_digits').predict(np.zeros((1, 8, 8, 1), 'uint8'))\n"
        "weights = l2zoo.build('cnn', (8, 8, 1), 10, weights='digits').count_params()\n"
        "print(json.dumps([l2zoo.__file__, found[0].to_dict()['class_name'], weights]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(site)},
    )  # fmt: skip
    file, name, weights = json.loads(done.stdout.splitlines()[-1])
    assert Path(file).is_relative_to(site)
    assert name in "0123456789"
    assert weights == 70_746
