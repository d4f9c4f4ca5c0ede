"""Pictures of clips: the truth above, or beside, what a model made of their beginning."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from l2zoo.tasks.plots import sheet
from l2zoo.tasks.plots.lettering import Line
from l2zoo.tasks.plots.sheet import Panel, Sheet
from l2zoo.tasks.video.psnr_ssim import psnr
from l2zoo.utils.files import replacing

COLUMNS = 8  # times shown, of which two are given
SIDE = 112  # screen pixels that a frame gets in an animation, at least
GAP = 6  # around frames, in screen pixels
GREY, WHITE = 128, 255
FRAME, LAST = 150, 1000  # milliseconds that a frame of an animation stands, and the last one


def picture_of_clips(clips: np.ndarray, continued: np.ndarray, path: str | Path) -> Path:
    """Clips over time, and below each the frames that a model continued it with.

    Args:
        clips: `(N, T, H, W, C)`, the truth, pixels in [0, 255], 1 or 3 channels.
        continued: `(N, L, H, W, C)`, in the place of the last L frames, with L below T.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.

    Returns:
        The path.

    Raises:
        ValueError: The arrays do not fit each other, or the path ends in something else.
    """
    given, length = _checked(clips, continued)
    truth, found = _coloured(clips), _coloured(np.concatenate([clips[:, :given], continued], axis=1))
    future = np.linspace(given, given + length - 1, min(length, COLUMNS - 2)).round().astype(int)
    times = [*range(max(0, given - 2), given), *future]
    panels, words = [], []
    for number in range(len(clips)):
        panels += [Panel(truth[number, time], [Line(f"#{number} frame {time + 1}")]) for time in times]
        panels += [
            Panel(found[number, time], [Line("given" if time < given else "predicted")]) for time in times
        ]
        score = float(psnr(clips[number, given:], continued[number]).mean())
        words.append(f"#{number}: PSNR of the predicted frames {score:.1f} dB.")
    about = f"Above the truth; below it, what follows frame {given}, predicted from the frames up to it."
    title = "Clips and how the model continues them"
    return sheet.save(Sheet(title, about, words, panels, columns=len(times), group=len(times)), path)


def rollout_gif(clips: np.ndarray, continued: np.ndarray, path: str | Path) -> Path:
    """An animation of clips, one a row: the truth on the left, what a model makes of it on the right.

    While frames are given both sides show them; a white border on the right says that they are predicted.

    Args:
        clips: `(N, T, H, W, C)`, the truth, pixels in [0, 255], 1 or 3 channels.
        continued: `(N, L, H, W, C)`, in the place of the last L frames, with L below T.
        path: Where to, a `.gif`.

    Returns:
        The path.

    Raises:
        ValueError: The arrays do not fit each other, or another ending.
    """
    from PIL import Image

    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise ValueError(f"`path` must end in .gif, got path={str(path)!r}.")
    given, _ = _checked(clips, continued)
    sides = [_pixels(clips), _pixels(np.concatenate([clips[:, :given], continued], axis=1))]
    frames = []
    for time in range(clips.shape[1]):
        borders = (GREY, GREY if time < given else WHITE)
        left, right = (_column(side[:, time], edge) for side, edge in zip(sides, borders, strict=True))
        frames.append(Image.fromarray(np.concatenate([left, right], axis=1).squeeze()))
    times = [FRAME] * (len(frames) - 1) + [LAST]
    with replacing(path) as temporary:
        frames[0].save(temporary, save_all=True, append_images=frames[1:], duration=times, loop=0)
    return path


def _column(frames: np.ndarray, border: int) -> np.ndarray:
    """Frames `(N, H, W, C)` below each other, each enlarged by a whole number and with a border."""
    enlarge = -(-SIDE // frames.shape[1])
    large = frames.repeat(enlarge, axis=1).repeat(enlarge, axis=2)
    edged = np.pad(large, ((0, 0), (GAP, GAP), (GAP, GAP), (0, 0)), constant_values=border)
    return np.concatenate(list(edged))


def _checked(clips: np.ndarray, continued: np.ndarray) -> tuple[int, int]:
    """How many frames are given, and how many are continued."""
    shapes = [np.shape(clips), np.shape(continued)]
    fit = all(len(shape) == 5 and shape[-1] in (1, 3) and min(shape) > 0 for shape in shapes)
    if not fit or shapes[0][:1] + shapes[0][2:] != shapes[1][:1] + shapes[1][2:]:
        raise ValueError(
            "`clips` and `continued` must have shapes (N, T, H, W, 1 or 3) and (N, L, H, W, 1 or 3), got "
            f"{shapes[0]} and {shapes[1]}."
        )
    if shapes[1][1] >= shapes[0][1]:
        raise ValueError(
            f"`continued` must have fewer frames than `clips`, as some are given, got {shapes[1][1]} and "
            f"{shapes[0][1]}."
        )
    return shapes[0][1] - shapes[1][1], shapes[1][1]


def _pixels(clips: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(clips, 0, 255)).astype(np.uint8)


def _coloured(clips: np.ndarray) -> np.ndarray:
    return np.broadcast_to(_pixels(clips), (*clips.shape[:4], 3))
