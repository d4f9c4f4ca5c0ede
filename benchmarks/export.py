"""Exported files against float, against Keras's own export, and the runtime against TensorFlow.

    python benchmarks/export.py              all, about 15 minutes on 2 cores
    python benchmarks/export.py --case start

`int8`: int8 against float32 on one thread, of a ResNet-20 for digits and of a U-Net on MobileNetV2 for
scenes, both trained here for a few epochs: times, sizes, and the metric on the test split. `resnet50`: our
exported ResNet-50 against that of `keras.applications`, exported by `model.export(format="litert")`, each as
it comes and in int8. `start`: from the start of a process to its first answer, by `l2zoo.Predictor`, by
TensorFlow with the SavedModel, and by Keras with the `.keras` file.

Sides take turns, so that a busy machine slows them alike; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from cases import select_cases
from turns import in_turns, median_ratio

POLICY = 5e-5


def int8(rounds: int, folder: Path) -> None:
    """Quantised files against float ones, of models that were trained."""
    from l2zoo import build_resnet, build_unet
    from l2zoo.data import load
    from l2zoo.models import backbones
    from l2zoo.studies.experiment import Training
    from l2zoo.tasks import Classification, Segmentation

    def digits(split: str) -> Any:
        return load("l2zoo_digits", split, image_size=(32, 32))

    def scenes(split: str) -> Any:
        return load("l2zoo_scenes", split, task="segmentation")

    def resnet(data: Any) -> Any:
        return build_resnet(data.image_shape, num_classes=10, l2=POLICY)

    def unet(data: Any) -> Any:
        backbone = backbones.application("MobileNetV2", data.image_shape)
        filters = (16, 16, 32, 64, 96, 128)
        return build_unet(
            data.image_shape, num_classes=data.num_classes, filters=filters, backbone=backbone, l2=POLICY
        )

    train, test = digits("train"), digits("test")
    task: Any = Classification(train.class_names)
    quantise("ResNet-20", resnet(train), task, train, test, Training(10, 32), folder / "resnet", rounds)
    train, test = scenes("train[:1000]"), scenes("test[:500]")
    task = Segmentation(train.class_names, loss="dice")
    quantise(
        "U-Net on MobileNetV2", unet(train), task, train, test, Training(12, 16), folder / "unet", rounds
    )


def quantise(
    name: str, model: Any, task: Any, train: Any, test: Any, training: Any, folder: Path, rounds: int
) -> None:
    """Trains, exports in both precisions, and compares them."""
    from l2zoo import Conversion, Limits, export, fit

    training.compile(model, task, training.policy(POLICY), num_examples=train.num_examples)
    fit(model, task.prepared(train), epochs=training.epochs, batch_size=training.batch_size, verbose=0)
    images, targets = task.examples(model, test, test.num_examples)
    artifact = export(
        task.deployed(model), folder, sample=images, formats=["tflite", "tflite_int8"],
        conversion=Conversion(calibration=task.examples(model, train, 200)[0]),
        measure=lambda outputs: task.scores(outputs, targets),
        limits=Limits(metric_drop=1.0),  # what is measured here shall not stop here
    )  # fmt: skip
    rows = artifact.manifest["formats"]
    calls = {kind: runner(folder / rows[kind]["path"], images[:1]) for kind in ("tflite", "tflite_int8")}
    times = in_turns(calls, rounds, many=50)
    metric, pair = next(iter(rows["tflite_int8"]["parity"]["metrics"].items()))
    small, large = rows["tflite_int8"]["bytes"], rows["tflite"]["bytes"]
    print(f"\n{name}, one image of {'x'.join(map(str, images.shape[1:]))}, one thread, {rounds} rounds")
    each = [f"{np.median(times[kind]) * 1e3:.3f} ms" for kind in ("tflite", "tflite_int8")]
    ratio = median_ratio(times["tflite"], times["tflite_int8"])
    print(f"  float {each[0]}, int8 {each[1]}: {ratio:.2f} times as fast")
    print(f"  {large:,} bytes, int8 {small:,}: {small / large:.2f} of the size")
    drop = pair["model"] - pair["file"]
    print(
        f"  {metric} on {len(images)} test images {pair['model']:.4f}, int8 {pair['file']:.4f}: {-drop:+.4f}"
    )


def resnet50(rounds: int, folder: Path) -> None:
    """Our file of a ResNet-50 against Keras's."""
    import keras

    from l2zoo import Limits, build_resnet, export

    shape = (224, 224, 3)
    images = np.random.default_rng(0).integers(0, 256, (16, *shape)).astype("uint8")
    ours = build_resnet(shape, num_classes=1000, depth=50, l2=POLICY)
    rows = export(
        ours, folder, sample=images, formats=["tflite", "tflite_int8"],
        limits=Limits(argmax_agreement=0.0, relative_diff=10.0),  # random weights, nothing to agree on
    ).manifest["formats"]  # fmt: skip
    theirs = export_by_keras(keras.applications.ResNet50(weights=None), images, folder.parent)
    files = {
        **{f"Keras's ResNet50, {kind}": path for kind, path in theirs.items()},
        "our ResNet-50, float": folder / rows["tflite"]["path"],
        "our ResNet-50, int8": folder / rows["tflite_int8"]["path"],
    }
    times = in_turns({name: runner(path, images[:1]) for name, path in files.items()}, rounds, many=3)
    print(f"\nResNet-50, one image of 224x224x3, one thread, {rounds} rounds")
    for name, path in files.items():
        kind = name.rpartition(" ")[2]
        ratio = median_ratio(times[name], times[f"Keras's ResNet50, {kind}"])
        size = path.stat().st_size
        print(
            f"  {name:24} {np.median(times[name]) * 1e3:7.1f} ms, {ratio:.2f} of Keras's; "
            f"{size:,} bytes, {size / theirs[kind].stat().st_size:.2f} of Keras's"
        )


