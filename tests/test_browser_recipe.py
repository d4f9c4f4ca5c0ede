"""The recipe that runs a classifier in the browser: what the page says is what Python says."""

from __future__ import annotations

import base64
import http.client
import io
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from l2zoo.data.preprocessing import pixels
from tests import chromium
from tests.data.preprocessing.test_pixels import COLOUR, GRAY, STORED, chunk, exif_of, png
from tests.processes import output_of, run, running

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).parents[1] / "recipes/browser"
SERVE = RECIPE / "serve.py"
CLASSES = [f"digit {number}" for number in range(10)]


# ---- What is served, by whom, and to whom ------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Ten test images `(10, 8, 8, 1)` and their labels."""
    from l2zoo.data import load

    images, labels = load("l2zoo_digits", "test").arrays()
    return images[:10], labels[:10]


@pytest.fixture(scope="module")
def artifact(digits, tmp_path_factory) -> Path:
    """A small CNN, trained for a moment and exported."""
    import keras

    import l2zoo
    from l2zoo.data import load

    train = load("l2zoo_digits", "train", limit=600)
    keras.utils.set_random_seed(0)
    model = l2zoo.build_cnn((8, 8, 1), num_classes=10, filters=(16, 32), dropout=0.0, batch_norm=False)
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(*train.arrays(), epochs=12, batch_size=32, verbose=0)
    folder = tmp_path_factory.mktemp("artifacts") / "digits"
    card = l2zoo.Card(task="classification", class_names=CLASSES)
    l2zoo.export(model, folder, sample=digits[0], formats=["tflite"], card=card)
    return folder


@pytest.fixture(scope="module")
def litert_js() -> None:
    """LiteRT.js where the recipe looks for it, installed as the recipe says."""
    if (RECIPE / "node_modules/@litertjs/core").is_dir():
        return
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm not installed: LiteRT.js cannot be had.")
    done = run([npm, "install", "--prefix", RECIPE])
    if done.returncode:
        pytest.skip(f"npm cannot install LiteRT.js: {done.stderr.strip()[-300:]}")


@contextmanager
def served(artifact: Path) -> Iterator[str]:
    """The recipe's server, at the address that it prints."""
    with running([sys.executable, SERVE, "--artifact", artifact, "--port", 0]) as server:
        yield server.line(r"http://\S+")[0]


@pytest.fixture(scope="module")
def address(litert_js, artifact) -> Iterator[str]:
    with served(artifact) as url:
        yield url


