"""Trains a recurrent CNN to say how a clip goes on: digits that move and bounce, or clips of your own.

    python recipes/generate_video.py --seeds 3 --out runs/video
    python recipes/generate_video.py --data folder:PATH --image-size 64 --filters 16,32,64 --tune-l2

Ends with how like the truth the next frame and the next ten are (PSNR, SSIM), beside three rules that learn
nothing (copy the last frame, go on linearly, shift it as the one before was shifted), a picture and an
animation of truth and prediction, and the step from frame to frame as files to deploy that were compared with
the model. What came out is in the README ("Figures"). Stopped in the middle, the same command goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

import l2zoo
from l2zoo.data import load_video
from l2zoo.studies.options import ExperimentOptions
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

SHOWN = 3  # clips in the animation


@dataclass(frozen=True, kw_only=True)
class ClipOptions(ExperimentOptions):
    """The same options, in the words of clips."""

    image_size: Annotated[int | None, typer.Option(help="Side to resize frames to.")] = None
    tune_images: Annotated[int, typer.Option("--tune-clips", help="Clips for that.")]


DEFAULTS = ClipOptions(
    l2=1e-6,
    tune_images=300,
    tune_epochs=6,
    epochs=10,
    batch_size=8,
    mixed_precision=True,
    out=Path("runs/video"),
)


def main(
    data: Annotated[
        str, typer.Option(help="A TFDS name, or folder:PATH with frames, or a folder of them a clip.")
    ] = "l2zoo_moving_digits",
    frames: Annotated[int | None, typer.Option(help="Cut clips into pieces of so many frames.")] = None,
    model: Annotated[str, typer.Option(help="A name from the zoo: see l2zoo list.")] = "video",
    filters: Annotated[str, typer.Option(help="Channels at stride 2, 4, ...")] = "16,32",
    loss: Annotated[str, typer.Option(help="crossentropy, absolute or squared.")] = "crossentropy",
    options: ClipOptions = DEFAULTS,
) -> None:
    """Trains, measures and exports a model that goes on with clips."""
    clips = options.loader(load_video, data, frames=frames)
    train, test = clips.train_and_test(limit=options.limit)
    training = options.training()
    length, *frame_shape = train.clip_shape
    channels = tuple(int(number) for number in filters.split(","))

    from l2zoo.tasks import VideoPrediction, generate, rollout_gif

    def build(policy: l2zoo.L2Policy) -> Any:
        return l2zoo.build(model, (length - 1, *frame_shape), l2=policy, options={"filters": channels})

    task = VideoPrediction(loss)
    task.check(build(training.policy(0.0)), test)  # before anything trains
    outcome = options.run(build, task, train, test, training=training, searched=clips.again(train, test))
    shown = test.arrays()[:SHOWN]
    half = shown.shape[1] // 2
    found = generate(outcome.model, shown[:, :half], shown.shape[1] - half)
    show(outcome, f"Animation: {rollout_gif(shown, found, options.out / 'rollout.gif')}")


if __name__ == "__main__":
    run_script(main)
