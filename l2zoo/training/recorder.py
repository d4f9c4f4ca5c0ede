"""The callback that keeps a run's history and writes its folder, an epoch at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from l2zoo.training import snapshot
from l2zoo.training.memory import Memory, learned, recall, remind
from l2zoo.training.run_folder import History, RunFolder, append, epochs_in

MONITORED = ("val_data_loss", "val_loss", "data_loss", "loss")
"""What decides which epoch is the best: the first of these that is logged. Lower is better."""


class Recorder(keras.callbacks.Callback):
    """Keeps the logs of all epochs and the files of the run; it must come after the other callbacks.

    Args:
        folder: Where to write, `None` for nowhere.
        resumed: The state from which the run goes on, `None` at the start.
        callbacks: Those whose memory is part of the state.
    """

    def __init__(self, folder: RunFolder | None, resumed: snapshot.Snapshot | None, callbacks: Sequence[Any]):
        super().__init__()
        progress = resumed.progress if resumed else {}
        self.folder, self.resumed, self.callbacks = folder, resumed, callbacks
        self.history: History = progress.get("history", {})
        self.best: float = progress.get("best", math.inf)
        self.stopped: bool = progress.get("stopped", False)
        self._before: list[Memory] = []
        self._random: Any = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._before = [recall(callback) for callback in self.callbacks]
        self._random = snapshot.random_state() if self.resumed is None else self.resumed.random
        if self.resumed is not None:
            remind(self.callbacks, self.resumed.memories)
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
        append(self.history, logs or {})
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
        memories = [(type(callback).__name__, learned(callback, before)) for callback, before in pairs]
        assert self.folder is not None
        snapshot.save(self.folder.state, self.model, progress=progress, memories=memories)