def asked(address: str, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    """What the server says of a path, which goes to it as it is."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/style.css?again", "text/css; charset=utf-8"),
        ("/artifact/manifest.json", "application/json"),
        ("/litert/wasm/litert_wasm_internal.wasm", "application/wasm"),
    ],
)
def test_what_the_page_needs_is_served_as_what_it_is(address, path, kind):
    status, headers, body = asked(address, path)
    assert (status, headers["Content-Type"]) == (200, kind)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert len(body) == int(headers["Content-Length"]) > 100


@pytest.mark.parametrize(
    "path",
    [
        "/serve.py",
        "/package.json",
        "/artifact/",
        "/artifact/model.keras",
        "/artifact/../serve.py",
        "/artifact/%2e%2e/digits/model.keras",
        "/litert/wasm/..%2f..%2fpackage.json",
        "//etc/passwd",
        "/../../../../../../etc/passwd",
        "/node_modules/@litertjs/core/package.json",
    ],
)
def test_nothing_else_is_served(address, path):
    assert asked(address, path)[0] == 404


def test_who_asks_for_another_host_gets_nothing(address):
    assert asked(address, "/artifact/model.tflite", Host="example.com")[0] == 403
    port = urlsplit(address).port
    assert asked(address, "/artifact/model.tflite", Host=f"localhost:{port}")[0] == 200


def said(*options: object, serve: Path = SERVE) -> str:
    """What the recipe says when it refuses."""
    done = run([sys.executable, serve, *options])
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_what_is_missing_is_said_at_the_start(tmp_path):
    message = said("--artifact", tmp_path)
    assert f"--artifact must be a folder that l2zoo.export wrote, got '{tmp_path}'" in message
    assert "without manifest.json" in message
    (tmp_path / "manifest.json").write_text("{}")
    assert "without model.tflite" in said("--artifact", tmp_path)
    (tmp_path / "model.tflite").write_bytes(b"")
    alone = shutil.copy(SERVE, tmp_path)
    message = said("--artifact", tmp_path, serve=alone)
    assert f"LiteRT.js is not installed. Run: npm install --prefix {tmp_path}" in message


def test_a_saved_model_is_served_by_its_name(litert_js):
    from l2zoo.artifacts.store import locations

    with served(Path("cnn_digits")) as url:
        for file in ("manifest.json", "model.tflite"):
            status, _, body = asked(url, f"/artifact/{file}")
            assert (status, body) == (200, (locations.find("cnn_digits") / file).read_bytes())
    assert "Saved models like it: ['cnn_digits'" in said("--artifact", "cnn_digit")


def test_a_port_that_is_taken_is_named(address, artifact):
    port = urlsplit(address).port
    assert f"Port {port} cannot be had" in said("--artifact", artifact, "--port", port)


def test_the_recipe_explains_itself():
    text = output_of([sys.executable, SERVE, "--help"])
    assert "--artifact" in text
    assert "--port" in text


# ---- The page ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Any]:
    driver = chromium.started(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, address) -> Any:
    """The page, with a model that is ready."""
    chromium.look(browser)
    return opened(browser, address, "ready")


def opened(browser: Any, address: str, expected: str) -> Any:
    browser.get(address)
    until(browser, lambda: state(browser) in ("ready", "failed"))
    assert state(browser) == expected, shown(browser, "problem")
    return browser


def state(browser: Any) -> str:
    return browser.execute_script("return document.body.dataset.state")


def until(browser: Any, true: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 30, poll_frequency=0.05).until(lambda _: true())


def called(browser: Any, body: str, *given: Any) -> Any:
    """What an async function of JavaScript gives; `given` are its `arguments`."""
    script = (
        "const done = arguments[arguments.length - 1];"
        f"(async function () {{ {body} }})(...arguments).then(done, (error) => done(String(error)))"
    )
    return browser.execute_async_script(script, *given)


def shown(browser: Any, identity: str) -> str:
    return browser.find_element("id", identity).text


def bars(browser: Any) -> dict[str, float]:
    """Class name to the width of its bar, as a share of the whole; what the figure beside it says, too."""
    rows = browser.execute_script(
        "return [...document.querySelectorAll('#bars tr')].map((row) => [row.cells[0].innerText,"
        " row.querySelector('.track div').getBoundingClientRect().width / row.cells[1].clientWidth,"
        " row.cells[2].innerText])"
    )
    for _, width, figure in rows:
        assert width == pytest.approx(float(figure.removesuffix("%") or 0) / 100, abs=0.006)
    return {name: width for name, width, _ in rows}


def in_python(artifact: Path, images: np.ndarray) -> np.ndarray:
    """The file's probabilities `(B, K)`, by LiteRT in Python, for pixels `(B, H, W, C)`."""
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(artifact / "model.tflite")).get_signature_runner()
    answers = [next(iter(run(images=image[None].astype(np.float32)).values()))[0].copy() for image in images]
    return np.stack(answers)


def seen(browser: Any) -> np.ndarray:
    """The pixels `(8, 8, 1)` that the page shows as those that the model sees."""
    values = browser.execute_script(
        "const eye = document.getElementById('eye');"
        "return [...eye.getContext('2d').getImageData(0, 0, eye.width, eye.height).data]"
    )
    return np.array(values).reshape(8, 8, 4)[..., :1]


def answered(browser: Any, image: np.ndarray) -> bool:
    """Whether the page has nothing more to do, and this is what the model saw last."""
    return state(browser) == "ready" and (seen(browser) == image).all()


def check_bars(browser: Any, expected: np.ndarray) -> None:
    found = bars(browser)
    assert list(found) == CLASSES
    assert sum(found.values()) == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(list(found.values()), expected, atol=0.006)
    best = CLASSES[expected.argmax()]
    assert shown(browser, "name") == best
    marked = browser.find_elements("css selector", "#bars .best th")
    assert [name.text for name in marked] == [best]


def test_the_page_says_of_ten_digits_what_python_says(page, artifact, digits):
    images, labels = digits
    found = called(
        page,
        "const { ready } = await import('/app.js'); const classifier = await ready; const found = [];"
        "for (const pixels of arguments[0])"
        "  found.push([...await classifier.predict(Float32Array.from(pixels))]);"
        "return found;",
        images.reshape(10, -1).tolist(),
    )
    expected = in_python(artifact, images)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (expected.argmax(axis=-1) == labels).sum() >= 8  # it has learnt something to be compared


