"""What a pixel is: one rule for image files and Pillow's images, in training, at inference and on a server.

A file is PNG, JPEG, WebP, BMP or GIF, of which the first frame counts. It is read upright by the orientation
in its EXIF data; what is transparent is laid on white; of 1 bit a pixel is 0 or 255; gray of 16 bits becomes
floats, `v * 255 / 65535`, not rounded to 8 bits. What cannot be honoured is refused by the file's name.

NumPy and Pillow alone are needed.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from l2zoo.data.preprocessing import image_limits
from l2zoo.utils.validation import check_pixels

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")  # Pillow would start other programs for some of the rest
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif")
CHANNELS = (1, 3)  # of what Pillow reads, gray or coloured

_WORDS = "a PNG, JPEG, WebP, BMP or GIF image"
_GRAY = frozenset({"1", "L", "LA", "La", "I", "F"})
_BAND = 256  # rows that are worked on together
_STEP_16 = 257  # 65535 / 255
_BITS = {"L;2": 85, "L;4": 17}  # by how much Pillow multiplies gray values of 2 and 4 bits
_ORIENTATION = 0x0112  # the tag in EXIF data
_UPRIGHT: dict[
    int, Callable[[np.ndarray], np.ndarray]
] = {  # how pixels (H, W, ...) with each value are turned
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
_SIDEWAYS = (5, 6, 7, 8)


class Header(NamedTuple):
    """What the first bytes of an image file tell.

    Attributes:
        mode: Pillow's.
        size: `(H, W)` of the image as it is read: upright.
        stored: `(H, W)` of the pixels in the file, before they are turned upright.
        orientation: EXIF's, 1 to 8; 1 is upright.
        deep: Whether it is gray of 16 bits.
    """

    mode: str
    size: tuple[int, int]
    stored: tuple[int, int]
    orientation: int
    deep: bool

    @property
    def is_gray(self) -> bool:
        return self.mode in _GRAY or self.deep


def read_header(file: Path) -> Header:
    """The header of an image file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no image that is read here, or has more pixels than Pillow allows.
    """
    with open_image(file, str(file)) as image:
        orientation = _orientation(image.info.get("exif") or _late_exif(file, image.format))
        stored = image.height, image.width
        size = stored[::-1] if orientation in _SIDEWAYS else stored
        return Header(image.mode, size, stored, orientation, _raw_mode(image) == "I;16B")


def read_file(file: Path, *, channels: int) -> np.ndarray:
    """The pixels `(H, W, C)` of an image file, uint8, or float32 of gray with 16 bits, in [0, 255].

    Args:
        file: Its path.
        channels: C, 1 (gray) or 3 (coloured).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read; the message names it.
    """
    with open_image(file, str(file)) as image:
        return read_image(image, channels=channels, where=str(file))


def read_image(image: Image.Image, *, channels: int, where: str) -> np.ndarray:
    """The pixels `(H, W, C)` of one of Pillow's images, by the same rule.

    Whole numbers of 32 bits and floats, which no file has here, are pixels in [0, 255] already.

    Args:
        image: Of any mode.
        channels: C, 1 (gray) or 3 (coloured).
        where: What to call it in messages.

    Raises:
        TypeError: More channels are wanted than an image has.
        ValueError: It cannot be decoded, or has more pixels than Pillow allows, or 16 bits and colours, or
            would take far longer than its pixels do (`image_limits`).
    """
    if channels not in CHANNELS:
        raise TypeError(f"{where} must be an array, as the model takes {channels} channels.")
    raw = _check(image, where)
    _decode(image, where)
    try:
        found = _plane(image, raw, where) if _is_plane(image) else _colours(image, channels)
    except ValueError as error:  # Pillow's, of modes that it cannot convert
        raise ValueError(f"{where} cannot be decoded ({error}): repair or remove it.") from error
    if found.ndim == 2:
        found = np.repeat(found[..., np.newaxis], channels, axis=-1)
    return np.ascontiguousarray(_UPRIGHT[_orientation(image.info.get("exif"))](found))


def read_values(file: Path) -> np.ndarray:
    """The values `(H, W)`, uint8, of a mask's file, upright; of a palette, the numbers of the colours.

    Raises:
        ValueError: It cannot be read; the message names the file.
    """
    with open_image(file, str(file)) as image:
        raw = _raw_mode(image)
        _decode(image, str(file))
        values = np.asarray(image).astype(np.uint8) // _BITS.get(raw, 1)
        return np.ascontiguousarray(_UPRIGHT[_orientation(image.info.get("exif"))](values))


def open_image(file: Path | io.BytesIO, where: str) -> Image.Image:
    """Pillow's image of a file, or of its bytes, its pixels not decoded yet.

    Args:
        file: Its path, or its content.
        where: What to call it in messages.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no image that is read here, or has more pixels than Pillow allows; of bytes, also if
            they have too many parts (`image_limits`).
    """
    from PIL import Image, UnidentifiedImageError

    if isinstance(file, Path) and not file.is_file():
        link = " It is a link to nothing." if file.is_symlink() else ""
        raise FileNotFoundError(f"There is no file {where}.{link}")
    if isinstance(file, io.BytesIO):
        image_limits.check_parts(file.getvalue(), where)
    try:
        image = Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(_too_many_pixels(where)) from error
    except MemoryError:
        raise
    except Exception as error:  # there is little that Pillow does not raise over damaged files
        reason = f" ({error})"
        if isinstance(file, Path) and not file.stat().st_size:
            reason = " (it is empty: 0 bytes)"
        elif isinstance(error, UnidentifiedImageError):
            reason = ", or is damaged"
        raise ValueError(f"{where} is not {_WORDS}{reason}: repair or remove it.") from error
    try:
        raw = _check(image, where)
    except ValueError:
        image.close()
        raise
    if raw in _BITS and "transparency" in image.info:  # which Pillow leaves as the file has it
        image.info["transparency"] *= _BITS[raw]
    return image


# ---- Gray and coloured -------------------------------------------------------------------------------------


def _is_plane(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16")


def _plane(image: Image.Image, raw: str, where: str) -> np.ndarray:
    """The pixels `(H, W)` of a gray image."""
    plane = np.asarray(image)
    if image.mode in ("I", "F") and raw != "I;16B":
        check_pixels(plane, where=where)
        return plane.astype(np.uint8 if image.mode == "I" else np.float32)
    transparent = image.info.get("transparency")  # one value, as the file has it
    there = None if transparent is None else plane != transparent
    if image.mode == "1":
        plane = plane.astype(np.uint8) * 255
    elif image.mode != "L":
        plane = plane.astype(np.float32) / _STEP_16
    return plane if there is None else np.where(there, plane, plane.dtype.type(255))


def _colours(image: Image.Image, channels: int) -> np.ndarray:
    """The pixels `(H, W, 3)` of a coloured image, or `(H, W)`; on white, where it is transparent."""
    from PIL import Image

    if image.mode in ("LA", "La"):
        return _on_white(np.asarray(image.convert("LA")))[..., 0]
    if image.has_transparency_data:
        image = Image.fromarray(_on_white(np.asarray(image.convert("RGBA"))))
    return np.asarray(image.convert("L" if channels == 1 else "RGB"))


def _on_white(pixels: np.ndarray) -> np.ndarray:
    """Pixels `(H, W, C + 1)`, the last of which is their opacity, as `(H, W, C)` before white."""
    found = np.empty((*pixels.shape[:-1], pixels.shape[-1] - 1), np.uint8)
    for start in range(0, len(pixels), _BAND):  # or it takes 40 bytes a pixel for a moment
        band = slice(start, start + _BAND)
        colours, opacity = pixels[band, :, :-1].astype(np.uint32), pixels[band, :, -1:].astype(np.uint32)
        found[band] = (colours * opacity + 255 * (255 - opacity) + 127) // 255
    return found


# ---- What a file may not be --------------------------------------------------------------------------------


def _check(image: Image.Image, where: str) -> str:
    """The raw mode of an image that can be read by the rule."""
    from PIL import Image

    if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        # Pillow itself raises at twice as many.
        raise ValueError(_too_many_pixels(where)) from Image.DecompressionBombError()
    raw = _raw_mode(image)
    if raw in ("RGB;16B", "RGBA;16B", "LA;16B"):
        raise ValueError(
            f"{where} has 16 bits a channel, of which 8 would be read where there are colours or "
            "transparency: write it with 8 bits a channel, or as gray alone."
        )
    return raw


def _raw_mode(image: Image.Image) -> str:
    """How the values lie in a PNG file that is not decoded yet, in Pillow's words; else an empty string."""
    tiles = getattr(image, "tile", ()) if image.format == "PNG" else ()
    return str(tiles[0][3]) if tiles else ""


