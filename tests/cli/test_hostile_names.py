"""Names that come from files do nothing to the terminal of who reads them, whichever command prints them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from l2zoo import Card, Predictor, build_cnn, export, verify
from l2zoo.artifacts import manifest
from tests.artifacts.folders import rewrite

EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[31m\u202eexe.tac\u2066\x9b1m\u200f\r\ncat"
UNSEEN = sorted(set(EVIL) - set("owned exe.tac0123456789;JmM[]\n"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact in which every name that its manifest may hold is one of an attacker's."""
    names = [f"{i}{EVIL}" for i in range(10)]
    model = build_cnn((8, 8, 1), num_classes=10, filters=(4,))
    labels = np.arange(32) % 10
    folder = tmp_path_factory.mktemp("hostile") / "artifact"
    rng = np.random.default_rng(0)
    export(
        model, folder, sample=rng.integers(0, 256, (32, 8, 8, 1), dtype=np.uint8), formats=["tflite"],
        measure=lambda outputs: {"accuracy": float((outputs.argmax(-1) == labels).mean())},
        card=Card(class_names=[str(i) for i in range(10)]),
    )  # fmt: skip
    content = manifest.read(folder)
    row = content["formats"]["tflite"]
    row["parity"]["metrics"] = {EVIL: {"model": 1.0, "file": 1.0}}
    rewrite(
        folder, name=EVIL, class_names=names, formats=content["formats"], data=EVIL,
        versions={**content["versions"], "keras": EVIL},
    )  # fmt: skip
    return folder


def assert_harmless(text: str) -> None:
    found = [one for one in UNSEEN if one in text]
    assert not found, text
    assert "\\x1b" in text or "\\u202e" in text


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("command", ["verify", "predict", "evaluate", "bench"])
def test_a_command_prints_names_of_a_manifest_as_they_do_no_harm(
    l2zoo, hostile: Path, tmp_path: Path, command: str, tty: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tty:
        monkeypatch.setenv("FORCE_COLOR", "1")  # Rich takes any stream for a terminal then
        monkeypatch.setenv("NO_COLOR", "1")  # and has no looks of its own
        monkeypatch.setenv("TERM", "dumb")
    image = tmp_path / "images" / f"0{EVIL}" / f"{EVIL}.png"
    image.parent.mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(image)
    more = {
        "verify": [],
        "predict": [image.parent],
        "evaluate": [f"folder:{tmp_path / 'images'}"],
        "bench": ["--seconds", "0.01"],
    }
    answer = l2zoo(command, hostile, "--trusted", *more[command])
    assert answer.status == 0, answer.err
    assert_harmless(answer.out + answer.err)


def test_what_is_printed_for_programs_is_ascii(l2zoo, hostile: Path) -> None:
    found = l2zoo("verify", hostile, "--trusted", "--json").out
    assert found.isascii()
    assert json.loads(found)["name"] == EVIL


def test_errors_that_name_what_a_manifest_says_do_no_harm(l2zoo, hostile: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(hostile, tmp_path / "copy"))
    (folder / EVIL).write_text("more")
    for command in (("verify", folder), ("sign", folder, "--key", __file__), ("audit", folder)):
        answer = l2zoo(*command)
        assert answer.status
        assert_harmless(answer.out + answer.err)
    with pytest.raises(ValueError, match="does not belong to it") as told:
        Predictor(folder)
    assert_harmless(str(told.value))


def test_layers_of_a_model_do_no_harm(l2zoo, tmp_path: Path) -> None:
    name = EVIL
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name=name)])
    model.save(tmp_path / "a.keras")
    assert_harmless(l2zoo("audit", tmp_path / "a.keras").out)
    from l2zoo import audit

    assert_harmless(str(audit(model)))


def test_an_artifact_that_python_prints_does_no_harm(hostile: Path) -> None:
    assert_harmless(str(verify(hostile, trusted=True)))
