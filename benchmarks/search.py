"""The lambda search against stock keras-tuner: the same trials, side by side, each in a process of its own.

    python benchmarks/search.py                  digits and resnet, about 10 minutes on 2 cores
    python benchmarks/search.py --case question  a grid of stock keras-tuner against Hyperband on 2 workers
    python benchmarks/search.py --case memory    100 trials
    python benchmarks/search.py --case small     a small search on every backend, each beside its stock

Both sides get the same builder, strengths, folds, epochs, batch size and seed. Stock keras-tuner is used
as its guide says: `GridSearch`, a hypermodel that builds and compiles in every trial, and the fold as a
second hyperparameter, since it has no cross-validation. The floor is the bare training steps of all trials
and of the final model, looped inside one graph that is traced already: no evaluation, no reset, no score.

Imports are not counted on either side. Our time holds all there is: building, tracing, folds, evaluation
after every epoch, the ledger, the final model trained on all data. For two workers the start of Ray and of
the workers is counted, and shown apart. In the small search ours also writes its folder, with page, pictures
and TensorBoard, and each backend's two sides run one after the other.
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
from cases import select_cases

CASES: dict[str, dict[str, Any]] = {
    "small": {"strengths": (0.0, 1e-4, 1e-3, 1e-2, 1e-1), "folds": 3, "epochs": 4, "batch_size": 64},
    "digits": {"strengths": (0.0, 1e-4, 1e-3, 1e-2), "folds": 5, "epochs": 5, "batch_size": 32},
    "resnet": {"strengths": (0.0, 1e-4, 1e-3, 1e-2), "folds": 5, "epochs": 1, "batch_size": 32},
    "memory": {
        "strengths": (0.0, *np.geomspace(1e-6, 1e-1, 19).tolist()),
        "folds": 5,
        "epochs": 2,
        "batch_size": 32,
    },
    "question": {
        "strengths": (0.0, *np.geomspace(1e-6, 1e-1, 11).tolist()),
        "folds": 5,
        "epochs": 20,
        "batch_size": 32,
    },
}
BACKENDS = ("tensorflow", "jax", "torch")
# What runs for each case; the first is what the others are compared with.
COMPARED = {
    "small": ("stock", "saved"),
    "digits": ("stock", "ours", "ray", "floor"),
    "resnet": ("stock", "ours", "floor"),
    "memory": ("ours", "ray", "floor"),
    "question": ("stock", "hyperband"),
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

    if case == "small":
        model = somebodys_cnn(l2)
    else:
        model = resnet20(l2) if case == "resnet" else build_cnn((8, 8, 1), num_classes=10, l2=l2)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def somebodys_cnn(l2: float) -> Any:
    """Two convolutions with batch norm, with Keras's own regularizers: a model that knows nothing of us."""
    import keras
    from keras import layers

    penalty = keras.regularizers.L2
    x = inputs = keras.Input((8, 8, 1))
    x = layers.Rescaling(1 / 255)(x)
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_regularizer=penalty(l2))(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(10, activation="softmax", kernel_regularizer=penalty(l2))(x)
    return keras.Model(inputs, outputs)


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

    from l2zoo.engine.folds import Division

    settings = CASES[case]
    x, y = images(case)
    parts = Division(y, settings["folds"])(0)
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
    from l2zoo.engine.workers.local import InProcess

    memory: list[float] = []

    class Watched(InProcess):
        def wait(self) -> Any:
            outcome = super().wait()
            memory.append(resident())
            return outcome

    return {**run_search(case, Watched), "memory": memory}


def saved(case: str) -> dict[str, Any]:
    """`tune_l2`, in process, with all that it writes into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        return {**run_search(case, None, directory=folder), "memory": []}


def ray(case: str, **changes: Any) -> dict[str, Any]:
    """`tune_l2` on two workers of one thread each."""
    from l2zoo.engine.workers.ray import OnRay

    memory: list[float] = []
    started: list[float] = []

    class Watched(OnRay):
        def __init__(self, job: Any):
            before = time.perf_counter()
            super().__init__(job, workers=2)
            started.append(time.perf_counter() - before)

        def wait(self) -> Any:
            outcome = super().wait()
            memory.append(max(workers_memory()))
            return outcome

    found = run_search(case, Watched, **changes)
    return {**found, "memory": memory, "start": started[0]}


def hyperband(case: str) -> dict[str, Any]:
    """The same question by Hyperband on two workers."""
    return ray(case, strategy="hyperband")


def run_search(case: str, engine: Any, **changes: Any) -> dict[str, Any]:
    """Times `tune_l2` on an engine."""
    import functools

    import keras_tuner  # noqa: F401 - imported here so that its seconds count on neither side

    from l2zoo import tune_l2

    data = images(case)
    settings = {**CASES[case], **changes}
    started = time.perf_counter()
    result = tune_l2(functools.partial(build, case), data, engine=engine, verbose=False, **settings)
    seconds = time.perf_counter() - started
    scores = [candidate.mean for candidate in result.candidates]
    return {
        "seconds": seconds,
        "trials": len(result.records),
        "epochs": result.epochs,
        "scores": scores,
        "best": [result.best, result.selection.best.mean, result.selection.best.standard_error],
    }


def floor(case: str) -> dict[str, Any]:
    """The bare training steps of all trials and of the final model, inside a graph that is traced already."""
    from l2zoo.engine.folds import Division
    from l2zoo.engine.loops import epoch_loop

    settings = CASES[case]
    x, y = images(case)
    model = build(case, 1e-4)
    model.optimizer.build(model.trainable_variables)
    loop = epoch_loop(model, (x, y), batch_size=settings["batch_size"])
    parts = Division(y, settings["folds"])(0)
    loop.train(parts[0][0])
    started = time.perf_counter()
    trainings = [rows for _ in settings["strengths"] for rows, _ in parts]
    for rows in [*trainings, np.arange(len(x))]:
        for _ in range(settings["epochs"]):
            loop.train(rows)
    return {"seconds": time.perf_counter() - started}


def resident() -> float:
    """Resident memory of this process in MiB."""
    import psutil

    return psutil.Process().memory_info().rss / 2**20


def workers_memory() -> list[float]:
    """The memory that each of Ray's workers below this process has for itself, in MiB."""
    import psutil

    children = psutil.Process().children(recursive=True)
    workers = [child for child in children if "ray::" in "".join(child.cmdline()[:1])]
    return [worker.memory_full_info().uss / 2**20 for worker in workers] or [0.0]


SIDES = {"stock": stock, "ours": ours, "saved": saved, "ray": ray, "hyperband": hyperband, "floor": floor}
NAMES = {
    "stock": "stock keras-tuner",
    "ours": "tune_l2",
    "saved": "tune_l2, its folder",
    "ray": "tune_l2, 2 workers",
    "hyperband": "Hyperband, 2 workers",
    "floor": "bare steps",
}


def measure(case: str, side: str, backend: str = "") -> dict[str, Any]:
    """Runs one side in a new process, so that neither inherits memory, traces or warm caches."""
    command = [sys.executable, __file__, "--case", case, "--side", side]
    chosen = {**os.environ, "KERAS_BACKEND": backend} if backend else None
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=chosen).stdout
    return json.loads(out.splitlines()[-1])


