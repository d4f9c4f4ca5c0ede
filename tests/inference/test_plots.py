"""Pictures of what a predictor says, and of how long files take."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from l2zoo.inference import plots
from l2zoo.inference.benchmark import Latency
from l2zoo.inference.latency_plot import plot_latency
from l2zoo.inference.plots import describe, plot_results
from l2zoo.inference.results import Classified, Detected, Segmented

NAMES = ("cat", "dog")
RNG = np.random.default_rng(0)


def image(height: int = 6, width: int = 8) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3)).astype("uint8")


BOXES = Detected(
    np.array([[1, 2, 5, 4], [0, 0, 8, 6]], "f4"), np.array([0.9, 0.1], "f4"), np.array([1, 0]), NAMES
)
MASK = Segmented(np.array([[0, 1, 1, 1]] * 3, "u1"), NAMES)
CLASS = Classified(np.array([0.25, 0.75], "f4"), NAMES)


LATENCIES = [
    Latency("tflite", 1, 1.25, 2.5, 100, 1_234_567, {"accuracy": 0.97}),
    Latency("tflite_int8", 2, 0.00512, 0.0749, 200, 300_000, {}),
]


def test_results_in_words() -> None:
    assert describe(CLASS) == "dog 75%"
    assert describe(MASK) == "dog 75%, cat 25%"
    assert describe(BOXES) == "dog 0.90, cat 0.10"  # what is unsure, the predictor has left out
    assert describe(Detected(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), NAMES)) == "nothing"


@pytest.mark.parametrize("result", [CLASS, MASK, BOXES])
def test_every_task_has_a_picture_that_says_the_same_in_words(result, tmp_path) -> None:
    Image.fromarray(image()).save(tmp_path / "photo.png")
    given = [tmp_path / "photo.png", image(9, 4), np.zeros((5, 5), "uint8")]
    path = plot_results(given, [result] * 3, tmp_path / "said.svg")
    text = path.read_text()
    assert f"photo.png: {describe(result)}." in text
    assert f"#2: {describe(result)}." in text


def test_boxes_move_with_their_image() -> None:
    pixels, scale, corner = plots.fit_square(image(4, 8), 16)
    assert (scale, corner.tolist()) == (2.0, [0, 4])
    assert (pixels[:4] == 255).all()
    assert (pixels[12:] == 255).all()
    (panel,) = plots.panels_of("x", image(4, 8), BOXES, 16)
    np.testing.assert_array_equal(panel.found_xyxy, [[2, 8, 10, 12], [0, 4, 16, 16]])


def test_a_picture_holds_so_many(tmp_path) -> None:
    path = plot_results([image()] * 30, [CLASS] * 30, tmp_path / "said.svg")
    assert "The first 24 of 30 images." in path.read_text()
    with pytest.raises(ValueError, match="must be of 1 images, got 2 of them"):
        plot_results(image(), [CLASS] * 2, tmp_path / "said.png")


def test_latency_is_drawn_with_its_figures(tmp_path) -> None:
    text = plot_latency(LATENCIES, tmp_path / "bench.svg").read_text()
    assert "1.25 ms, 1,235 kB, accuracy 0.9700" in text
    assert "tflite_int8, 2 threads" in text
    with pytest.raises(ValueError, match=r"must end in \.png"):
        plot_latency([], tmp_path / "bench.gif")
