"""What a training is told: the table of tasks, and what is refused before data are read."""

from __future__ import annotations

import dataclasses

import pytest

from l2zoo import zoo
from l2zoo.cli.tasks import TASKS, UNSAID, decide
from l2zoo.cli.train import TRAIN


def test_every_task_of_the_zoo_has_a_row_and_is_trained() -> None:
    assert set(TASKS) == set(TRAIN) == set(zoo.tasks())
    for name, row in TASKS.items():
        assert zoo.find(row.model).task == name


def test_what_is_not_said_stands_in_the_table_and_nothing_else_does() -> None:
    unsaid = {
        field.name
        for field in dataclasses.fields(UNSAID)
        if getattr(UNSAID, field.name) is None and field.name != "limit"
    }
    of_data = {"data_dir", "train_split", "groups", "image_size", "test_split", "holdout"}
    assert unsaid - of_data == {option for row in TASKS.values() for option in row.defaults}


def test_the_help_says_what_each_task_begins_with(l2zoo) -> None:
    said = " ".join(l2zoo("train", "--help").out.split())
    assert "[classification crossentropy; segmentation dice; video crossentropy]" in said
    assert "[generation: 0.99]" in said
    assert "[classification, segmentation, detection]" in said


@pytest.mark.parametrize("task", TASKS)
def test_a_task_decides_what_is_not_said(task: str) -> None:
    chosen, model, settled = decide("folder:mine", task, None, UNSAID)
    assert (chosen, model) == (task, TASKS[task].model)
    for option, value in TASKS[task].defaults.items():
        assert getattr(settled, option) == value


def test_what_is_said_stays_even_where_it_says_no() -> None:
    said = dataclasses.replace(UNSAID, l2=0.0, epochs=3, mixed_precision=False)
    settled = decide("folder:mine", "segmentation", None, said)[2]
    assert (settled.l2, settled.epochs, settled.mixed_precision, settled.loss) == (0.0, 3, False, "dice")


@pytest.mark.parametrize(
    ("data", "task", "model", "chosen"),
    [
        ("mnist", None, None, ("classification", "resnet20")),
        ("l2zoo_digits", None, None, ("classification", "resnet20")),
        ("l2zoo_moving_digits", None, None, ("video", "video")),
        ("l2zoo_photos", None, None, ("generation", "diffusion")),
        ("mnist", None, "detector", ("detection", "detector")),
        ("l2zoo_scenes", "detection", None, ("detection", "detector")),
        ("l2zoo_digits", "generation", None, ("generation", "diffusion")),
    ],
)
def test_a_model_or_data_of_ours_say_the_task(data: str, task, model, chosen) -> None:
    assert decide(data, task, model, UNSAID)[:2] == chosen


def test_digits_are_drawn_in_a_size_that_the_model_takes() -> None:
    assert decide("l2zoo_digits", "generation", None, UNSAID)[2].image_size == 28
    own = dataclasses.replace(UNSAID, image_size=16)
    assert decide("l2zoo_digits", "generation", None, own)[2].image_size == 16
    assert decide("l2zoo_digits", "classification", None, UNSAID)[2].image_size is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "unet", "--task", "classification"), "a model for classification, got --model unet"),
        (("--model", "resnet20", "--task", "detection"), "There are: detector."),
        (("--model", "cnn_plan"), "Close names: cnn_plain"),
        (("--judge-epochs", "3"), "--judge-epochs is for generation, not for classification: leave it out."),
        (
            ("--task", "detection", "--filters", "8"),
            "--filters is for segmentation, generation and video, not for detection",
        ),
        (
            ("--task", "video", "--augment", "flip"),
            "--augment is for classification, segmentation, detection and generation, not for video",
        ),
        (("--model", "unet", "--privacy"), "--privacy is for classification, not for segmentation"),
        (("--model", "unet", "--no-privacy"), "--privacy is for classification, not for segmentation"),
        (("--task", "segmentation", "--freeze"), "--freeze needs a --backbone"),
        (("--task", "detection", "--freeze"), "--freeze needs a --backbone"),
        (
            ("--model", "cnn", "--backbone", "MobileNet"),
            "on --backbone MobileNet is no --model cnn: leave one out",
        ),
        (("--weights", "imagenet"), "--weights imagenet needs a --backbone"),
        (("--task", "segmentation", "--weights", "imagenet"), "--weights imagenet needs a --backbone"),
        (("--model", "unet", "--filters", "a,b"), "--filters must be whole numbers, as in 16,32, got"),
    ],
)
def test_what_does_not_belong_together_is_refused_before_data_are_read(l2zoo, options, message: str) -> None:
    answer = l2zoo("train", "no-such-data", *options)
    assert (answer.status, answer.out) == (1, "")
    assert message in " ".join(answer.err.split())


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("l2zoo_scenes", (), "l2zoo_scenes is for segmentation or detection: say which, as in --task seg"),
        (
            "l2zoo_digits",
            ("--model", "unet"),
            "not for segmentation: take l2zoo_scenes, or data of your own.",
        ),
        ("l2zoo_photos", ("--task", "classification"), "l2zoo_photos is for generation, not for classif"),
    ],
)
def test_data_of_ours_that_are_for_another_task_are_refused(l2zoo, data, options, message: str) -> None:
    answer = l2zoo("train", data, *options)
    assert (answer.status, answer.out) == (1, "")
    assert message in answer.err


@pytest.mark.parametrize("command", ["tune", "compare", "privacy"])
def test_what_is_for_classifiers_takes_no_other_model(l2zoo, command: str) -> None:
    answer = l2zoo(command, "no-such-data", "--model", "unet")
    assert (answer.status, answer.out) == (1, "")
    assert "--model must be a model for classification, got --model unet" in answer.err
