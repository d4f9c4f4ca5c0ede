"""Video from data to figures, on clips whose next frames are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from l2zoo import fit, tune_l2
from l2zoo.data import VideoData, load, load_video
from l2zoo.models.diffusion import build_diffusion
from l2zoo.models.video import build_video
from l2zoo.tasks.video import baselines, rollout
from l2zoo.tasks.video.keras_rollout import Stepper, step_model
from l2zoo.tasks.video.psnr_ssim import psnr, ssim
from l2zoo.tasks.video.task import VideoPrediction, generate
from l2zoo.training.feed import feed_of

FRAME = (16, 16, 1)
TASK = VideoPrediction()


def clips(count: int = 6, frames: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, frames, *FRAME)).astype("uint8")


def video(l2: Any = None) -> keras.Model:
    return build_video((None, *FRAME), filters=(4,), l2=l2)


@pytest.fixture(scope="module")
def data() -> VideoData:
    return load_video(clips())


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return video()


def test_the_model_is_given_every_frame_but_the_last_and_asked_for_the_next(data: VideoData) -> None:
    x, y = TASK.prepared(data).arrays()
    np.testing.assert_array_equal(x, clips()[:, :-1])
    np.testing.assert_array_equal(y, clips()[:, 1:])
    assert x.dtype == y.dtype == np.uint8


@pytest.mark.slow
def test_examples_for_export_continue_the_first_half_of_clips(data: VideoData, model: keras.Model) -> None:
    inputs, following = TASK.examples(model, data, 4)
    np.testing.assert_array_equal(following, clips()[:4, 3])
    np.testing.assert_array_equal(inputs["frame"], clips()[:4, 2])
    answers = step_model(model).predict(inputs, verbose=0)
    whole = model.predict(clips()[:4, :3].astype("float32"), verbose=0)
    np.testing.assert_allclose(answers["next"], whole[:, 2], atol=1e-3)
    found = TASK.scores(answers, following)["ssim"]
    assert found == pytest.approx(float(ssim(following, answers["next"]).mean()))


def test_batches_joined_late_are_those_of_an_uninterrupted_run(data: VideoData) -> None:
    feed = feed_of(TASK.prepared(data), batch_size=4, seed=3)
    assert feed.steps == 2
    whole = list(feed.epochs_from(0).take(6))[4:]
    late = list(feed.epochs_from(2).take(2))
    for one, other in zip(whole, late, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(late[0][0][:, 1:], late[0][1][:, :-1])
    assert [part.shape for part in feed.zero_batch()] == [(4, 5, *FRAME)] * 2


def test_a_run_is_not_resumed_on_other_clips(data: VideoData) -> None:
    about = feed_of(TASK.prepared(data), batch_size=4, seed=0).describe()
    assert about["examples"] == 6
    assert about["task"] == "video"
    other = feed_of(TASK.prepared(load_video(255 - clips())), batch_size=4, seed=0)
    assert about["checksum"] != other.describe()["checksum"]


@pytest.mark.slow
def test_it_trains(data: VideoData) -> None:
    keras.utils.set_random_seed(1)
    model = video(l2=1e-4)
    model.compile(keras.optimizers.Adam(1e-2), run_eagerly=True, **TASK.compiling())  # quicker than its graph
    prepared, others = (TASK.prepared(data.select(np.arange(*rows))) for rows in ((0, 4), (4, 6)))
    history = fit(model, prepared, epochs=2, validation=others, batch_size=3, seed=5, verbose=0).history
    assert history["data_loss"][1] < history["data_loss"][0]
    assert {"val_data_loss", "val_mae", "l2_penalty"} <= set(history)


@pytest.mark.slow
def test_a_strength_can_be_searched_for(data: VideoData, tmp_path: Path) -> None:
    def build(l2: float) -> keras.Model:
        model = video(l2=l2)
        model.compile(keras.optimizers.Adam(1e-2), jit_compile=False, **TASK.compiling())
        return model

    found = tune_l2(
        build,
        TASK.prepared(data),
        strengths=[0.0, 1.0],
        folds=2,
        epochs=1,
        batch_size=3,
        objective=TASK.objective,
        directory=tmp_path / "search",
    )
    assert {candidate.strength for candidate in found.candidates} == {0.0, 1.0}


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_clip_is_continued_by_feeding_the_model_itself(model: keras.Model) -> None:
    given = clips(3, 4)
    found = generate(model, given, 3, batch_size=2)
    assert found.shape == (3, 3, *FRAME)
    assert found.dtype == np.float32
    seen = given.astype("float32")
    for _ in range(3):  # the whole model over everything so far, again and again
        seen = np.concatenate([seen, model.predict(seen, verbose=0)[:, -1:]], axis=1)
    np.testing.assert_allclose(found / 255, seen[:, 4:] / 255, atol=1e-4)
    np.testing.assert_allclose(generate(step_model(model), given, 3), found, atol=1e-3)


def test_all_next_frames_are_those_of_the_whole_model(model: keras.Model) -> None:
    found = Stepper(step_model(model), batch_size=4).next_frames(clips())
    np.testing.assert_allclose(found / 255, model.predict(clips(), verbose=0) / 255, atol=1e-4)


@pytest.mark.parametrize(
    ("given", "length", "message"),
    [
        (clips(2, 1), 3, "`frames` must be at least 2 of each clip"),
        (
            clips(2, 3)[:, :, :8],
            3,
            r"must be of shape \(H, W, C\)=\(16, 16, 1\), those of the model, got \(8",
        ),
        (clips(2, 3), 0, "`length` must be a whole number >= 1"),
        (clips(2, 3).repeat(3, axis=-1), 1, "as many channels as those of the model, 1, got 3. Make them"),
        (
            [clips(1, 3)[0], clips(1, 4)[0]],
            1,
            r"shape \(N, T, H, W, C\), got clips that differ .* one length",
        ),
        (np.full((1, 2, *FRAME), np.nan), 1, "`frames` must hold finite numbers, got NaN or infinity"),
        (clips(2, 3) / 255, 1, r"`frames` must hold raw pixels in \[0, 255\], got values in \[0, 1\]"),
        (clips(2, 3) - 1000.0, 1, r"`frames` must hold raw pixels in \[0, 255\]"),
    ],
)
def test_clips_that_cannot_be_continued_are_refused(
    model: keras.Model, given: Any, length: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        generate(model, given, length)


def test_a_batch_size_that_is_none_is_refused(model: keras.Model) -> None:
    with pytest.raises(ValueError, match="`batch_size` must be a whole number >= 1, got batch_size=0"):
        generate(model, clips(2, 3), 1, batch_size=0)
    with pytest.raises(TypeError, match=r"`batch_size` must be a whole number >= 1, got batch_size=2.5"):
        generate(model, clips(2, 3), 1, batch_size=2.5)


def test_a_terminal_shows_how_many_frames_are_done(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # Rich takes any stream for a terminal then
    generate(model, clips(3, 3), 4, batch_size=2)
    shown = capsys.readouterr().err
    assert "continuing" in shown
    assert "12/12" in shown  # two batches, each of 2 frames that are looked at and 4 that are added
    generate(model, clips(3, 3), 4, progress=False)
    assert capsys.readouterr().err == ""


def test_another_model_cannot_go_on() -> None:
    inputs = keras.Input(FRAME)
    other = keras.Model(inputs, keras.layers.Rescaling(1.0)(inputs))
    denoiser = build_diffusion(FRAME, filters=(8,), attention=0)
    for model in (other, denoiser, keras.Sequential(), None):
        with pytest.raises(TypeError, match="`model` must be one that build_video makes"):
            generate(model, clips(), 2)
    with pytest.raises(TypeError, match="`step` must be a model of one time step"):
        Stepper(other)


def test_figures_of_the_model_and_of_the_rules(model: keras.Model, data: VideoData) -> None:
    measured = TASK.measure(model, data)
    assert all(type(value) is float for value in measured.values())
    truth = clips()
    after_two = model.predict(truth[:, :-1], verbose=0)[:, 1:]
    continued = generate(model, truth[:, :3], 3)
    copy, shift = baselines.copy_last_frame(truth[:, :3], 3), baselines.shift_frames(truth[:, :3], 3)
    expected = {
        "psnr": psnr(truth[:, 2:], after_two).mean(),
        "ssim": ssim(truth[:, 2:], after_two).mean(),
        "rollout_psnr": psnr(truth[:, 3:], continued).mean(),
        "rollout_ssim": ssim(truth[:, 3:], continued).mean(),
        "copy_psnr": psnr(truth[:, 2:], truth[:, 1:-1]).mean(),
        "copy_rollout_ssim": ssim(truth[:, 3:], copy).mean(),
        "shift_rollout_psnr": psnr(truth[:, 3:], shift).mean(),
    }
    assert {name: measured[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    kinds = ("psnr", "ssim", "rollout_psnr", "rollout_ssim")
    rules = ("", "copy_", "linear_", "shift_")
    assert set(measured) == {rule + kind for rule in rules for kind in kinds}
    assert TASK.score in measured


def test_ten_frames_are_given_and_ten_asked_for_where_there_are_as_many(model: keras.Model) -> None:
    x = np.zeros((1, 22, *FRAME), "uint8")
    x[:, 9] = 255  # the last frame given
    x[:, 10:20] = 255
    measured = TASK.measure(model, load_video(x))
    assert measured["copy_rollout_psnr"] == 100.0


def test_clips_too_short_to_judge_are_refused(model: keras.Model) -> None:
    with pytest.raises(ValueError, match="`data` must have clips of at least 4 frames, got 3"):
        TASK.measure(model, load_video(clips(2, 3)))
    with pytest.raises(ValueError, match="`data` must have clips of at least 4 frames, got 2"):
        TASK.prepared(load_video(clips(2, 2)))  # before the training, not after it


def test_clips_of_another_kind_than_the_model_s_are_refused_before_it_is_asked(model: keras.Model) -> None:
    TASK.check(model, load_video(clips(2, 4)))
    TASK.check(step_model(model), load_video(clips(2, 4)))
    wide = (
        r"clips of frames \(H, W, C\)=\(16, 16, 1\), those of the model, got \(16, 32, 1\)\. Load them with"
    )
    with pytest.raises(ValueError, match=wide):
        TASK.measure(model, load_video(clips(2, 4).repeat(2, axis=3)))
    with pytest.raises(ValueError, match=r"those of the model, got \(16, 16, 3\)"):
        TASK.measure(model, load_video(clips(2, 4).repeat(3, axis=4)))
    images: Any = load((np.zeros((2, *FRAME)), [0, 1]))
    for ask in (TASK.prepared, lambda data: TASK.measure(model, data)):
        with pytest.raises(
            TypeError, match=r"`data` must be a VideoData from l2zoo.data.load_video, got Image"
        ):
            ask(images)


def test_it_is_drawn(model: keras.Model, data: VideoData, tmp_path: Path) -> None:
    assert TASK.picture(model, data, tmp_path / "p.png").stat().st_size > 10_000


def test_there_is_no_augmentation_yet(data: VideoData) -> None:
    with pytest.raises(ValueError, match=r"`augment` must be one of \['none'\], got augment='flip'"):
        TASK.prepared(data, augment="flip")


@pytest.mark.slow
def test_an_exported_step_goes_on_like_the_model(model: keras.Model, tmp_path: Path) -> None:
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    step = TASK.deployed(model)
    specs = {name: tf.TensorSpec((None, *x.shape[1:]), x.dtype, name) for name, x in step.input.items()}
    graph = tf.function(lambda batch: step(batch, training=False), input_signature=[specs])
    archive = keras.export.ExportArchive()
    archive.track(step)
    archive.add_endpoint("serving_default", graph.python_function, input_signature=[specs])
    archive.write_out(tmp_path / "saved", verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]  # anything else is an error
    run = Interpreter(model_content=converter.convert()).get_signature_runner("serving_default")
    states = {name: x.shape[1:] for name, x in step.input.items() if name != "frame"}
    found = rollout.rollout(lambda inputs: run(**inputs), clips(2, 3), 3, states=states)
    np.testing.assert_allclose(found / 255, generate(model, clips(2, 3), 3) / 255, atol=1e-4)
