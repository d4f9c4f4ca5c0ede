"""Images and classes among the features of a TFDS builder."""

from __future__ import annotations

from typing import Any

import numpy as np

from l2zoo.data.sources import catalog


def image_keys(builder: Any) -> list[str]:
    """Names of the features that are images of 8-bit or float pixels."""
    images = keys_of(builder.info.features, catalog.import_tfds().features.Image)
    return [key for key in images if builder.info.features[key].np_dtype in (np.uint8, np.float32)]


def keys_of(features: Any, kind: type) -> list[str]:
    """Names of the features of a kind."""
    return [key for key, feature in features.items() if isinstance(feature, kind)]


def main_image(builder: Any, *, besides: str = "") -> str | None:
    """The image that is looked at: the one TFDS supervises with, the only one, or the one called "image".

    Args:
        builder: A `tfds.core.DatasetBuilder`.
        besides: An image that it is not.
    """
    found = [key for key in image_keys(builder) if key != besides]
    supervised = builder.info.supervised_keys or ()
    for key in (*supervised[:1], "image"):
        if key in found:
            return key
    return found[0] if len(found) == 1 else None
