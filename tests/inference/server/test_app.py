"""What a server says of an artifact, and which it cannot serve."""

from __future__ import annotations

import pytest

from l2zoo import Predictor
from l2zoo.inference.server import app
from tests.inference import tiny


def test_an_artifact_is_described_by_its_manifest(segmenter):
    assert app.describe(Predictor(segmenter.folder)) == {
        "task": "segmentation",
        "class_names": list(tiny.NAMES),
        "kind": "probabilities",
        "input_size": {"height": 8, "width": 8, "channels": 1},
        "format": "tflite",
    }


@pytest.mark.slow
def test_what_takes_no_image_files_is_not_served(segmenter, denoiser, monkeypatch):
    with pytest.raises(ValueError, match="must say what is in images that it is given, it is for generation"):
        app.describe(Predictor(denoiser.folder))
    monkeypatch.setattr(Predictor, "image_shape", (4, 4, 2))  # of satellites
    with pytest.raises(ValueError, match=r"must take grey or coloured images, .* it takes 2 channels\. Give"):
        app.describe(Predictor(segmenter.folder))
