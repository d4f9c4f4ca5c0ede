"""Images with classes, masks, boxes or nothing, and videos: from TFDS, folders or arrays, checked.

`load` gives an `ImageData` and `load_video` a `VideoData`, which hand out whole arrays or batches in a
reproducible order. Importing this package is light: TensorFlow and TensorFlow Datasets load when data is
first asked for.
"""

from __future__ import annotations

from typing import Any

from l2zoo.data.checks import check_folds, check_images
from l2zoo.data.images import ImageData
from l2zoo.data.load import divided, load
from l2zoo.data.overlap import check_splits, leave_out
from l2zoo.data.train_test import load_train_test
from l2zoo.data.videos import VideoData, load_video

__all__ = [
    "ImageData",
    "L2zooDigits",
    "VideoData",
    "check_folds",
    "check_images",
    "check_splits",
    "divided",
    "leave_out",
    "load",
    "load_train_test",
    "load_video",
]


def __getattr__(name: str) -> Any:
    if name != "L2zooDigits":
        raise AttributeError(f"module 'l2zoo.data' has no attribute {name!r}")
    from l2zoo.data.builtin.digits import L2zooDigits  # a TFDS builder class: defining it imports TFDS

    return L2zooDigits
