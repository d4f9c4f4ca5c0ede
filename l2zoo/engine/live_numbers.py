"""The numbers that change in a model that is traced already: penalties, dropout, the learning rate.

Two configurations often give models that differ in such numbers alone. Then one of them can
train for both: its numbers are put into variables that every step reads.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from l2zoo.regularization.strength import Strength
from l2zoo.regularization.weight_decay import decays
from l2zoo.regularization.weights import Weight, coefficients, layers_of, weights_of
from l2zoo.training.compilation import compile_settings

Schedule = keras.optimizers.schedules.LearningRateSchedule


@dataclass(frozen=True)
class Numbers:
    """The numbers of a compiled model that can change without tracing it again.

    Attributes:
        l2: Lambda of every weight, in the order of `weights_of`.
        l1: The coefficient of the absolute values likewise.
        dropout: The rate of every dropout layer.
        learning_rate: A number, or a schedule that gives it for a step; None where it cannot be assigned.
    """

    l2: tuple[float, ...]
    l1: tuple[float, ...]
    dropout: tuple[float, ...]
    learning_rate: Any

    @property
    def penalised(self) -> tuple[tuple[bool, bool], ...]:
        """Whether each weight has a part with squares, and one with absolute values."""
        return tuple((bool(l2), bool(l1)) for l2, l1 in zip(self.l2, self.l1, strict=True))


def numbers_of(model: keras.Model) -> Numbers:
    """Reads the numbers of a built and compiled model."""
    pairs = [coefficients(w.variable.regularizer) or (0.0, 0.0) for w in weights_of(model)]
    return Numbers(
        l2=tuple(l2 for _, l2 in pairs),
        l1=tuple(l1 for l1, _ in pairs),
        dropout=tuple(float(layer.rate) for layer in _dropouts(model)),
        learning_rate=_learning_rate(model.optimizer),
    )


def structure_of(model: keras.Model) -> tuple[str, bool]:
    """All of a compiled model but its `Numbers`, as text, and whether that text can be trusted.

    Keras's own layers, losses and optimizers write everything they are into their config. A custom class or
    a plain function may not: then two models with one text can still differ.
    """
    losses = keras.tree.flatten(model.loss)
    names = {layer.name: f"#{number}" for number, layer in enumerate(layers_of(model))}
    parts = [
        model.get_config() if _is_keras_own(model) else [(v.path, v.shape) for v in model.variables],
        description_of_optimizer(model.optimizer, model.trainable_variables, rate=False),
        # Not the config of a loss: Keras's leaves out what makes a Huber loss another one.
        [description_of_loss(loss) for loss in losses],
        compile_settings(model, optimizer=None, loss=None, metrics=None).get("loss_weights"),
    ]
    optimizers = optimizers_in(model.optimizer)
    known = all(map(_is_keras_own, layers_of(model))) and all(map(_is_loss_known, losses))
    known = known and all(map(_is_optimizer_known, optimizers))
    # Keras counts the names of layers on from model to model.
    return json.dumps(_masked(parts, names), sort_keys=True, default=repr), known


def is_around_others(optimizer: Any) -> bool:
    """Whether an optimizer leaves the steps to others, whose learning rates are no `Numbers`."""
    return hasattr(optimizer, "inner_optimizer") or hasattr(optimizer, "optimizers")


def description_of_optimizer(optimizer: Any, variables: Sequence[Any], *, rate: bool) -> list[dict[str, Any]]:
    """All that an optimizer's steps depend on, as values without names: its own, then of those it is around.

    Args:
        optimizer: Any.
        variables: The weights that it trains.
        rate: Whether its learning rate is told too, where it is one of the `Numbers`.
    """
    found = []
    for one in optimizers_in(optimizer):
        config = {k: v for k, v in _nameless(_config_of(one)).items() if v is not None}
        if not rate and one is optimizer and not is_around_others(one):
            config["learning_rate"] = type(_learning_rate(one)).__name__
        if one.weight_decay and one is optimizer:  # an inner one may know some of the weights only
            config["decays"] = decays(one, variables)
        found.append({"class": type(one).__name__, **config})
    return found


def description_of_loss(loss: Any) -> Any:
    """What makes a loss this one, as values."""
    if isinstance(loss, str) or not hasattr(loss, "__dict__"):
        return loss
    name = loss.__name__ if hasattr(loss, "__name__") else type(loss).__name__
    return [name, _plain({k: v for k, v in vars(loss).items() if k != "name"})]


def optimizers_in(optimizer: Any) -> list[Any]:
    """An optimizer and those that it is around: for mixed precision, or several for different weights."""
    inner = [optimizer.inner_optimizer] if hasattr(optimizer, "inner_optimizer") else []
    inner += list(getattr(optimizer, "optimizers", ()))
    return [optimizer, *(one for each in inner for one in optimizers_in(each))]


class Live:
    """Puts the numbers of a built, compiled and not yet traced model into variables.

    The model is good for training from then on, not for saving.

    Args:
        model: The model.
        penalised: Which weights get a penalty that can be assigned (`Numbers.penalised`).

    Attributes:
        rate: The variable for the learning rate of a step, if the model was compiled with a schedule.
    """

    def __init__(self, model: keras.Model, penalised: Sequence[tuple[bool, bool]]):
        self._model = model
        self._switch = Strength(1.0)  # 0 while a loss without penalty is wanted
        self._entered: list[Strength] = []
        weights = weights_of(model)
        self._penalties = [
            self._attach(w, *parts) if any(parts) else None
            for w, parts in zip(weights, penalised, strict=True)
        ]
        self._enter(self._switch, [w.layer for w, p in zip(weights, self._penalties, strict=True) if p])
        self._dropout = [self._live_rate(layer) for layer in _dropouts(model)]
        self.rate: Any = None
        if isinstance(_learning_rate(model.optimizer), Schedule):
            model.optimizer = _with_settable_rate(model)
            self.rate = model.optimizer.learning_rate

    @property
    def variables(self) -> list[Any]:
        """The variables that hold the numbers; on some backends they are among those of the model."""
        return [strength.variable for strength in self._entered]

    def assign(self, numbers: Numbers) -> None:
        """Takes over the numbers of another model of the same structure; they count from the next step."""
        for penalty, l2, l1 in zip(self._penalties, numbers.l2, numbers.l1, strict=True):
            if penalty is not None:
                penalty.l2.assign(l2)
                if penalty.l1 is not None:
                    penalty.l1.assign(l1)
        for change, rate in zip(self._dropout, numbers.dropout, strict=True):
            change(rate)
        if isinstance(numbers.learning_rate, float):
            self._model.optimizer.learning_rate = numbers.learning_rate

    def switch_penalty(self, on: bool) -> None:
        """With `on=False` the model's loss is that of the data alone."""
        self._switch.assign(float(on))

    def penalty(self) -> float:
        """The value of the penalty at this moment, by the numbers that were assigned."""
        live = [p for p in self._penalties if p is not None]
        return sum(float(ops.convert_to_numpy(p.value(p.variable))) for p in live)

    def _attach(self, weight: Weight, squares: bool, absolutes: bool) -> LivePenalty:
        l1 = Strength(0.0) if absolutes else None
        penalty = LivePenalty(weight.variable, self._switch, Strength(0.0), l1)
        self._enter(penalty.l2, [weight.layer])
        if l1 is not None:
            self._enter(l1, [weight.layer])
        weight.variable.regularizer = penalty
        return penalty

    def _live_rate(self, layer: Any) -> Callable[[float], None]:
        if not layer.rate:
            return lambda rate: None
        if keras.backend.backend() == "torch":  # nothing is traced there: every step reads the attribute
            return lambda rate: setattr(layer, "rate", rate)
        strength = Strength(layer.rate)
        layer.call = _dropout_call(layer, strength)
        self._enter(strength, [layer])
        return strength.assign

    def _enter(self, strength: Strength, layers: list[keras.layers.Layer]) -> None:
        strength.attach(layers)
        self._entered.append(strength)