def report(case: str, backend: str = "") -> None:
    """Measures all sides and prints what came out."""
    found = {side: measure(case, side, backend) for side in COMPARED[case]}
    first = next(iter(found))
    print(f"\n{case}{f' on {backend}' if backend else ''}: {CASES[case]}")
    for side, result in found.items():
        line = f"  {NAMES[side]:21} {result['seconds']:7.1f} s"
        if side != first:
            line += f", {NAMES[first]} takes {found[first]['seconds'] / result['seconds']:.2f} times as long"
        if "start" in result:
            warm = result["seconds"] - result["start"]
            line += (
                f"; {found[first]['seconds'] / warm:.2f} times without the {result['start']:.1f} s of start"
            )
        print(line)
    for side, result in found.items():
        if "scores" in result:
            print(f"  {NAMES[side]:21} {describe(result)}")


def describe(result: dict[str, Any]) -> str:
    """Scores and memory of one side."""
    text = f"{result['trials']} trials"
    text += f", {result['epochs']} epochs" if "epochs" in result else ""
    text += f", means {np.round(result['scores'], 3).tolist()}"
    memory = result["memory"]
    if len(memory) > 10:
        text += f", memory {memory[9]:.0f} MiB after trial 10 and {memory[-1]:.0f} after {len(memory)}"
        text += f" ({memory[-1] / memory[9] - 1:+.1%})"
    return text


def main(
    case: Annotated[
        str, typer.Option(help="digits, resnet, question, memory, small, or all: the first two.")
    ] = "all",
    side: Annotated[str, typer.Option(help="Only this side, as JSON: " + ", ".join(SIDES) + ".")] = "",
) -> None:
    """Times the lambda search against stock keras-tuner, and both against the bare training steps."""
    if side:
        print(json.dumps(SIDES[side](case)))
        return
    for name in select_cases(case, CASES, usual=("digits", "resnet")):
        for backend in BACKENDS if name == "small" else ("",):
            report(name, backend)


if __name__ == "__main__":
    typer.run(main)
