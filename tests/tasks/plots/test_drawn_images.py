from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from l2zoo.models.diffusion import build_diffusion
from l2zoo.tasks.diffusion.keras_sampling import sample
from l2zoo.tasks.plots.drawn_images import GAP, denoising_gif, picture_of_samples, tiled


def test_images_stand_side_by_side_enlarged_by_a_whole_number() -> None:
    images = np.arange(3, dtype="uint8").reshape(3, 1, 1, 1).repeat(20, axis=1).repeat(30, axis=2)
    sheet = tiled(images)
    assert sheet.shape == (2 * 60 + GAP, 2 * 90 + GAP, 1)
    assert (sheet[:60, :90] == 0).all()
    assert (sheet[:60, 90 + GAP :] == 1).all()
    assert (sheet[60 + GAP :, :90] == 2).all()
    assert (sheet[60 + GAP :, 90:] == 255).all()


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
    expected = tiled(sample(model, 3, steps=4, labels=1, seed=5, progress=False))
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
