"""The lambda search against stock keras-tuner: the same trials, side by side, each in a process of its own.

Run: `python benchmarks/search.py` (about 4 minutes on 2 cores), or `--case resnet`, `--case memory`.

Both sides get the same builder, strengths, folds, epochs, batch size and seed. Stock keras-tuner is used
as its guide says: `GridSearch`, a hypermodel that builds and compiles in every trial, and the fold as a
second hyperparameter, since it has no cross-validation. The floor is the bare training steps of all trials,
looped inside one graph that is traced already: no evaluation, no reset, no score.

Imports are not counted on either side. Our time holds all there is: building, tracing, folds, evaluation
after every epoch, the ledger, the final model trained on all data.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Annotated, Any

import numpy as np
import typer

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CASES: dict[str, dict[str, Any]] = {
    "digits": {"strengths": (0.0, 1e-4, 1e-3, 1e-2), "folds": 5, "epochs": 5, "batch_size": 32},
    "resnet": {"strengths": (0.0, 1e-4, 1e-3, 1e-2), "folds": 5, "epochs": 1, "batch_size": 32},
    "memory": {"strengths": tuple(np.geomspace(1e-6, 1e-1, 11)), "folds": 5, "epochs": 2, "batch_size": 32},
}


def images(case: str) -> tuple[np.ndarray, np.ndarray]:
    """The digits as they are, or 1,200 of them enlarged to 32x32 in colour."""
    from l2zoo import data

    x, y = data.load("l2zoo_digits", "train").arrays()
    if case == "resnet":
        x = np.repeat(x[:1200].repeat(4, axis=1).repeat(4, axis=2), 3, axis=3)
        y = y[:1200]
    return x, y


def build(case: str, l2: Any) -> Any:
    """The case's model, compiled as a user of keras-tuner would."""
    from l2zoo import build_cnn

    model = resnet20(l2) if case == "resnet" else build_cnn((8, 8, 1), num_classes=10, l2=l2)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def resnet20(l2: Any) -> Any:
    """A network of ResNet-20's size and shape (He et al. 2015, section 4.2): 0.27 M parameters at 32x32."""
    import keras
    from keras import layers

    from l2zoo import L2Policy

    def conv_bn(x: Any, filters: int, stride: int = 1, size: int = 3) -> Any:
        x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(conv_bn(layers.Rescaling(1 / 255)(inputs), 16))
    for filters in (16, 32, 64):
        for block in range(3):
            stride = 2 if filters > 16 and block == 0 else 1
            shortcut = conv_bn(x, filters, stride, size=1) if stride == 2 else x
            x = conv_bn(layers.ReLU()(conv_bn(x, filters, stride)), filters)
            x = layers.ReLU()(layers.Add()([x, shortcut]))
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return L2Policy.of(l2).apply(keras.Model(inputs, outputs))


