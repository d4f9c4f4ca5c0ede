"""An experiment: seeds, figures, picture and artifact; stopped and called again, it goes on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import l2zoo
from l2zoo import L2Policy, SearchResult, Training, experiment
from l2zoo.data import ImageData, load, load_video
from l2zoo.studies.experiment import Search, data_in_words, mean_and_error
from l2zoo.tasks import Classification, Detection, Generation, Segmentation, VideoPrediction
from l2zoo.utils.storage.earlier_run import OtherRunError

QUICK = Training(epochs=1, batch_size=16, optimizer="adam", learning_rate=1e-2)


@pytest.fixture(scope="module")
def digits() -> tuple[ImageData, ImageData]:
    return load("l2zoo_digits", "train", limit=64), load("l2zoo_digits", "test", limit=40)


def small(policy: L2Policy) -> keras.Model:
    return l2zoo.build_cnn((8, 8, 1), num_classes=10, filters=(4, 8), l2=policy)


@pytest.mark.sweep  # as `l2zoo train` with two seeds
@pytest.mark.slow
def test_every_seed_is_trained_and_measured_and_the_first_exported(
    digits: tuple[ImageData, ImageData], tmp_path: Path
) -> None:
    train, test = digits
    task = Classification(train.class_names)
    run: Any = {"training": QUICK, "l2": 1e-3, "seeds": 2, "directory": tmp_path, "verbose": 0}
    run["formats"] = ("tflite", "tflite_fp16")
    outcome = experiment(small, task, train, test, watch=True, **run)
    values = outcome.metrics["accuracy"]
    assert len(values) == 2
    assert task.measure(outcome.model, test)["accuracy"] == values[0]
    assert l2zoo.audit(outcome.model).penalty > 0
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["l2"] == 1e-3
    assert written["metrics"]["accuracy"] == list(values)
    manifest = json.loads((outcome.artifact.folder / "manifest.json").read_text())
    mean = np.mean(values)
    assert manifest["metrics"]["test_accuracy"]["mean"] == pytest.approx(mean)
    assert manifest["metrics"]["test_accuracy"]["se"] == pytest.approx(abs(values[0] - values[1]) / 2)
    rounded = outcome.metrics["accuracy_fp16"]
    assert len(rounded) == 2  # the model of every seed, also of those that are not kept
    small_file = manifest["formats"]["tflite_fp16"]
    assert small_file["parity"]["images"] == 40
    assert rounded[0] == small_file["parity"]["metrics"]["accuracy"]["file"]
    assert manifest["metrics"]["test_accuracy_fp16"]["mean"] == pytest.approx(np.mean(rounded))
    card = (outcome.artifact.folder / "README.md").read_text()
    assert card.startswith("# cnn, l2zoo_digits\n")
    for words in ("The strength was given, not searched.", "Limits: Any image gets one of the classes"):
        assert words in card
    assert small_file["bytes"] < manifest["formats"]["tflite"]["bytes"]
    assert outcome.picture.stat().st_size > 1000
    report = (tmp_path / "report.html").read_text()
    assert f"accuracy {mean:.4f} ± " in report
    assert "What L2 did to each kernel" in report
    assert "stage2_conv1/kernel" in (tmp_path / "seed0" / "monitor.csv").read_text()
    assert not (tmp_path / "seed1" / "monitor.csv").exists()
    kept = (tmp_path / "seed1" / "state.npz").stat().st_mtime_ns
    again = experiment(small, task, train, test, watch=True, **run)
    assert again.watched == outcome.watched
    assert again.metrics == outcome.metrics
    assert (tmp_path / "seed1" / "state.npz").stat().st_mtime_ns == kept  # nothing was trained


def test_the_standard_error_is_that_of_the_mean() -> None:
    assert mean_and_error([0.9, 0.8, 0.7]) == (pytest.approx(0.8), pytest.approx(0.1 / 3**0.5))
    assert mean_and_error([0.9]) == (0.9, None)


def test_decoupled_decay_is_the_optimizer_s_and_reaches_kernels_only() -> None:
    training = Training(epochs=1, optimizer="adamw")
    policy = training.policy(1e-2)
    model = training.compile(small(policy), Classification(["a", "b"]), policy, num_examples=10)
    assert model.losses == []
    assert model.optimizer.weight_decay == 1e-2
    model.optimizer.build(model.trainable_variables)
    decays = {v.path for v in model.trainable_variables if model.optimizer._use_weight_decay(v)}
    assert decays == {v.path for v in model.trainable_variables if v.path.endswith("kernel")}


def test_an_attack_that_cannot_be_is_refused_before_anything_is_trained(
    digits: tuple[ImageData, ImageData], tmp_path: Path
) -> None:
    run: Any = {"training": QUICK, "privacy": True, "directory": tmp_path / "run"}
    with pytest.raises(ValueError, match="`train` must hold at least 100 images for `privacy`, got 64"):
        experiment(small, Classification(["a", "b"]), *digits, **run)
    with pytest.raises(ValueError, match=r"`privacy` is for classification, .* got segmentation"):
        experiment(small, Segmentation(["a", "b"]), *digits, **run)
    assert not (tmp_path / "run").exists()


def test_what_would_fail_after_hours_is_refused_before_them(
    digits: tuple[ImageData, ImageData], tmp_path: Path
) -> None:
    train, test = digits
    run: Any = {"training": QUICK, "directory": tmp_path / "run"}
    task = Classification(train.class_names)
    with pytest.raises(ValueError, match=r"`formats` must be out of .*, got \['tflit'\]"):
        experiment(small, task, train, test, formats=("tflit",), **run)
    sorting = type("Sorting", (Classification,), {"name": "sorting"})(train.class_names)
    with pytest.raises(ValueError, match=r"`task\.name` must be one of \['classification', .*'sorting'"):
        experiment(small, sorting, train, test, **run)
    larger = load("l2zoo_digits", "test", limit=40, image_size=(16, 16))
    with pytest.raises(ValueError, match=r"the images of `train`, \(8, 8, 1\), got \(16, 16, 1\)"):
        experiment(small, task, train, larger, **run)
    fewer = load("l2zoo_digits", "test", classes=("0", "1"))
    with pytest.raises(ValueError, match=r"the classes of `train`, .* got \('0', '1'\)"):
        experiment(small, task, train, fewer, **run)
    clips = [load_video(np.zeros((2, 5, side, 16, 1), "uint8")) for side in (16, 18)]
    with pytest.raises(ValueError, match=r"the frames of `train`, \(16, 16, 1\), got \(18, 16, 1\)"):
        experiment(small, VideoPrediction(), *clips, **run)
    with pytest.raises(TypeError, match="both be clips, got ImageData and VideoData"):
        experiment(small, task, train, clips[0], **run)
    assert not (tmp_path / "run").exists()


def test_another_experiment_s_folder_is_refused_before_anything_is_searched(
    digits: tuple[ImageData, ImageData], tmp_path: Path
) -> None:
    train, test = digits
    task = Classification(train.class_names)

    class ReachedError(Exception):
        """Work begins."""

    def build(policy: L2Policy) -> keras.Model:
        raise ReachedError

    def run(**changes: Any) -> None:
        given: dict[str, Any] = {"training": QUICK, "l2": 1e-3, "directory": tmp_path, **changes}
        experiment(build, task, train, test, **given)

    with pytest.raises(ReachedError):
        run()
    with pytest.raises(ReachedError):
        run(l2=1e-2)  # nothing was trained
    (tmp_path / "seed0").mkdir()
    (tmp_path / "seed0/state.npz").touch()
    kept = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(ReachedError):
        run(l2=1e-2, seeds=3, formats=("keras",))  # goes on
    longer = dataclasses.replace(QUICK, epochs=2)
    for changes, words in (
        ({"l2": 1e-3}, "l2 was .given: 0.01. and is now .given: 0.001."),
        ({"l2": Search(train, QUICK)}, "l2 was .given: 0.01. and is now"),
        ({"l2": 1e-2, "training": longer}, "training.epochs was 1 and is now 2"),
    ):
        with pytest.raises(
            OtherRunError, match=rf"another experiment, .*{words}.*\. Choose another folder, or remove"
        ):
            run(**changes)
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact/mine.txt").touch()
    with pytest.raises(ValueError, match="is not an artifact and is not replaced"):
        run(l2=1e-2)
    assert {path.name for path in tmp_path.iterdir()} == kept | {"artifact"}
    variants = [l2zoo.Variant("none"), l2zoo.Variant("L2", strengths=(1e-3,))]
    with pytest.raises(OtherRunError, match=r"`directory` holds an experiment, and this is a search"):
        l2zoo.tune_l2(lambda l2: small(L2Policy(l2)), train, folds=2, directory=tmp_path)
    with pytest.raises(OtherRunError, match=r"`directory` holds an experiment, and this is a search"):
        l2zoo.compare(small, train, variants, training=QUICK, directory=tmp_path)


def test_nothing_is_trained_where_the_test_set_would_be_seen(
    digits: tuple[ImageData, ImageData], tmp_path: Path
) -> None:
    train, test = digits
    task, run = Classification(train.class_names), {"training": QUICK, "directory": tmp_path / "run"}
    every = load("l2zoo_digits", "train")
    x, y = (np.concatenate(parts) for parts in zip(test.arrays(), load("l2zoo_digits").arrays(), strict=True))
    ours = dataclasses.replace(load((x[:60], y[:60])), class_names=train.class_names)
    for one, other, words in (
        (train, train, "64 of the 64 examples"),
        (
            every,
            load("l2zoo_digits", "train[80%:]"),
            r"'train' and 'train\[80%:\]' of l2zoo_digits share 287",
        ),
        (ours, test, "40 of the 40 examples in `test` are in `train` too"),
    ):
        with pytest.raises(ValueError, match=words):
            experiment(small, task, one, other, **run)
    with pytest.raises(
        ValueError, match=r"`l2\.data` and `test` must have nothing in common, but 40 of the 40"
    ):
        experiment(small, task, train, test, l2=Search(ours, QUICK), **run)
    assert not (tmp_path / "run").exists()


def test_the_card_says_what_was_used(digits: tuple[ImageData, ImageData]) -> None:
    train, test = digits
    assert data_in_words(train, test).startswith(
        "Trained on 64 images of l2zoo_digits train, measured on 40 images of l2zoo_digits test. License: "
    )
    arrays = [load(data.arrays(), name) for data, name in ((train, "ours"), (test, "theirs"))]
    said = data_in_words(*arrays)
    assert said.startswith(
        'Trained on 64 images given as arrays, "ours", measured on 40 images given as arrays, "theirs".'
    )
    assert "held out" not in said
    groups = np.arange(64) // 4
    held = [load(train.arrays(), part, holdout=0.25, groups=groups) for part in ("train", "test")]
    assert "25 % was held out (whole groups, always by the seed 0). No group of images is in both." in (
        data_in_words(*held)
    )
    clips = [load_video(np.full((n, 5, 16, 16, 1), n, "uint8"), f"{n}") for n in (2, 3)]
    assert data_in_words(*clips).startswith("Trained on 2 clips given as arrays")


def squares(count: int = 12) -> ImageData:
    """A bright square on dark ground, and its mask."""
    images = np.random.default_rng(0).integers(0, 60, (count, 16, 16, 3)).astype("uint8")
    masks = np.zeros((count, 16, 16), "uint8")
    for number in range(count):
        masks[number, number : number + 5, 3:9] = 1
    images[masks == 1] += 150
    return load((images, masks), task="segmentation")


@pytest.mark.slow
@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_the_strength_for_a_segmenter_is_chosen_on_folds_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SearchResult, "save", lambda self, directory: None)
    task = Segmentation(["ground", "square"])

    def build(policy: L2Policy) -> keras.Model:
        return l2zoo.build_unet((16, 16, 3), num_classes=2, filters=(4, 8), l2=policy)

    training = Training(epochs=2, batch_size=4, learning_rate=1e-2)
    search = Search(squares(), training, strengths=(0.0, 1e-3))
    found = search.run(build, task, directory=tmp_path)
    assert {c.strength for c in found.candidates} == {0.0, 1e-3}
    assert all(len(c.scores) == 3 and 0 <= c.mean <= 1 for c in found.candidates)
    folds = [record.curves["val_mean_iou"][-1] for record in found.records if record.unit.strength == 0]
    assert found.candidates[0].mean == pytest.approx(np.mean(folds))
    said = search.says(found, steps=3000)  # two epochs of 8 of the 12 images
    assert "with trainings of 4 steps where this one has 3,000: " in said
    assert said.endswith(str(found.verdict))


@pytest.mark.sweep
@pytest.mark.slow
def test_the_strength_for_a_detector_is_chosen_on_folds_of_images(tmp_path: Path) -> None:
    data = load("l2zoo_scenes", "test[:24]", task="detection")
    task = Detection(data.class_names)

    def build(policy: L2Policy) -> keras.Model:
        return l2zoo.build_detector(data.image_shape, num_classes=10, channels=8, depth=1, l2=policy)

    training = Training(epochs=1, batch_size=8)
    found = Search(data, training, strengths=(0.0, 1e-3), folds=2).run(build, task, directory=tmp_path)
    assert all(np.isfinite(candidate.mean) for candidate in found.candidates)


@pytest.mark.sweep  # as the recipe for images
@pytest.mark.slow
def test_a_model_that_draws_is_trained_measured_and_exported(
    digits: tuple[ImageData, ImageData], tmp_path: Path
) -> None:
    train, test = digits
    task = Generation(train.class_names)

    def build(policy: L2Policy) -> keras.Model:
        return l2zoo.build_diffusion((8, 8, 1), num_classes=10, filters=(8,), attention=0, l2=policy)

    training = Training(epochs=1, batch_size=16, average=0.9)
    outcome = experiment(
        build, task, train, test, training=training, l2=1e-4, formats=("tflite", "tflite_fp16"),
        directory=tmp_path / "run", verbose=0,
    )  # fmt: skip
    assert outcome.metrics["denoising_loss"] == (task.measure(outcome.model, test)["denoising_loss"],)
    manifest = json.loads((outcome.artifact.folder / "manifest.json").read_text())
    assert manifest["formats"]["tflite"]["parity"]["metrics"].keys() == {"explained"}


@pytest.mark.slow
def test_a_model_of_video_trains_and_its_step_is_exported(tmp_path: Path) -> None:
    clips = np.random.default_rng(0).integers(0, 256, (12, 6, 16, 16, 1)).astype("uint8")
    train, test = load_video(clips[:6]), load_video(clips[6:], "test")

    def build(policy: L2Policy) -> keras.Model:
        return l2zoo.build_video((5, 16, 16, 1), filters=(4,), l2=policy)

    outcome = experiment(
        build, VideoPrediction(), train, test, training=Training(epochs=1, batch_size=4), l2=1e-4,
        formats=("tflite",), directory=tmp_path, verbose=0,
    )  # fmt: skip
    assert {"rollout_ssim", "copy_rollout_ssim"} < set(outcome.metrics)
    manifest = json.loads((outcome.artifact.folder / "manifest.json").read_text())
    assert sorted(manifest["inputs"]) == ["frame", "state0", "state1"]
    assert manifest["formats"]["tflite"]["verify"] == {"max_abs_diff": pytest.approx(0.0255)}
