"""The recipes, started as a person starts them."""

from __future__ import annotations

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
SMALL = ["--limit", "60", "--strengths", "1e-3,1e-2", "--folds", "3", "--epochs", "2"]


def command(*options: object) -> list[str]:
    return [sys.executable, str(ROOT / "recipes/tune_l2.py"), *map(str, options)]


def run(*options: object, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*options), cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.slow
def test_tune_l2_prints_the_answer_and_leaves_picture_and_artifact(tmp_path):
    done = run(*SMALL, "--label-noise", 0.2, "--out", "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "strength" in done.stdout
    assert "L2" in done.stdout
    assert "6 kernels at" in done.stdout
    assert "model.tflite" in done.stdout
    assert "[3/3] l2=0.01" in done.stderr
    assert "oneDNN" not in done.stderr
    assert (tmp_path / "out/lambda.png").read_bytes().startswith(b"\x89PNG")
    manifest = json.loads((tmp_path / "out/artifact/manifest.json").read_text())
    assert manifest["metrics"]["test_accuracy"] >= 0


@pytest.mark.slow
def test_tune_l2_stopped_by_ctrl_c_says_what_is_kept_and_goes_on(tmp_path):
    options = [*SMALL[:-1], 12, "--out", "out"]  # long enough to be stopped in the middle
    child = subprocess.Popen(
        command(*options),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # What runs in the background of a shell ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    ledger = tmp_path / "out/ledger.jsonl"
    deadline = time.monotonic() + 200
    while not (ledger.exists() and ledger.read_text().count("\n") >= 3):
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode != 0, errors
    assert "the same call goes on from there" in " ".join(errors.split())
    assert "Traceback" not in errors
    done = run(*options, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "of 9 trainings are finished already" in done.stderr
    assert ledger.read_text().count("\n") == 10


@pytest.mark.slow
def test_tune_l2_searches_the_learning_rate_too_and_leaves_a_report(tmp_path):
    settings = ["--strategy", "random", "--max-trials", 3, "--space", "lr", "--metric", "val_data_loss"]
    done = run(*SMALL, *settings, "--out", "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "learning_rate" in done.stdout
    assert "Report: out/report.html" in done.stdout
    for picture in ("lambda.png", "plane.png", "learning.png"):
        assert (tmp_path / "out" / picture).read_bytes().startswith(b"\x89PNG")
    assert "Does L2 help" in (tmp_path / "out/report.html").read_text()


@pytest.mark.slow
def test_tune_on_cluster_runs_on_two_workers_of_this_machine(tmp_path):
    pytest.importorskip("ray", reason='needs pip install "l2zoo[ray]"')
    recipe = str(ROOT / "recipes/tune_on_cluster.py")
    options = ["--workers", "2", "--folds", "2", "--epochs", "1", "--strategy", "hyperband", "--out", "out"]
    done = subprocess.run(
        [sys.executable, recipe, *options], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "strength" in done.stdout
    assert (tmp_path / "out/result.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "metric", "options"),
    [
        (
            "classify",
            "accuracy",
            [
                "--model",
                "cnn",
                "--tune-l2",
                "--tune-images",
                "60",
                "--tune-epochs",
                "1",
                "--limit",
                "100",
                "--test-split",
                "test[:100]",
                "--privacy",
            ],
        ),
        ("segment", "mean_iou", ["--loss", "crossentropy", "--backbone", "MobileNet", "--freeze"]),
        ("detect", "map50", ["--optimizer", "adamw"]),
        (
            "generate_images",
            "class_accuracy_unguided",
            [
                "--image-size",
                "8",
                "--filters",
                "8",
                "--judge-epochs",
                "1",
                "--samples",
                "20",
                "--steps",
                "3",
                "--tune-l2",
                "--tune-images",
                "40",
                "--tune-epochs",
                "1",
            ],
        ),
        (
            "generate_video",
            "rollout_ssim",
            [
                "--frames",
                "6",
                "--image-size",
                "16",
                "--filters",
                "4",
                "--mixed-precision",
                "--tune-l2",
                "--tune-clips",
                "9",
                "--tune-epochs",
                "1",
            ],
        ),
    ],
)
def test_a_task_is_trained_measured_drawn_and_exported(recipe, metric, options, tmp_path):
    seeds = 2 if recipe == "classify" else 1  # each is traced anew, which takes longer than it trains
    small = ["--limit", "40", "--test-split", "test[:30]", "--epochs", "1", "--out", "out"]
    small += ["--seeds", str(seeds)]
    done = subprocess.run(
        [sys.executable, str(ROOT / f"recipes/{recipe}.py"), *small, *options],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert metric in done.stdout
    assert ("L2" in done.stdout) == ("--tune-l2" in options)  # the verdict
    values = json.loads((tmp_path / "out/metrics.json").read_text())["metrics"][metric]
    assert len(values) == seeds
    assert (tmp_path / "out/predictions.png").read_bytes().startswith(b"\x89PNG")
    manifest = json.loads((tmp_path / "out/artifact/manifest.json").read_text())
    assert set(manifest["formats"]) == {"keras", "savedmodel", "tflite"}
    card = (tmp_path / "out/artifact/README.md").read_text()
    assert f"recipes/{recipe}.py --limit 40" in card
    assert ("chosen by cross-validation" in card) == ("--tune-l2" in options)
    assert ("100 members, 100 others" in card) == ("--privacy" in options)
    report = (tmp_path / "out/report.html").read_text()
    assert f"{metric.replace('_', ' ')} {sum(values) / seeds:.4f}" in report
    assert ("LiRA" in report, "loss threshold" in report) == (False, "--privacy" in options)
    moving = {path.name for path in (tmp_path / "out").glob("*.gif")}
    assert moving == {"generate_images": {"denoising.gif"}, "generate_video": {"rollout.gif"}}.get(
        recipe, set()
    )


@pytest.mark.slow
def test_bare_pictures_are_learnt_without_classes(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    (tmp_path / "pictures").mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "pictures" / f"{number}.png")
    options = ["--data", "folder:pictures", "--train-split", "train[:75%]", "--test-split", "train[75%:]"]
    options += ["--limit", "10", "--filters", "8", "--samples", "6", "--steps", "2", "--epochs", "1"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "recipes/generate_images.py"), *options, "--formats", "tflite"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "runs/images/artifact/manifest.json").read_text())
    assert manifest["class_names"] is None
    assert set(manifest["inputs"]) == {"images", "times"}
    found = set(manifest["metrics"])
    assert {"test_copying", "test_copying_fresh", "test_nearest_train", "test_nearest_test"} <= found
    assert not any(name.startswith("test_class") for name in found)
    assert not (tmp_path / "runs/images/judge").exists()


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        ("generate_images", ["--steps", "0"], "`steps` must be a whole number >= 1, got steps=0"),
        ("generate_images", ["--image-size", "30"], "must have sides that 4 divides"),
        (
            "generate_images",
            ["--test-split", "train[80%:]"],
            "`train` and `test` must have nothing in common",
        ),
        ("generate_video", ["--frames", "2"], "must have clips of at least 4 frames, got 2"),
    ],
)
def test_generators_refuse_what_cannot_end_well_before_anything_trains(recipe, options, message, tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / f"recipes/{recipe}.py"), *options, "--out", "out"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_regularizers_are_compared_each_at_its_own_strength(tmp_path):
    small = ["--limit", "60", "--test-split", "test[:40]", "--epochs", "1", "--folds", "2", "--seeds", "2"]
    small += ["--noise", "0.2"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "recipes/compare_regularizers.py"), *small, "--out", "out"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "out/noise_0.2/comparison.json").read_text())
    names = [row["variant"] for row in content["variants"]]
    assert names == ["none", "L2", "L1", "AdamW", "dropout", "zoom", "textbook"]
    assert [row["strength"] is None for row in content["variants"]] == [True, *[False] * 3, True, True, False]
    assert all(row["trained"] == 2 for row in content["variants"])
    assert content["may_be_said"] in " ".join(done.stdout.split())


