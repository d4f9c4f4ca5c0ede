"""Threads that share what runs a file get the answers that each asked for."""

from __future__ import annotations

import concurrent.futures
import os
import threading

import keras
import numpy as np
import pytest

import l2zoo
from l2zoo.artifacts.formats.table import FORMATS
from l2zoo.utils.console import without_chatter
from tests.inference.tiny import random_images, scattered

THREADS = 8


def in_threads(function, arguments):
    """What a function gives for each of some arguments, by threads that begin together."""
    begin = threading.Barrier(THREADS)

    def work(number):
        begin.wait()
        return {i: function(arguments[i]) for i in range(number, len(arguments), THREADS)}

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(work, range(THREADS)))
    found = {i: one for part in parts for i, one in part.items()}
    return [found[i] for i in range(len(arguments))]


def batches(*shape, count):
    """Batches of several sizes, for which tensors are made anew."""
    return [random_images(1 + i % 3, *shape, seed=i) for i in range(count)]


def test_a_predictor_that_eight_threads_share_answers_each(classifier):
    given = batches(8, 8, 3, count=600)
    predictor = l2zoo.Predictor(classifier.folder)
    found = in_threads(predictor.predict, given)
    for images, results in zip(given, found, strict=True):
        wanted = classifier.model.predict_on_batch(images.astype("float32"))
        np.testing.assert_allclose([one.probabilities for one in results], wanted, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "keras",
        "savedmodel",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("tflite_int8", "onnx")),
    ],
)
def test_what_runs_a_file_of_any_format_may_be_shared(name, tmp_path):
    from l2zoo.artifacts import export

    FORMATS[name].check_installed()
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(inputs))
    model = scattered(keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x))))
    card = l2zoo.Card(task="classification", output_kind="logits")
    export(model, tmp_path / "a", sample=random_images(8, 8, 8, 1), formats=[name], card=card)
    predict, _ = FORMATS[name].open(tmp_path / "a" / FORMATS[name].path)
    given = [{"images": images.astype("float32")} for images in batches(8, 8, 1, count=200)]
    alone = [predict(feed) for feed in given]
    predict, _ = FORMATS[name].open(tmp_path / "a" / FORMATS[name].path)  # the first answers are shared too
    for found, wanted in zip(in_threads(predict, given), alone, strict=True):
        np.testing.assert_allclose(found["output_0"], wanted["output_0"], atol=1e-5)


def test_stderr_is_what_it_was_when_several_have_held_it_back():
    before = os.fstat(2)

    def hold(begin):
        for _ in range(50):
            with without_chatter():
                begin.wait()

    begin = threading.Barrier(3)
    threads = [threading.Thread(target=hold, args=(begin,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.path.samestat(os.fstat(2), before)
