"""What a pixel is: every mode and bit depth against NumPy by hand, on files that are written byte by byte."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from l2zoo.data import load
from l2zoo.data.preprocessing import pixels

H, W = 5, 7
GRAY, COLOUR, GRAY_ALPHA, COLOUR_ALPHA = 0, 2, 4, 6  # colour types of PNG


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(values: np.ndarray, depth: int, colour: int, *, before: bytes = b"", after: bytes = b"") -> bytes:
    """A PNG file of values `(H, W)` or `(H, W, C)`, as the standard has it, without a library."""
    rows = values.reshape(len(values), -1)
    if depth < 8:
        bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=-1)[..., -depth:]
        lines = [np.packbits(row).tobytes() for row in bits.reshape(len(rows), -1)]
    else:
        lines = [row.astype(">u2" if depth == 16 else np.uint8).tobytes() for row in rows]
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + line for line in lines))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + before
        + chunk(b"IDAT", body)
        + after
        + chunk(b"IEND", b"")
    )


def drawn(*shape: int, high: int = 256, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, shape)


def read(content: bytes, tmp_path, *, channels: int, name: str = "a.png") -> np.ndarray:
    (tmp_path / name).write_bytes(content)
    return pixels.read_file(tmp_path / name, channels=channels)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_gray_of_any_depth_fills_the_range(tmp_path, depth):
    values = drawn(H, W, high=2**depth)
    found = read(png(values, depth, GRAY), tmp_path, channels=1)
    assert found.dtype == (np.float32 if depth == 16 else np.uint8)
    np.testing.assert_allclose(found[..., 0], values * (255 / (2**depth - 1)), rtol=1e-6)
    three = read(png(values, depth, GRAY), tmp_path, channels=3)
    np.testing.assert_array_equal(three, np.repeat(found, 3, axis=-1))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_gray_value_that_is_transparent_is_white(tmp_path, depth):
    values = drawn(H, W, high=2**depth)
    clear = int(values[2, 3])
    found = read(
        png(values, depth, GRAY, before=chunk(b"tRNS", struct.pack(">H", clear))), tmp_path, channels=1
    )
    expected = np.where(values == clear, 255, values * (255 / (2**depth - 1)))
    np.testing.assert_allclose(found[..., 0], expected, rtol=1e-6)


@pytest.mark.parametrize("colour", [GRAY_ALPHA, COLOUR_ALPHA])
def test_what_is_transparent_lies_on_white(tmp_path, colour):
    values = drawn(H, W, 2 if colour == GRAY_ALPHA else 4)
    found = read(png(values, 8, colour), tmp_path, channels=1 if colour == GRAY_ALPHA else 3)
    opacity = values[..., -1:] / 255
    np.testing.assert_allclose(found, values[..., :-1] * opacity + 255 * (1 - opacity), atol=0.5001)
    assert pixels.read_header(tmp_path / "a.png").is_gray == (colour == GRAY_ALPHA)


def test_a_palette_gives_its_colours_and_white_where_it_is_transparent(tmp_path):
    values, colours, opacity = drawn(H, W, high=4), drawn(4, 3), np.array([255, 0, 100, 255])
    before = chunk(b"PLTE", colours.astype(np.uint8).tobytes())
    found = read(png(values, 8, 3, before=before), tmp_path, channels=3)
    np.testing.assert_array_equal(found, colours[values])
    before += chunk(b"tRNS", opacity.astype(np.uint8).tobytes())
    share = (opacity / 255)[:, None]
    expected = (colours * share + 255 * (1 - share))[values]
    found = read(png(values, 8, 3, before=before), tmp_path, channels=3)
    np.testing.assert_allclose(found, expected, atol=0.5001)
    np.testing.assert_array_equal(pixels.read_values(tmp_path / "a.png"), values)


@pytest.mark.parametrize("colour", [COLOUR, GRAY_ALPHA, COLOUR_ALPHA])
def test_sixteen_bits_that_would_lose_eight_are_refused_by_name(tmp_path, colour):
    values = drawn(H, W, {COLOUR: 3, GRAY_ALPHA: 2, COLOUR_ALPHA: 4}[colour], high=2**16)
    (tmp_path / "deep.png").write_bytes(png(values, 16, colour))
    for reader in (pixels.read_header, lambda file: pixels.read_file(file, channels=3)):
        with pytest.raises(ValueError, match=r"deep.png has 16 bits a channel, .*: write it with 8 bits"):
            reader(tmp_path / "deep.png")


@pytest.mark.parametrize("suffix", ["bmp", "gif", "webp", "png"])
def test_formats_without_loss_give_their_colours(tmp_path, suffix):
    values = drawn(H, W, 3).astype(np.uint8)
    file = tmp_path / f"a.{suffix}"
    options = {"webp": {"lossless": True}, "gif": {}}.get(suffix, {})
    Image.fromarray(values).save(file, **options)
    np.testing.assert_array_equal(pixels.read_file(file, channels=3), values)


def test_of_moving_images_the_first_frame_counts(tmp_path):
    frames = [Image.fromarray(drawn(H, W, seed=seed).astype(np.uint8)) for seed in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(
        pixels.read_file(tmp_path / "a.gif", channels=1)[..., 0], np.asarray(frames[0])
    )


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I", "F", "CMYK", "PA", "RGBa", "La", "YCbCr", "HSV"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pillow_s_images_of_every_mode_are_pixels(mode, channels):
    values = drawn(H, W)
    if mode.startswith("I;16"):
        image = Image.fromarray((values * 256).astype(np.uint16))
        image = image if mode == "I;16" else image.convert("I").convert(mode)
        expected = np.repeat((values * 256 * 255 / 65535)[..., None], channels, axis=-1)
    elif mode in ("I", "F"):
        image = Image.fromarray(values.astype(np.int32 if mode == "I" else np.float32))
        expected = np.repeat(values[..., None], channels, axis=-1)
    else:
        gray = Image.fromarray(values.astype(np.uint8))
        between = {"PA": "P", "RGBa": "RGBA", "La": "LA", "HSV": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}[mode]
        image = gray.convert(between).convert(mode)  # opaque, so that gray stays what it was
        expected = np.repeat(values[..., None], channels, axis=-1)
    found = pixels.read_image(image, channels=channels, where="it")
    np.testing.assert_allclose(found, expected, atol=1.01 if mode in ("YCbCr", "HSV") else 1e-4)


def test_cmyk_is_ink_taken_off_white():
    ink = drawn(H, W, 4).astype(np.uint8)
    found = pixels.read_image(Image.frombytes("CMYK", (W, H), ink.tobytes()), channels=3, where="it")
    np.testing.assert_allclose(found, (255.0 - ink[..., :3]) * (255.0 - ink[..., 3:]) / 255, atol=1)


# ---- Orientation -------------------------------------------------------------------------------------------

# How a picture that is upright is stored under each number of EXIF, from the standard's own words:
# which side of the picture the first row and the first column of the file are.
STORED = {
    1: lambda upright: upright,  # top, left
    2: lambda upright: np.fliplr(upright),  # top, right
    3: lambda upright: np.rot90(upright, 2),  # bottom, right
    4: lambda upright: np.flipud(upright),  # bottom, left
    5: lambda upright: np.swapaxes(upright, 0, 1),  # left, top
    6: lambda upright: np.rot90(upright, 1),  # right, top
    7: lambda upright: np.rot90(np.swapaxes(upright, 0, 1), 2),  # right, bottom
    8: lambda upright: np.rot90(upright, -1),  # left, bottom
}


def exif_of(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("where", ["before", "after"])
def test_images_are_upright_wherever_the_file_says_how_it_lies(tmp_path, orientation, where):
    upright = drawn(H, W, 3)
    data = exif_of(orientation).removeprefix(b"Exif\0\0")
    content = png(STORED[orientation](upright), 8, COLOUR, **{where: chunk(b"eXIf", data)})
    np.testing.assert_array_equal(read(content, tmp_path, channels=3), upright)
    header = pixels.read_header(tmp_path / "a.png")
    assert (header.size, header.stored) == ((H, W), STORED[orientation](upright).shape[:2])
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(pixels.read_image(image, channels=3, where="it"), upright)


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_photographs_are_upright(tmp_path, suffix):
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20] = 200  # light above, dark below
    image = Image.fromarray(STORED[6](upright))
    image.save(tmp_path / f"a.{suffix}", exif=exif_of(6), quality=95)
    found = pixels.read_file(tmp_path / f"a.{suffix}", channels=3)
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).mean() < 3


def test_damaged_exif_data_say_nothing(tmp_path):
    values = drawn(H, W, 3).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(pixels.read_file(tmp_path / "a.png", channels=3), values)


# ---- What is refused, and what comes of it -----------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"none", b"GIF89a", png(drawn(9, 9), 8, GRAY)[:60]])
def test_what_is_empty_or_damaged_is_named(tmp_path, content):
    with pytest.raises(ValueError, match=r"bad.png .*: repair or remove it"):
        read(content, tmp_path, channels=1, name="bad.png")


def test_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(FileNotFoundError, match=r"no file .*link.png. It is a link to nothing"):
        pixels.read_header(tmp_path / "link.png")


@pytest.mark.parametrize("times", [1, 2])
def test_more_pixels_than_pillow_allows_are_named_with_the_limit(image_folder, monkeypatch, times):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # Pillow warns from here, and raises at twice as many
    Image.new("1", (30, 20 * times)).save(image_folder / "train" / "cat" / "huge.png")
    with pytest.raises(ValueError, match=r"huge.png has more pixels than Pillow allows \(500\).*MAX_IMAGE"):
        load(f"folder:{image_folder}")


def test_a_server_s_bytes_are_read_by_the_same_rule():
    values = drawn(H, W, high=2**16)
    with pixels.open_image(io.BytesIO(png(values, 16, GRAY)), "it") as image:
        found = pixels.read_image(image, channels=1, where="it")
    np.testing.assert_allclose(found[..., 0], values * 255 / 65535, rtol=1e-6)
