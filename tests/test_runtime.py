"""`l2zoo-runtime`: the same code runs a TFLite file with what `runtime/pyproject.toml` names alone."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from PIL import Image

from l2zoo.data import load
from tests.processes import run

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "runtime/pyproject.toml").read_text(encoding="utf-8"))["project"]
WHOLE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def needed(requirements: list[str]) -> dict[str, importlib.metadata.Distribution]:
    """The distributions that some requirements mean here, and what those require, by name."""
    found: dict[str, importlib.metadata.Distribution] = {}
    left = list(requirements)
    while left:
        one = Requirement(left.pop())
        if one.name in found or (one.marker is not None and not one.marker.evaluate({"extra": ""})):
            continue
        found[one.name] = importlib.metadata.distribution(one.name)
        left += found[one.name].requires or []
    return found


def modules(distributions: dict[str, importlib.metadata.Distribution]) -> set[str]:
    """What can be imported of these distributions, by its name at the top of `site-packages`."""
    files = [file for one in distributions.values() for file in one.files or ()]
    return {file.parts[0].removesuffix(".py") for file in files if file.parts[0] != ".."}


@pytest.fixture(scope="module")
def there() -> dict[str, importlib.metadata.Distribution]:
    return needed(PROJECT["dependencies"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a saved model, as somebody has got it, and 20 digits in class folders."""
    folder = tmp_path_factory.mktemp("device")
    os.symlink(ROOT / "saved_models/cnn_digits", folder / "artifact")
    images, labels = (part[:20] for part in load("l2zoo_digits", "test").arrays())
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / f"digits/{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / f"digits/{label}/{number}.png")
    return folder


COMMANDS = {
    "predict": "predict artifact digits/0 --json",
    "verify": "verify artifact --trusted --json",
    "bench": "bench artifact --seconds 0.05 --json",
    "evaluate": "evaluate artifact folder:digits --json",
}


def check(name: str, printed: str) -> None:
    """Whether what a command printed is an answer."""
    said = json.loads(printed)
    if name == "predict":
        assert {one["class_name"] for one in said} == {"0"}
    elif name == "verify":
        assert set(said["formats"]) == {"tflite", "tflite_int8"}
        assert said["not_run"] == {"keras": "keras", "savedmodel": "tensorflow"}
    elif name == "bench":
        assert {one["format"] for one in said} == {"tflite", "tflite_int8"}
    else:
        assert (said["num_examples"], said["metrics"]["accuracy"] >= 0.9) == (20, True)


WITHOUT = """
import contextlib, io, json, sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in others:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

others = set(json.loads(sys.argv[1]))
sys.meta_path.insert(0, Without())
from l2zoo.cli import main
sys.meta_path.insert(0, Without())  # before the finder by which l2zoo sees that Keras is imported

answers = []
for line in sys.argv[2:]:
    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(line.split())
        except SystemExit as ended:
            status = ended.code or 0
    answers.append([status, out.getvalue(), err.getvalue()])
print(json.dumps(answers))
"""


@pytest.mark.slow
def test_what_runs_a_file_imports_no_more_than_the_small_install_has(place: Path, there) -> None:
    refused = {
        "audit artifact": "This needs h5py, which is not installed: pip install l2zoo",
        "evaluate artifact mnist": "needs TensorFlow Datasets, which cannot be imported",
        "predict artifact digits/0 --save a.png": "needs Matplotlib, which is not installed: pip install "
        "matplotlib",
        "export artifact -o new --data mnist": "which is not installed: pip install l2zoo",
    }
    everything = {str(one.name): one for one in importlib.metadata.distributions() if one.name != "l2zoo"}
    others = json.dumps(sorted(modules(everything) - modules(there)))
    code = [sys.executable, "-c", WITHOUT, others, *COMMANDS.values(), *refused]
    done = run(code, cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    for name, (status, out, err) in zip(COMMANDS, answers, strict=False):
        assert (status, err) == (0, ""), (name, err)
        check(name, out)
    for words, (status, out, err) in zip(refused.values(), answers[len(COMMANDS) :], strict=True):
        assert (status, out, err.count("\n"), words in err) == (1, "", 1, True), err


def test_both_projects_allow_the_same_versions() -> None:
    own, whole = ({Requirement(line).name: line for line in one["dependencies"]} for one in (PROJECT, WHOLE))
    assert own.items() <= whole.items()
    assert not {"keras", "tensorflow", "scipy", "scikit-learn", "matplotlib"} & own.keys()
    assert PROJECT["scripts"] == WHOLE["scripts"]
    version = re.search(r'^__version__ = "(.+)"$', (ROOT / "l2zoo/__init__.py").read_text(), re.MULTILINE)
    assert version is not None
    assert version[1] == WHOLE["version"]  # which the runtime reads there


@pytest.mark.slow
def test_the_wheel_alone_answers_in_an_empty_environment(place: Path, there, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT / "runtime")], check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 2e6
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    size = 0
    for one in there.values():  # what it depends on, out of the environment that runs the tests
        for file in one.files or ():
            source = Path(str(one.locate_file(file)))
            if file.parts[0] != ".." and source.is_file():
                size += source.stat().st_size
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                os.symlink(source, site / file)
    python = tmp_path / "venv/bin/python"
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", str(wheel)], check=True)
    assert size < 300e6
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for name, line in COMMANDS.items():
        started = time.perf_counter()
        done = run([tmp_path / "venv/bin/l2zoo", *line.split()], cwd=place, env=own)
        print(f"{name}: {time.perf_counter() - started:.2f} s; {size / 1e6:.0f} MB of packages")
        assert (done.returncode, done.stderr) == (0, "")
        check(name, done.stdout)
    doctor = run([tmp_path / "venv/bin/l2zoo", "doctor"], cwd=place, env=own)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert doctor.stdout.startswith(f"l2zoo-runtime {WHOLE['version']}, Python")