def _decode(image: Image.Image, where: str) -> None:
    image_limits.check_work(image, where)
    try:
        image.load()
    except MemoryError:  # which is no fault of the file's
        raise
    except Exception as error:  # there is little that Pillow does not raise over damaged files
        raise ValueError(f"{where} cannot be decoded ({error}): repair or remove it.") from error


def is_too_large(error: ValueError) -> bool:
    """Whether an image was refused because it has more pixels than Pillow allows."""
    from PIL import Image

    return isinstance(error.__cause__, Image.DecompressionBombError | Image.DecompressionBombWarning)


def _too_many_pixels(where: str) -> str:
    from PIL import Image

    return (
        f"{where} has more pixels than Pillow allows ({Image.MAX_IMAGE_PIXELS:,}): it may be made to fill "
        "the memory. If you trust it, set PIL.Image.MAX_IMAGE_PIXELS."
    )


# ---- Orientation -------------------------------------------------------------------------------------------


def _orientation(data: Any) -> int:
    """EXIF's number for how a camera was held, 1 to 8."""
    if not data:
        return 1
    from PIL import Image

    exif = Image.Exif()
    try:
        exif.load(data)
        found = exif.get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF data says nothing, and viewers show such pictures as they are stored
        return 1
    return found if found in _UPRIGHT else 1


def _late_exif(file: Path, format: str | None) -> bytes:  # noqa: A002
    """EXIF data that a PNG file has behind its pixels, which Pillow reads with them and not before."""
    if format != "PNG":
        return b""
    with file.open("rb") as stream:
        stream.seek(8)
        while len(start := stream.read(8)) == 8:
            length, kind = struct.unpack(">I4s", start)
            if kind == b"eXIf":
                return stream.read(length)
            stream.seek(length + 4, io.SEEK_CUR)  # and the checksum
    return b""
