"""What an image file may ask for beyond its pixels: scans, chunks, run lengths. Known before it is decoded.

A file of a few kilobytes can keep a decoder busy for minutes with an image of an ordinary size. Honest files
stay far below these limits.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

SCANS = 100  # passes over a JPEG file's pixels; programs that write progressive ones make about 10
PARTS = 10_000  # segments, chunks or blocks of a file, or one for each _PART bytes if those are more
RLE_PIXELS = 2**22  # of a BMP file with run lengths, which Pillow decodes in Python
_PART = 1024
_RUN = 128  # pixels that a byte of run lengths can give
_RLE_WORK = 40  # how much longer such a pixel takes than others

_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_START_OF_SCAN, _END = 0xDA, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers of JPEG without content
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}


def check_parts(data: bytes, where: str) -> None:
    """Refuses a file of so many parts that they alone keep a reader busy; to be asked before it is opened.

    Raises:
        ValueError: It has more than `PARTS`.
    """
    most = max(PARTS, len(data) // _PART)
    for begins, parts in ((b"\x89PNG", _png_chunks), (b"GIF8", _gif_blocks), (b"\xff\xd8", _jpeg_segments)):
        if data.startswith(begins) and next(islice(parts(data), most, None), None) is not None:
            raise ValueError(
                f"{where} has more than {most:,} parts, as no program writes them: it may be made to keep "
                "readers busy. Write it again, or remove it."
            )


def check_work(image: Image.Image, where: str) -> int:
    """Refuses an image that takes far longer to decode than its pixels do; says how many they stand for.

    Args:
        image: Opened and not decoded; one that is decoded already has cost what it costs.
        where: What to call it in messages.

    Returns:
        The pixels times the scans; those of BMP files with run lengths count more.

    Raises:
        ValueError: It has more than `SCANS` scans, or as BMP with run lengths more than `RLE_PIXELS` pixels
            or more than its bytes can give.
    """
    pixels = image.width * image.height
    stream = getattr(image, "fp", None)
    tiles = getattr(image, "tile", None)
    if stream is None or not tiles:
        return pixels
    if image.format in ("JPEG", "MPO"):
        scans = count_scans(_content(stream))
        if scans > SCANS:
            raise ValueError(
                f"{where} has more than {SCANS} scans: it may be made to keep decoders busy. Write it "
                "again, or remove it."
            )
        return pixels * max(1, scans)
    if image.format == "BMP" and tiles[0][0] == "bmp_rle":
        most = min(RLE_PIXELS, _RUN * _size(stream))
        if pixels > most:
            raise ValueError(
                f"{where} is a BMP file with run lengths of {pixels:,} pixels, of which {most:,} are "
                "allowed: it may be made to keep decoders busy. Write it as PNG, or remove it."
            )
        return pixels * _RLE_WORK
    return pixels


def count_scans(data: bytes) -> int:
    """How often a decoder goes over the pixels of a JPEG file; it stops counting above `SCANS` by one.

    One whose first scan has all channels is decoded while it is read, and ends with that scan.

    Example:
        >>> count_scans(b"no JPEG file")
        0
    """
    progressive, channels, scans = False, 0, 0
    for marker, start in _jpeg_segments(data + bytes(8)):  # where the file ends within one
        if marker in _FRAMES:
            progressive, channels = marker in _PROGRESSIVE, data[start + 7]
        if marker == _START_OF_SCAN:
            scans += 1
            if scans > SCANS or (not progressive and data[start + 2] == channels):
                break
    return scans


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The markers of a JPEG file with the places of their contents, read as libjpeg does."""
    place = 0
    while found := _MARKER.search(data, place):
        marker, place = found[1][0], found.end()
        if marker == _END:
            return
        if marker not in _ALONE:
            yield marker, place
            place += max(2, int.from_bytes(data[place : place + 2]))


def _png_chunks(data: bytes) -> Iterator[int]:
    place = 8
    while place + 8 <= len(data):
        yield place
        place += 12 + struct.unpack_from(">I", data, place)[0]


def _gif_blocks(data: bytes) -> Iterator[int]:
    """The blocks of a GIF file before its first image, and the parts of each."""
    flags = data[10] if len(data) > 10 else 0
    place = 13 + (3 << (flags % 8 + 1) if flags & 0x80 else 0)
    while place < len(data) and data[place] != ord(","):
        yield place
        if data[place] != ord("!"):
            place += 1
            continue
        place += 2
        while place < len(data) and data[place]:
            yield place
            place += 1 + data[place]
        place += 1


def _content(stream: io.BufferedIOBase) -> bytes:
    place = stream.tell()
    stream.seek(0)
    content = stream.read()
    stream.seek(place)
    return content


def _size(stream: io.BufferedIOBase) -> int:
    place = stream.tell()
    size = stream.seek(0, io.SEEK_END)
    stream.seek(place)
    return size
