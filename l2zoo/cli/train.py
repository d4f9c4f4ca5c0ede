"""The command that trains a model for a task: one or several seeds, measured, drawn and exported."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from l2zoo.cli import options
from l2zoo.cli.models import print_json
from l2zoo.cli.tasks import UNSAID, TrainOptions, decide
from l2zoo.utils.console import print_to_stderr, show

if TYPE_CHECKING:
    from l2zoo.data import ImageData
    from l2zoo.regularization.policy import L2Policy
    from l2zoo.studies.experiment import Outcome

FRESH = 1000  # images, of those that --limit leaves out, that drawn images are compared with
CLIPS = 3  # in the animation
JUDGE_L2 = 5e-5  # of the classifier that judges drawn images

Found = tuple["Outcome", dict[str, Path]]  # and the files that it does not know of


def train(
    data: options.Data,
    task: Annotated[
        str | None,
        options.word(
            options.tasks, help="What it is for; if not said, what the model or DATA of ours is for."
        ),
    ] = None,
    model: options.AnyModel = None,
    settings: TrainOptions = UNSAID,
    json: options.Json = False,
) -> None:
    """Train a model with some seeds: metrics, a picture, an artifact.

    Stopped in the middle, the same command goes on. What an option begins with depends on the task: it stands
    in brackets, and an option with fewer tasks in brackets is for these alone.

    Example: l2zoo train l2zoo_digits --model cnn --epochs 5 --out runs/cnn
    """
    chosen, name, settled = decide(data, task, model, settings)
    with print_to_stderr(json):
        outcome, files = TRAIN[chosen](data, name, settled)
    if json:
        found = outcome.to_dict()
        print_json({"task": chosen, "model": name, **found, "files": found["files"] | _as_text(files)})
    else:
        show(outcome, *(f"{kind.capitalize()}: {path}" for kind, path in files.items()))


def _as_text(files: dict[str, Path]) -> dict[str, str]:
    return {kind: str(path) for kind, path in files.items()}


def classify(data: str, model: str, settings: TrainOptions) -> Found:
    """Trains a classifier."""
    from l2zoo import zoo
    from l2zoo.data import load
    from l2zoo.models.backbones import add_classifier
    from l2zoo.tasks import Classification

    images = settings.loader(load, data)
    train, test = images.train_and_test(limit=settings.limit)

    def build(policy: L2Policy) -> Any:
        encoder = settings.encoder.build(train.image_shape)
        if encoder:
            return policy.apply(add_classifier(encoder["backbone"], train.num_classes))
        return zoo.build(model, train.image_shape, train.num_classes, l2=policy)

    task = Classification(train.class_names, loss=settings.loss, label_smoothing=settings.label_smoothing)
    training = settings.training(augment=settings.augment)
    return settings.run(
        build,
        task,
        train,
        test,
        training=training,
        searched=images.again(train, test),
        privacy=settings.privacy,
    ), {}


def segment(data: str, model: str, settings: TrainOptions) -> Found:
    """Trains a model that says for every pixel what it is."""
    from l2zoo.tasks import Segmentation

    def task(names: Any) -> Any:
        return Segmentation(names, loss=settings.loss)

    return _with_encoder("segmentation", task, data, model, settings, filters=settings.channels)


def detect(data: str, model: str, settings: TrainOptions) -> Found:
    """Trains a model that finds things with boxes around them."""
    from l2zoo.tasks import Detection

    return _with_encoder("detection", Detection, data, model, settings)


def _with_encoder(
    name: str, make_task: Callable[[Any], Any], data: str, model: str, settings: TrainOptions, **own: Any
) -> Found:
    """Trains a model of images that may have another encoder than its own."""
    from l2zoo import zoo
    from l2zoo.data import load

    images = settings.loader(load, data, task=name)
    train, test = images.train_and_test(limit=settings.limit)

    def build(policy: L2Policy) -> Any:
        shape = train.image_shape
        options = own | settings.encoder.build(shape)
        return zoo.build(model, shape, train.num_classes, l2=policy, options=options)

    training = settings.training(augment=settings.augment)
    again = images.again(train, test)
    return settings.run(
        build, make_task(train.class_names), train, test, training=training, searched=again
    ), {}


def draw_images(data: str, model: str, settings: TrainOptions) -> Found:
    """Trains a diffusion model; its images are judged by a classifier of the same data."""
    from l2zoo import zoo
    from l2zoo.data import divided, load
    from l2zoo.tasks import Generation, Judge, denoising_gif

    images = settings.loader(load, data, task="generation")
    (train, test), fresh = images.train_and_test(), None
    searched = images.again(train, test)
    if settings.limit is not None:
        train, fresh = divided(train, settings.limit)
        fresh = divided(fresh, FRESH)[0] if fresh and fresh.num_examples > FRESH else fresh
    training = settings.training(augment=settings.augment, average=settings.average)
    how: dict[str, Any] = {
        "steps": settings.steps,
        "guidance": settings.guidance if train.num_classes else 1.0,
    }

    def build(policy: L2Policy) -> Any:
        options = {"filters": settings.channels}
        return zoo.build(model, train.image_shape, train.num_classes or None, l2=policy, options=options)

    judge = Judge(train, n=settings.samples, **how, progress=True, fresh=fresh)
    Generation(train.class_names, judge).check(build(training.policy(0.0)), test)  # before anything trains
    if settings.judge_epochs and train.num_classes > 1:
        judge = dataclasses.replace(judge, classifier=_train_judge(train, settings))
    task = Generation(train.class_names, judge)
    outcome = settings.run(build, task, train, test, training=training, searched=searched)
    labels = [number % train.num_classes for number in range(16)] if train.num_classes else None
    movie = denoising_gif(outcome.model, settings.out / "denoising.gif", labels=labels, **how)
    return outcome, {"animation": movie}


def _train_judge(train: ImageData, settings: TrainOptions) -> Any:
    from l2zoo import zoo
    from l2zoo.studies.experiment import Training, train_model
    from l2zoo.tasks import Classification

    def build(policy: L2Policy) -> Any:
        return zoo.build("resnet20", train.image_shape, train.num_classes, l2=policy)

    training = Training(settings.judge_epochs, augment="shift")
    return train_model(
        build, Classification(train.class_names), train, training=training, l2=JUDGE_L2, seed=0,
        run_dir=settings.out / "judge",
    )  # fmt: skip


def continue_clips(data: str, model: str, settings: TrainOptions) -> Found:
    """Trains a model that goes on with clips."""
    from l2zoo import zoo
    from l2zoo.data import load_video
    from l2zoo.tasks import VideoPrediction, generate, rollout_gif

    clips = settings.loader(load_video, data, frames=settings.frames)
    train, test = clips.train_and_test(limit=settings.limit)
    training = settings.training()
    length, *frame_shape = train.clip_shape

    def build(policy: L2Policy) -> Any:
        options = {"filters": settings.channels}
        return zoo.build(model, (length - 1, *frame_shape), l2=policy, options=options)

    task = VideoPrediction(settings.loss)
    task.check(build(training.policy(0.0)), test)  # before anything trains
    outcome = settings.run(build, task, train, test, training=training, searched=clips.again(train, test))
    shown = test.arrays()[:CLIPS]
    half = shown.shape[1] // 2
    found = generate(outcome.model, shown[:, :half], shown.shape[1] - half)
    return outcome, {"animation": rollout_gif(shown, found, settings.out / "rollout.gif")}


TRAIN: dict[str, Callable[[str, str, TrainOptions], Found]] = {
    "classification": classify,
    "segmentation": segment,
    "detection": detect,
    "generation": draw_images,
    "video": continue_clips,
}
