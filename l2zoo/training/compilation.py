"""How a model is compiled while `fit` trains it: as it was asked for, plus what `fit` measures.

In mixed precision weights, optimizer and penalties stay float32; layers compute in a type of 16 bits. The
layers at the end of the model keep float32, so that probabilities and losses do, and afterwards all layers
are as before.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from l2zoo.regularization.strength import LiveL2
from l2zoo.regularization.weights import coefficients, layers_of
from l2zoo.training.loss_parts import DataLoss


def compile_settings(model: keras.Model, *, optimizer: Any, loss: Any, metrics: Any) -> dict[str, Any]:
    """The arguments of `compile`: those given, else the model's own, else Adam, cross-entropy, accuracy."""
    given = {"optimizer": optimizer, "loss": loss, "metrics": None if metrics is None else list(metrics)}
    given = {name: value for name, value in given.items() if value is not None}
    if model.compiled:
        return {**_own_settings(model), **given}
    if "loss" not in given:
        given = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **given}
    # "auto" is XLA on a GPU or TPU and none on a machine that has only CPUs, where it is slower.
    return {"optimizer": "adam", "jit_compile": "auto", **given}


# All that `compile` sets, as Keras has no public way to have a model compiled in two ways by turns.
_COMPILED = (
    "optimizer",
    "loss",
    "compiled",
    "steps_per_execution",
    "stop_training",
    "train_function",
    "test_function",
    "predict_function",
    "_run_eagerly",
    "_jit_compile",
    "_compile_config",
    "_compile_loss",
    "_compile_metrics",
    "_compiled_trainable_state",
    "_loss_tracker",
)
_NOTES = (*_COMPILED, "built", "stop_evaluating", "_called", "_jax_state_synced")  # of Keras's, while it runs
_STEPS = ("train_step", "test_step")
_KEPT = "_compiled_by_l2zoo_fit"


@dataclass(frozen=True)
class _Kept:
    """How a model was compiled in the last `fit`, with the graphs that were traced then.

    Attributes:
        circumstances: All on which those graphs depend; `_same` compares them.
        state: What `compile` sets.
        measures: The metrics for the data losses.
    """

    circumstances: list[Any]
    state: dict[str, Any]
    measures: dict[str, DataLoss]


@contextlib.contextmanager
def compile_for_fit(
    model: keras.Model, settings: dict[str, Any], *, steps_per_execution: int, precision: str | None
) -> Iterator[dict[str, DataLoss]]:
    """Compiles a model for `fit`, and in the end with its plain settings; the optimizer's state stays.

    What a callback saves in between has the plain settings. A model that comes again, with nothing changed
    that its graphs depend on, is given back those that it was trained with before.

    Args:
        model: A built model.
        settings: Arguments of `compile`.
        steps_per_execution: Takes the place of the one in `settings`.
        precision: The dtype policy to compute in meanwhile, `None` for the model's own.

    Yields:
        The metric for the data loss of each output, by what stands before `data_loss` in its name in the
        logs. None for a loss that the model computes itself.
    """
    with _scope(model):
        compile_plainly(model, settings)
        settings = {**settings, "optimizer": model.optimizer}
        plain = _compiled_state(model)
        circumstances = _circumstances(model, settings, steps_per_execution, precision)
        kept = vars(model).pop(_KEPT, None)
        try:
            with mixed_precision(model, precision) if precision else contextlib.nullcontext():
                if kept is not None and _same(kept.circumstances, circumstances):
                    _set_compiled_state(model, kept.state)
                    measures = kept.measures
                else:
                    measures = _compile_measured(model, settings, steps_per_execution)
                if not model.optimizer.built:
                    model.optimizer.build(model.trainable_variables)
                yield measures
            # Not after an error, which may have left the metrics of JAX without their numbers.
            vars(model)[_KEPT] = _Kept(circumstances, _compiled_state(model), measures)
        finally:
            _set_compiled_state(model, {**plain, "stop_training": model.stop_training})


@contextlib.contextmanager
def compiled_plainly(model: keras.Model, settings: dict[str, Any]) -> Iterator[None]:
    """Has a model compiled with some settings inside the block, and as it was before after it."""
    before = _compiled_state(model)
    with _scope(model):
        try:
            compile_plainly(model, settings)
            yield
        finally:
            _set_compiled_state(model, before)


