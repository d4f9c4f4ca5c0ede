"""The folder of a run, and the callback that writes it an epoch at a time.

| file | what |
|---|---|
| `config.json` | the settings of the run, the versions it runs with, the L2 audit of the model |
| `metrics.csv` | a row an epoch, counted from 0 as Keras does |
| `train/`, `validation/` | TensorBoard events, with `data_loss` and `l2_penalty` as scalars of their own |
| `best.weights.h5`, `last.weights.h5` | weights after the best epoch, and at the end |
| `state.npz` | all of the training between two epochs |

An epoch counts once `state.npz` has it. The other files are made from it again where a killed process
left them behind it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from l2zoo.reports.table import write_csv
from l2zoo.training import snapshot
from l2zoo.training.snapshot import CallbackState, Snapshot, callback_state, changed_state, restore_callbacks
from l2zoo.utils.storage.earlier_run import OtherRunError
from l2zoo.utils.storage.files import replacing, write_json
from l2zoo.utils.storage.reading import read_object

History = dict[str, list[float]]
MONITORED = ("val_data_loss", "val_loss", "data_loss", "loss")
"""What decides which epoch is the best: the first of these that is logged. Lower is better."""
UNKNOWN = "unknown"
"""In settings, stands for what cannot be told any more and is not compared."""
_FILES = ("state.npz", "config.json", "metrics.csv", "best.weights.h5", "last.weights.h5")  # in this order
_EVENTS = ("train", "validation")
_FIRST_COLUMNS = ("loss", "data_loss", "l2_penalty", "val_loss", "val_data_loss")


class RunFolder:
    """Reads and writes the files of one run, for which the caller holds the folder.

    Args:
        path: The folder; it is made, with its parents, when there is something to write.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.state = self.path / "state.npz"
        self._config: dict[str, Any] = {}
        self._writers: dict[str, Any] = {}

    def open(self, settings: dict[str, Any], about: dict[str, Any], *, resume: bool) -> Snapshot | None:
        """Takes the folder for a run, and gives the state from which it goes on, if there is one.

        Args:
            settings: All on which the numbers depend, as JSON values. A run with others is refused.
            about: What else is good to know.
            resume: Whether to go on with a run that is there. False deletes it.

        Returns:
            The state of the run after its last whole epoch, `None` if there is no run yet.

        Raises:
            ValueError: The folder holds a run with other settings, one that cannot be read, or files of such
                names that are no run's.
        """
        settings = json.loads(json.dumps(settings))
        self._check_ours()
        if not resume:
            self._clear()
        state = None
        if self.state.exists():
            settings = self._stored_settings(settings)
            try:
                state = Snapshot(self.state)
                check_progress(state.progress)
            except ValueError as error:
                raise ValueError(
                    f"`run_dir` holds a state that cannot be read ({error}). Start over with resume=False."
                ) from error
        self._config = {"settings": settings, "about": about}
        return state

    def start(self, history: History) -> None:
        """Writes what was opened, and the logs of all epochs so far anew: none is missing or there twice."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / "config.json", self._config)
        self._clear_events()
        self._write_csv(history)
        for epoch in range(epochs_in(history)):
            self._write_events(epoch, history)

    def log(self, history: History) -> None:
        """Writes the logs of the last epoch."""
        self._write_csv(history)
        self._write_events(epochs_in(history) - 1, history)

    def save_weights(self, model: keras.Model, *, best: bool) -> None:
        """Writes `last.weights.h5`, and the same as `best.weights.h5` if it is the best."""
        last = self.path / "last.weights.h5"
        with replacing(last) as partial:
            # Keras wants the ending of `last`, which the partial name has too.
            model.save_weights(partial, overwrite=True)
        if best:
            with replacing(self.path / "best.weights.h5") as partial:
                shutil.copyfile(last, partial)

    def close(self) -> None:
        """Closes the TensorBoard files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _stored_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings of the run that is there, if `settings` are the same."""
        try:
            there = self._read_config()["settings"]
        except (FileNotFoundError, ValueError) as error:
            raise ValueError(
                f"`run_dir` holds a state but no readable config.json: {self.path} ({error}). "
                "Use another folder, or start over with resume=False."
            ) from error
        different = differences(there, settings)
        if different:
            raise OtherRunError(
                f"`run_dir` holds another run, run_dir={str(self.path)!r}: {'; '.join(different)}.",
                step="Use another folder, or start over with resume=False, which deletes that run.",
            )
        return there

    def _clear(self) -> None:
        """Deletes the files of a run, the state first: without it nothing is taken for a run."""
        for name in _FILES:
            (self.path / name).unlink(missing_ok=True)
        self._clear_events()

    def _clear_events(self) -> None:
        """Deletes TensorBoard's files, and no others that somebody put there."""
        for name in _EVENTS:
            for file in (self.path / name).glob("events.out.tfevents.*"):
                file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # there is none, or it is not empty
                (self.path / name).rmdir()

    def _check_ours(self) -> None:
        """Raises where files of a run's names are of something else, such as the images of a `train/`."""
        there = [name for name in (*_FILES, *_EVENTS) if os.path.lexists(self.path / name)]
        linked = [name for name in there if (self.path / name).is_symlink()]
        if linked or (there and not self._is_run()):
            raise ValueError(
                f"`run_dir` holds {', '.join(linked or there)}, which a run would replace and which is not "
                f"known as a run's, got run_dir={str(self.path)!r}. Choose another folder, or delete it."
            )

    def _is_run(self) -> bool:
        """Whether `config.json`, which is written first, or the state is a run's."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return bool(self._read_config())
        with contextlib.suppress(ValueError):
            return bool(Snapshot(self.state))
        return False

    def _read_config(self) -> dict[str, Any]:
        return read_object(self.path / "config.json", "settings", "about", finite=False)

    def _write_csv(self, history: History) -> None:
        columns = [name for name in _FIRST_COLUMNS if name in history]
        columns += sorted(set(history) - set(columns))
        rows = [
            {name: None if math.isnan(history[name][epoch]) else history[name][epoch] for name in columns}
            for epoch in range(epochs_in(history))
        ]
        numbered = [{"epoch": epoch, **row} for epoch, row in enumerate(rows)]
        write_csv(self.path / "metrics.csv", numbered, columns=["epoch", *columns])

    def _write_events(self, epoch: int, history: History) -> None:
        validated = any(name.startswith("val_") for name in history)
        for name, values in history.items():
            kind, tag = ("validation", name[4:]) if name.startswith("val_") else ("train", name)
            self._write_scalar(kind, tag, values[epoch], epoch)
            if tag == "l2_penalty" and validated:
                self._write_scalar("validation", tag, values[epoch], epoch)
        for writer in self._writers.values():
            writer.flush()

    def _write_scalar(self, kind: str, tag: str, value: float, epoch: int) -> None:
        import tensorflow as tf

        if math.isnan(value):
            return
        if kind not in self._writers:
            self._writers[kind] = tf.summary.create_file_writer(str(self.path / kind))
        with self._writers[kind].as_default():
            tf.summary.scalar(tag, value, step=epoch)


class Recorder(keras.callbacks.Callback):
    """Keeps the logs of all epochs and the files of the run; it must come after the other callbacks.

    Args:
        folder: Where to write, `None` for nowhere.
        resumed: The state from which the run goes on, `None` at the start.
        callbacks: Those whose own state is part of it.
    """

    def __init__(self, folder: RunFolder | None, resumed: Snapshot | None, callbacks: Sequence[Any]):
        super().__init__()
        progress = resumed.progress if resumed else {}
        self.folder, self.resumed, self.callbacks = folder, resumed, callbacks
        self.history: History = progress.get("history", {})
        self.best: float = progress.get("best", math.inf)
        self.stopped: bool = progress.get("stopped", False)
        self._before: list[CallbackState] = []
        self._random: Any = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._before = [callback_state(callback) for callback in self.callbacks]
        self._random = snapshot.random_state() if self.resumed is None else self.resumed.random
        if self.resumed is not None:
            restore_callbacks(self.callbacks, self.resumed.callback_states)
        if self.folder is not None:
            self.folder.start(self.history)
            if self.resumed is None:
                self._save()  # a run killed in its first epoch starts again from the same weights

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        # Not earlier: PyTorch's data loader draws a number when it begins.
        if self._random is not None:
            snapshot.set_random_state(self._random)
            self._random = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        append_logs(self.history, logs or {})
        self.stopped = bool(self.model.stop_training)
        if self.folder is None:
            return
        monitored = next((self.history[name][-1] for name in MONITORED if name in self.history), math.nan)
        best = monitored < self.best
        if best:
            self.best = monitored
        self.folder.save_weights(self.model, best=best)
        self._save()
        self.folder.log(self.history)

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.folder is not None:
            self.folder.save_weights(self.model, best=False)  # other callbacks may have put back better ones

    def close(self) -> None:
        """Closes the files; to be called however the training ended."""
        if self.folder is not None:
            self.folder.close()

    def _save(self) -> None:
        progress = {
            "epochs": epochs_in(self.history),
            "history": self.history,
            "best": self.best,
            "stopped": self.stopped,
        }
        pairs = zip(self.callbacks, self._before, strict=True)
        states = [(type(callback).__name__, changed_state(callback, before)) for callback, before in pairs]
        assert self.folder is not None
        snapshot.save(self.folder.state, self.model, progress=progress, callback_states=states)


def check_progress(progress: dict[str, Any]) -> None:
    """Raises unless this is the progress of a run, as `Recorder` keeps it.

    Raises:
        ValueError: It is something else.
    """
    history, done = progress.get("history", {}), progress.get("epochs")
    fine = (
        type(done) is int
        and isinstance(history, dict)
        and all(_is_log(log, epochs=done) for log in history.values())
        and type(progress.get("best", math.inf)) in (int, float)
        and isinstance(progress.get("stopped", False), bool)
    )
    if not fine:
        raise ValueError("its history is not that of a run")


def _is_log(log: Any, *, epochs: int) -> bool:
    return isinstance(log, list) and len(log) == epochs and all(type(x) in (int, float) for x in log)


def epochs_in(history: History) -> int:
    """Epochs of which a history has the logs."""
    return max(map(len, history.values()), default=0)


def append_logs(history: History, logs: dict[str, float]) -> None:
    """Adds the logs of an epoch; what only some epochs have is NaN in the others."""
    before = epochs_in(history)
    for name in dict.fromkeys([*history, *logs]):
        history.setdefault(name, [math.nan] * before).append(float(logs.get(name, math.nan)))


def differences(there: Any, here: Any, name: str = "") -> list[str]:
    """What differs between two JSON values, in words."""
    if isinstance(there, dict) and isinstance(here, dict):
        keys = dict.fromkeys([*there, *here])
        parts = [differences(there.get(k), here.get(k), f"{name}.{k}" if name else k) for k in keys]
        return [difference for part in parts for difference in part]
    if here in (there, UNKNOWN):
        return []
    return [f"{name} was {json.dumps(there)} and is now {json.dumps(here)}"]
