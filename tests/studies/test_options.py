"""Options that scripts of experiments share: what they open, and what they hand over."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from l2zoo import studies
from l2zoo.data import load_video
from l2zoo.studies.options import BackboneOptions, ExperimentOptions

OPTIONS = ExperimentOptions(
    l2=1e-3, tune_images=40, tune_epochs=2, epochs=3, batch_size=8, formats="keras,tflite", out=Path("runs")
)


def test_a_loader_hands_the_data_options_on() -> None:
    def load(source: str, split: str, **settings: Any) -> tuple[Any, ...]:
        return source, split, settings

    square = dataclasses.replace(OPTIONS, image_size=32, aspect="pad", data_dir=Path("sets"), groups="(.)_")
    source, split, settings = square.loader(load, "mnist", task="generation")("train", limit=5)
    assert (source, split) == ("mnist", "train")
    size = (32, 32)
    assert settings == {
        "task": "generation", "data_dir": Path("sets"), "image_size": size, "aspect": "pad", "limit": 5,
        "groups": "(.)_",
    }  # fmt: skip
    usual = {"data_dir": None, "image_size": None, "aspect": "stretch"}
    assert OPTIONS.loader(load, "mnist")("test")[2] == usual


def test_the_aspect_of_clips_is_none_of_the_options() -> None:
    with pytest.raises(ValueError, match="--aspect is for images, clips are stretched: got --aspect crop"):
        dataclasses.replace(OPTIONS, aspect="crop").loader(load_video, "l2zoo_moving_digits")


def test_a_training_has_the_options_and_what_else_is_said() -> None:
    training = dataclasses.replace(OPTIONS, mixed_precision=True, optimizer="sgd").training(augment="flip")
    assert (training.epochs, training.batch_size, training.learning_rate) == (3, 8, 2e-3)
    assert (training.optimizer, training.mixed_precision, training.augment) == ("sgd", True, "flip")


@pytest.mark.parametrize(("tuned", "there"), [(False, 30), (True, 30), (True, 40), (True, 900)])
def test_a_run_takes_the_strength_or_searches_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tuned: bool, there: int
) -> None:
    import l2zoo.studies.experiment

    taken: dict[str, Any] = {}
    monkeypatch.setattr(l2zoo.studies.experiment, "experiment", lambda *given, **named: taken.update(named))
    options = dataclasses.replace(OPTIONS, tune_l2=tuned, watch=True, seeds=2, limit=20)
    training = options.training(augment="flip")
    opened = []

    def searched(**how: Any) -> SimpleNamespace:
        opened.append(how)
        return SimpleNamespace(num_examples=min(there, how.get("limit", there)))

    options.run(
        "build", "task", SimpleNamespace(num_examples=20), "test",
        training=training, searched=searched, privacy=True,
    )  # fmt: skip
    l2 = taken.pop("l2")
    assert taken == {
        "training": training, "seeds": 2, "formats": ["keras", "tflite"], "watch": True,
        "directory": Path("runs"), "privacy": True,
    }  # fmt: skip
    assert opened == ([{}, {"limit": 40}][: 1 + (there > 40)] if tuned else [])
    said = f"The search for the strength takes all {there} examples that there are."
    assert (said in capsys.readouterr().err) == (tuned and there < 40)  # `tune_images` is a wish
    if tuned:  # without augmentation and average
        assert l2.training == studies.experiment.Training(2, 8, "adam", 2e-3)
        assert l2.data.num_examples == min(there, 40)
    else:
        assert l2 == 1e-3


def test_a_backbone_is_built_only_where_one_is_named() -> None:
    assert BackboneOptions().build((32, 32, 3)) == {}
    frozen = BackboneOptions(backbone="MobileNet", freeze=True).build((32, 32, 3))["backbone"]
    assert frozen.name.startswith("mobilenet")
    assert not frozen.trainable_weights
    with pytest.raises(ValueError, match="--freeze needs a --backbone"):
        BackboneOptions(freeze=True)
