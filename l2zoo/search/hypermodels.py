"""A hypermodel of keras-tuner's as the `build` of a `Job`, and what of it is the strength of L2."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner

from l2zoo.engine.job import own_optimizer
from l2zoo.engine.record import Value


def check(hypermodel: Any) -> Any:
    """Gives a hypermodel if a search can train what it builds, else raises a `TypeError`."""
    if hypermodel is None or not (callable(hypermodel) or isinstance(hypermodel, keras_tuner.HyperModel)):
        raise TypeError(
            "`hypermodel` must be a function `build(hp)` that returns a model, or a keras_tuner.HyperModel, "
            f"got hypermodel={hypermodel!r}."
        )
    kind = type(hypermodel)
    if isinstance(hypermodel, keras_tuner.HyperModel) and kind.fit is not keras_tuner.HyperModel.fit:
        raise TypeError(
            f"{kind.__name__} has a `fit` of its own, but here whole epochs run inside the graph. Give what "
            "it does to `build` (loss, optimizer), to `search` (epochs, batch_size) or to callbacks."
        )
    return hypermodel


def build_from_values(
    hypermodel: keras_tuner.HyperModel, space: keras_tuner.HyperParameters, compiling: dict[str, Any]
) -> Callable[[dict[str, Value]], keras.Model]:
    """A hypermodel's `build(hp)` as the `build` of a `Job`; goes to workers, which have no oracle."""

    def build(values: dict[str, Value]) -> keras.Model:
        hp = space.copy()
        hp.values = dict(values)
        names = {parameter.name for parameter in hp.space}
        hp.values = {n: v for n, v in values.items() if n not in names or hp.is_active(n)}
        model = hypermodel.build(hp)
        return _compile_again(model, compiling) if compiling else model

    return build


def largest_strength(space: keras_tuner.HyperParameters, name: str) -> float:
    """The largest strength of a space: a model at 0 would not tell which weights have a penalty.

    Args:
        space: The hyperparameters of a hypermodel.
        name: Of the one that is the strength; there may be several of a name, in different scopes.

    Raises:
        ValueError: There is none, it is no number >= 0, or it is 0 alone.
    """
    declared = _declared(space, name)
    if not declared:
        raise ValueError(
            f"`strength`={name!r} is no hyperparameter of the hypermodel, which has "
            f"{sorted({parameter.name for parameter in space.space})}. Ask for it in `build(hp)`, as in "
            "`L2Policy(hp.Float('l2', 1e-6, 1e-1, sampling='log'))`, or say which one it is."
        )
    top = max(_largest(parameter) for parameter in declared)
    if not top > 0:
        raise ValueError(f"`{name}` must be able to be above 0, got {declared[0]!r}.")
    return top


def reference_values(space: keras_tuner.HyperParameters, name: str, strength: float) -> dict[str, Value]:
    """The default values, but for the strength, and for what must be chosen so that the model asks for it."""
    (parameter,) = [p for p in _declared(space, name) if _largest(p) == strength][:1]
    wanted = {condition.name: condition.values[0] for condition in parameter.conditions} | {name: strength}
    hp = space.copy()
    hp.values = {}
    for each in hp.space:  # those that others depend on come first
        if hp.is_active(each):
            hp.values[each.name] = wanted.get(each.name, each.default)
    return dict(hp.values)


def _compile_again(model: Any, compiling: dict[str, Any]) -> Any:
    """The model with some of what it was compiled with in the place of its own; one that is not is left."""
    if not (isinstance(model, keras.Model) and model.compiled):
        return model
    own = {name: value for name, value in model.get_compile_config().items() if name not in compiling}
    given = {name: own_optimizer(v) if name == "optimizer" else v for name, v in compiling.items()}
    model.compile(**keras.saving.deserialize_keras_object(own), **given)
    return model


def _declared(space: keras_tuner.HyperParameters, name: str) -> list[Any]:
    return [parameter for parameter in space.space if parameter.name == name]


def _largest(parameter: Any) -> float:
    """The largest value of a hyperparameter, if all are numbers >= 0."""
    limits = [getattr(parameter, limit, None) for limit in ("min_value", "max_value")]
    values = list(parameter.values) if None in limits else limits
    numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(numbers) < len(values) or not all(math.isfinite(v) and v >= 0 for v in numbers):
        raise ValueError(
            f"The strength of L2 must be declared as numbers >= 0, as in hp.Float({parameter.name!r}, 1e-6, "
            f"1e-1, sampling='log') or hp.Choice({parameter.name!r}, [0.0, 1e-4, 1e-2]), got {parameter!r}. "
            "What belongs to words or to True is said in `build`, by a hyperparameter of another name."
        )
    return float(max(numbers))
