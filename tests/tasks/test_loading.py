"""A process that imports l2zoo, and none of its tasks, loads what they save."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import pytest

from l2zoo.models.detector import build_detector
from l2zoo.tasks import Detection, Segmentation, VideoPrediction
from tests.processes import output_of

CODE = """
import sys, l2zoo, keras
model = keras.saving.load_model(sys.argv[1])
print(sorted(type(loss).__name__ for loss in model.loss.values()))
print(type(keras.saving.load_model(sys.argv[2]).layers[-1]).__name__)
print([name for name in sys.argv[3:] if keras.saving.get_registered_object("l2zoo>" + name) is None])
"""


@pytest.mark.slow
def test_what_tasks_save_loads_where_l2zoo_alone_is_imported(tmp_path: Path) -> None:
    task = Detection(["a", "b"])
    model = build_detector((16, 16, 3), num_classes=2, channels=8, depth=1)
    model.compile("adam", **task.compiling())
    paths = [str(tmp_path / name) for name in ("compiled.keras", "deployed.keras")]
    model.save(paths[0])
    task.deployed(model).save(paths[1])
    losses = [Segmentation(["a", "b"], loss="dice+squared_error").compiling()["loss"]]
    losses += [*losses[0].losses, losses[0].losses[1].loss, VideoPrediction().compiling()["loss"]]
    metrics = Segmentation(["a", "b"]).compiling()["metrics"]
    names = [type(one).__name__ for one in (*losses, *metrics)] + ["OneFrame"]
    printed = output_of([sys.executable, "-c", CODE, *paths, *names])
    assert printed.splitlines() == ["['CenternessLoss', 'ClassLoss', 'SidesLoss']", "FinalBoxes", "[]"]
    assert {"Sum", "LabelledPixels", "SquaredError", "OfPixels", "MeanIoU", "MeanDice"} <= set(names)
    assert keras.saving.get_registered_object("l2zoo>nothing") is None
