"""The artifacts that come with the package: whole, small, as good as they say, and in the wheel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from l2zoo import Predictor, build, list_models, load, verify
from l2zoo.artifacts import manifest
from l2zoo.artifacts.store import locations
from l2zoo.artifacts.store.publish import README, readme
from l2zoo.data import load as load_data
from l2zoo.data import load_video
from l2zoo.tasks import generate, sample
from tests.photographs import SEEN, photographs, squares

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / locations.SAVED_MODELS
NAMES = sorted(path.parent.name for path in FOLDER.glob(f"*/{manifest.FILE}"))
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
FORMATS = {
    "cnn_digits": {"savedmodel", "tflite", "tflite_int8"},
    "cnn_fashion": {"tflite", "tflite_int8"},
    "cnn_mnist": {"savedmodel", "tflite", "tflite_int8"},
    "resnet20_digits": {"tflite", "tflite_int8"},
    "resnet20_mnist": {"tflite", "tflite_int8"},
    "unet_scenes": {"tflite_fp16", "tflite_int8"},
    "detector_scenes": {"tflite_fp16"},
    "diffusion_digits": {"tflite"},
    "efficientnet_lite0_imagenet": {"tflite_int8"},
    "video_moving_digits": {"tflite", "tflite_int8"},
}
QUICK = ("video_moving_digits",)  # beside the CNN, whose answers are compared
TEMPLATES = ("artifacts/card.md.jinja", "reports/page.html.jinja")
LARGEST = 45 * 2**20  # bytes of all together
FOREIGN = ("efficientnet_lite0_imagenet",)  # others trained it, so that some things are not known
PREPARED = ROOT.parent / "shared" / "data" / "tfds"  # where TFDS's data may be


def test_there_are_some_and_they_are_small() -> None:
    assert set(FORMATS) <= set(NAMES)
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < LARGEST


def test_the_table_is_that_of_the_manifests() -> None:
    assert (FOLDER / README).read_text(encoding="utf-8") == readme(FOLDER)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_was_changed_and_the_card_says_how_it_was_made(name: str) -> None:
    content = manifest.read_and_check(FOLDER / name)
    assert {"keras", *FORMATS.get(name, ())} <= set(content["formats"])
    card = (FOLDER / name / "README.md").read_text(encoding="utf-8")
    known = ("Made by ", "Trained: ", "License: ", "Time for one image", "Limits: ")
    chosen = "is the best of" if name.endswith("_fashion") else "The strength was given, not searched."
    own = ("standard error", chosen)
    for words in known if name in FOREIGN else (*known, *own):
        assert words in card
    assert str(ROOT) not in card


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "cnn_digits" else pytest.mark.slow) for name in NAMES]
)
def test_it_answers_like_the_model_that_it_was(name: str) -> None:
    artifact = verify(FOLDER / name)
    assert all(found.holds for found in artifact.parity.values())


@pytest.mark.parametrize("kind", ["tflite", "tflite_int8"])
def test_it_is_as_good_as_its_card_says(kind: str) -> None:
    images, labels = load_data("l2zoo_digits", "test").arrays()
    found = Predictor("cnn_digits", format=kind).predict(images)
    accuracy = np.mean([int(one.class_name) == label for one, label in zip(found, labels, strict=True)])
    metrics = manifest.read_and_check(FOLDER / "cnn_digits")["metrics"]["test_accuracy"]
    assert accuracy == pytest.approx(metrics["mean"], abs=0.02)


@pytest.mark.skipif(not (PREPARED / "fashion_mnist").is_dir(), reason="Fashion-MNIST is not prepared here")
@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("_fashion")])
def test_on_fashion_it_is_as_good_as_its_card_says(name: str) -> None:
    images, labels = load_data("fashion_mnist", "test", data_dir=PREPARED).arrays()
    content = manifest.read_and_check(FOLDER / name)
    for kind in FORMATS[name]:
        found = Predictor(name, format=kind).predict(images[::5])
        right = [
            content["class_names"][label] == one.class_name
            for one, label in zip(found, labels[::5], strict=True)
        ]
        assert np.mean(right) == pytest.approx(content["metrics"]["test_accuracy"]["mean"], abs=0.015)


def built_for(content: dict[str, Any]) -> tuple[int, ...]:
    """What its builder takes: the shape of an image, or of a clip, which may be of any length."""
    shapes = {name: spec["shape"][1:] for name, spec in content["inputs"].items()}
    return (4, *shapes["frame"]) if "frame" in shapes else tuple(shapes["images"])


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in NAMES]
)
def test_its_weights_fit_the_builder_that_it_is_called_after(name: str) -> None:
    architecture = max((each for each in list_models() if name.startswith(f"{each}_")), key=len)
    weights = name.removeprefix(f"{architecture}_")
    content = manifest.read_and_check(FOLDER / name)
    shape, names = built_for(content), content["class_names"]
    classes = len(names) if names else None
    model = build(architecture, shape, classes, weights=weights)
    random = build(architecture, shape, classes)
    assert not np.array_equal(model.get_weights()[0], random.get_weights()[0])


@pytest.mark.slow
def test_a_builder_s_answers_are_those_of_the_saved_model() -> None:
    model = build("cnn", (8, 8, 1), 10, weights="digits", l2=1e-4)
    images = load_data("l2zoo_digits", "test").arrays()[0][:16].astype("float32")
    expected = load("cnn_digits").predict(images, verbose=0)
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-6)


@pytest.fixture(scope="module")
def photo_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("photographs")
    for name, pixels in photographs().items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return {path.stem: path for path in sorted(folder.iterdir())}


def test_a_photograph_is_named_in_words(photo_files: dict[str, Path]) -> None:
    said = Predictor("efficientnet_lite0_imagenet").predict(list(photo_files.values()))
    assert len(said) >= 2
    for name, one in zip(photo_files, said, strict=True):
        among = {label for label, _ in one.top(3)}
        assert among >= set(SEEN[name]), name


@pytest.mark.slow
def test_eight_bits_say_of_photographs_what_floats_say(photo_files: dict[str, Path]) -> None:
    said = Predictor("efficientnet_lite0_imagenet", format="tflite_int8").predict(list(photo_files.values()))
    model = load("efficientnet_lite0_imagenet")
    images = squares({name: np.asarray(Image.open(path)) for name, path in photo_files.items()})
    expected = model.predict(images, verbose=0).argmax(axis=1)
    assert [one.class_number for one in said] == expected.tolist()
    assert {weight.dtype for weight in model.weights} == {"float32"}


@pytest.mark.slow
def test_the_command_line_names_a_photograph(photo_files: dict[str, Path]) -> None:
    command = [sys.executable, "-c", "from l2zoo.cli import main; main()", "predict"]
    path = photo_files["flower"]
    done = subprocess.run(
        [*command, "efficientnet_lite0_imagenet", str(path)], capture_output=True, text=True, check=True
    )
    assert "daisy" in done.stdout


@pytest.mark.slow
def test_the_file_of_the_denoiser_draws_what_the_keras_model_draws() -> None:
    settings: dict[str, Any] = {"steps": 10, "labels": np.arange(10), "guidance": 2.0, "seed": 3}
    found = Predictor("diffusion_digits").sample(10, **settings).astype(float)
    expected = sample(load("diffusion_digits"), 10, progress=False, **settings).astype(float)
    assert found.std() > 50  # ink on paper
    assert np.abs(found - expected).mean() <= 1  # of 255


def test_the_file_of_the_video_model_goes_on_as_the_keras_model_does() -> None:
    clips = load_video("l2zoo_moving_digits", "test", limit=4).arrays()
    found = Predictor("video_moving_digits").generate(clips[:, :10], 10)
    expected = generate(load("video_moving_digits"), clips[:, :10], 10, progress=False)
    assert found.std() > 30
    assert np.abs(found - expected).mean() <= 1  # of 255
    # It is a forecast: nearer to the truth than the last frame is.
    assert (
        np.square(found - clips[:, 10:]).mean()
        < np.square(clips[:, 9:10] - clips[:, 10:].astype(float)).mean()
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is given to others."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([*PIP, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_them_and_the_templates(wheel: Path) -> None:
    inside = f"l2zoo/{locations.SAVED_MODELS}/"
    with zipfile.ZipFile(wheel) as archive:
        assert {f"l2zoo/{name}" for name in TEMPLATES} <= set(archive.namelist())
        packed = [name for name in archive.namelist() if name.startswith(inside)]
        found = {name.removeprefix(inside): archive.read(name) for name in packed}
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert found == {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
def test_on_a_package_index_no_picture_or_link_leads_nowhere(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        text = archive.read(name).decode()
    assert "Description-Content-Type: text/markdown" in text
    assert "\n# l2zoo\n" in text
    assert re.findall(r"\]\((?!https?:|#)[^)]*\)", text) == []


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment in which the wheel is installed, beside what it depends on.

    The packages of the environment that runs the tests are there as a folder of modules only: what is said in
    its `.pth` files, such as where the repository lies, is not read.
    """
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin/python"
    (site,) = folder.glob("lib/python*/site-packages")
    there = sorted({sysconfig.get_path(kind) for kind in ("purelib", "platlib")})
    (site / "dependencies.pth").write_text("\n".join(there) + "\n")
    install = [*PIP, "--python", str(python), "install", "--no-deps", "--ignore-installed", str(wheel)]
    subprocess.run(install, check=True)
    return python