@pytest.mark.parametrize(
    ("kind", "threshold", "numbers"),
    [
        ("probabilities", 0.5, [0.2, 0.7, 0.1]),
        ("logits", 0.5, [-300.0, 2.0, 1.0]),
        ("binary", 0.9, [0.8]),
        ("binary_logits", 0.5, [3.0]),
        ("multilabel", (0.1, 0.9, 0.5), [0.2, 0.7, 0.1]),
        ("multilabel_logits", 0.5, [-2.0, 0.5, 1.0]),
    ],
)
def test_the_page_means_by_an_output_what_python_means(page, kind, threshold, numbers):
    from l2zoo.tasks.output_kind import OutputKind

    meant = OutputKind(kind, threshold)
    found = called(
        page,
        "const { outputKind } = await import('/output_kind.js'); const kind = outputKind(arguments[0]);"
        "const shares = kind.probabilities(arguments[1]); return [shares, kind.classesOf(shares)];",
        meant.to_spec(),
        numbers,
    )
    answers = np.array([numbers])
    np.testing.assert_allclose(found[0], meant.probabilities(answers)[0], rtol=1e-12)
    said = meant.decide(answers)[0]
    assert found[1] == ([said] if meant.is_exclusive else np.flatnonzero(said).tolist())


def test_an_output_without_classes_is_not_shown(page):
    found = called(
        page, "const { outputKind } = await import('/output_kind.js'); outputKind({ kind: 'values' });"
    )
    assert "This page shows classes; the manifest says that the output is values" in found


@pytest.mark.parametrize(
    ("size", "channels", "wanted"), [((37, 53), 1, (8, 8)), ((24, 16), 3, (8, 8)), ((5, 7), 3, (12, 10))]
)
@pytest.mark.parametrize("inverted", [False, True])
def test_pictures_become_the_pixels_that_pillow_makes_of_them(page, size, channels, wanted, inverted):
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    rgba = np.concatenate([rgb, np.full((*size, 1), 255, np.uint8)], axis=-1)
    found = called(
        page,
        "const { pixelsOf } = await import('/pixels.js'); const [data, [h, w], shape, inverted] = arguments;"
        "return [...pixelsOf(new ImageData(Uint8ClampedArray.from(data), w, h), shape, inverted)]",
        rgba.ravel().tolist(),
        size,
        {"height": wanted[0], "width": wanted[1], "channels": channels},
        inverted,
    )
    image = np.asarray(Image.fromarray(rgb).convert("L"))[..., None] if channels == 1 else rgb
    planes = np.moveaxis(255 - image if inverted else image, -1, 0).astype(np.float32)
    resized = [Image.fromarray(p).resize(wanted[::-1], Image.Resampling.BILINEAR) for p in planes]
    expected = np.rint(np.stack([np.asarray(p) for p in resized], axis=-1))
    np.testing.assert_array_equal(np.reshape(found, (*wanted, channels)), expected)


