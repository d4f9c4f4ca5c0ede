"""A tiny model for every kind of output, and what its card says."""

from __future__ import annotations

import keras
from keras import layers

from l2zoo.artifacts import Card
from tests.inference.tiny import random_images, scattered

X = random_images(64, 8, 8, 1)


def classifier(numbers, activation=None, loss=None):
    body = [
        keras.Input((8, 8, 1)),
        layers.Rescaling(1 / 255),
        layers.Flatten(),
        layers.Dense(numbers, activation),
    ]
    model = scattered(keras.Sequential(body), 0.5)
    if loss is not None:
        model.compile("sgd", loss)
    return model


def segmenter(numbers, activation=None):
    body = [keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Conv2D(numbers, 3, padding="same")]
    return scattered(keras.Sequential([*body, layers.Activation(activation or "linear")]), 2.0)


FROM_LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)
MADE = {
    "logits": (lambda: classifier(3), Card(class_names=("a", "b", "c"))),
    "binary": (lambda: classifier(1, "sigmoid"), Card(class_names=("no", "yes"))),
    "binary_logits": (lambda: classifier(1, None, FROM_LOGITS), Card(task="classification", threshold=0.8)),
    "multilabel": (
        lambda: classifier(3, "sigmoid"),
        Card(class_names=("a", "b", "c"), threshold=(0.2, 0.5, 0.9)),
    ),
    "multilabel_logits": (lambda: classifier(3, None, FROM_LOGITS), Card()),
    "values": (lambda: classifier(2, None, "mse"), Card()),
    "masks of logits": (lambda: segmenter(3), Card(task="segmentation")),
    "masks of two": (lambda: segmenter(1, "sigmoid"), Card(class_names=("ground", "road"))),
    "masks that overlap": (lambda: segmenter(2, "sigmoid"), Card(class_names=("car", "shadow"))),
    "values of pixels": (lambda: segmenter(1), Card(task="regression")),
}