CLEAN = """
import json, sys
import numpy as np
import l2zoo

images = np.load("images.npy")
print(json.dumps({
    "path": sys.path,
    "file": l2zoo.__file__,
    "predicted": [one.class_name for one in l2zoo.Predictor("cnn_digits").predict(images)],
    "loaded": l2zoo.load("cnn_digits").predict(images, verbose=0).argmax(axis=1).tolist(),
    "parameters": l2zoo.build("cnn", (8, 8, 1), 10, weights="digits").count_params(),
}))
"""


@pytest.mark.slow
def test_who_installs_the_wheel_has_them_without_the_repository(installed: Path, tmp_path: Path) -> None:
    images, labels = (part[:64] for part in load_data("l2zoo_digits", "test").arrays())
    np.save(tmp_path / "images.npy", images)
    done = run_clean([installed, "-c", CLEAN], tmp_path)
    found = json.loads(done.stdout.splitlines()[-1])
    assert Path(found["file"]).is_relative_to(installed.parents[1])
    others = [path for path in found["path"] if path]  # beside "", the folder that the process runs in
    assert not [path for path in others if (Path(path) / "pyproject.toml").exists()]  # of no repository
    assert found["predicted"] == [str(number) for number in found["loaded"]]
    assert np.mean(np.array(found["loaded"]) == labels) >= 0.95
    assert found["parameters"] == 70_746


