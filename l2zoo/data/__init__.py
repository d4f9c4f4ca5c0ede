"""Images with classes, masks, boxes or nothing, and videos: from TFDS, folders or arrays, checked.

`load` gives an `ImageData` and `load_video` a `VideoData`, which hand out whole arrays or batches in a
reproducible order. Importing this package is light: each name is imported when it is first used, TensorFlow
and TensorFlow Datasets when data is first asked for.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

from l2zoo.utils.validation import no_attribute

if TYPE_CHECKING:
    from l2zoo.data.builtin.digits import L2zooDigits
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

_HOME = {
    "ImageData": "images",
    "L2zooDigits": "builtin.digits",  # a TFDS builder class: defining it imports TFDS
    "VideoData": "videos",
    "check_folds": "checks",
    "check_images": "checks",
    "check_splits": "overlap",
    "divided": "load",
    "leave_out": "overlap",
    "load": "load",
    "load_train_test": "train_test",
    "load_video": "videos",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise no_attribute(__name__, name, _HOME)
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(types.ModuleType):
    """This package: `load` is the function also after Python has imported the module of that name into it."""

    def __setattr__(self, name: str, value: Any) -> None:
        is_home = isinstance(value, types.ModuleType) and name in _HOME
        super().__setattr__(name, getattr(value, name) if is_home else value)


sys.modules[__name__].__class__ = _Package
