"""One small trained network, a few artifacts and one fresh process, shared by all tests of this folder."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.artifacts.folders import cards_code


class Trained(NamedTuple):
    model: object
    images: np.ndarray
    labels: np.ndarray


@pytest.fixture(scope="session")
def trained():
    """A CNN with batch normalisation, dropout and a penalty, after eight epochs on the real 8x8 digits."""
    import keras
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = (digits.images * 255 / 16).astype(np.uint8)[..., None], digits.target
    keras.utils.set_random_seed(1)
    l2 = keras.regularizers.L2(1e-4)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(8, 3, padding="same", use_bias=False, kernel_regularizer=l2),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(16, 3, strides=2, kernel_regularizer=l2),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax", kernel_regularizer=l2),
        ],
        name="digits_cnn",
    )
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(images, labels, batch_size=64, epochs=8, verbose=0)
    return Trained(model, images, labels)


@pytest.fixture(scope="session")
def written(trained, tmp_path_factory):
    """The artifact of the trained network, for tests that only read it."""
    from l2zoo.artifacts import Card, export

    card = Card(
        about="Reads handwritten digits.",
        data="scikit-learn's 1,797 digits, 8x8.",
        class_names=[str(digit) for digit in range(10)],
        privacy="Members could not be told from others.",
    )
    return export(
        trained.model,
        tmp_path_factory.mktemp("written") / "digits",
        sample=trained.images[:300],
        metrics={"test_accuracy": {"mean": np.float32(0.975), "se": 0.003, "seeds": 3}, "epochs": 2},
        card=card,
    )


@pytest.fixture(scope="session")
def small_files(trained, tmp_path_factory):
    """The quantised artifact of the trained network, judged by its accuracy."""
    from l2zoo.artifacts import Card, Conversion, export

    labels = trained.labels[:300]
    return export(
        trained.model,
        tmp_path_factory.mktemp("small") / "digits",
        sample=trained.images[:300],
        formats=["tflite", "tflite_fp16", "tflite_dynamic", "tflite_int8"],
        measure=lambda outputs: {"accuracy": float((outputs.argmax(axis=-1) == labels).mean())},
        conversion=Conversion(calibration=trained.images[300:], int8_io="uint8"),
        card=Card(class_names=[str(digit) for digit in range(10)]),
    )


@pytest.fixture(scope="session")
def live(tmp_path_factory):
    """The artifact of a model whose strength was changed to 0.25 after it was built."""
    import keras

    from l2zoo import L2Policy, Strength
    from l2zoo.artifacts import export

    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    strength = Strength(1e-3)
    model = L2Policy(strength).apply(keras.Model(inputs, keras.layers.Dense(4)(x)))
    strength.assign(0.25)
    images = np.zeros((2, 8, 8, 1), np.uint8)
    return export(model, tmp_path_factory.mktemp("live") / "live", sample=images, formats=[])


@pytest.fixture(scope="session")
def detector(tmp_path_factory):
    """The artifact of one convolution that says something of each of 8x8 places, and our layer on top."""
    import keras

    from l2zoo.artifacts import Card, export
    from l2zoo.tasks.detection.final_boxes import FinalBoxes

    keras.utils.set_random_seed(4)
    layers = keras.layers
    inputs = keras.Input((16, 16, 1))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(layers.Rescaling(1 / 255)(inputs))
    said = {
        name: layers.Reshape((64, count))(layers.Conv2D(count, 1, activation=activation)(x))
        for name, count, activation in (
            ("class_logits", 2, None),
            ("sides", 4, "softplus"),
            ("centerness_logits", 1, None),
        )
    }
    outputs = FinalBoxes((16, 16), strides=(2,), max_boxes=5, candidates=10)(said)
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 1), dtype=np.uint8)
    folder = tmp_path_factory.mktemp("boxes") / "boxes"
    model = keras.Model(inputs, outputs, name="tiny_detector")
    return export(model, folder, sample=images, card=Card(class_names=["a", "b"]))


FRESH = """
import json, os, sys

def run(folder, blocks):
    os.chdir(folder)
    names, outputs = {}, []
    for index, block in enumerate(blocks):
        exec(block, names)
        if index:
            found = names["outputs"]
            found = found if isinstance(found, dict) else {"": found}
            outputs.append({name: names["np"].asarray(value).tolist() for name, value in found.items()})
    return outputs

asked = json.loads(sys.argv[1])
answers = {"written": run(*asked["written"])}
import keras
model = keras.saving.load_model(asked["live"])
answers["live"] = float(sum(model.losses))
answers["l2zoo was imported"] = "l2zoo" in sys.modules
answers["detector"] = run(*asked["detector"])
print(json.dumps(answers))
"""


@pytest.fixture(scope="session")
def fresh_process(written, live, detector):
    """What a process answers in which nothing is imported but by the code of two cards, and plain Keras."""
    asked = {
        "written": (str(written.folder), cards_code(written.folder)),
        "live": str(live.folder / "model.keras"),
        "detector": (str(detector.folder), cards_code(detector.folder)),
    }
    command = [sys.executable, "-c", FRESH, json.dumps(asked)]
    done = subprocess.run(command, cwd=written.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def folder(written, tmp_path):
    """A copy of the artifact's folder, to spoil."""
    return Path(shutil.copytree(written.folder, tmp_path / "copy"))


@pytest.fixture
def nothing_opens(monkeypatch):
    """Fails the test when any file of an artifact is opened for what it holds."""
    from l2zoo.artifacts import sample
    from l2zoo.artifacts.formats import keras_file, tflite
    from l2zoo.artifacts.formats.table import FORMATS

    def refuse(path, **_):
        pytest.fail(f"{path} was opened before the checksums were compared")

    for name, row in FORMATS.items():
        monkeypatch.setitem(FORMATS, name, dataclasses.replace(row, open=refuse))
    openers = ((sample, "read"), (keras_file, "load_model"), (tflite, "open_file"), (tflite, "open_content"))
    for module, name in openers:
        monkeypatch.setattr(module, name, refuse)
