"""How a model is compiled while `fit` trains it: as it was asked for, plus what `fit` measures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from l2zoo.training.loss_parts import DataLoss
from l2zoo.training.precision import mixed_precision


def settings_of(model: keras.Model, *, optimizer: Any, loss: Any, metrics: Any) -> dict[str, Any]:
    """The arguments of `compile`: those given, else the model's own, else Adam, cross-entropy, accuracy."""
    given = {"optimizer": optimizer, "loss": loss, "metrics": None if metrics is None else list(metrics)}
    given = {name: value for name, value in given.items() if value is not None}
    if model.compiled:
        # Keras has no public way to ask a compiled model for its losses and metrics themselves:
        # `get_compile_config` gives them serialized, which fails for a metric that is just a function.
        own = {**model._compile_config.config, "optimizer": model.optimizer}
        return {**own, **given}
    if "loss" not in given:
        given = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **given}
    # "auto" is XLA on a GPU or TPU and none on a machine that has only CPUs, where it is slower.
    return {"optimizer": "adam", "jit_compile": "auto", **given}


@contextlib.contextmanager
def compiled(
    model: keras.Model, settings: dict[str, Any], *, steps_per_execution: int, precision: str | None
) -> Iterator[DataLoss | None]:
    """Compiles a model for `fit`, and in the end with its plain settings; the optimizer's state stays.

    What a callback saves in between has the plain settings.

    Args:
        model: A built model.
        settings: Arguments of `compile`.
        steps_per_execution: Takes the place of the one in `settings`.
        precision: The dtype policy to compute in meanwhile, `None` for the model's own.

    Yields:
        The metric for the data loss; `None` if the model's loss is not one function.
    """
    strategy = getattr(model, "distribute_strategy", None)
    replicas = strategy.num_replicas_in_sync if strategy else 1
    settings = {**settings, "optimizer": keras.optimizers.get(settings["optimizer"])}
    data_loss = None
    with strategy.scope() if strategy and replicas > 1 else contextlib.nullcontext():
        try:
            with mixed_precision(model, precision) if precision else contextlib.nullcontext():
                # Not `model.compile`, which a subclass may have given other arguments.
                keras.Model.compile(model, **settings)
                plain = model._compile_config
                measured = {**settings, "steps_per_execution": steps_per_execution}
                if has_single_loss(model, settings):
                    data_loss = DataLoss(keras.tree.flatten(settings["loss"])[0], replicas=replicas)
                    others = keras.tree.flatten(settings.get("weighted_metrics") or [])
                    measured["weighted_metrics"] = [*others, data_loss]
                keras.Model.compile(model, **measured)
                model._compile_config = plain
                if data_loss is not None:
                    data_loss.watch(model)
                if not model.optimizer.built:
                    model.optimizer.build(model.trainable_variables)
                yield data_loss
        finally:
            keras.Model.compile(model, **settings)


def has_single_loss(model: keras.Model, settings: dict[str, Any]) -> bool:
    """Whether the model has one output and one loss, which a metric can measure."""
    outputs = keras.tree.flatten(getattr(model, "outputs", None) or [None])
    return len(outputs) == len(keras.tree.flatten(settings.get("loss"))) == 1


def output_weights(model: keras.Model, settings: dict[str, Any]) -> dict[str, float]:
    """The weight of each output's loss in the total, by name, for a model with a loss for each output."""
    names = list(getattr(model, "output_names", []))
    loss, weights = settings.get("loss"), settings.get("loss_weights")
    if len(names) < 2 or loss is None:
        return {}
    if isinstance(loss, dict):
        names = [name for name in names if loss.get(name) is not None]
    elif isinstance(loss, (list, tuple)):
        names = [name for name, part in zip(names, loss, strict=True) if part is not None]
    if isinstance(weights, dict):
        return {name: float(weights.get(name, 1.0)) for name in names}
    flat = [1.0] * len(names) if weights is None else keras.tree.flatten(weights)
    return {name: float(weight) for name, weight in zip(names, flat, strict=True)}
