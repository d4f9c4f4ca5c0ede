"""The command line in this process, and a small model for it."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import pytest

from l2zoo import cli


class Answer:
    """What a run of the command line left behind."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def l2zoo(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Runs the command line in this process; `capfd` sees descriptor 2 as a terminal would."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: object) -> Answer:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Answer(ended.value.code or 0, out, err)

    return run


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled model of a convolution (36 weights), a norm and a Dense (432), without a penalty."""
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(4, 3, name="conv"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(3, activation="softmax", name="out"),
    ]
    model = keras.Sequential(layers, name="small")
    model.compile("adam", "sparse_categorical_crossentropy")
    path = tmp_path_factory.mktemp("models") / "small.keras"
    model.save(path)
    return path
