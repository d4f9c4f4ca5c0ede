"""How a model is compiled while `fit` trains it: as it was asked for, plus what `fit` measures.

In mixed precision weights, optimizer and penalties stay float32; layers compute in a type of 16 bits. The
layers at the end of the model keep float32, so that probabilities and losses do, and afterwards all layers
are as before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from l2zoo.regularization.weights import layers_of
from l2zoo.training.loss_parts import DataLoss


def compile_settings(model: keras.Model, *, optimizer: Any, loss: Any, metrics: Any) -> dict[str, Any]:
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
def compile_for_fit(
    model: keras.Model, settings: dict[str, Any], *, steps_per_execution: int, precision: str | None
) -> Iterator[dict[str, DataLoss]]:
    """Compiles a model for `fit`, and in the end with its plain settings; the optimizer's state stays.

    What a callback saves in between has the plain settings.

    Args:
        model: A built model.
        settings: Arguments of `compile`.
        steps_per_execution: Takes the place of the one in `settings`.
        precision: The dtype policy to compute in meanwhile, `None` for the model's own.

    Yields:
        The metric for the data loss of each output, by what stands before `data_loss` in its name in the
        logs. None for a loss that the model computes itself.
    """
    strategy = getattr(model, "distribute_strategy", None)
    replicas = strategy.num_replicas_in_sync if strategy else 1
    settings = {**settings, "optimizer": keras.optimizers.get(settings["optimizer"])}
    with strategy.scope() if strategy and replicas > 1 else contextlib.nullcontext():
        # Not `model.compile`, which a subclass may have given other arguments.
        keras.Model.compile(model, **settings)
        plain = model._compile_config
        try:
            with mixed_precision(model, precision) if precision else contextlib.nullcontext():
                measures = {
                    name: DataLoss(loss, replicas=replicas)
                    for name, loss in output_losses(model, settings).items()
                }
                measured = {**settings, "steps_per_execution": steps_per_execution}
                measured["weighted_metrics"] = _add_data_losses(
                    measures, settings.get("weighted_metrics"), model
                )
                keras.Model.compile(model, **measured)
                model._compile_config = plain
                for measure in measures.values():
                    measure.watch(model, alone=len(measures) == 1)
                if not model.optimizer.built:
                    model.optimizer.build(model.trainable_variables)
                yield measures
        finally:
            # With no metrics at all, `compile` would keep those that are there.
            keras.Model.compile(model, **{**settings, "metrics": settings.get("metrics") or []})
            model._compile_config = plain


def output_losses(model: keras.Model, settings: dict[str, Any]) -> dict[str, Any]:
    """The loss of each output that has one: `{"": loss}` for a single output, else `{"NAME_": loss}`."""
    loss = settings.get("loss")
    names = _output_names(model)
    if len(names) == 1:
        losses = keras.tree.flatten(loss)
        return {"": losses[0]} if len(losses) == 1 and losses[0] is not None else {}
    return {f"{name}_": part for name, part in _by_output(names, loss).items() if part is not None}


def output_weights(model: keras.Model, settings: dict[str, Any]) -> dict[str, float]:
    """What each of `output_losses` is multiplied by in the total, under the same names."""
    losses = output_losses(model, settings)
    weights = settings.get("loss_weights")
    if len(losses) == 1:
        flat = [weight for weight in keras.tree.flatten(weights) if weight is not None]
        return dict.fromkeys(losses, float(flat[0]) if flat else 1.0)
    given = _by_output(_output_names(model), weights)
    return {name: 1.0 if (w := given.get(name[:-1])) is None else float(w) for name in losses}


def _output_names(model: keras.Model) -> list[str]:
    outputs = getattr(model, "output", None)
    if isinstance(outputs, dict):  # whose keys need not be the names of the layers, as `output_names` are
        return list(outputs)
    return list(getattr(model, "output_names", None) or ["output"])


def _by_output(names: list[str], parts: Any) -> dict[str, Any]:
    """What Keras takes for several outputs, a dict, a list or one thing for all, as a dict."""
    if isinstance(parts, dict):
        return parts
    if isinstance(parts, (list, tuple)):
        return dict(zip(names, parts, strict=False))
    return dict.fromkeys(names, parts)


def _add_data_losses(measures: dict[str, DataLoss], others: Any, model: keras.Model) -> Any:
    """`weighted_metrics` with the metrics for the data loss: Keras gives these the weights of examples."""
    if not measures:
        return others
    names = _output_names(model)
    if len(names) == 1:
        return [*(keras.tree.flatten(others) if others else []), *measures.values()]
    theirs = {
        name: keras.tree.flatten(part) if part else [] for name, part in _by_output(names, others).items()
    }
    return {name: [*theirs.get(name, []), *filter(None, [measures.get(f"{name}_")])] for name in names}


def mixed_policy() -> str:
    """`"mixed_float16"` on a GPU, else `"mixed_bfloat16"`: CPUs and TPUs have no fast float16."""
    return "mixed_float16" if _has_gpu() else "mixed_bfloat16"


@contextlib.contextmanager
def mixed_precision(model: keras.Model, policy: str) -> Iterator[None]:
    """Lets the layers of a built float32 model compute in mixed precision.

    Layers that are of another type already are left as they are, as are those that give the model's
    outputs. The model must be compiled inside the block, and again after it.

    Args:
        model: A built model.
        policy: A Keras dtype policy, `"mixed_float16"` or `"mixed_bfloat16"`.

    Raises:
        ValueError: No layer of the model could change.
    """
    ends = {id(layer) for layer in _ends(model)}
    before = [(layer, layer.dtype_policy) for layer in layers_of(model) if id(layer) not in ends]
    before = [(layer, own) for layer, own in before if own.name == "float32"]
    if all(isinstance(layer, (keras.Model, keras.layers.InputLayer)) for layer, _ in before):
        raise ValueError(
            f"`mixed_precision=True` found no float32 layer but the last in model {model.name!r}: "
            "leave it out, or build the model in float32."
        )
    for layer, _ in before:
        layer.dtype_policy = policy
    try:
        yield
    finally:
        for layer, own in before:
            layer.dtype_policy = own


def _ends(model: Any) -> list[keras.layers.Layer]:
    """The layers that give the model's outputs, down to those inside a nested model at the end."""
    if isinstance(model, keras.Sequential):
        ends = model.layers[-1:]
    else:
        names = getattr(model, "output_names", [])  # a subclassed model has none: nobody knows its end
        ends = [layer for layer in model.layers if layer.name in names]
    found: list[keras.layers.Layer] = []
    for layer in ends:
        found += _ends(layer) if isinstance(layer, keras.Model) else layers_of(layer)
    return found


def _has_gpu() -> bool:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    return any(name.startswith(("gpu", "cuda")) for name in keras.distribution.list_devices())