@pytest.mark.slow
def test_who_installs_the_wheel_chooses_lambda_from_the_shell(installed: Path, tmp_path: Path) -> None:
    small = ["--limit", "60", "--strengths", "0,1e-3", "--folds", "2", "--epochs", "1", "--formats", "tflite"]
    command = [installed.with_name("l2zoo"), "tune", "l2zoo_digits", *small, "--json"]
    found = json.loads(run_clean(command, tmp_path).stdout)
    assert found["verdict_in_words"]
    assert (tmp_path / "runs/tune/artifact/model.tflite").is_file()
    card = (tmp_path / "runs/tune/artifact/README.md").read_text()
    assert "Made by `l2zoo tune l2zoo_digits --limit 60" in card


def run_clean(command: list[Any], folder: Path) -> subprocess.CompletedProcess[str]:
    """A run in an empty folder, with nothing of this repository's on the path."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    given = list(map(str, command))
    return subprocess.run(given, cwd=folder, env=own, capture_output=True, text=True, check=True)


def test_a_fresh_process_answers_without_a_framework() -> None:
    code = (
        "import sys, numpy as np, l2zoo\n"
        "l2zoo.Predictor('cnn_digits').predict(np.zeros((1, 8, 8, 1), 'uint8'))\n"
        "print(sorted({'keras', 'tensorflow', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
