"""A tiny model of every task with its artifact, made once and shared by all tests of this folder."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tests.inference import kinds, tiny


@pytest.fixture(scope="session")
def classifier(tmp_path_factory):
    """8x8 colour images to 3 classes; in float, and in int8 with bytes in and out."""
    from l2zoo.artifacts import Conversion

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ],
        name="tiny",
    )
    folder = tmp_path_factory.mktemp("classifier") / "tiny"
    return tiny.exported(
        tiny.scattered(model), folder, tiny.random_images(64, 8, 8, 3),
        formats=["tflite", "tflite_int8"], conversion=Conversion(int8_io="uint8"),
    )  # fmt: skip


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory):
    """8x8 grey images to a class of 3 for each pixel."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 1), name="images")
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax")(x))
    folder = tmp_path_factory.mktemp("segmenter") / "tiny"
    return tiny.exported(
        tiny.scattered(model, 2.0), folder, tiny.random_images(16, 8, 8, 1), task="segmentation"
    )


@pytest.fixture(scope="session")
def detector(tmp_path_factory):
    """32x32 colour images to 5 final boxes of 3 classes."""
    from l2zoo.models.detector import build_detector
    from l2zoo.tasks import Detection

    keras.utils.set_random_seed(0)
    model = build_detector((32, 32, 3), num_classes=3, strides=(8, 16), channels=8, depth=1)
    rng = np.random.default_rng(3)
    for weight in model.trainable_weights:
        if weight.path.endswith("bias"):  # so that boxes are found, and of several sizes
            weight.assign(rng.normal(1.5, 0.5, weight.shape).astype("float32"))
    task = Detection(tiny.NAMES, strides=(8, 16), max_boxes=5)
    folder = tmp_path_factory.mktemp("detector") / "tiny"
    return tiny.exported(task.deployed(model), folder, tiny.random_images(8, 32, 32, 3), task=task.name)


@pytest.fixture(scope="session")
def denoiser(tmp_path_factory):
    """8x8 grey images of 3 classes."""
    from l2zoo.models.diffusion import build_diffusion

    keras.utils.set_random_seed(0)
    model = tiny.scattered(build_diffusion((8, 8, 1), num_classes=3, filters=(8,)))
    rng = np.random.default_rng(0)
    sample = {
        "images": rng.normal(127.5, 127.5, (8, 8, 8, 1)).astype("float32"),
        "times": rng.random(8).astype("float32"),
        "labels": rng.integers(0, 4, 8).astype("int32"),
    }
    folder = tmp_path_factory.mktemp("denoiser") / "tiny"
    return tiny.exported(model, folder, sample, task="generation", limits=tiny.wide())


@pytest.fixture(scope="session")
def stepper(tmp_path_factory):
    """One time step of a model of 16x16 grey clips."""
    from l2zoo.models.video import build_video
    from l2zoo.tasks import step_model

    keras.utils.set_random_seed(0)
    model = step_model(tiny.scattered(build_video((None, 16, 16, 1), filters=(4,))))
    rng = np.random.default_rng(0)
    sample = {
        name: rng.normal(0, 0.3, (4, *x.shape[1:])).astype("float32") for name, x in model.input.items()
    }
    sample["frame"] = tiny.random_images(4, 16, 16, 1).astype("float32")
    folder = tmp_path_factory.mktemp("stepper") / "tiny"
    return tiny.exported(model, folder, sample, names=None, task="video", limits=tiny.wide())


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """By name, a model, what it answers, and its artifact; made when they are asked for."""
    known = {}

    def get(name):
        if name not in known:
            build, card = kinds.MADE[name]
            model = build()
            folder = tmp_path_factory.mktemp("kinds") / "artifact"
            from l2zoo.artifacts import export

            export(model, folder, sample=kinds.X, formats=["tflite"], card=card)
            known[name] = SimpleNamespace(
                model=model, folder=folder, answers=model.predict(kinds.X, verbose=0)
            )
        return known[name]

    return get
