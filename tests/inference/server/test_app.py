"""What a server says of an artifact, and which it cannot serve."""

from __future__ import annotations

import json

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


def test_what_takes_no_image_files_is_not_served(segmenter, denoiser, tmp_path):
    with pytest.raises(ValueError, match="must say what is in images that it is given, it is for generation"):
        app.describe(Predictor(denoiser.folder))
    predictor = Predictor(segmenter.folder)
    predictor.folder = tmp_path  # of a model of the same task for satellites
    content = {"inputs": {"images": {"shape": [None, 4, 4, 2]}}}
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"must take grey or coloured images, .* it takes 2 channels\. Give"):
        app.describe(predictor)
