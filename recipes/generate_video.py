"""Trains a recurrent CNN to say how a clip goes on: digits that move and bounce, or clips of your own.

    python recipes/generate_video.py --out runs/video

Ends with how like the truth the next frame and the next ten are (PSNR, SSIM), beside three rules that learn
nothing, a picture and an animation of truth and prediction, and the step from frame to frame as files to
deploy that were compared with the model. `l2zoo train --task video` does the same with options. Stopped in
the middle, the same command goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import l2zoo
from l2zoo.data import load_video
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DATA = "l2zoo_moving_digits"  # or folder:PATH with frames, or a folder of them a clip
FILTERS = (16, 32)  # channels at stride 2, 4
SHOWN = 3  # clips in the animation
L2 = 1e-6
FORMATS = ("tflite",)


def main(out: Path = Path("runs/video"), epochs: int = 10, limit: int | None = None) -> None:
    """Trains, measures and exports a model that goes on with clips."""
    from l2zoo.tasks import VideoPrediction, generate, rollout_gif

    train, test = load_video(DATA, "train", limit=limit), load_video(DATA, "test", limit=limit)
    length, *frame_shape = train.clip_shape

    def build(policy: l2zoo.L2Policy) -> Any:
        return l2zoo.build_video((length - 1, *frame_shape), filters=FILTERS, l2=policy)

    outcome = l2zoo.experiment(
        build,
        VideoPrediction(),
        train,
        test,
        training=l2zoo.Training(epochs, batch_size=8, mixed_precision=True),
        l2=L2,
        formats=FORMATS,
        directory=out,
    )
    clips = test.arrays()[:SHOWN]
    half = clips.shape[1] // 2
    found = generate(outcome.model, clips[:, :half], clips.shape[1] - half)
    show(outcome, f"Animation: {rollout_gif(clips, found, out / 'rollout.gif')}")


if __name__ == "__main__":
    run_script(main)
