from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from l2zoo.tasks.plots.clip_pictures import GAP, GREY, SIDE, WHITE, picture_of_clips, rollout_gif

CLIPS = np.random.default_rng(0).integers(0, 256, (2, 5, 8, 8, 1)).astype("uint8")
CONTINUED = np.full((2, 3, 8, 8, 1), 77.4, "float32")


@pytest.mark.parametrize("channels", [1, 3])
def test_an_animation_has_the_truth_beside_what_is_predicted(tmp_path: Path, channels: int) -> None:
    clips, continued = (part.repeat(channels, axis=-1) for part in (CLIPS, CONTINUED))
    path = rollout_gif(clips, continued, tmp_path / "clips.gif")
    with Image.open(path) as image:
        assert image.info["loop"] == 0
        seen = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    cell = SIDE + 2 * GAP
    assert [frame.shape for frame in seen] == [(2 * cell, 2 * cell, 3)] * 5
    middle = slice(GAP + SIDE // 16, GAP + SIDE, SIDE // 8)  # one screen pixel of each pixel
    for time, frame in enumerate(seen):
        np.testing.assert_array_equal(frame[middle, middle], CLIPS[0, time].repeat(3, axis=-1))
        right = frame[cell:, cell:]
        expected = CLIPS[1, time] if time < 2 else np.full((8, 8, 1), 77)
        np.testing.assert_array_equal(right[middle, middle], expected.repeat(3, axis=-1))
        assert (right[0] == (GREY if time < 2 else WHITE)).all()


def test_a_picture_says_in_words_how_near_it_came(tmp_path: Path) -> None:
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
