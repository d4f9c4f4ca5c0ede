"""Image files of strangers, decoded in processes that can be ended, to what a model takes.

A replica has quick processes for what is worked off in milliseconds, and a slow one, which gives way to the
others, for the rest: who sends large images waits for those who do. Clients take turns.
"""

from __future__ import annotations

import asyncio
import io
import os
import warnings
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from l2zoo.data.preprocessing import image_limits, pixels
from l2zoo.data.preprocessing.resizing import resize_pixels
from l2zoo.inference.postprocess import View
from l2zoo.utils.processes.bounded_process import BoundedProcess

BAD, TOO_LARGE = 400, 413  # as in HTTP
QUICK = 2  # processes
QUICK_WORK = 2_000_000  # pixels times scans of a request: some tens of milliseconds
QUICK_SECONDS = 2.0
QUICK_MEMORY = 256 * 2**20
_NICE = 5
_FUNCTION = f"{__name__}:decode"


class Limits(NamedTuple):
    """What may be asked for.

    Attributes:
        pixels: Of an image, height times width.
        request_pixels: Of all images of a request.
        seconds: For decoding the images of a request.
        memory: Bytes for that.
    """

    pixels: int
    request_pixels: int
    seconds: float
    memory: int

    def check(self) -> None:
        """Raises a `ValueError` if larger images would be let in than Pillow opens."""
        most = Image.MAX_IMAGE_PIXELS
        if most is not None and self.pixels > most:
            raise ValueError(
                f"`max_pixels` must be at most {most}, got max_pixels={self.pixels}: Pillow takes larger "
                "images for decompression bombs. Have smaller ones sent."
            )


class Takes(NamedTuple):
    """What a model takes: `(H, W)`, channels, and how other aspects are brought to it."""

    size: tuple[int, int]
    channels: int
    aspect: str


class Refusal(NamedTuple):
    """Why there is no answer: a status as in HTTP, and a sentence."""

    status: int
    reason: str


class Decoded(NamedTuple):
    """An image as the model takes it, `(H, W, C)` in [0, 255], and the `(h, w)` that it had."""

    pixels: np.ndarray
    size: tuple[int, int]


class Decoder:
    """Decodes what clients send, in processes that start at once; `close` ends them.

    Args:
        takes: What is made of the files.
        limits: What is refused.
    """

    def __init__(self, takes: Takes, limits: Limits):
        self._takes, self._limits = takes, limits
        seconds = min(QUICK_SECONDS, limits.seconds)
        memory = min(QUICK_MEMORY, limits.memory)
        quick = [BoundedProcess(_FUNCTION, seconds=seconds, memory=memory) for _ in range(QUICK)]
        slow = [BoundedProcess(_FUNCTION, seconds=limits.seconds, memory=limits.memory)]
        self._processes = quick + slow
        self._quick, self._slow = _Lane(quick), _Lane(slow)
        with ThreadPoolExecutor(len(self._processes)) as pool:
            list(pool.map(lambda process: process([], takes, limits, QUICK_WORK), self._processes))

    async def decode(self, files: Sequence[bytes], client: str) -> Refusal | list[Decoded | Refusal]:
        """Each image of a request, or why it is none; or why none of them is looked at.

        Args:
            files: Whole image files.
            client: Who sent them; what one has sent is decoded one after another.
        """
        try:
            try:
                found = await self._quick(client, files, self._takes, self._limits, QUICK_WORK)
            except (TimeoutError, MemoryError):  # the machine may be busy, or the image elongated and padded
                found = {"work": None}
            if "work" in found:
                found = await self._slow(client, files, self._takes, self._limits, None)
        except TimeoutError:
            return Refusal(TOO_LARGE, "Decoding takes too long. Send a smaller image, or write it again.")
        except MemoryError:
            return Refusal(TOO_LARGE, "Decoding takes too much memory. Send a smaller image.")
        except ChildProcessError:
            return Refusal(BAD, "The image cannot be decoded: the decoder died of it. Write it again.")
        if "refusal" in found:
            return Refusal(*found["refusal"])
        return [
            Decoded(one["pixels"], tuple(one["size"])) if "pixels" in one else Refusal(*one["refusal"])
            for one in found["images"]
        ]

    def close(self) -> None:
        """Ends the processes."""
        for process in self._processes:
            process.close()


