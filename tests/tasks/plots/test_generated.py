"""Pictures and animations of images out of noise, and of clips that are continued."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from l2zoo.models.diffusion import build_diffusion
from l2zoo.tasks.diffusion.keras_sampling import sample
from l2zoo.tasks.plots.generated import (
    FRAME_GAP,
    FRAME_SIDE,
    GREY,
    IMAGE_GAP,
    WHITE,
    denoising_gif,
    picture_of_clips,
    picture_of_samples,
    rollout_gif,
    tile,
)


def test_images_stand_side_by_side_enlarged_by_a_whole_number() -> None:
    images = np.arange(3, dtype="uint8").reshape(3, 1, 1, 1).repeat(20, axis=1).repeat(30, axis=2)
    sheet = tile(images)
    assert sheet.shape == (2 * 60 + IMAGE_GAP, 2 * 90 + IMAGE_GAP, 1)
    assert (sheet[:60, :90] == 0).all()
    assert (sheet[:60, 90 + IMAGE_GAP :] == 1).all()
    assert (sheet[60 + IMAGE_GAP :, :90] == 2).all()
    assert (sheet[60 + IMAGE_GAP :, 90:] == 255).all()


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "mode", "steps", "frames"), [(1, "L", 4, 5), (3, "RGB", 40, 20)])
def test_an_animation_ends_with_the_samples(
    channels: int, mode: str, steps: int, frames: int, tmp_path: Path
) -> None:
    model = build_diffusion((8, 8, channels), num_classes=3, filters=(8,), attention=0)
    path = denoising_gif(model, tmp_path / "a" / "x.gif", n=3, steps=steps, labels=1, seed=5)
    with Image.open(path) as gif:
        assert gif.n_frames == frames
        gif.seek(frames - 1)
        last = np.asarray(gif.convert(mode)).reshape(*gif.size[::-1], channels)
    expected = tile(sample(model, 3, steps=4, labels=1, seed=5, progress=False))
    assert np.abs(last.astype(int) - expected).max() <= (0 if channels == 1 else 40)  # 256 colours a frame


def test_a_terminal_shows_how_many_steps_of_an_animation_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    model = build_diffusion((8, 8, 1), filters=(8,), attention=0)
    monkeypatch.setenv("FORCE_COLOR", "1")  # Rich takes any stream for a terminal then
    denoising_gif(model, tmp_path / "x.gif", n=2, steps=3)
    assert "3/3" in capsys.readouterr().err
    denoising_gif(model, tmp_path / "x.gif", n=2, steps=3, progress=False)
    assert capsys.readouterr().err == ""


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`path` must end in .gif, got"):
        denoising_gif(build_diffusion((8, 8, 1), filters=(8,)), tmp_path / "x.png")
    with pytest.raises(ValueError, match="must draw images of 1 or 3 channels, got 2"):
        denoising_gif(build_diffusion((8, 8, 2), filters=(8,)), tmp_path / "x.gif")


def test_a_picture_names_the_classes(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype("uint8")
    path = picture_of_samples(images, tmp_path / "x.png", labels=np.arange(4) % 2, class_names=["one", "two"])
    with Image.open(path) as picture:
        assert "#1: to be two." in picture.text["Description"]
    assert picture_of_samples(images, tmp_path / "y.png").stat().st_size > 1000


CLIPS = np.random.default_rng(0).integers(0, 256, (2, 5, 8, 8, 1)).astype("uint8")
CONTINUED = np.full((2, 3, 8, 8, 1), 77.4, "float32")


@pytest.mark.parametrize("channels", [1, 3])
def test_an_animation_has_the_truth_beside_what_is_predicted(tmp_path: Path, channels: int) -> None:
    clips, continued = (part.repeat(channels, axis=-1) for part in (CLIPS, CONTINUED))
    path = rollout_gif(clips, continued, tmp_path / "clips.gif")
    with Image.open(path) as image:
        assert image.info["loop"] == 0
        seen = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    cell = FRAME_SIDE + 2 * FRAME_GAP
    assert [frame.shape for frame in seen] == [(2 * cell, 2 * cell, 3)] * 5
    step = FRAME_SIDE // 8
    middle = slice(FRAME_GAP + step // 2, FRAME_GAP + FRAME_SIDE, step)  # one screen pixel of each pixel
    for time, frame in enumerate(seen):
        np.testing.assert_array_equal(frame[middle, middle], CLIPS[0, time].repeat(3, axis=-1))
        right = frame[cell:, cell:]
        expected = CLIPS[1, time] if time < 2 else np.full((8, 8, 1), 77)
        np.testing.assert_array_equal(right[middle, middle], expected.repeat(3, axis=-1))
        assert (right[0] == (GREY if time < 2 else WHITE)).all()


def test_a_picture_of_clips_says_in_words_how_near_it_came(tmp_path: Path) -> None:
    path = picture_of_clips(CLIPS, CLIPS[:, 2:], tmp_path / "clips.png")
    with Image.open(path) as image:
        assert "#1: PSNR of the predicted frames 100.0 dB." in image.info["Description"]
        assert image.width > 1000


def test_the_same_clips_give_the_same_files(tmp_path: Path) -> None:
    for draw, name in ((picture_of_clips, "a.svg"), (rollout_gif, "a.gif")):
        first = draw(CLIPS, CONTINUED, tmp_path / name).read_bytes()
        assert draw(CLIPS, CONTINUED, tmp_path / f"again_{name}").read_bytes() == first


def test_arrays_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`clips` and `continued` must have shapes"):
        rollout_gif(CLIPS, CONTINUED[:1], tmp_path / "clips.gif")
    with pytest.raises(ValueError, match="`continued` must have fewer frames than `clips`"):
        picture_of_clips(CLIPS, CLIPS, tmp_path / "clips.png")
    with pytest.raises(ValueError, match=r"`path` must end in \.gif"):
        rollout_gif(CLIPS, CONTINUED, tmp_path / "clips.mp4")
