"""Models, training and data pipeline against their peers: ratios, side by side in one run.

    python benchmarks/models.py              all five, about 27 minutes on 2 cores
    python benchmarks/models.py --case steps

`steps`: a training step of our ResNet-50, and of a U-Net on MobileNetV2, with the policy and without, against
`keras.applications.ResNet50` on the same images. `fit`: images a second of `l2zoo.fit` against plain
`compile(); fit()`, on a ResNet-20 and on the CNN for digits, in the epochs after the first. `again`: seconds
of a call with one epoch, when either is called again on the same compiled model. `pipeline`: images a second
of the batches alone against those that the model trains on. `monitor`: the share of a training that
`L2Monitor` takes.

Sides take turns, so that a busy machine slows them alike; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import typer
from cases import select_cases
from turns import in_turns, median_ratio

SIDE, BATCH = 96, 32
CLASSES = 10
POLICY = 1e-4


def steps(rounds: int) -> None:
    """What a step costs, and what the policy adds to it."""
    import keras

    from l2zoo import build_resnet, build_unet
    from l2zoo.models import backbones

    shape = (SIDE, SIDE, 3)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, *shape)).astype("float32")
    labels = rng.integers(0, CLASSES, BATCH)
    masks = rng.integers(0, CLASSES, (BATCH, SIDE, SIDE))

    def unet(l2: float | None) -> Any:
        filters = (16, 16, 32, 64, 96, 128)
        backbone = backbones.application("MobileNetV2", shape)
        return build_unet(shape, num_classes=CLASSES, filters=filters, backbone=backbone, l2=l2)

    def resnet(l2: float | None) -> Any:
        return build_resnet(shape, num_classes=CLASSES, depth=50, l2=l2)

    peer = keras.applications.ResNet50(weights=None, input_shape=shape, classes=CLASSES)
    sides = {"keras ResNet50": (peer, labels)}
    for name, build, targets in (("ResNet-50", resnet, labels), ("U-Net on MobileNetV2", unet, masks)):
        sides[name] = build(None), targets
        sides[f"{name} with L2"] = build(POLICY), targets
    calls = {name: stepper(model, images, targets) for name, (model, targets) in sides.items()}
    times = in_turns(calls, rounds)
    print(f"\nsteps: batch {BATCH} of {SIDE}x{SIDE}, SGD with momentum, {rounds} rounds")
    for name, seconds in times.items():
        ratio = median_ratio(seconds, times["keras ResNet50"])
        print(f"  {name:28} {np.median(seconds) * 1e3:7.0f} ms, {ratio:.3f} of keras ResNet50")
    for name in ("ResNet-50", "U-Net on MobileNetV2"):
        print(f"  L2 on {name}: {median_ratio(times[f'{name} with L2'], times[name]) - 1:+.1%} of a step")


def stepper(model: Any, images: np.ndarray, targets: np.ndarray) -> Callable[[], Any]:
    """One training step in a graph, compiled for it."""
    import keras
    import tensorflow as tf

    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    batch = tf.constant(images), tf.constant(targets)
    step = tf.function(lambda: model.train_step(batch)["loss"], autograph=False)
    return lambda: float(step())


def fit(rounds: int) -> None:
    """Epochs of `l2zoo.fit` and of Keras's."""
    from l2zoo import build_cnn, build_resnet
    from l2zoo.data import load

    x, y = load("l2zoo_digits", "train").arrays()
    large = np.repeat(x[:640].repeat(4, axis=1).repeat(4, axis=2), 3, axis=3)
    cases = {
        "ResNet-20, 640 images of 32x32": (
            lambda: build_resnet((32, 32, 3), num_classes=10, depth=20, l2=POLICY), (large, y[:640])
        ),
        "CNN, 1,437 digits of 8x8": (lambda: build_cnn((8, 8, 1), num_classes=10, l2=POLICY), (x, y)),
    }  # fmt: skip
    print(f"\nfit: Adam, batch 32, epochs after the first, {rounds} rounds")
    for name, (build, data) in cases.items():
        runs = {"plain": plain_epochs(build(), *data), "ours": our_epochs(build(), data)}
        times = in_turns(runs, rounds, clocked=True)
        each = ", ".join(f"{side} {len(data[1]) / np.median(t):,.0f}" for side, t in times.items())
        ratio = median_ratio(times["plain"], times["ours"])
        print(f"  {name}: images/s {each}: {ratio:.2f} times as fast")


def again(rounds: int) -> None:
    """The first epoch of a call on a model that was trained before: nothing is to be traced."""
    import keras

    from l2zoo import build_resnet
    from l2zoo import fit as train
    from l2zoo.data import load

    x, y = load("l2zoo_digits", "train").arrays()
    large, labels = np.repeat(x[:1024].repeat(4, axis=1).repeat(4, axis=2), 3, axis=3), y[:1024]

    def compiled() -> Any:
        model = build_resnet((32, 32, 3), num_classes=10, depth=20, l2=POLICY)
        model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    plain, ours = compiled(), compiled()
    runs = {
        "plain": lambda: first_epoch(lambda: plain.fit(large, labels, batch_size=64, verbose=0)),
        "ours": lambda: first_epoch(lambda: train(ours, (large, labels), epochs=1, batch_size=64, verbose=0)),
    }
    firsts = {side: run() for side, run in runs.items()}
    times = in_turns(runs, rounds, clocked=True)
    print(f"\nagain: ResNet-20, 1,024 images of 32x32, batch 64, one epoch a call, {rounds} rounds")
    for side, seconds in times.items():
        print(f"  {side:5} first call {firsts[side]:.1f} s, called again {np.median(seconds):.2f} s")
    print(f"  called again: {median_ratio(times['plain'], times['ours']):.2f} times as fast")