class _Lane:
    """Processes that work off what clients ask, who take turns: each has one call at a time in here."""

    def __init__(self, processes: Sequence[BoundedProcess]):
        self._idle: asyncio.Queue[BoundedProcess] = asyncio.Queue()
        for process in processes:
            self._idle.put_nowait(process)
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def __call__(self, client: str, *arguments: Any) -> Any:
        turn = self._turns.setdefault(client, asyncio.Lock())
        async with turn:
            process = await self._idle.get()
            try:
                return await asyncio.to_thread(process, *arguments)
            finally:
                self._idle.put_nowait(process)


# ---- In the processes --------------------------------------------------------------------------------------


def decode(files: Sequence[bytes], takes: Takes, limits: Limits, most_work: int | None) -> dict[str, Any]:
    """Decodes image files to what a model takes.

    What a file is, is read from its first bytes; of moving images, the first one counts.

    Args:
        files: Whole image files: PNG, JPEG, BMP, GIF or WEBP.
        takes: What is made of them.
        limits: What is refused, before anything is decoded.
        most_work: Pixels times scans; if there are more, nothing is done. None for any number, at a low
            priority.

    Returns:
        `images`, for each file its `pixels` `(H, W, C)` and the `size` `(h, w)` that it had, or a `refusal`,
        status and reason; or a `refusal` of all of them; or the `work`, if it is too much.
    """
    if most_work is None:
        _give_way()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd files, which are not ours
        opened = [_open(file, limits) for file in files]
        images = [one for one in opened if not isinstance(one, Refusal)]
        total = sum(image.width * image.height for image, _ in images)
        if total > limits.request_pixels:
            reason = (
                f"The images of a request must have at most {limits.request_pixels:,} pixels together, they "
                f"have {total:,}. Send fewer at a time, or smaller ones."
            )
            return {"refusal": [TOO_LARGE, reason]}
        work = sum(work for _, work in images)
        if most_work is not None and work > most_work:
            return {"work": work}
        found = [
            {"refusal": list(one)} if isinstance(one, Refusal) else _decode(one[0], takes) for one in opened
        ]
        return {"images": found}


def _open(file: bytes, limits: Limits) -> tuple[Any, int] | Refusal:
    """Pillow's image, not decoded, and the work that it is; or why it is none."""
    reason = f"The image must have at most {limits.pixels:,} pixels. Send a smaller one."
    try:
        image = pixels.open_image(io.BytesIO(file), "The image")
        if image.width * image.height > limits.pixels:
            return Refusal(TOO_LARGE, reason)
        return image, image_limits.check_work(image, "The image")
    except ValueError as error:
        return Refusal(TOO_LARGE, reason) if pixels.is_too_large(error) else Refusal(BAD, str(error))


def _decode(image: Any, takes: Takes) -> dict[str, Any]:
    try:
        with image:
            found = pixels.read_image(image, channels=takes.channels, where="The image")
    except MemoryError:
        raise
    except Exception as error:  # there is little that Pillow does not raise over damaged files
        return {"refusal": [BAD, str(error) or "The image cannot be decoded."]}
    size = found.shape[:2]
    frame = View.of(size, takes.size, takes.aspect).frame
    return {"pixels": resize_pixels(frame.cut(found), takes.size), "size": list(size)}


def _give_way() -> None:
    """Lets all other processes of the machine go first, where the system knows of such."""
    if hasattr(os, "nice") and os.nice(0) < _NICE:
        os.nice(_NICE - os.nice(0))
