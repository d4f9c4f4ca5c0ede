"""Small files of ordinary sizes that keep decoders busy are refused before they are decoded."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from l2zoo.data.preprocessing import image_limits, pixels
from tests import hostile_images
from tests.hostile_images import bmp_of_run_lengths, file_of, jpeg_of_scans, of_parts


def read(data: bytes, channels: int = 3) -> np.ndarray:
    return pixels.read_image(pixels.open_image(io.BytesIO(data), "x"), channels=channels, where="x")


@pytest.fixture
def no_decoding(monkeypatch):
    """Fails the test where anything is decoded."""

    def load(image, *arguments):
        raise AssertionError("It was decoded.")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)


@pytest.mark.usefixtures("no_decoding")
@pytest.mark.parametrize("scans", [101, 5000])
def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded(scans, tmp_path):
    data = jpeg_of_scans(scans)
    with pytest.raises(ValueError, match="x has more than 100 scans: it may be"):
        read(data)
    (tmp_path / "file.jpg").write_bytes(data)
    with pytest.raises(ValueError, match=r"file\.jpg has more than 100 scans"):
        pixels.read_file(tmp_path / "file.jpg", channels=3)
    with pytest.raises(ValueError, match="scans"):
        pixels.read_values(tmp_path / "file.jpg")


def test_scans_are_counted_as_libjpeg_meets_them():
    for scans in (10, 11, 57, 100):
        assert image_limits.count_scans(jpeg_of_scans(scans)) == scans
        assert read(jpeg_of_scans(scans)).shape == (64, 64, 3)
    image = Image.effect_noise((50, 40), 90)
    thumbnail = b"\xff\xe1\x01\x02" + b"\xff\xda" * 128  # what lies inside of a segment is none
    for mode in ("L", "RGB", "CMYK"):
        once = file_of(image.convert(mode), "JPEG")
        assert image_limits.count_scans(once) == 1
        assert image_limits.count_scans(once[:2] + thumbnail + once[2:]) == 1
        several = file_of(image.convert(mode), "JPEG", progressive=True, quality=95)
        assert image_limits.count_scans(several) == several.count(b"\xff\xda") > 5
    restarts = file_of(image, "JPEG", progressive=True, restart_marker_rows=1)
    assert image_limits.count_scans(restarts) == restarts.count(b"\xff\xda")
    # Of one channel a scan, baseline; the decoder goes on to the end of the file as for progressive ones.
    once = file_of(image.convert("RGB"), "JPEG", subsampling=0)
    place = once.index(b"\xff\xda")
    split = once[: place + 4] + b"\x01\x01\x00" + once[place + 11 :]
    assert image_limits.count_scans(split[:-2] + split[place:-2] * 7) == 8


@pytest.mark.usefixtures("no_decoding")
@pytest.mark.parametrize(
    ("size", "most"),
    [
        ((4000, 4000), "3,209,984"),  # 128 pixels a byte
        ((1000, 1000), "905,984"),
        ((65_500, 65), "4,194,304"),
    ],
)
@pytest.mark.parametrize("bits", [8, 4])
def test_a_bmp_of_few_run_lengths_is_refused_before_it_is_decoded(size, most, bits):
    codes = b"\0\1" * (20_000 if size[0] == 65_500 else 0) or None
    data = bmp_of_run_lengths(*size, bits=bits, codes=codes)
    with pytest.raises(
        ValueError, match=r"is a BMP file with run lengths of .* pixels, of which [0-9,]+ are"
    ):
        read(data)
    if bits == 8:
        with pytest.raises(ValueError, match=f"of which {most} are allowed"):
            read(data)


def test_a_bmp_of_honest_run_lengths_is_read():
    codes = b"".join(bytes([100, 10 * row, 100, 5, 0, 0]) for row in range(20)) + b"\0\1"
    found = read(bmp_of_run_lengths(200, 20, codes=codes), channels=1)
    wanted = np.repeat(10 * np.arange(20)[::-1, None], 200, axis=1)  # from the bottom up
    wanted[:, 100:] = 5
    np.testing.assert_array_equal(found[..., 0], wanted)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "JPEG"])
def test_a_file_of_very_many_parts_is_refused_before_it_is_opened(kind, monkeypatch):
    assert read(of_parts(kind, 9_000)).shape == (8, 8, 3)
    monkeypatch.setattr("PIL.Image.open", None)
    with pytest.raises(ValueError, match="x has more than 10,000 parts, as no program writes them"):
        read(of_parts(kind, 11_000))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "JPEG", "BMP", "WEBP"])
def test_files_as_programs_write_them_are_read(kind):
    noise = Image.effect_noise((700, 900), 90)
    files = [file_of(noise, kind), file_of(Image.new("L", (2000, 2000)), kind)]
    if kind == "JPEG":
        files += [file_of(noise, kind, progressive=True, quality=100)]
    if kind in ("GIF", "PNG"):
        files += [file_of(noise, kind, save_all=True, append_images=[noise] * 3)]
    for data in files:
        assert read(data).shape[2] == 3
        image = pixels.open_image(io.BytesIO(data), "x")
        work = image_limits.check_work(image, "x") / (image.width * image.height)
        assert (work > 1) == (b"\xff\xc2" in data and kind == "JPEG")


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\xff\xd8\xff", b"GIF89a", b"GIF89a\0\0\0\0\x80!", b"\x89PNG"]
)
def test_the_beginning_of_a_file_is_no_fault_of_the_limits(data):
    image_limits.check_parts(data, "x")
    assert image_limits.count_scans(data) == 0


def test_bands_of_an_image_are_laid_on_white_as_the_whole_is():
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (2 * pixels._BAND + 3, 5, 4), dtype=np.uint8)
    found = read(hostile_images.file_of(Image.fromarray(rgba), "PNG"))
    opacity = rgba[..., 3:] / 255
    np.testing.assert_allclose(found, np.rint(rgba[..., :3] * opacity + 255 * (1 - opacity)), atol=0.51)
