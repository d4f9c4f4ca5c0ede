"""Image files that strangers send, as bytes: an answer in JSON for each, or the reason why there is none."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Sequence

from PIL import Image

from l2zoo.data import pixels
from l2zoo.inference.predictor import Predictor

OK, BAD, TOO_LARGE = 200, 400, 413  # as in HTTP
Answer = tuple[int, bytes]


def predict_files(predictor: Predictor, files: Sequence[bytes], *, max_pixels: int) -> list[Answer]:
    """Predicts together all images that can be decoded; the others do not disturb them.

    What a file is, is read from its first bytes; of moving images, the first one counts. However many files
    there are, no more than twice `max_pixels` pixels are held decoded at a time.

    Args:
        predictor: Of a task with `predict`.
        files: Whole image files: PNG, JPEG, BMP, GIF or WEBP.
        max_pixels: Of one image; larger ones are refused before they are decoded.

    Returns:
        For each file a status and JSON: 200 and `to_dict()` of the result, or 400 (no image, or a damaged
        one) or 413 (too large) and `{"error": ...}`.

    Raises:
        ValueError: `max_pixels` is more than Pillow allows.
    """
    check_max_pixels(max_pixels)
    found: dict[int, Answer] = {}
    batch: dict[int, Image.Image] = {}

    def flush() -> None:
        results = predictor.predict(list(batch.values()), batch_size=len(batch)) if batch else []
        for number, result in zip(batch, results, strict=True):
            found[number] = OK, json.dumps(result.to_dict()).encode()
        batch.clear()

    for number, file in enumerate(files):
        image = _decode(file, max_pixels)
        if not isinstance(image, Image.Image):
            found[number] = image
            continue
        if sum(one.width * one.height for one in (image, *batch.values())) > max_pixels:
            flush()
        batch[number] = image
    flush()
    return [found[number] for number in range(len(files))]


def check_max_pixels(max_pixels: int) -> None:
    """Raises a `ValueError` if larger images would be let in than are predicted afterwards.

    Example:
        >>> check_max_pixels(16_000_000)
    """
    most = Image.MAX_IMAGE_PIXELS
    if most is not None and max_pixels > most:
        raise ValueError(
            f"`max_pixels` must be at most {most}, got max_pixels={max_pixels}: Pillow takes larger images "
            "for decompression bombs. Have smaller ones sent."
        )


def refusal(status: int, reason: str) -> Answer:
    """What is said instead of an answer.

    Example:
        >>> refusal(404, "There is no such address.")
        (404, b'{"error": "There is no such address."}')
    """
    return status, json.dumps({"error": reason}).encode()


def _decode(file: bytes, max_pixels: int) -> Image.Image | Answer:
    too_large = refusal(TOO_LARGE, f"The image must have at most {max_pixels:,} pixels. Send a smaller one.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd files, which are not ours
            image = pixels.open_image(io.BytesIO(file), "The image")
            if image.width * image.height > max_pixels:
                return too_large
            image.load()
            return image
    except ValueError as error:
        return too_large if pixels.is_too_large(error) else refusal(BAD, str(error))
    except Exception as error:  # there is little that Pillow does not raise over damaged files
        return refusal(BAD, f"The image cannot be decoded ({error}).")
