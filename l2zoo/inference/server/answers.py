"""What a server says of images, as JSON whose size is known before it takes any memory."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from l2zoo.inference.postprocess import View
from l2zoo.inference.predictor import Predictor
from l2zoo.inference.results import OverlappingMasks, Result, Segmented
from l2zoo.inference.server.decoding import Decoded, Takes

MASK_PIXELS = 2**19  # of the mask of an image; larger ones are halved until they have no more


def view_of(given: tuple[int, int], takes: Takes, *, masks: bool) -> View:
    """How a model sees an image `(h, w)`, or that image halved until it is small enough for a mask.

    Example:
        >>> takes = Takes((8, 8), 3, "stretch")
        >>> view_of((3000, 2001), takes, masks=True).given
        (750, 500)
    """
    view = View.of(given, takes.size, takes.aspect)
    while masks and max(math.prod(view.given), math.prod(view.frame.size)) > MASK_PIXELS:
        height, width = view.given
        view = View.of((max(1, height // 2), max(1, width // 2)), takes.size, takes.aspect)
    return view


def mask_bytes(predictor: Predictor, views: Sequence[View], takes: Takes) -> int:
    """What the masks of some images take as JSON at most; 0 of other tasks."""
    kind = predictor.output_kind
    if predictor.task != "segmentation" or kind is None:
        return 0
    classes = len(predictor.class_names)
    cropped = takes.aspect == "crop"  # where nobody looked, it says 255
    digits = max(len(str(classes - 1)), 3 if cropped else 1)
    cells = sum(height * width for height, width in (view.given for view in views))
    return cells * (digits + 1 if kind.is_exclusive else 2 * classes)


def predict_requests(
    predictor: Predictor, requests: Sequence[Sequence[Decoded]], takes: Takes
) -> list[list[bytes]]:
    """What `Predictor.predict` says of the images of some requests, together, as JSON."""
    images = [image for request in requests for image in request]
    views = [view_of(image.size, takes, masks=predictor.task == "segmentation") for image in images]
    found = predictor.predict_resized(np.stack([image.pixels for image in images]), views) if images else []
    written = (
        encode(result, None if view.given == image.size else image.size)
        for result, image, view in zip(found, images, views, strict=True)
    )
    return [list(islice(written, len(request))) for request in requests]


def encode(result: Result, image_size: tuple[int, int] | None = None) -> bytes:
    """`to_dict()` as JSON, and the `(h, w)` of the image, if it is not that of the mask.

    Masks are written without a Python object for each of their values.
    """
    size = {"image_size": {"height": image_size[0], "width": image_size[1]}} if image_size else {}
    rest: dict[str, Any] = {}
    if isinstance(result, Segmented):
        rest = {"class_names": list(result.class_names), "shares": _shares(result)}
        written = b'"mask": ' + _rows(result.mask)
    elif isinstance(result, OverlappingMasks):
        rest = {"shares": _shares(result)}
        layers = (
            json.dumps(name).encode() + b": " + _rows(result.masks[..., number].astype(np.uint8))
            for number, name in enumerate(result.class_names)
        )
        written = b'"masks": {' + b", ".join(layers) + b"}"
    else:
        return json.dumps(result.to_dict()).encode()
    return json.dumps(rest | size).encode()[:-1] + b", " + written + b"}"


def _shares(result: Segmented | OverlappingMasks) -> dict[str, float]:
    return {name: round(share, 6) for name, share in result.shares.items()}


def _rows(mask: np.ndarray) -> bytes:
    """A mask `(H, W)` of whole numbers as lists of rows, all numbers of the same width."""
    least, most = int(mask.min()), int(mask.max())
    words = [str(number) for number in range(least, most + 1)]
    width = max(map(len, words)) + 1
    cells = np.array([f"{word:>{width - 1}},".encode() for word in words], f"S{width}")
    height, columns = mask.shape
    rows = np.empty((height, columns * width + 2), np.uint8)
    rows[:, 0] = ord("[")
    rows[:, 1:-1] = cells[mask.astype(np.intp) - least].view(np.uint8).reshape(height, -1)
    rows[:, -2] = ord("]")
    rows[:, -1] = ord(",")
    return b"[" + rows.tobytes()[:-1] + b"]"
