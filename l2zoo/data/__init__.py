"""Images with classes, masks, boxes or nothing, and videos: from TFDS, folders or arrays, checked.

`load` gives an `ImageData` and `load_video` a `VideoData`, which hand out whole arrays or batches in a
reproducible order. Importing this package is light: each name is imported when it is first used, TensorFlow
and TensorFlow Datasets when data is first asked for.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

from l2zoo.utils.packages import public_value

if TYPE_CHECKING:
    from l2zoo.data.builtin.digits import L2zooDigits
    from l2zoo.data.checks import check_folds, check_images
    from l2zoo.data.images import ImageData
    from l2zoo.data.load import divided, load
    from l2zoo.data.splits.overlap import check_splits, leave_out
    from l2zoo.data.splits.train_test import load_train_test
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

_HOME = {
    "ImageData": "l2zoo.data.images",
    "L2zooDigits": "l2zoo.data.builtin.digits",  # a TFDS builder class: defining it imports TFDS
    "VideoData": "l2zoo.data.videos",
    "check_folds": "l2zoo.data.checks",
    "check_images": "l2zoo.data.checks",
    "check_splits": "l2zoo.data.splits.overlap",
    "divided": "l2zoo.data.load",
    "leave_out": "l2zoo.data.splits.overlap",
    "load": "l2zoo.data.load",
    "load_train_test": "l2zoo.data.splits.train_test",
    "load_video": "l2zoo.data.videos",
}


def __getattr__(name: str) -> Any:
    return public_value(__name__, name, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(types.ModuleType):
    """This package: `load` is the function also after Python has imported the module of that name into it."""

    def __setattr__(self, name: str, value: Any) -> None:
        is_home = isinstance(value, types.ModuleType) and name in _HOME
        super().__setattr__(name, getattr(value, name) if is_home else value)


sys.modules[__name__].__class__ = _Package