@pytest.mark.parametrize("aspect", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(("size", "wanted"), [((37, 53), (8, 8)), ((24, 16), (8, 20)), ((9, 90), (12, 10))])
def test_pictures_of_another_aspect_are_cut_as_in_python(page, size, wanted, aspect):
    from l2zoo.data.preprocessing.aspect import frame_of
    from l2zoo.data.preprocessing.resizing import resize_pixels as resize

    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    rgba = np.concatenate([rgb, np.full((*size, 1), 255, np.uint8)], axis=-1)
    found = called(
        page,
        "const { pixelsOf } = await import('/pixels.js'); const [data, [h, w], shape] = arguments;"
        "return [...pixelsOf(new ImageData(Uint8ClampedArray.from(data), w, h), shape)]",
        rgba.ravel().tolist(),
        size,
        {"height": wanted[0], "width": wanted[1], "channels": 3, "aspect": aspect},
    )
    expected = resize(frame_of(size, wanted, aspect).cut(rgb), wanted)
    np.testing.assert_array_equal(np.reshape(found, (*wanted, 3)), expected)


def in_the_page(page: Any, file: Path) -> Any:
    """The pixels `(H, W, 3)` that the page has of a file, or the words with which it refuses."""
    return called(
        page,
        "const { opened } = await import('/pictures.js'); const { imageOf } = await import('/pad.js');"
        "const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));"
        "const image = imageOf(await opened(new File([bytes], 'picture.png')));"
        "return [image.height, image.width, [...image.data]];",
        base64.b64encode(file.read_bytes()).decode(),
    )


PICTURES = ["gray", "1", "2", "4", "palette", "LA", "RGBA", "clear palette", "bmp", "gif", "webp"]


def write_picture(kind: str, folder: Path) -> Path:
    rng = np.random.default_rng(0)
    file = folder / f"a.{kind if kind in ('bmp', 'gif', 'webp') else 'png'}"
    if kind in "124":
        values = rng.integers(0, 2 ** int(kind), (5, 7))
        file.write_bytes(png(values, int(kind), GRAY))
    elif "palette" in kind:
        before = chunk(b"PLTE", rng.integers(0, 256, 12).astype(np.uint8).tobytes())
        before += chunk(b"tRNS", b"\xff\0\x80") if "clear" in kind else b""
        file.write_bytes(png(rng.integers(0, 4, (5, 7)), 8, 3, before=before))
    else:
        mode = {"gray": "L", "LA": "LA", "RGBA": "RGBA"}.get(kind, "RGB")
        values = rng.integers(0, 256, (5, 7, {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode])).astype(np.uint8)
        options = {"lossless": True} if kind == "webp" else {}
        Image.frombytes(mode, (7, 5), values.tobytes()).save(file, **options)
    return file


@pytest.mark.parametrize("kind", PICTURES)
def test_files_are_the_pixels_that_they_were_in_training(page, tmp_path, kind):
    file = write_picture(kind, tmp_path)
    height, width, data = in_the_page(page, file)
    found = np.reshape(data, (height, width, 4))[..., :3]
    np.testing.assert_allclose(found, pixels.read_file(file, channels=3), atol=1)  # a canvas rounds its alpha


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_photographs_are_upright_as_in_training(page, tmp_path, suffix, orientation):
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = 250
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(STORED[orientation](upright)).save(file, exif=exif_of(orientation))
    height, width, data = in_the_page(page, file)
    found = np.reshape(data, (height, width, 4))[..., :3]
    np.testing.assert_allclose(found, pixels.read_file(file, channels=3), atol=6)


@pytest.mark.parametrize("colour", [GRAY, COLOUR])
def test_pictures_of_16_bits_are_refused_in_words(page, tmp_path, colour):
    values = np.full((5, 7, 3) if colour else (5, 7), 4000)
    (tmp_path / "a.png").write_bytes(png(values, 16, colour))
    assert "has 16 bits a value, of which a browser shows 8" in in_the_page(page, tmp_path / "a.png")


def test_a_stroke_with_the_mouse_is_answered_and_cleared(page, artifact):
    from selenium.webdriver.common.action_chains import ActionChains

    assert set(bars(page).values()) == {0.0}
    pad = page.find_element("id", "pad")
    corners = [(10, -110), (10, 110)]
    pen = ActionChains(page, duration=50).move_to_element_with_offset(pad, *corners[0]).click_and_hold()
    pen.move_to_element_with_offset(pad, *corners[1]).release().perform()
    until(page, lambda: state(page) == "ready" and seen(page).any())
    check_bars(page, in_python(artifact, seen(page)[None])[0])
    ink = seen(page)[..., 0]
    assert ink[:, 3:5].mean() > 100 > 5 > ink[:, [0, 1, 6, 7]].mean()
    page.find_element("id", "clear").click()
    until(page, lambda: shown(page, "name") == "?")
    assert set(bars(page).values()) == {0.0}


def written(folder: Path, image: np.ndarray) -> Path:
    path = folder / "digit.png"
    Image.fromarray(image[..., 0]).save(path)
    return path


def test_a_chosen_picture_is_answered_as_in_python_without_a_mouse(page, artifact, digits, tmp_path):
    images, _ = digits
    for image in images[:2]:
        page.find_element("id", "file").send_keys(str(written(tmp_path, image)))
        until(page, lambda image=image: answered(page, image))
        check_bars(page, in_python(artifact, image[None])[0])
    invert = page.find_element("id", "invert")
    invert.send_keys(" ")  # the key
    until(page, lambda: (seen(page) == 255 - images[1]).all())


def test_a_dropped_picture_is_answered_too(page, artifact, digits, tmp_path):
    png = written(tmp_path, digits[0][2]).read_bytes()
    called(
        page,
        "const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));"
        "const dataTransfer = new DataTransfer(); dataTransfer.items.add(new File([bytes], 'digit.png'));"
        "document.body.dispatchEvent("
        "  new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }))",
        base64.b64encode(png).decode(),
    )
    until(page, lambda: answered(page, digits[0][2]))
    check_bars(page, in_python(artifact, digits[0][2:3])[0])


def test_a_file_that_is_no_picture_is_refused_in_words(page, artifact, digits, tmp_path):
    text = tmp_path / "letter.png"
    text.write_text("not a picture")
    page.find_element("id", "file").send_keys(str(text))
    until(page, lambda: shown(page, "problem") != "")
    assert shown(page, "problem").startswith("letter.png cannot be read as a picture.")
    page.find_element("id", "file").send_keys(str(written(tmp_path, digits[0][0])))
    until(page, lambda: shown(page, "problem") == "" and answered(page, digits[0][0]))
    check_bars(page, in_python(artifact, digits[0][:1])[0])


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def change(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def test_a_model_that_cannot_be_had_or_used_is_refused_in_words(browser, artifact, litert_js, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(artifact, folder)
    manifest, model = folder / "manifest.json", folder / "model.tflite"
    whole, intact = manifest.read_text(), model.read_bytes()
    with served(folder) as address:
        for spoil, message in [
            (lambda: change(manifest, task="segmentation"), "the artifact is for segmentation"),
            (lambda: change(manifest, outputs={}), "This page gives one gray or coloured picture"),
            (lambda: manifest.write_text("{"), "manifest.json cannot be read"),
            (lambda: damage(model), "model.tflite is not the file that manifest.json tells of"),
            (lambda: (model.write_bytes(b"TFL3" * 9), change(manifest, files={})), "LiteRT.js cannot open"),
            (lambda: model.unlink(), "model.tflite cannot be had (404"),
        ]:
            spoil()
            opened(browser, address, "failed")
            assert message in shown(browser, "problem")
            assert not browser.find_element("id", "pad").is_displayed()
            manifest.write_text(whole)
            model.write_bytes(intact)


@pytest.mark.parametrize("width", [390, 1200])
def test_of_many_classes_with_long_names_the_likeliest_are_shown(page, width):
    chromium.look(page, width=width)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(30)).tolist()
    names = [f"a class of things with the number {index}" for index in range(30)]
    called(
        page,
        "const { Bars } = await import('/bars.js');"
        "new Bars(document.getElementById('bars'), arguments[0]).show(arguments[1], [arguments[2]])",
        names,
        probabilities,
        int(np.argmax(probabilities)),
    )
    falling = sorted(range(30), key=lambda index: -probabilities[index])[:10]
    table = page.find_element("id", "bars")
    assert [row.get_attribute("title") for row in table.find_elements("tag name", "th")] == [
        names[index] for index in falling
    ]
    bars(page)  # looks at their widths
    assert table.size["width"] <= page.find_element("tag name", "main").size["width"] <= width
    assert all(row.size["height"] < 40 for row in table.find_elements("tag name", "tr"))


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_says_nothing_wrong(browser, address, width, scheme):
    chromium.look(browser, width=width, scheme=scheme)
    browser.get_log("browser")  # and forget what was said until now
    opened(browser, address, "ready")
    pixels = np.asarray(Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("L"), float)
    assert pixels.std() > 10
    assert (np.median(pixels) > 150) == (scheme == "light")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    told = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert [message for message in told if "/litert/" not in message] == []  # LiteRT.js tells much of itself


def test_everything_comes_from_this_machine(page, address):
    names = page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(names) > 10
    assert all(name.startswith((address, "data:")) for name in names)


def test_the_keyboard_reaches_every_control_and_each_has_a_name(page):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    reached = []
    for _ in range(3):
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.append(page.switch_to.active_element)
    assert [control.get_attribute("id") for control in reached] == ["file", "clear", "invert"]
    assert [control.accessible_name for control in reached] == [
        "Choose a picture",
        "Clear",
        "Swap light and dark",
    ]
    assert page.find_element("css selector", "#name").find_element("xpath", "..").aria_role == "status"
