"""`L2Monitor`: what L2 and the data do to each kernel while a model trains, and when that goes wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from l2zoo.regularization.scale_invariance import scale_free_kernels
from l2zoo.regularization.weights import FREE_ROLES, Weight, weights_of
from l2zoo.reports import plot_style
from l2zoo.reports.table import write_csv
from l2zoo.training import alarms
from l2zoo.training.gradients import norm_function
from l2zoo.training.loss_parts import weight_penalty
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import one_of, whole_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 128  # of training between two looks, which so cost less than 3 percent of it
NEAR_ZERO = 0.01  # of the root of the mean square with which a kernel began
LABELS = {
    "norm": "norm of the weights",
    "data_gradient": "norm of the data's gradient",
    "penalty_gradient": "norm of the penalty's gradient",
    "ratio": "penalty's gradient / data's gradient",
    "effective_rate": "learning rate / |w|²",
    "near_zero": "share of weights near zero",
}


@dataclass(frozen=True)
class KernelState:
    """One kernel at the end of an epoch.

    Attributes:
        epoch: From 0; -1 is before the first.
        path: Of the weight.
        norm: `|w|`, the root of the sum of squares.
        data_gradient: Norm of the gradient of the data loss, on the probe.
        penalty_gradient: Norm of the gradient of the penalty: `2 * lambda * |w|` for L2.
        ratio: `penalty_gradient / data_gradient`; infinite where only the penalty pulls, 0 without one.
        effective_rate: `learning rate / |w| ** 2` of a kernel whose size a normalisation undoes, else None.
        near_zero: Share of the numbers below a hundredth of what they were at the start, as a root mean
            square.
    """

    epoch: int
    path: str
    norm: float
    data_gradient: float
    penalty_gradient: float
    ratio: float
    effective_rate: float | None
    near_zero: float


_NUMBERS = [field.name for field in fields(KernelState) if field.name != "path"]


@suggest_arguments
class L2Monitor(keras.callbacks.Callback):
    """Looks at every kernel at the end of an epoch, keeps what it sees, and warns once of each trouble.

    Gradients are those on one batch, the probe, always the same, so that epochs can be compared. The warnings
    (`UserWarning`) name the layers and say what to try: gradients that vanish in the early layers, weights
    that collapse, a penalty that dominates the loss, norms that explode.

    Args:
        x: Inputs of the probe, a batch of training examples in the form that the model takes.
        y: Their targets, in the form that the loss takes.
        every: Epochs between two looks, at least 1. By default as few as make up `STEPS` steps of training:
            a look takes as long as one or two of them. The last epoch is looked at in any case.
        directory: Where to keep `monitor.csv`, and scalars for TensorBoard in `monitor/`; None for nowhere.

    Attributes:
        history: `(L, K, 7)`: L looks at K kernels, the numbers of `KernelState`.
        scale: `(K,)`, the root of the mean square with which each kernel began.
        warned: The kinds of trouble that were warned of.
        worst_loss: The largest data loss of an epoch.

    A run that `l2zoo.fit` resumes goes on with all four.

    Raises:
        TypeError: `every` is not a whole number.
        ValueError: It is below 1; or, when training begins, the model has no kernel that trains.

    References:
        van Laarhoven 2017, L2 Regularization versus Batch and Weight Normalization (the effective rate).
    """

    def __init__(self, x: Any, y: Any, *, every: int | None = None, directory: str | Path | None = None):
        super().__init__()
        self.every = None if every is None else whole_number("every", every, at_least=1)
        self.directory = None if directory is None else Path(directory)
        self.history = np.zeros((0, 0, len(_NUMBERS)))
        self.scale = np.zeros(0)
        self.warned = ""
        self.worst_loss = 0.0
        self._probe = x, y
        self._interval = 1
        self._kernels: list[Weight] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        trained = {v.path for v in self.model.trainable_variables}  # what is frozen has no gradient
        self._kernels = [w for w in weights_of(self.model) if w.role not in FREE_ROLES and w.path in trained]
        if not self._kernels:
            raise ValueError(
                f"`L2Monitor` looks at kernels that train, but {self.model.name!r} has none. Unfreeze some, "
                "or leave the monitor out."
            )
        self._scale_free = {weight.path for weight in scale_free_kernels(self.model)}
        self._look = norm_function(self.model, *self._probe)
        steps = self.params.get("steps") or STEPS
        self._interval = self.every or math.ceil(STEPS / steps)
        self._writer: Any = None
        if not len(self.history):
            self.scale = np.array([_root_mean_square(weight) for weight in self._kernels])
            self._record(-1)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        losses = self._losses(logs or {})
        if (epoch + 1) % self._interval == 0 or epoch + 1 == self.params.get("epochs"):
            self._record(epoch)
            first, now = self._states_in(self.history[0]), self._states_in(self.history[-1])
            self.warned = alarms.warn_of_trouble(first, now, losses, said=self.warned)

    def _losses(self, logs: Mapping[str, float]) -> alarms.Losses:
        penalty = logs["l2_penalty"] if "l2_penalty" in logs else weight_penalty(self.model)
        data = logs.get("data_loss", logs.get("loss", math.nan) - penalty)  # Keras's own `fit` logs the sum
        self.worst_loss = max(self.worst_loss, data)
        return alarms.Losses(data, penalty, self.worst_loss)

    @property
    def states(self) -> list[KernelState]:
        """What was seen: look after look, kernel after kernel."""
        return [state for look in self.history for state in self._states_in(look)]

    def _states_in(self, look: np.ndarray) -> list[KernelState]:
        """The kernels in one look `(K, 7)`."""
        found = []
        for weight, row in zip(self._kernels, look.tolist(), strict=True):
            numbers: dict[str, Any] = dict(zip(_NUMBERS, row, strict=True))
            rate = numbers["effective_rate"]
            numbers |= {"epoch": int(row[0]), "effective_rate": None if math.isnan(rate) else rate}
            found.append(KernelState(path=weight.path, **numbers))
        return found

    def plot(self, path: str | Path, *, value: str = "ratio") -> Path:
        """Draws a heat map: kernels from the first to the last, over the epochs.

        Args:
            path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
            value: A number of `KernelState`, drawn by its logarithm.

        Raises:
            ValueError: Nothing was seen yet; an unknown value; another ending.
        """
        return heatmap(self.states, path, value=value)

    def _record(self, epoch: int) -> None:
        paths = [v.path for v in self.model.trainable_variables]
        norms = dict(zip(paths, self._look().tolist(), strict=True))
        rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))
        look = [
            [epoch, *self._numbers(weight, *norms[weight.path], rate=rate, scale=scale)]
            for weight, scale in zip(self._kernels, self.scale, strict=True)
        ]
        before = self.history if len(self.history) else np.zeros((0, len(look), len(_NUMBERS)))
        self.history = np.concatenate([before, [look]])
        if self.directory is not None:
            self._write()

    def _numbers(
        self, weight: Weight, norm: float, data: float, penalty: float, *, rate: float, scale: float
    ) -> list[float]:
        ratio = penalty / data if data else (math.inf if penalty else 0.0)
        effective = rate / norm**2 if weight.path in self._scale_free and norm else math.nan
        small = np.abs(ops.convert_to_numpy(weight.variable)) < NEAR_ZERO * scale
        return [norm, data, penalty, ratio, effective, float(small.mean())]

    def _write(self) -> None:
        """The table of all looks, written anew, and the scalars of the last one."""
        assert self.directory is not None
        write_csv(self.directory / "monitor.csv", [asdict(state) for state in self.states])
        import tensorflow as tf

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.directory / "monitor"))
        with self._writer.as_default():
            for state in self._states_in(self.history[-1]):
                for name, value in asdict(state).items():
                    if isinstance(value, float) and math.isfinite(value):
                        tf.summary.scalar(f"{name}/{state.path}", value, step=state.epoch + 1)
        self._writer.flush()


def heatmap(states: Sequence[KernelState], path: str | Path, *, value: str) -> Path:
    """Draws a value of every kernel over the epochs, by its logarithm; what is 0 or infinite is hatched.

    Args:
        states: What a monitor saw.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        value: One of `LABELS`.

    Returns:
        The path.

    Raises:
        ValueError: There are no states, or none has the value; an unknown value; another ending.
    """
    one_of("value", value, tuple(LABELS))
    known = [state for state in states if getattr(state, value) is not None]
    if not known:
        raise ValueError(
            f"There is no {value!r} to draw. Train a model with the monitor among the callbacks."
        )
    words = f"The {LABELS[value]} of every kernel, epoch by epoch, as colours."
    return plot_style.Plot(LABELS[value], words, lambda: _draw_heatmap(known, value)).save(path)


def _draw_heatmap(states: Sequence[KernelState], value: str) -> Figure:
    """Kernels from the first to the last, over the epochs."""
    kernels = list(dict.fromkeys(state.path for state in states))
    epochs = sorted({state.epoch for state in states})
    grid = np.full((len(kernels), len(epochs)), np.nan)
    for state in states:
        number = getattr(state, value)
        grid[kernels.index(state.path), epochs.index(state.epoch)] = number if 0 < number < np.inf else np.nan
    figure = plot_style.blank(width=plot_style.WIDE, height=1.3 + 0.22 * len(kernels), layout="constrained")
    axes = figure.add_subplot()
    axes.patch.set(hatch="///", facecolor="white", edgecolor="#b6bcc6")
    shown = axes.imshow(np.log10(grid), aspect="auto", cmap="cividis", interpolation="nearest")
    figure.colorbar(shown, ax=axes, label="log10")
    axes.set_yticks(range(len(kernels)), [name.removesuffix("/kernel") for name in kernels], size=7)
    ticks = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), 12)).round().astype(int))
    axes.set_xticks(ticks, ["start" if epochs[i] < 0 else str(epochs[i] + 1) for i in ticks])
    axes.set_xlabel("epoch")
    axes.set_title(f"{LABELS[value].capitalize()}, every kernel", loc="left")
    return figure


def _root_mean_square(weight: Weight) -> float:
    return float(np.sqrt(np.square(ops.convert_to_numpy(weight.variable)).mean()))
