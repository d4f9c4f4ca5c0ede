"""Runs that are killed and started again end as if nothing had happened."""

from __future__ import annotations

import csv
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from l2zoo.training import fit
from tests import processes
from tests.training.killed_run import build
from tests.training.killed_run import train as train_cnn

Arrays = tuple[np.ndarray, np.ndarray]
Build = Callable[..., keras.Model]


def assert_same(one: dict[str, list[float]], other: dict[str, list[float]]) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], atol=1e-6, rtol=0, err_msg=name)


def events_in(folder: Path) -> Counter:
    """How often each scalar of each step stands in the TensorBoard files."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: Counter = Counter()
    for path in folder.glob("events*"):
        for event in EventFileLoader(str(path)).Load():
            found.update((value.tag, event.step) for value in event.summary.value)
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_run_killed_three_times_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    program = str(Path(__file__).with_name("killed_run.py"))
    # In the first epoch; in the second, with its weights written but not its state; within the third.
    for seed, kill in enumerate(("batch:0:3", "write:6", "batch:2:5")):
        command = [sys.executable, program, str(folder), str(seed), kill]
        done = processes.run(command, env=environment)
        assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    resumed_model, whole_model = build(seed=3), build(seed=0)
    resumed = train_cnn(resumed_model, str(folder), [])
    whole = train_cnn(whole_model, str(tmp_path / "whole"), [])
    assert_same(resumed, whole)
    for one, other in zip(resumed_model.get_weights(), whole_model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, rtol=0)
    for files in ("killed", "whole"):
        assert [row["epoch"] for row in rows_of(tmp_path / files)] == ["0", "1", "2", "3"]
        for kind in ("train", "validation"):
            events = events_in(tmp_path / files / kind)
            for tag in ("loss", "data_loss", "l2_penalty", "accuracy"):
                assert [events[tag, epoch] for epoch in range(5)] == [1, 1, 1, 1, 0]


class Crash(BaseException):
    """Stands for the end of the process."""


@pytest.mark.slow
def test_a_run_that_dies_at_any_write_ends_as_if_nothing_had_happened(
    quick: Build, train: Arrays, held_out: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, seed: int) -> dict[str, list[float]]:
        callbacks = [
            keras.callbacks.ReduceLROnPlateau("val_data_loss", patience=0, min_delta=0.3, factor=0.7)
        ]
        model = quick(seed)
        settings = {"epochs": 4, "l2": 1e-2, "verbose": 0, "callbacks": callbacks}
        return fit(model, train, validation=held_out, run_dir=tmp_path / name, **settings).history

    whole = run("whole", seed=0)
    assert len(set(whole["learning_rate"])) > 2, "the callback was to do something"
    replace = Path.replace

    def dies_after(writes: int) -> None:
        left = iter(range(writes))

        def replace_or_die(source: Path, target: Path) -> Path:
            if next(left, None) is None:
                raise Crash
            return replace(source, target)

        monkeypatch.setattr(Path, "replace", replace_or_die)

    # A start writes config.json and metrics.csv, the first one a state, an epoch last and best weights, the
    # state, metrics.csv. So these die at the first state, and then at every file of the first epoch in turn.
    for attempt, writes in enumerate((2, 3, 3, 4, 5)):
        dies_after(writes)
        with pytest.raises(Crash):
            run("dying", seed=attempt if (tmp_path / "dying" / "state.npz").exists() else 0)
    monkeypatch.undo()
    assert_same(run("dying", seed=99), whole)
    assert rows_of(tmp_path / "dying") == rows_of(tmp_path / "whole")


@pytest.mark.slow
def test_early_stopping_remembers_its_patience_and_its_best_weights(
    quick: Build, train: Arrays, held_out: Arrays, tmp_path: Path
) -> None:
    class DiesInEpoch(keras.callbacks.Callback):
        def __init__(self, epoch: int | None):
            super().__init__()
            self.fatal = epoch

        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            if epoch == self.fatal:
                raise Crash

    def run(name: str, dies: int | None = None) -> tuple[dict[str, list[float]], list[np.ndarray]]:
        model = quick(0)
        patient = keras.callbacks.EarlyStopping(
            "val_data_loss", patience=2, min_delta=0.1, restore_best_weights=True
        )
        history = fit(
            model, train, validation=held_out, epochs=40, run_dir=tmp_path / name, verbose=0,
            optimizer=keras.optimizers.Adam(1e-1), callbacks=[patient, DiesInEpoch(dies)],
        )  # fmt: skip
        return history.history, model.get_weights()

    whole, whole_weights = run("whole")
    epochs = len(whole["loss"])
    assert 4 < epochs < 40
    with pytest.raises(Crash):
        run("dying", epochs - 1)  # while its patience runs out
    resumed, resumed_weights = run("dying")
    assert_same(resumed, whole)
    again, again_weights = run("dying")  # a run that was stopped is finished
    assert_same(again, whole)
    for weights in (resumed_weights, again_weights):
        for one, other in zip(weights, whole_weights, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.fixture
def listening() -> Iterator[None]:
    """Python's answer to Ctrl-C, which it does not give in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
def test_ctrl_c_says_how_to_go_on_and_the_same_call_does(quick: Build, train: Arrays, tmp_path: Path) -> None:
    class CtrlC(keras.callbacks.Callback):
        pressed = False

        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            if epoch == 2 and not self.pressed:
                CtrlC.pressed = True
                signal.raise_signal(signal.SIGINT)

    model, folder = quick(0), tmp_path / "run"
    with pytest.raises(
        KeyboardInterrupt, match=r"in epoch 3 of 4. The 2 finished epochs are kept in .*same call"
    ):
        fit(model, train, epochs=4, l2=1e-3, run_dir=folder, callbacks=[CtrlC()], verbose=0)
    # As in a notebook: the same model, compiled and trained by now.
    resumed = fit(model, train, epochs=4, l2=1e-3, run_dir=folder, callbacks=[CtrlC()], verbose=0).history
    assert_same(resumed, fit(quick(0), train, epochs=4, l2=1e-3, verbose=0).history)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))
