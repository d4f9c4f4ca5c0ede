"""Trains a recurrent CNN to say how a clip goes on: digits that move and bounce, or clips of your own.

    python recipes/generate_video.py --seeds 3 --out runs/video
    python recipes/generate_video.py --data folder:PATH --image-size 64 --filters 16,32,64 --tune-l2

Ends with how like the truth the next frame and the next ten are (PSNR, SSIM), beside three rules that learn
nothing (copy the last frame, go on linearly, shift it as the one before was shifted), a picture and an
animation of truth and prediction, and the step from frame to frame as files to deploy that were compared with
the model. What came out is in the README ("Figures"). Stopped in the middle, the same command goes on.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any

import typer

import l2zoo
from l2zoo.data import check_splits, load_video
from l2zoo.utils.console import without_chatter
from l2zoo.utils.scripts import run_script

SHOWN = 3  # clips in the animation


def main(
    data: Annotated[
        str, typer.Option(help="A TFDS name, or folder:PATH with frames, or a folder of them a clip.")
    ] = "l2zoo_moving_digits",
    data_dir: Annotated[Path | None, typer.Option(help="Where TFDS keeps prepared data.")] = None,
    train_split: Annotated[str, typer.Option(help="What it is trained on, as in train[:80%].")] = "train",
    test_split: Annotated[str, typer.Option(help="What the model is measured on.")] = "test",
    image_size: Annotated[int | None, typer.Option(help="Side to resize frames to.")] = None,
    frames: Annotated[int | None, typer.Option(help="Cut clips into pieces of so many frames.")] = None,
    limit: Annotated[int | None, typer.Option(help="Train on so many clips only.")] = None,
    model: Annotated[str, typer.Option(help="A name from the zoo: see l2zoo list.")] = "video",
    filters: Annotated[str, typer.Option(help="Channels at stride 2, 4, ...")] = "16,32",
    l2: Annotated[float, typer.Option(help="Strength of L2, in Keras's convention.")] = 1e-6,
    tune_l2: Annotated[bool, typer.Option(help="Choose the strength by cross-validation.")] = False,
    tune_clips: Annotated[int, typer.Option(help="Clips for that.")] = 300,
    tune_epochs: Annotated[int, typer.Option(help="Epochs of each training of that.")] = 6,
    loss: Annotated[str, typer.Option(help="crossentropy, absolute or squared.")] = "crossentropy",
    optimizer: Annotated[str, typer.Option(help="sgd, adam, or adamw (L2 decoupled).")] = "adam",
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = 2e-3,
    epochs: Annotated[int, typer.Option(help="Passes over the training clips.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Clips in a step.")] = 8,
    mixed_precision: Annotated[bool, typer.Option(help="Compute in 16 bits where it is safe.")] = True,
    formats: Annotated[str, typer.Option(help="As in savedmodel,tflite,tflite_fp16.")] = "savedmodel,tflite",
    watch: Annotated[
        bool, typer.Option(help="Look at every kernel while training: monitor.csv, a heat map.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="Trainings from other initial weights.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for everything that comes out.")] = Path("runs/video"),
) -> None:
    """Trains, measures and exports a model that goes on with clips."""
    with without_chatter():
        from l2zoo.studies.experiment import Search, Training, experiment
        from l2zoo.tasks import VideoPrediction, generate, rollout_gif
    from rich import print as show

    size = None if image_size is None else (image_size, image_size)
    opened = functools.partial(load_video, data, data_dir=data_dir, image_size=size, frames=frames)
    train, test = opened(train_split, limit=limit), opened(test_split)
    check_splits(train, test)
    task = VideoPrediction(loss)
    training = Training(epochs, batch_size, optimizer, learning_rate, mixed_precision=mixed_precision)
    length, *frame_shape = train.clip_shape
    channels = tuple(int(number) for number in filters.split(","))

    def build(policy: l2zoo.L2Policy) -> Any:
        return l2zoo.build(model, (length - 1, *frame_shape), l2=policy, options={"filters": channels})

    quick = Training(tune_epochs, batch_size, optimizer, learning_rate)
    strength = Search(opened(train_split, limit=tune_clips), quick) if tune_l2 else l2
    task.check(build(training.policy(0.0)), test)  # before anything trains
    outcome = experiment(
        build, task, train, test,
        training=training, l2=strength, seeds=seeds, formats=formats.split(","),
        watch=watch, directory=out,
    )  # fmt: skip
    clips = test.arrays()[:SHOWN]
    length, half = clips.shape[1], clips.shape[1] // 2
    found = generate(outcome.model, clips[:, :half], length - half)
    movie = rollout_gif(clips, found, out / "rollout.gif")
    show(outcome)
    show(f"Animation: {movie}")


if __name__ == "__main__":
    run_script(main)
