"""The command that trains: each task once, as small as it goes, and what its files say."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import numpy as np
import pytest

from l2zoo.artifacts import load
from l2zoo.cli.tasks import TASKS
from l2zoo.models.backbones import application
from tests.cli.own_folders import bare_pictures, class_folders
from tests.processes import L2ZOO, run, running, until

SMALL = ["--limit", 40, "--test-split", "test[:30]", "--epochs", 1, "--formats", "tflite", "--out", "out"]
# Data, the metric that counts, and options with which the command is through soon.
RUNS = {
    "classification": (
        "l2zoo_digits",
        "accuracy",
        "--model cnn --limit 100 --test-split test[:100] --privacy --seeds 2 --formats savedmodel,tflite "
        "--tune-l2 --tune-epochs 1 --tune-images 60",
    ),
    "segmentation": ("l2zoo_scenes", "mean_iou", "--loss crossentropy --backbone MobileNet --freeze"),
    "detection": ("l2zoo_scenes", "map50", "--optimizer adamw"),
    "generation": (
        "l2zoo_digits",
        "class_accuracy_unguided",
        "--image-size 8 --filters 8 --judge-epochs 1 --samples 20 --steps 3",
    ),
    "video": ("l2zoo_moving_digits", "rollout_ssim", "--frames 6 --image-size 16 --filters 4"),
}
ANIMATIONS = {"generation": {"denoising.gif"}, "video": {"rollout.gif"}}


# Recipes and tutorials train for the other tasks.
@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    [pytest.param(task, marks=() if task == "classification" else pytest.mark.sweep) for task in TASKS],
)
def test_a_task_is_trained_measured_drawn_and_exported(
    l2zoo, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, metric, line = RUNS[task]
    options = line.split()
    monkeypatch.chdir(tmp_path)
    answer = l2zoo("train", data, "--task", task, *SMALL, *options, "--json")
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)  # and nothing else stands there
    seeds = 2 if "--seeds" in options else 1
    assert (found["task"], len(found["metrics"][metric])) == (task, seeds)
    assert ("chosen by cross-validation" in found["chosen"]) == ("--tune-l2" in options)
    assert ("100 members, 100 others" in (found["privacy"] or "")) == ("--privacy" in options)
    assert all(Path(path).exists() for path in found["files"].values())
    values = json.loads(Path("out/metrics.json").read_text())["metrics"][metric]
    assert values == found["metrics"][metric]
    assert Path(found["files"]["picture"]).read_bytes().startswith(b"\x89PNG")
    manifest = json.loads(Path("out/artifact/manifest.json").read_text())
    assert set(manifest["formats"]) == {"keras", "tflite", *(["savedmodel"] if seeds > 1 else [])}
    report, mean = Path("out/report.html").read_text(), sum(values) / seeds
    assert f"{metric.replace('_', ' ')} {mean:.{3 if mean >= 10 else 4}f}" in report
    assert {path.name for path in Path("out").glob("*.gif")} == ANIMATIONS.get(task, set())


@pytest.mark.sweep  # as the recipe for images
@pytest.mark.slow
def test_bare_pictures_are_learnt_without_classes(
    l2zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = bare_pictures(tmp_path / "pictures", 24)
    small = [
        "--limit",
        10,
        "--filters",
        8,
        "--samples",
        6,
        "--steps",
        2,
        "--epochs",
        1,
        "--formats",
        "tflite",
    ]
    splits = ["--train-split", "train[:75%]", "--test-split", "train[75%:]"]
    answer = l2zoo("train", data, "--task", "generation", *splits, *small, "--out", "out")
    assert answer.status == 0, answer.err
    assert "Animation: out/denoising.gif" in answer.out
    manifest = json.loads((tmp_path / "out/artifact/manifest.json").read_text())
    assert manifest["class_names"] is None
    assert set(manifest["inputs"]) == {"images", "times"}
    found = set(manifest["metrics"])
    assert {"test_copying", "test_copying_fresh", "test_nearest_train", "test_nearest_test"} <= found
    assert not any(name.startswith("test_class") for name in found)
    assert not (tmp_path / "out/judge").exists()


@pytest.mark.slow
def test_a_folder_without_a_test_split_is_measured_honestly_and_the_card_says_how(tmp_path: Path) -> None:
    """Started as a person starts it."""
    source = class_folders(tmp_path / "photos")
    small = ["--model", "cnn", "--epochs", 1, "--formats", "tflite", "--out", "out"]
    done = run([L2ZOO, "train", source, "--groups", r"patient(\d)", *small], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "accuracy" in done.stdout
    card = (tmp_path / "out/artifact/README.md").read_text()
    assert f"Made by `l2zoo train {source} --groups 'patient(\\d)' --model cnn" in card
    assert f"Trained on 30 images of {source} train, measured on 10 images of {source} test." in card
    assert "20 % was held out (whole groups, always by the seed 0). No group of images is in both." in card
    assert f"It was measured on 10 images of {source} test alone" in card


@pytest.mark.sweep  # as the recipe that fine-tunes
@pytest.mark.slow
def test_a_classifier_begins_with_what_imagenet_taught(l2zoo, tmp_path: Path) -> None:
    source = class_folders(tmp_path / "photos")
    encoder = ["--backbone", "EfficientNetLite0", "--weights", "imagenet", "--freeze", "--image-size", 32]
    answer = l2zoo("train", source, *encoder, "--epochs", 1, "--formats", "keras", "--out", tmp_path / "out")
    assert answer.status == 0, answer.err
    model = load(tmp_path / "out/artifact")
    theirs = {w.path: w for w in application("EfficientNetLite0", (32, 32, 3), weights="imagenet").weights}
    mine = {w.path: w for w in model.weights}
    assert mine.keys() - theirs.keys() == {"logits/kernel", "logits/bias"}
    for path, weight in theirs.items():
        np.testing.assert_array_equal(mine[path], weight, err_msg=path)


@pytest.mark.slow
def test_a_training_that_is_stopped_says_what_is_kept_and_how_to_go_on(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "photos")
    command = [L2ZOO, "train", source, "--model", "cnn", "--epochs", 3000, "--formats", "tflite"]
    epochs = tmp_path / "runs/train/seed0/metrics.csv"
    with running(command, cwd=tmp_path) as process:
        until(lambda: epochs.exists() and epochs.read_text().count("\n") > 1, what="train", of=process)
        process.send_signal(signal.SIGINT)
        stopped = process.outcome()
    assert stopped.returncode == 130
    said = " ".join(stopped.stderr.split())
    assert re.search(r"finished epochs are kept in 'runs/train/seed0': run the same command again", said)
    assert "Traceback" not in said


IMAGES_ONLY = ("train", "tune", "compare", "generation")


@pytest.mark.parametrize("name", IMAGES_ONLY)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--test-split", "train[80%:]"],
            r'share 8 examples: .* must never have seen: train on the rest, --train-split "train\[:80%\]"\.',
        ),
        (["--test-split", "train"], r'--train-split "train\[:80%\]" and --test-split "train\[80%:\]"'),
        (["--train-split", "train[:80%]"], r"no split .test., only train.* is held out \(--holdout 0.2\)"),
        (["--holdout", 2.0], r"--holdout must be a share in \(0, 1\).*, got --holdout 2.0"),
        (["--groups", "nobody"], "--groups must have one pair of parentheses"),
        (["--groups", "doctor(.)"], r"--groups 'doctor\(\.\)' is not found in"),
    ],
)
def test_every_command_refuses_to_measure_on_what_it_trains_on(
    l2zoo, tmp_path: Path, name: str, options, message: str
) -> None:
    command = ["train", "--task", name] if name == "generation" else [name]
    answer = l2zoo(*command, class_folders(tmp_path / "photos"), *options, "--out", tmp_path / "out")
    assert answer.status == 1
    assert re.search(message, " ".join(answer.err.split())), answer.err
    assert not (tmp_path / "out").exists()


def test_a_test_split_of_its_own_is_not_held_out(l2zoo, tmp_path: Path) -> None:
    source = class_folders(tmp_path / "photos", test=True)
    answer = l2zoo("train", source, "--holdout", 0.3, "--out", tmp_path / "out")
    assert "--holdout is for data without a test split of its own, but" in answer.err
    assert "has test, train: leave it out" in answer.err


def test_clips_have_no_groups_and_a_clip_is_not_held_out_of_two_splits(l2zoo) -> None:
    assert "--groups is for images" in l2zoo("train", "l2zoo_moving_digits", "--groups", "(.)").err
    said = l2zoo("train", "l2zoo_moving_digits", "--holdout", 0.3).err
    assert "--holdout is for data without a test split of its own, but l2zoo_moving_digits has" in said


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("l2zoo_digits", ["--steps", "0"], "--steps must be a whole number >= 1, got --steps 0"),
        ("l2zoo_digits", ["--image-size", "30"], "must have sides that 4 divides"),
        pytest.param(
            "l2zoo_moving_digits",
            ["--frames", "2"],
            "must have clips of at least 4 frames, got 2",
            marks=pytest.mark.slow,  # the clips are drawn for it
        ),
    ],
)
def test_generators_refuse_what_cannot_end_well_before_anything_trains(
    l2zoo, tmp_path: Path, data: str, options, message: str
) -> None:
    task = [] if data == "l2zoo_moving_digits" else ["--task", "generation"]
    answer = l2zoo("train", data, *task, *options, "--out", tmp_path / "out")
    assert answer.status == 1
    assert message in " ".join(answer.err.split())
    assert not (tmp_path / "out").exists()
