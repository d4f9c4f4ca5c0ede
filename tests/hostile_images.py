"""Image files that cost far more than their bytes and pixels say, made by hand."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def file_of(image: Image.Image, kind: str, **options: object) -> bytes:
    with io.BytesIO() as file:
        image.save(file, kind, **options)
        return file.getvalue()


def jpeg_of_scans(scans: int, side: int = 64) -> bytes:
    """A progressive JPEG file whose last scan is repeated; it is valid, and looks as it did."""
    data = file_of(Image.new("RGB", (side, side), (200, 100, 50)), "JPEG", progressive=True)
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    before = data[:start].count(b"\xff\xda")
    return data[:start] + data[start:end] * (scans - before) + data[end:]


def bmp_of_run_lengths(width: int, height: int, *, bits: int = 8, codes: bytes | None = None) -> bytes:
    """A BMP file of one gray value, or of `codes`; by default every row is one end of line."""
    palette = b"".join(bytes([value, value, value, 0]) for value in range(2**bits))
    codes = b"\0\2\1\0\0\0" * height if codes is None else codes
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 1 if bits == 8 else 2, 0, 0, 0, 2**bits, 0)
    offset = 14 + len(info) + len(palette)
    head = b"BM" + struct.pack("<IHHI", offset + len(codes), 0, 0, offset)
    return head + info + palette + codes


def of_parts(kind: str, many: int) -> bytes:
    """The beginning of a file of many parts without content, and a small image behind them."""
    data = file_of(Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)), kind)
    if kind == "JPEG":
        return data[:2] + b"\xff\xfe\0\2" * many + data[2:]
    if kind == "PNG":
        return data[:33] + (b"\0\0\0\0prVt" + struct.pack(">I", zlib.crc32(b"prVt"))) * many + data[33:]
    place = 13 + (3 << (data[10] % 8 + 1))  # behind the palette
    return data[:place] + b"!\xfe\0" * many + data[place:]
