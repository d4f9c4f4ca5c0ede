"""Real images: what an artifact is compared on, and the few of them that it keeps."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import keras

FILE = "sample.npz"
_KEPT_IMAGES = 32
_KEPT_BYTES = 4 * 2**20
_LARGEST = 256 * 2**20  # bytes a sample may unpack to: a small file can hold a very large one
_EXPECTED = "expected_"

Outputs = dict[str, np.ndarray]


def check(sample: ArrayLike | None, model: keras.Model) -> np.ndarray:
    """Real images `(B, H, W, C)` in [0, 255], as the model takes them.

    Raises:
        TypeError: The pixels are not numbers.
        ValueError: There are no images, or they are not what the model takes.
    """
    if sample is None:
        raise ValueError(
            "`sample` must hold real images to compare the exported files with the model, got sample=None. "
            "Pass some of the test set, raw pixels in [0, 255]: export(model, folder, sample=test_images)."
        )
    images = np.asarray(sample)
    if images.dtype.kind not in "uif":
        raise TypeError(f"`sample` must hold numbers, got dtype={images.dtype}.")
    if images.ndim < 2 or not images.size:
        raise ValueError(f"`sample` must hold images of shape (B, H, W, C), got shape={images.shape}.")
    _check_shape(images, model)
    _check_range(images)
    return images


def _check_shape(images: np.ndarray, model: keras.Model) -> None:
    inputs = getattr(model, "inputs", None)  # None for a subclassed model
    if not inputs:
        return
    if len(inputs) > 1:
        raise ValueError(f"`model` must take one batch of images, got {len(inputs)} inputs.")
    shape = tuple(inputs[0].shape)
    fits = len(shape) == images.ndim and all(
        want in (None, size) for want, size in zip(shape[1:], images.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(f"`sample` must have the model's input shape {shape}, got shape={images.shape}.")


def _check_range(images: np.ndarray) -> None:
    if not np.isfinite(images).all():
        index = int(np.argmax(~np.isfinite(images.reshape(len(images), -1)).all(axis=1)))
        raise ValueError(f"`sample` must hold finite pixels, got NaN or infinity in image {index}.")
    low, high = float(images.min()), float(images.max())
    scaled = images.dtype.kind == "f" and 0 < high <= 1
    if low < 0 or high > 255 or scaled:
        raise ValueError(
            f"`sample` must hold raw pixels in [0, 255], got values in [{low:g}, {high:g}]. Pass the images "
            "before any scaling; the scaling belongs into the model (keras.layers.Rescaling)."
        )


def kept(images: np.ndarray) -> np.ndarray:
    """The few images, evenly spread over the sample, that go into the artifact. Whole numbers as uint8."""
    count = max(1, min(_KEPT_IMAGES, len(images), _KEPT_BYTES // images[:1].nbytes))
    few = images[np.linspace(0, len(images) - 1, count).astype(int)]
    whole = few.astype(np.uint8)
    return whole if np.array_equal(whole, few) else few


def write(path: Path, images: np.ndarray, outputs: Outputs) -> None:
    """Stores images and the answers of the Keras model, as plain arrays."""
    arrays: dict[str, Any] = {_EXPECTED + name: array for name, array in outputs.items()}
    np.savez_compressed(path, images=images, **arrays)


def read(path: Path) -> tuple[np.ndarray, Outputs]:
    """Images and expected outputs, as `write` stored them. Nothing is unpickled.

    Raises:
        ValueError: The file holds something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > _LARGEST:
            raise ValueError(f"it unpacks to {unpacked} bytes, more than {_LARGEST}")
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        images = arrays.pop("images")
        if not arrays or any(len(array) != len(images) for array in arrays.values()) or not len(images):
            raise ValueError("it does not hold one answer for each image")
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{FILE} is not the sample of an artifact: {error}.") from error
    return images, {name.removeprefix(_EXPECTED): array for name, array in arrays.items()}
