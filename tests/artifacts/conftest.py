"""One small trained network and one artifact of it, shared by all tests of this folder."""

import dataclasses
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest


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
    for module, name in ((sample, "read"), (keras_file, "load_model"), (tflite, "open_file")):
        monkeypatch.setattr(module, name, refuse)