@pytest.mark.slow
def test_privacy_audits_every_strength(tmp_path):
    small = ["--images", "100", "--epochs", "1", "--references", "4", "--strengths", "0,1e-2", "--out", "out"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "recipes/privacy.py"), *small],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "100 members, 100 others, 4 reference models" in " ".join(done.stdout.split())
    rows = [line for line in done.stdout.splitlines() if "loss threshold " in line and "±" in line]
    assert [row.split()[0] for row in rows] == ["0", "0.01"]
    assert len(list((tmp_path / "out/references_0.01").glob("*.npz"))) == 4
    for picture in ("strengths", "roc"):
        assert (tmp_path / f"out/{picture}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_finetune_unfreezes_stage_by_stage_and_exports_the_last(tmp_path):
    small = ["--backbone", "MobileNet", "--alpha", "0.25", "--limit", "10", "--levels", "0,1", "--no-scratch"]
    small += ["--formats", "tflite", "--pretrain-epochs", "1", "--epochs", "1", "--seeds", "1"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "recipes/finetune.py"), *small, "--out", "out"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # 27 convolutions with a kernel and 27 batch norms with two weights, and a head of two; the last level has
    # four convolutions.
    frozen = re.findall(r"^seed0/\S+: .*; (\d+) of 83 weights frozen; penalty", done.stdout, re.MULTILINE)
    assert frozen == ["81", "77"]
    manifest = json.loads((tmp_path / "out/artifact/manifest.json").read_text())
    assert manifest["class_names"] == ["5", "6", "7", "8", "9"]
    assert f"levels that learn: 1 │ {manifest['metrics']['test_accuracy']:.4f}" in done.stdout
    assert (tmp_path / "out/predictions.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--data", "minst"], 1, "mnist"),
        (["--model", "cmm"], 1, "cnn"),
        (["--strengths", "1e-3,-1"], 1, "`strengths` must be a finite number >= 0"),
        (["--strengths", "a,b"], 1, "could not convert"),
        (["--label-noise", "1.5"], 1, "`label_noise`"),
        (["--strategy", "annealing"], 1, "`strategy` must be one of"),
        (["--space", "depth"], 1, "--space must be lr or empty"),
        (["--folds", "x"], 2, "Invalid value for '--folds'"),
        (["--foldz", "3"], 2, "No such option"),
    ],
)
def test_wrong_options_end_in_one_clear_message(options, code, message, tmp_path):
    done = run(*options, "--out", "out", folder=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        ("classify", {"model": "unet"}, "a model for classification, got name='unet'"),
        ("segment", {"model": "resnet20"}, "a model for segmentation, got name='resnet20'"),
        ("detect", {"model": "unet"}, "a model for detection, got name='unet'"),
        ("segment", {"freeze": True}, "--freeze needs a --backbone"),
        ("detect", {"freeze": True}, "--freeze needs a --backbone"),
    ],
)
def test_options_that_do_not_belong_together_are_refused_before_data_is_read(recipe, options, message):
    main = runpy.run_path(str(ROOT / f"recipes/{recipe}.py"))["main"]
    with pytest.raises(ValueError, match=message):
        main(data="no-such-data", **options)


def test_every_recipe_explains_itself():
    recipes = sorted((ROOT / "recipes").glob("*.py"))
    assert recipes
    for recipe in recipes:
        environment = {**os.environ, "COLUMNS": "100"}
        shown = subprocess.run(
            [sys.executable, str(recipe), "--help"],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        assert "Usage:" in shown.stdout
        assert "--out" in shown.stdout or recipe.stem == "serve"  # which leaves nothing behind
