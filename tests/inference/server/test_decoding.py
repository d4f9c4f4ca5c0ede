"""Image files of strangers become what a model takes, or a reason why not: in time, and elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import time
import warnings

import numpy as np
import psutil
import pytest
from PIL import Image

from l2zoo import Predictor
from l2zoo.data.preprocessing import pixels
from l2zoo.inference.postprocess import View
from l2zoo.inference.server import answers, decoding
from l2zoo.inference.server.decoding import Decoded, Decoder, Limits, Refusal, Takes
from tests.hostile_images import bmp_of_run_lengths, file_of, jpeg_of_scans, of_parts
from tests.inference import tiny

LIMITS = Limits(pixels=3000, request_pixels=5000, seconds=60, memory=2**30)
TAKES = Takes((8, 8), 3, "stretch")


def noise(*shape: int, kind: str = "PNG") -> bytes:
    return file_of(Image.fromarray(tiny.random_images(*shape)), kind)


def decode(files: list[bytes], takes=TAKES, limits=LIMITS, most_work=10**9) -> dict:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return decoding.decode(files, takes, limits, most_work)


def reason_for(file: bytes, **options) -> tuple[int, str]:
    (found,) = decode([file], **options)["images"]
    return tuple(found["refusal"])


@pytest.mark.parametrize("aspect", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_what_is_decoded_is_answered_as_the_predictor_answers_the_file(segmenter, kind, aspect):
    predictor = Predictor(segmenter.folder)
    predictor._aspect = aspect
    takes = Takes((8, 8), 1, aspect)
    files = [noise(20, 30, 3, kind=kind), noise(9, 7, kind=kind)]
    images = [Decoded(one["pixels"], tuple(one["size"])) for one in decode(files, takes)["images"]]
    ((first, second),) = answers.predict_requests(predictor, [images], takes)
    wanted = predictor.predict([Image.open(io.BytesIO(file)) for file in files])
    assert answers.json.loads(first) == wanted[0].to_dict()
    assert answers.json.loads(second) == wanted[1].to_dict()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_is_decoded(mode):
    image = Image.fromarray(tiny.random_images(9, 7))
    file = file_of(Image.new("I;16", (7, 9), 30_000) if mode == "I;16" else image.convert(mode), "PNG")
    (found,) = decode([file])["images"]
    assert (found["size"], found["pixels"].shape) == ([9, 7], (8, 8, 3))


@pytest.mark.parametrize(
    ("file", "status", "reason"),
    [
        (b"", 400, "The image is not a PNG, JPEG, WebP, BMP or GIF image"),
        (b"GIF89a", 400, "The image is not a PNG, JPEG, WebP, BMP or GIF image, or is damaged"),
        (noise(8, 8, kind="TIFF"), 400, "is not a PNG"),
        (noise(20, 20, 3)[:-100], 400, "cannot be decoded"),
        (file_of(Image.new("L", (61, 50)), "PNG"), 413, "must have at most 3,000 pixels"),
        (file_of(Image.new("1", (20_000, 10_000)), "PNG"), 413, "must have at most 3,000 pixels"),
        (jpeg_of_scans(500, side=40), 400, "The image has more than 100 scans"),
        (bmp_of_run_lengths(60, 50), 200, ""),
        (of_parts("PNG", 11_000), 400, "The image has more than 10,000 parts"),
    ],
)
def test_a_reason_is_given_and_the_others_are_not_disturbed(file, status, reason):
    good = noise(8, 8, 3)
    first, second, third = decode([good, file, good])["images"]
    np.testing.assert_array_equal(first["pixels"], third["pixels"])
    if status == 200:
        assert second["size"] == [50, 60]
    else:
        assert second["refusal"][0] == status
        assert reason in second["refusal"][1]


def test_the_pixels_of_a_request_are_counted_before_any_is_decoded(monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)
    status, reason = decode([file_of(Image.new("L", (50, 40)), "PNG")] * 3)["refusal"]
    assert status == 413
    assert reason.startswith(
        "The images of a request must have at most 5,000 pixels together, they have 6,000."
    )


def test_work_that_is_too_much_is_left_to_others(monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)
    assert decode([noise(40, 50, 3), b"none"], most_work=1999) == {"work": 2000}
    assert decode([jpeg_of_scans(57, side=10)], most_work=5000) == {"work": 5700}


def test_no_more_pixels_are_let_in_than_pillow_allows(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)
    with pytest.raises(ValueError, match="`max_pixels` must be at most 900, got max_pixels=3000: Pillow"):
        LIMITS.check()
    LIMITS._replace(pixels=900).check()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    LIMITS._replace(pixels=10**12).check()


def test_where_memory_ends_it_is_no_fault_of_the_file(monkeypatch):
    def load(*arguments):
        raise MemoryError

    file = noise(8, 8, 3)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(MemoryError):
        decode([file])


@pytest.mark.slow
def test_large_images_stay_within_the_memory_they_are_given():
    """16 million pixels with opacity, which need most: measured in the process that decodes them."""
    file = file_of(Image.new("RGBA", (4000, 4000), (1, 2, 3, 100)), "PNG")
    limits = Limits(16_000_000, 32_000_000, 300, 640 * 2**20)
    (found,) = decode_as(limits, [file])
    assert found.size == (4000, 4000)
    assert np.unique(found.pixels).tolist() == [155, 156]  # on white


def decode_as(limits: Limits, files: list[bytes], takes: Takes = TAKES, client: str = "a"):
    with contextlib.closing(Decoder(takes, limits)) as decoder:
        return asyncio.run(decoder.decode(files, client))


def test_a_decoder_answers_for_each_file_and_is_gone_when_it_is_closed():
    decoder = Decoder(TAKES, LIMITS)
    pids = [process.pid for process in decoder._processes]
    try:
        one, two, three = asyncio.run(decoder.decode([noise(8, 9, 3), b"", noise(40, 50, 3)], "a"))
        assert (one.size, two.status, three.size) == ((8, 9), 400, (40, 50))
        assert asyncio.run(decoder.decode([noise(50, 50, 3)] * 3, "a")).status == 413
    finally:
        decoder.close()
    assert not any(map(psutil.pid_exists, pids))


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        pytest.param("time", 413, "takes too long", marks=pytest.mark.slow),
        ("memory", 413, "too much memory"),
        ("death", 400, "decoder died of it"),
    ],
)
def test_what_a_file_does_to_the_decoder_is_told_and_the_next_one_is_decoded(
    kind, status, reason, monkeypatch
):
    monkeypatch.setattr(decoding, "_FUNCTION", "tests.inference.server.in_child:fail_or_decode")
    with contextlib.closing(Decoder(TAKES, LIMITS._replace(seconds=1.0))) as decoder:
        found = asyncio.run(decoder.decode([kind.encode()], "a"))
        assert isinstance(found, Refusal)
        assert (found.status, reason in found.reason) == (status, True)
        (after,) = asyncio.run(decoder.decode([noise(8, 8, 3)], "a"))
        assert isinstance(after, Decoded)


@pytest.mark.slow
def test_who_sends_small_images_does_not_wait_for_who_sends_large_ones():
    large = file_of(Image.new("RGB", (2900, 2900)), "PNG")
    limits = Limits(9_000_000, 9_000_000, 300, 2**30)
    order = []

    async def ask(decoder: Decoder, client: str, file: bytes) -> None:
        assert isinstance((await decoder.decode([file], client))[0], Decoded)
        order.append(client)

    async def ask_together() -> None:
        with contextlib.closing(Decoder(TAKES, limits)) as decoder:
            heavy = [asyncio.create_task(ask(decoder, "heavy", large)) for _ in range(3)]
            await asyncio.sleep(0.1)
            await asyncio.gather(
                ask(decoder, "another", large), *(ask(decoder, "small", noise(8, 8, 3)) for _ in range(5))
            )
            await asyncio.gather(*heavy)

    asyncio.run(ask_together())
    assert order[-1] == "heavy"
    assert order.index("another") < len(order) - 1  # one of the others' large ones at most was before
    assert order.count("small") == 5
    assert max(place for place, name in enumerate(order) if name == "small") <= 6


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="priorities of another kind")
def test_what_is_slow_gives_way_and_what_is_quick_does_not():
    limits = Limits(9_000_000, 9_000_000, 300, 2**30)
    with contextlib.closing(Decoder(TAKES, limits)) as decoder:
        asyncio.run(decoder.decode([noise(8, 8, 3)], "a"))
        asyncio.run(decoder.decode([file_of(Image.new("1", (2000, 1100)), "PNG")], "a"))
        *quick, slow = [psutil.Process(process.pid).nice() for process in decoder._processes]
    assert set(quick) == {os.nice(0)}
    assert slow == max(os.nice(0), 5)


@pytest.mark.slow
def test_what_is_too_much_for_the_quick_ones_is_tried_by_the_slow_one():
    takes = Takes((8, 8), 3, "pad")
    file = file_of(Image.new("RGB", (8000, 1)), "PNG")  # 192 MB once it is square, and more in floats
    (found,) = decode_as(Limits(10**6, 10**6, 300, 2**30), [file], takes)
    assert isinstance(found, Decoded)


def test_elongated_images_that_are_padded_cost_an_error_and_no_memory():
    takes = Takes((8, 8), 3, "pad")
    assert View.of((1, 3000), takes.size, "pad").frame.size == (2999, 3000)
    file = file_of(Image.new("RGB", (60_000, 1)), "PNG")  # 10 GB
    found = decode_as(Limits(10**6, 10**6, 60, 2**28), [file], takes)
    assert isinstance(found, Refusal)
    assert (found.status, found.reason) == (413, "Decoding takes too much memory. Send a smaller image.")


def test_the_time_of_a_decoder_is_that_of_the_settings():
    started = time.monotonic()
    found = decode_as(
        Limits(16_000_000, 16_000_000, 0.05, 2**30), [file_of(Image.new("RGB", (4000, 4000)), "PNG")]
    )
    assert isinstance(found, Refusal)
    assert "takes too long" in found.reason
    assert time.monotonic() - started < 60
    assert pixels.FORMATS == ("PNG", "JPEG", "BMP", "GIF", "WEBP")