def compile_plainly(model: keras.Model, settings: dict[str, Any]) -> None:
    """Compiles a model, unless it is compiled with these very settings."""
    if model.compiled and _same(_own_settings(model), settings):
        return
    # Not `model.compile`, which a subclass may have given other arguments. With no metrics at all, Keras's
    # would keep those that are there.
    keras.Model.compile(model, **{**settings, "metrics": settings.get("metrics") or []})


def _compile_measured(
    model: keras.Model, settings: dict[str, Any], steps_per_execution: int
) -> dict[str, DataLoss]:
    """Compiles with a metric for the data loss of each output, and gives those metrics."""
    plain = model._compile_config
    strategy = getattr(model, "distribute_strategy", None)
    replicas = strategy.num_replicas_in_sync if strategy else 1
    measures = {
        name: DataLoss(loss, replicas=replicas) for name, loss in output_losses(model, settings).items()
    }
    measured = {**settings, "steps_per_execution": steps_per_execution}
    measured["weighted_metrics"] = _add_data_losses(measures, settings.get("weighted_metrics"), model)
    keras.Model.compile(model, **measured)
    model._compile_config = plain
    _tell_traces_apart(model)
    for measure in measures.values():
        measure.watch(model, alone=len(measures) == 1)
    return measures


def _scope(model: keras.Model) -> Any:
    strategy: Any = getattr(model, "distribute_strategy", None)
    many = strategy is not None and strategy.num_replicas_in_sync > 1
    return strategy.scope() if many else contextlib.nullcontext()


def _compiled_state(model: keras.Model) -> dict[str, Any]:
    return {name: vars(model)[name] for name in (*_COMPILED, *_STEPS) if name in vars(model)}


def _set_compiled_state(model: keras.Model, state: dict[str, Any]) -> None:
    attributes = vars(model)  # where Keras does not follow what is put there
    for name in _STEPS:
        attributes.pop(name, None)
    attributes.update(state)


def _tell_traces_apart(model: keras.Model) -> None:
    """Gives a model steps that equal no other: JAX finds a trace again by the equality of functions.

    All `model.train_step` are equal, so while a kept one is alive, a step with other penalties would get it.
    """
    if keras.backend.backend() == "jax":
        for name in _STEPS:
            step = getattr(model, name)
            vars(model)[name] = functools.partial(lambda step, state, data: step(state, data), step)


def _own_settings(model: keras.Model) -> dict[str, Any]:
    """The arguments of `compile` that a model was compiled with."""
    # Keras has no public way to ask a compiled model for its losses and metrics themselves:
    # `get_compile_config` gives them serialized, which fails for a metric that is just a function.
    return {**model._compile_config.config, "optimizer": model.optimizer}


def _circumstances(
    model: keras.Model, settings: dict[str, Any], steps_per_execution: int, precision: str | None
) -> list[Any]:
    """All on which the graphs of a model depend but the shapes of the data, which its functions look at."""
    owners = [*layers_of(model), model.optimizer, *keras.tree.flatten(settings.get("loss"))]
    return [
        model._compile_config,  # another one, if somebody has compiled the model since
        settings,
        steps_per_execution,
        precision,
        list(model.variables),
        [(variable, _number_of(variable.regularizer)) for variable in model.trainable_variables],
        [getattr(layer.dtype_policy, "name", None) for layer in layers_of(model)],
        [_plain_attributes(owner) for owner in owners],
    ]


def _number_of(regularizer: Any) -> Any:
    """What a graph has taken over of a regularizer; two of Keras's own with the same numbers are the same."""
    if type(regularizer) is LiveL2:
        return regularizer.strength, regularizer.factor, regularizer.l1
    if type(regularizer) in (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2):
        return type(regularizer), coefficients(regularizer)
    return regularizer


def _plain_attributes(owner: Any) -> dict[str, Any]:
    """The numbers and words that a graph may have taken over, such as the rate of a dropout."""
    found = vars(owner).items() if hasattr(owner, "__dict__") else ()
    plain = (bool, int, float, str)
    return {name: value for name, value in found if isinstance(value, plain) and name not in _NOTES}


def _same(one: Any, other: Any) -> bool:
    """Whether two structures hold the same numbers and words, and else the very same objects."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, (bool, int, float, str)):
        return type(one) is type(other) and one == other
    return one is other


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