class LivePenalty(keras.regularizers.Regularizer):
    """`switch * (l1 * sum(|w|) + l2 * sum(w ** 2))`, all three read at every step."""

    def __init__(self, variable: Any, switch: Strength, l2: Strength, l1: Strength | None):
        self.variable = variable
        self.switch = switch
        self.l2 = l2
        self.l1 = l1

    def __call__(self, x: Any) -> Any:
        return ops.cast(ops.convert_to_tensor(self.switch.variable), x.dtype) * self.value(x)

    def value(self, x: Any) -> Any:
        """The penalty whether it is switched on or not."""
        x = ops.convert_to_tensor(x)
        penalty = ops.cast(ops.convert_to_tensor(self.l2.variable), x.dtype) * ops.sum(ops.square(x))
        if self.l1 is not None:
            l1 = ops.cast(ops.convert_to_tensor(self.l1.variable), x.dtype)
            penalty = penalty + l1 * ops.sum(ops.absolute(x))
        return penalty


def _dropout_call(layer: Any, rate: Strength) -> Callable:
    """What `Dropout.call` does, to the last bit, with a rate that is read at every step.

    Keras asks in Python whether the rate is 0 or 1, which a graph cannot answer.
    """

    def call(inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        drop = ops.cast(ops.convert_to_tensor(rate.variable), inputs.dtype)
        asked = layer.noise_shape or (None,) * len(inputs.shape)
        shape = [ops.shape(inputs)[axis] if size is None else size for axis, size in enumerate(asked)]
        uniform = keras.random.uniform(shape, dtype=inputs.dtype, seed=layer.seed_generator)
        kept = uniform < 1 - drop if keras.backend.backend() == "jax" else uniform >= drop
        return ops.where(kept, inputs / (1 - drop), ops.zeros_like(inputs))

    return call


def _dropouts(model: keras.Model) -> list[Any]:
    return [layer for layer in layers_of(model) if type(layer) is keras.layers.Dropout]


def _learning_rate(optimizer: Any) -> Any:
    """As the optimizer was made with; None where it cannot be assigned: it stays inside the optimizer then.

    So it is for one around another, which mixed precision makes, for a function, and for a schedule that
    does not tell what it is.
    """
    if is_around_others(optimizer):
        return None
    # Keras's public property gives the rate of this moment, not the schedule.
    rate = optimizer._learning_rate
    if isinstance(rate, Schedule):
        return rate if "learning_rate" in _config_of(optimizer) else None  # else none could be made anew
    return None if callable(rate) and not hasattr(rate, "assign") else float(ops.convert_to_numpy(rate))


def _config_of(optimizer: Any) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*lambda", UserWarning)  # nobody is going to load this one
            return optimizer.get_config()
    except NotImplementedError:  # a schedule of the user's own without one
        return {"learning_rate_of": type(optimizer._learning_rate).__name__, "use_ema": optimizer.use_ema}


def _with_settable_rate(model: keras.Model) -> Any:
    """The optimizer of a model, not used yet, with a variable in the place of its schedule."""
    old = model.optimizer
    new = type(old).from_config({**old.get_config(), "learning_rate": 1.0})
    variables = model.trainable_variables
    spared = [v for v, decay in zip(variables, decays(old, variables), strict=True) if not decay]
    if spared and decays(new, variables) != decays(old, variables):  # which no config tells
        new.exclude_from_weight_decay(var_list=spared)
    return new


def _nameless(value: Any) -> Any:
    """A config without names, which count what was made before; the paths of weights have some in them."""
    if isinstance(value, dict):
        return {k: _nameless(v) for k, v in value.items() if k not in ("name", "selection", "order")}
    return [_nameless(each) for each in value] if isinstance(value, (list, tuple)) else value


def _is_keras_own(layer: keras.layers.Layer) -> bool:
    return type(layer).__module__.startswith("keras.") and not isinstance(layer, keras.layers.Lambda)


def _is_optimizer_known(optimizer: Any) -> bool:
    """Whether its config tells all of it."""
    rate = optimizer._learning_rate
    if is_around_others(optimizer) and len(optimizers_in(optimizer)) == 1:  # it makes them in its first step
        return False
    told = not callable(rate) or hasattr(rate, "assign") or type(rate).__module__.startswith("keras.")
    return told and type(optimizer).__module__.startswith(("keras.", "l2zoo."))


def _is_loss_known(loss: Any) -> bool:
    return loss is None or isinstance(loss, str) or type(loss).__module__.startswith("keras.")


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in attributes.items() if v is None or isinstance(v, (bool, int, float, str, dict))}


def _masked(value: Any, names: dict[str, str]) -> Any:
    """A config without the `Numbers`, and with numbered names."""
    if isinstance(value, dict):
        kind, config = str(value.get("class_name")), value.get("config")
        if kind == "Dropout" and isinstance(config, dict):
            value = {**value, "config": {**config, "rate": bool(config.get("rate"))}}
        return {k: None if _is_penalty(k, part) else _masked(part, names) for k, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(part, names) for part in value]
    return names.get(value, value) if isinstance(value, str) else value


def _is_penalty(name: str, value: Any) -> bool:
    """Whether a part of a config is a weight's regularizer of the kind that `Numbers` holds."""
    weights = name.endswith("_regularizer") and name != "activity_regularizer"
    return weights and isinstance(value, dict) and value.get("class_name") in ("L1", "L2", "L1L2")
