"""What a search cannot train as Keras's `fit` would is refused by name, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from l2zoo.data.targets.labels import classes_of
from l2zoo.engine.metric_names import metrics_of
from l2zoo.tasks.checks import output_shapes
from l2zoo.training.compilation import compile_settings, output_losses

_BATCH_HOOKS = (
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_batch_begin",
    "on_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)
# What does in a search what these callbacks do in a training.
_INSTEAD = {
    "BackupAndRestore": "Leave it out: with a directory, what is trained is not trained again.",
    "ModelCheckpoint": "Leave it out: `result.model` is trained on all data, and EarlyStopping can restore.",
    "TensorBoard": "Leave it out: `result.tensorboard(folder)` writes every training, with its values.",
    "TerminateOnNaN": "Leave it out: a training that diverges is stopped, and recorded as failed.",
}
_REPLACED = ("fit", "evaluate", "make_train_function", "make_test_function")
_SET_THE_RATE = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)


def check_callbacks(callbacks: Iterable[Any]) -> None:
    """Raises unless they are Keras callbacks that act between epochs."""
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise TypeError(f"`callbacks` must be Keras callbacks, got {callback!r}.")
        for hook in _BATCH_HOOKS:
            # Of the object and not of its class: a LambdaCallback is given its hooks.
            used = getattr(getattr(callback, hook), "__func__", None)
            if used is not getattr(keras.callbacks.Callback, hook):
                name = type(callback).__name__
                instead = _INSTEAD.get(name, "Use callbacks that act between epochs.")
                raise ValueError(
                    f"{name} in `callbacks` wants to be called at every batch ({hook}), but a search runs "
                    f"whole epochs inside the graph. {instead}"
                )


def check_rate_is_free(callbacks: Sequence[Any]) -> None:
    """Raises a `ValueError` if callbacks want to set the learning rate, which a schedule decides.

    Args:
        callbacks: Of a training whose optimizer has a schedule.
    """
    for callback in callbacks:
        if isinstance(callback, _SET_THE_RATE):
            raise ValueError(
                f"{type(callback).__name__} in `callbacks` sets the learning rate, but the optimizer has a "
                "schedule that does. Give the optimizer a number, or leave the callback out."
            )


def check_model(model: keras.Model) -> None:
    """Raises if whole epochs of a compiled model cannot run as its own `fit` would run them."""
    for method in _REPLACED:
        if getattr(type(model), method) is not getattr(keras.Model, method):
            raise TypeError(
                f"{type(model).__name__} has a `{method}` of its own, but a search runs whole epochs inside "
                "the graph and calls `train_step` and `test_step` alone. Put what it does there."
            )
    if getattr(model, "run_eagerly", False) and keras.backend.backend() != "torch":
        raise ValueError(
            f"Model {model.name!r} was compiled with run_eagerly=True, but a search runs whole epochs inside "
            "the graph. Compile it without."
        )
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is not None and strategy.num_replicas_in_sync > 1:
        raise ValueError(
            f"Model {model.name!r} was built for {strategy.num_replicas_in_sync} replicas, but a search "
            "trains each model on one device and several models at a time (workers=). Build it outside of "
            f"{type(strategy).__name__}."
        )
    if keras.backend.backend() == "torch" and any(True for _ in model.buffers()):
        raise ValueError(
            f"Model {model.name!r} holds buffers of PyTorch's own layers, which Keras does not know and a "
            "search could not put back: use Keras's layers for them (keras.layers.BatchNormalization)."
        )


def check_targets(model: keras.Model, y: Any) -> None:
    """Raises a `ValueError` if targets are not what the losses of a compiled model are for.

    Args:
        model: The model.
        y: An array, or a nest of arrays, one an output.
    """
    losses = output_losses(model, compile_settings(model, optimizer=None, loss=None, metrics=None))
    shapes = output_shapes(model)
    for name, loss in losses.items():
        where, target, shape = "y", y, shapes
        if name:
            key = name.removesuffix("_")
            place = key if isinstance(y, dict) else list(losses).index(name)
            if isinstance(y, np.ndarray) or (isinstance(y, dict) and key not in y):
                continue  # Keras says what is wrong
            where, target = f"y[{place!r}]", y[place]
            shape = shapes.get(key) if isinstance(shapes, dict) else None
        if isinstance(target, np.ndarray):
            _check_target(target, loss, shape, where)


def check_accuracy(model: keras.Model, y: Any, objective: str) -> None:
    """Raises a `ValueError` if targets are scored by an accuracy that means nothing for them.

    Args:
        model: That has been evaluated.
        y: The targets.
        objective: Name of the score.
    """
    if (
        objective != "val_accuracy"
        or not isinstance(y, np.ndarray)
        or y.ndim > 2
        or classes_of(y) is not None
    ):
        return
    if y.dtype.kind == "f" and (y != np.round(y)).any():
        raise ValueError(
            "`y` holds numbers to be predicted, for which accuracy means nothing: measure an error, as in "
            "metrics=('mae',), objective='val_mae'."
        )
    if any(isinstance(metric, keras.metrics.CategoricalAccuracy) for metric in metrics_of(model)):
        raise ValueError(
            "`y` has several labels an image, and Keras's 'accuracy' would look at one: measure each, as in "
            "metrics=('binary_accuracy',), objective='val_binary_accuracy'."
        )


def _check_target(y: np.ndarray, loss: Any, shape: Any, where: str) -> None:
    """Raises if labels are no classes of the output, or no shares between 0 and 1."""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    kind = name.replace("_", "").lower()
    if kind in ("binarycrossentropy", "binaryfocalcrossentropy") and not (y.min() >= 0 and y.max() <= 1):
        raise ValueError(
            f"`{where}` must be in [0, 1] for {name}, got values from {y.min()} to {y.max()}. Numbers to be "
            "predicted take another loss, such as 'mse'."
        )
    if kind != "sparsecategoricalcrossentropy" or getattr(loss, "ignore_class", None) is not None:
        return
    if y.dtype.kind == "f" and (y != np.round(y)).any():
        raise ValueError(
            f"`{where}` must be labels, whole numbers, for {name}, got {y[y != np.round(y)][0]}. Numbers "
            "to be predicted take another loss, such as loss='mse' with metrics=('mae',)."
        )
    classes = shape[-1] if isinstance(shape, tuple) and isinstance(shape[-1], int) else None
    wrong = (y < 0) if classes is None else (y < 0) | (y >= classes)
    if wrong.any():
        limits = "at least 0" if classes is None else f"in [0, {classes}), as the model has {classes} outputs"
        raise ValueError(f"Labels must be {limits}, got {y[wrong][0]} in `{where}`.")