def first_epoch(run: Callable[[], Any]) -> float:
    """Seconds of a call with one epoch, with all that comes before it."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


EPOCHS = 5  # of which the first, where a model is traced, is not counted


def plain_epochs(model: Any, x: np.ndarray, y: np.ndarray) -> Callable[[], float]:
    """Seconds of an epoch of Keras's `fit`, after the first."""
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return lambda: time_epochs(lambda clock: model.fit(x, y, epochs=EPOCHS, verbose=0, callbacks=[clock]))


def our_epochs(model: Any, data: tuple[np.ndarray, np.ndarray]) -> Callable[[], float]:
    """Likewise of `l2zoo.fit`."""
    from l2zoo import fit as train

    return lambda: time_epochs(
        lambda clock: train(model, data, epochs=EPOCHS, optimizer="adam", verbose=0, callbacks=[clock])
    )


def monitor(rounds: int) -> None:
    """What it costs to look at every kernel, at the interval that is the default."""
    from l2zoo import L2Monitor, build_cnn, build_resnet
    from l2zoo import fit as train
    from l2zoo.data import load

    x, y = load("l2zoo_digits", "train").arrays()
    large = np.repeat(x[:640].repeat(4, axis=1).repeat(4, axis=2), 3, axis=3)
    cases = {
        "ResNet-20, 640 images of 32x32": (build_resnet((32, 32, 3), num_classes=10), (large, y[:640])),
        "CNN, 1,437 digits of 8x8": (build_cnn((8, 8, 1), num_classes=10), (x, y)),
    }
    print(f"\nmonitor: Adam, batch 32, looks at a batch of 32, {rounds} rounds")
    for name, (model, data) in cases.items():
        shares = []
        for _ in range(rounds):
            watch = Timed(L2Monitor(data[0][:32].astype("float32"), data[1][:32]))
            train(model, data, epochs=16, optimizer="adam", l2=POLICY, verbose=0, callbacks=[watch.monitor])
            shares.append(watch.share)
        print(f"  {name}: {np.median(shares):.1%} of the time")


class Timed:
    """The share of a training, after its first epoch, that a monitor takes.

    Two trainings beside each other would differ by more than the few percent that are asked for.
    """

    def __init__(self, monitor: Any):
        self.monitor = monitor
        self._look, self._ends, self._looking = monitor.on_epoch_end, [], []
        monitor.on_epoch_end = self._time

    def _time(self, epoch: int, logs: dict | None = None) -> None:
        begin = time.perf_counter()
        self._look(epoch, logs)
        self._ends.append(time.perf_counter())
        self._looking.append(self._ends[-1] - begin)

    @property
    def share(self) -> float:
        return sum(self._looking[1:]) / (self._ends[-1] - self._ends[0])


def time_epochs(run: Callable[[Any], Any]) -> float:
    """Mean seconds of the epochs after the first."""
    import keras

    ends: list[float] = []
    run(keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter())))
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def pipeline(rounds: int) -> None:
    """How much faster batches come than models eat them."""
    from l2zoo import build_detector, build_resnet, build_unet
    from l2zoo.data import load
    from l2zoo.studies.experiment import Training
    from l2zoo.tasks import Classification, Detection, Segmentation

    def scenes(task: str) -> Any:
        return load("l2zoo_scenes", "train[:1024]", task=task)

    digits = load("l2zoo_digits", "train", image_size=(32, 32))
    masks, objects = scenes("segmentation"), scenes("detection")
    cases = {
        "ResNet-20, digits at 32x32": (Classification(digits.class_names), digits, build_resnet, "shift"),
        "U-Net, scenes": (Segmentation(masks.class_names), masks, build_unet, "flip+shift"),
        "detector, scenes": (Detection(objects.class_names), objects, build_detector, "flip+shift"),
    }
    print(f"\npipeline: batch 32, with augmentation, {rounds} rounds")
    for name, (task, data, build, augment) in cases.items():
        model = build(data.image_shape, num_classes=data.num_classes, l2=POLICY)
        training = Training(epochs=1, batch_size=32)
        training.compile(model, task, training.policy(POLICY), num_examples=data.num_examples)
        prepared = task.prepared(data, augment=augment)
        batch = next(iter(prepared.training(32, seed=0, start_epoch=0)))
        batches = iter(prepared.training(32, seed=0, start_epoch=0))
        calls = {"eats": eater(model, batch), "feeds": lambda batches=batches: next(batches)}
        times = in_turns(calls, rounds, many=16)
        ratio = median_ratio(times["eats"], times["feeds"])
        each = ", ".join(f"{side} {32 / np.median(t):,.0f}" for side, t in times.items())
        print(f"  {name}: images/s {each}: {ratio:.1f} times as fast")


def eater(model: Any, batch: Any) -> Callable[[], Any]:
    """A training step on the same batch again and again."""
    import tensorflow as tf

    model.optimizer.build(model.trainable_variables)
    step = tf.function(lambda: model.train_step(batch)["loss"], autograph=False)
    return lambda: float(step())


CASES: dict[str, tuple[Callable[[int], None], int]] = {
    "steps": (steps, 10),
    "fit": (fit, 5),
    "again": (again, 3),
    "pipeline": (pipeline, 8),
    "monitor": (monitor, 4),
}


def main(
    case: Annotated[str, typer.Option(help="steps, fit, again, pipeline, monitor, or all.")] = "all",
    rounds: Annotated[int, typer.Option(help="How often the sides take turns; 0: as many as is good.")] = 0,
) -> None:
    """Times models, training and pipeline against their peers."""
    for name in select_cases(case, CASES):
        measure, usual = CASES[name]
        measure(rounds or usual)


if __name__ == "__main__":
    typer.run(main)
