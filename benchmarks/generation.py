"""Drawing and going on with clips: a loop of Keras's `predict`, our compiled loop, and the exported file.

    python benchmarks/generation.py              both, about 5 minutes on 2 cores
    python benchmarks/generation.py --case video

Images, or frames, a second of three ways through the same model: `model.predict` at every step, `sample` or
`generate`, which call a graph that is traced once, and `Predictor` on the exported TFLite file, without
TensorFlow. And what the policy adds to a training step. Weights are random: time does not depend on them.

Sides take turns, so that a busy machine slows them alike; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from cases import select_cases
from turns import in_turns, median_ratio

SIDE, DRAWN, STEPS = 28, 64, 10
CLIPS, GIVEN, LENGTH = 16, 10, 10
POLICY = 1e-4


def images(rounds: int, folder: Path) -> None:
    """Drawing digits."""
    from l2zoo import Predictor, build_diffusion, export
    from l2zoo.artifacts import Card
    from l2zoo.data import load
    from l2zoo.tasks import Generation, sample
    from l2zoo.tasks.diffusion.sampling import draw

    data = load("l2zoo_digits", "train", image_size=(SIDE, SIDE))
    task = Generation(data.class_names)

    def build(l2: float | None) -> Any:
        return build_diffusion(data.image_shape, num_classes=10, l2=l2)

    model = build(POLICY)
    card = Card(class_names=data.class_names)
    export(
        task.deployed(model), folder, sample=task.examples(model, data, 64)[0], formats=["tflite"], card=card
    )
    predictor = Predictor(folder, threads=os.cpu_count())
    settings: dict[str, Any] = {"steps": STEPS, "labels": np.arange(DRAWN) % 10}

    def predicted(noisy: np.ndarray, times: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        return model.predict({"images": noisy, "times": times, "labels": labels}, verbose=0)

    calls = {
        "predict at every step": lambda: draw(predicted, data.image_shape, DRAWN, num_classes=10, **settings),
        "sample": lambda: sample(model, DRAWN, progress=False, **settings),
        "the TFLite file": lambda: predictor.sample(DRAWN, **settings),
    }
    print(f"\nimages: {DRAWN} of {SIDE}x{SIDE} in {STEPS} steps, {rounds} rounds")
    report(in_turns(calls, rounds), DRAWN, "images")
    price(build, task, data, rounds)


def video(rounds: int, folder: Path) -> None:
    """Going on with moving digits."""
    from l2zoo import Predictor, build_video, export
    from l2zoo.data import load_video
    from l2zoo.tasks import VideoPrediction, generate
    from l2zoo.tasks.video.rollout import rollout

    data = load_video("l2zoo_moving_digits", "train", limit=CLIPS)
    task = VideoPrediction()
    length, *frame_shape = data.clip_shape

    def build(l2: float | None) -> Any:
        return build_video((length - 1, *frame_shape), l2=l2)

    model = build(POLICY)
    step, inputs = task.deployed(model), task.examples(model, data, CLIPS)[0]
    export(step, folder, sample=inputs, formats=["tflite"])
    predictor = Predictor(folder, threads=os.cpu_count())
    frames = data.arrays()[:, :GIVEN]
    states = {name: x.shape[1:] for name, x in inputs.items() if name != "frame"}
    calls = {
        "predict at every step": lambda: rollout(
            lambda batch: step.predict(batch, verbose=0), frames, LENGTH, states=states
        ),
        "generate": lambda: generate(model, frames, LENGTH, progress=False),
        "the TFLite file": lambda: predictor.generate(frames, LENGTH),
    }
    print(f"\nvideo: {CLIPS} clips, {LENGTH} frames after {GIVEN}, {rounds} rounds")
    report(in_turns(calls, rounds), CLIPS * LENGTH, "frames")
    price(build, task, data, rounds)


def report(times: dict[str, np.ndarray], count: int, what: str) -> None:
    """A line a side."""
    slowest = times["predict at every step"]
    for name, seconds in times.items():
        ratio = median_ratio(slowest, seconds)
        print(f"  {name:24} {count / np.median(seconds):8,.1f} {what}/s, {ratio:.2f} times as fast")


def price(build: Callable[[float | None], Any], task: Any, data: Any, rounds: int) -> None:
    """What L2 adds to a training step."""
    batch = next(iter(task.prepared(data).training(16, seed=0, start_epoch=0)))
    times = in_turns(
        {name: stepper(build(l2), task, batch) for name, l2 in (("free", None), ("l2", POLICY))},
        rounds,
        many=8,
    )
    print(f"  L2 on a training step: {median_ratio(times['l2'], times['free']) - 1:+.1%}")


def stepper(model: Any, task: Any, batch: Any) -> Callable[[], Any]:
    """A training step on the same batch again and again, in a graph compiled for it."""
    import tensorflow as tf

    model.compile("adam", **task.compiling())
    model.optimizer.build(model.trainable_variables)
    step = tf.function(lambda: model.train_step(batch)["loss"], autograph=False)
    return lambda: float(step())


CASES = {"images": images, "video": video}


def main(
    case: Annotated[str, typer.Option(help="images, video, or all.")] = "all",
    rounds: Annotated[int, typer.Option(help="How often the sides take turns.")] = 8,
) -> None:
    """Times drawing and going on with clips."""
    with tempfile.TemporaryDirectory() as folder:
        for name in select_cases(case, CASES):
            CASES[name](rounds, Path(folder) / name)


if __name__ == "__main__":
    typer.run(main)