def stock(case: str) -> dict[str, Any]:
    """keras-tuner as it comes."""
    import keras
    import keras_tuner

    from l2zoo.tuning.trial import split

    settings = CASES[case]
    x, y = images(case)
    parts = split(y, settings["folds"], seed=0)
    memory: list[float] = []
    scores: dict[float, list[float]] = {}

    class Hypermodel(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            keras.utils.set_random_seed(0)
            hp.Choice("fold", list(range(settings["folds"])))
            return build(case, hp.Choice("l2", [float(s) for s in settings["strengths"]]))

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            train, held_out = parts[hp.get("fold")]
            validation = (x[held_out], y[held_out])
            history = model.fit(x[train], y[train], validation_data=validation, **kwargs)
            memory.append(resident())
            # keras-tuner itself reports the best epoch; the last one is what ours scores.
            scores.setdefault(hp.get("l2"), []).append(history.history["val_accuracy"][-1])
            return history

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        objective = keras_tuner.Objective("val_accuracy", "max")
        tuner = keras_tuner.GridSearch(Hypermodel(), objective=objective, directory=folder, max_trials=None)
        tuner.search(epochs=settings["epochs"], batch_size=settings["batch_size"], verbose=0)
        seconds = time.perf_counter() - started
    means = [float(np.mean(scores[strength])) for strength in sorted(scores)]
    return {"seconds": seconds, "trials": len(memory), "scores": means, "memory": memory}


def ours(case: str) -> dict[str, Any]:
    """`tune_l2`, in process."""
    from l2zoo import tune_l2
    from l2zoo.tuning.engine import InProcess

    settings = CASES[case]
    memory: list[float] = []

    class Watched(InProcess):
        def run(self, units: Any) -> Any:
            for record in super().run(units):
                memory.append(resident())
                yield record

    import keras_tuner  # noqa: F401 - imported here so that its seconds count on neither side

    data = images(case)
    started = time.perf_counter()
    result = tune_l2(lambda l2: build(case, l2), data, engine=Watched, verbose=False, **settings)
    seconds = time.perf_counter() - started
    scores = [candidate.mean for candidate in result.candidates]
    trials = sum(candidate.n for candidate in result.candidates)
    return {"seconds": seconds, "trials": trials, "scores": scores, "memory": memory}


def floor(case: str) -> dict[str, Any]:
    """The bare training steps of all trials, inside a graph that is traced already."""
    from l2zoo.tuning.loops import epoch_loop
    from l2zoo.tuning.trial import split

    settings = CASES[case]
    x, y = images(case)
    model = build(case, 1e-4)
    model.optimizer.build(model.trainable_variables)
    loop = epoch_loop(model, x, y, batch_size=settings["batch_size"])
    parts = split(y, settings["folds"], seed=0)
    loop.train(parts[0][0])
    started = time.perf_counter()
    for _ in settings["strengths"]:
        for rows, _ in parts:
            for _ in range(settings["epochs"]):
                loop.train(rows)
    return {"seconds": time.perf_counter() - started}


def resident() -> float:
    """Resident memory of this process in MiB."""
    import psutil

    return psutil.Process().memory_info().rss / 2**20


SIDES = {"stock": stock, "ours": ours, "floor": floor}


def measure(case: str, side: str) -> dict[str, Any]:
    """Runs one side in a new process, so that neither inherits memory, traces or warm caches."""
    command = [sys.executable, __file__, "--case", case, "--side", side]
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(out.splitlines()[-1])


def report(case: str) -> None:
    """Measures all sides and prints what came out."""
    found = {side: measure(case, side) for side in SIDES}
    mine, theirs, bare = found["ours"], found["stock"], found["floor"]["seconds"]
    difference = np.abs(np.subtract(mine["scores"], theirs["scores"]))
    print(f"\n{case}: {mine['trials']} trials of {CASES[case]['epochs']} epochs")
    print(f"  stock keras-tuner  {theirs['seconds']:7.1f} s  ({theirs['trials']} trials)")
    faster = theirs["seconds"] / mine["seconds"]
    print(f"  tune_l2            {mine['seconds']:7.1f} s  {faster:.1f} times faster")
    print(f"  bare steps         {bare:7.1f} s  tune_l2 takes {mine['seconds'] / bare:.2f} times as long")
    print(f"  mean scores        theirs {np.round(theirs['scores'], 3)}, ours {np.round(mine['scores'], 3)}")
    print(f"                     largest difference {difference.max():.3f}, mean {difference.mean():.3f}")
    for name, series in (("stock keras-tuner", theirs["memory"]), ("tune_l2", mine["memory"])):
        if len(series) > 10:
            grown = series[-1] / series[9] - 1
            print(
                f"  memory             {name}: {series[9]:.0f} MiB after trial 10, {series[-1]:.0f} MiB "
                f"after trial {len(series)} ({grown:+.1%})"
            )


def main(
    case: Annotated[str, typer.Option(help="digits, resnet, memory, or all of the first two.")] = "all",
    side: Annotated[str, typer.Option(help="Only this side, as JSON: stock, ours or floor.")] = "",
) -> None:
    """Times the lambda search against stock keras-tuner, and both against the bare training steps."""
    if side:
        print(json.dumps(SIDES[side](case)))
        return
    for name in ("digits", "resnet") if case == "all" else (case,):
        report(name)


if __name__ == "__main__":
    typer.run(main)
