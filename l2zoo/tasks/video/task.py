"""Video: what the next frames of a clip will be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from l2zoo.data import provenance
from l2zoo.data.prepared import Prepared
from l2zoo.data.videos import VideoData
from l2zoo.tasks.checks import as_floats
from l2zoo.tasks.losses import pixel_loss
from l2zoo.tasks.plots.generated import picture_of_clips
from l2zoo.tasks.video import baselines
from l2zoo.tasks.video.keras_rollout import Stepper, is_step_model, step_model
from l2zoo.tasks.video.psnr_ssim import psnr, ssim
from l2zoo.tasks.video.rollout import check_frames
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.progress import progress_bar
from l2zoo.utils.validation import check_pixels, one_of

GIVEN, CONTINUED = 10, 10  # frames: what is shown of a clip, and what is asked for (Srivastava et al. 2015)
SHORTEST = 4  # frames of a clip that is judged: two given, two to come
SHOWN = 3  # clips in a picture
TOGETHER = 16  # clips whose frames are compared at a time


@suggest_arguments
@dataclass(frozen=True)
class VideoPrediction:
    """How a model of the next frame is trained and judged.

    Attributes:
        loss: `"crossentropy"`, `"absolute"` or `"squared"`, of pixels / 255.
    """

    loss: str = "crossentropy"
    class_names: ClassVar[Sequence[str]] = ()
    name: ClassVar[str] = "video"
    score: ClassVar[str] = "rollout_ssim"
    objective: ClassVar[str] = "val_data_loss"
    scale: ClassVar[float] = 255.0  # pixels

    def compiling(self) -> dict[str, Any]:
        """Loss and metrics, for Keras's `compile` and for `fit`."""
        return {"loss": pixel_loss(self.loss), "metrics": [keras.metrics.MeanAbsoluteError("mae")]}

    def prepared(self, data: VideoData, *, augment: str = "none") -> Prepared:
        """Clips without their last frame, and the same without their first, for `fit`.

        Args:
            data: Clips of `T` frames, at least 4, of which two can be given and two asked for; the model gets
                `T - 1`.
            augment: `"none"`; there is nothing else yet.

        Raises:
            TypeError: `data` is no `VideoData`.
            ValueError: Clips that are too short; an augmentation.
        """
        one_of("augment", augment, ("none",))
        _check_clips(data)

        def prepare(clips: Any, seed: Any) -> tuple[Any, Any]:
            del seed
            return clips[:, :-1], clips[:, 1:]

        return Prepared(data, prepare, {"task": self.name, "augment": augment})

    def check(self, model: keras.Model, data: VideoData) -> None:
        """Raises if a model cannot be measured on clips: best before it is trained.

        Args:
            model: What `build_video` makes, trained or not, or its `step_model`.
            data: Clips.

        Raises:
            TypeError: The model is another, `data` is no `VideoData`.
            ValueError: Clips that are too short, or of another size than the model's.
        """
        _check_clips(data)
        frame_shape = tuple(self.deployed(model).input["frame"].shape[1:])
        if data.clip_shape[1:] != frame_shape:
            raise ValueError(
                f"`data` must hold clips of frames (H, W, C)={frame_shape}, those of the model, got "
                f"{data.clip_shape[1:]}. Load them with image_size={frame_shape[:2]}."
            )

    def measure(self, model: keras.Model, data: VideoData) -> dict[str, float]:
        """How good a model is, and how good rules are that learn nothing.

        Args:
            model: What `build_video` makes, or its `step_model`.
            data: Clips of at least four frames.

        Returns:
            `psnr` (dB) and `ssim`, of the frame that follows two or more; `rollout_psnr` and
            `rollout_ssim`, of the ten that follow the first ten, or of the second half of clips below 20
            frames. Means over frames. The same with `copy_`, `linear_` and `shift_` before it, for the rules
            of `l2zoo.tasks.video.baselines`.

        Raises:
            TypeError: As `check`.
            ValueError: As `check`.
        """
        self.check(model, data)
        step = Stepper(self.deployed(model))
        clips = data.arrays()
        given, length = _split_frames(clips.shape[1])
        following, continued = clips[:, 2:], clips[:, given : given + length]
        pairs = np.stack([clips[:, :-2], clips[:, 1:-1]], axis=2)  # (N, T - 2, 2, H, W, C)
        measured = _mean_scores("", following, step.next_frames(clips[:, :-1])[:, 1:])
        measured |= _mean_scores("rollout_", continued, step.rollout(clips[:, :given], length))
        for name, rule in baselines.BASELINES.items():
            one = rule(pairs.reshape(-1, *pairs.shape[2:]), 1).reshape(following.shape)
            measured |= _mean_scores(f"{name}_", following, one)
            measured |= _mean_scores(f"{name}_rollout_", continued, rule(clips[:, :given], length))
        return as_floats(measured)

    def scores(self, outputs: dict[str, np.ndarray], frames: np.ndarray) -> dict[str, float]:
        """How good the frames are that the deployed model predicts: `ssim`, more is better."""
        return as_floats({"ssim": np.mean(ssim(frames, outputs["next"]))})

    def examples(
        self, model: keras.Model, data: VideoData, most: int
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The middle of the first clips, as the deployed model takes it, and the frames that follow."""
        clips = data.arrays()[:most]
        given, _ = _split_frames(clips.shape[1])
        return Stepper(self.deployed(model)).inputs(clips[:, :given]), clips[:, given]

    def deployed(self, model: keras.Model) -> keras.Model:
        """One time step of the model, as it is exported: see `step_model`, which it passes if it is one."""
        return model if is_step_model(model) else provenance.hand_on(model, step_model(model))

    def picture(self, model: keras.Model, data: VideoData, path: str | Path) -> Path:
        """Draws clips, and below each how the model continues its first half."""
        clips = data.arrays()
        given, length = _split_frames(clips.shape[1])
        shown = clips[np.linspace(0, len(clips) - 1, min(SHOWN, len(clips))).round().astype(int)]
        found = generate(model, shown[:, :given], length, progress=False)
        return picture_of_clips(shown[:, : given + length], found, path)


@suggest_arguments
def generate(
    model: keras.Model, frames: np.ndarray, length: int, *, batch_size: int = 64, progress: bool = True
) -> np.ndarray:
    """Continues clips: each frame that the model predicts is the next that it sees.

    Args:
        model: What `build_video` makes, or its `step_model`.
        frames: `(N, T, H, W, C)`, the clips so far, pixels in [0, 255], at least 2 frames.
        length: How many frames follow, at least 1.
        batch_size: Clips that are continued together, at least 1.
        progress: Whether a bar is shown, on a terminal.

    Returns:
        `(N, length, H, W, C)`, float32 in [0, 255].

    Raises:
        TypeError: The model is another, a number is not a whole one, or `frames` are none.
        ValueError: Too few frames, frames of another size than the model's, or with values that are not
            pixels; a number below 1.
    """
    stepper = Stepper(VideoPrediction().deployed(model), batch_size=batch_size)
    clips = check_frames(frames, frame_shape=stepper.frame_shape)
    check_pixels(clips, where="`frames`")
    with progress_bar("continuing", unit="frames", shown=progress) as watch:
        return stepper.rollout(clips, length, watch=watch)


def _check_clips(data: Any) -> None:
    if not isinstance(data, VideoData):
        raise TypeError(f"`data` must be a VideoData from l2zoo.data.load_video, got {type(data).__name__}.")
    _split_frames(data.clip_shape[0])


def _split_frames(frames: int) -> tuple[int, int]:
    """How many frames of a clip are given, and how many are to come."""
    if frames < SHORTEST:
        raise ValueError(f"`data` must have clips of at least {SHORTEST} frames, got {frames}.")
    given = min(GIVEN, frames // 2)
    return given, min(CONTINUED, frames - given)


def _mean_scores(prefix: str, truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Mean PSNR and SSIM over the frames of clips, some clips at a time, as they take memory."""
    parts = [slice(start, start + TOGETHER) for start in range(0, len(truth), TOGETHER)]
    return {
        f"{prefix}{name}": np.concatenate([score(truth[part], found[part]) for part in parts]).mean()
        for name, score in (("psnr", psnr), ("ssim", ssim))
    }