def export_by_keras(peer: Any, images: np.ndarray, folder: Path) -> dict[str, Path]:
    """The files that Keras's own export makes of a model, as it comes and with int8 asked for."""
    import tensorflow as tf

    paths = {kind: folder / f"keras_{kind}.tflite" for kind in ("float", "int8")}
    peer.export(str(paths["float"]), format="litert", verbose=False)
    peer.export(
        str(paths["int8"]), format="litert", verbose=False,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([image[None].astype("float32")] for image in images),
        target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
    )  # fmt: skip
    return paths


def runner(path: Path, image: np.ndarray) -> Callable[[], Any]:
    """A call of a file on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_path=str(path), num_threads=1).get_signature_runner()
    (name,) = run.get_input_details()
    image = image.astype(np.float32)
    return lambda: run(**{name: image})


FIRST_ANSWERS = {
    "l2zoo.Predictor": "import l2zoo; l2zoo.Predictor('{folder}').predict(images)",
    "TensorFlow, SavedModel": (
        "import tensorflow as tf\n"
        "loaded = tf.saved_model.load('{folder}/saved_model/1')\n"
        "loaded.signatures['serving_default'](images=tf.constant(images.astype('float32')))"
    ),
    "Keras, .keras": (
        "import keras; keras.saving.load_model('{folder}/model.keras').predict(images, verbose=0)"
    ),
}


def start(rounds: int, folder: Path) -> None:
    """Seconds from the start of a process to its first answer, of the CNN for digits."""
    from l2zoo.artifacts.store import locations

    folder = locations.find("cnn_digits")
    head = "import numpy as np; images = np.zeros((1, 8, 8, 1), 'uint8')\n"

    def process(code: str) -> Callable[[], Any]:
        command = [sys.executable, "-c", head + code.format(folder=folder)]
        return lambda: subprocess.run(command, check=True, capture_output=True)

    times = in_turns({name: process(code) for name, code in FIRST_ANSWERS.items()}, rounds)
    print(f"\nstart of a process to its first answer, a CNN for digits, {rounds} rounds")
    for name, seconds in times.items():
        ratio = median_ratio(seconds, times["l2zoo.Predictor"])
        print(f"  {name:24} {np.median(seconds):5.2f} s, {ratio:.1f} times as long")


CASES: dict[str, tuple[Callable[[int, Path], None], int]] = {
    "int8": (int8, 20),
    "resnet50": (resnet50, 10),
    "start": (start, 7),
}


def main(
    case: Annotated[str, typer.Option(help="int8, resnet50, start, or all.")] = "all",
    rounds: Annotated[int, typer.Option(help="How often the sides take turns; 0: as many as is good.")] = 0,
) -> None:
    """Times exported files against their peers."""
    with tempfile.TemporaryDirectory() as folder:
        for name in select_cases(case, CASES):
            measure, usual = CASES[name]
            started = time.perf_counter()
            measure(rounds or usual, Path(folder) / name)
            print(f"  ({time.perf_counter() - started:.0f} s in all)")


if __name__ == "__main__":
    typer.run(main)
