"""What one real step of a model trains: which penalties reach it, and what the optimizer's decay takes off.

A model may compute its loss or its whole step itself, and nobody can read off such code whether the penalties
are in it. So a step is taken: with a penalty that is `scale * sum(w)` on every weight, whose gradient is the
same number everywhere, and the gradients that the optimizer is given are kept instead of applied. Afterwards
everything that the step has changed is put back.
"""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from l2zoo.regularization.weights import Weight, weights_of

# What stands between a weight's regularizer and its update, in the order in which a user would look.
_PARTS = (
    "train_step",
    "compute_loss",
    "losses",
    "trainable_variables",
    "trainable_weights",
    "make_train_function",
    "fit",
    "compute_loss_and_updates",
    "stateless_compute_loss",
    "_compute_loss",
    "_get_regularization_losses",
)
_SCALE = 2.0**14  # beside which the gradients of the data, and their noise, are small
_NOTHING = 1e-3  # of a penalty: what is below is rounding and noise
_ALIGNED = 0.9  # cosine between a gradient and that of the stand-in, beyond which nothing else counts
_DECAYS = ("weight_decay", "adam_weight_decay")  # the second is Muon's
_HALF = 0.5  # taken off the weights by a decay, so that it can be told from rounding


@dataclass(frozen=True)
class Arrival:
    """What a step does with one weight's penalty.

    Attributes:
        factor: How often the penalty is in the gradient that moves the weight: 1 as it should be, 0 if it
            does not train. None if it is there, but nobody can tell how often: the step uses no Keras
            optimizer, or clips what it gives it.
        handed: Whether a Keras optimizer is given a gradient for the weight, without which none decays it.
    """

    factor: float | None
    handed: bool


def own_parts(model: keras.Model) -> list[str]:
    """The parts of Keras's training step that a model computes by code of its own, e.g. `["compute_loss"]`.

    Without any, its loss is Keras's `compute_loss`, which adds the regularizer of every trainable weight, and
    there is no need to measure it.
    """
    return [name for name in _PARTS if not _is_keras_own(model, name)]


def _is_keras_own(model: keras.Model, name: str) -> bool:
    if name in vars(model):
        return False
    found = getattr(type(model), name, None)
    home = getattr(getattr(found, "fget", found), "__module__", None)
    return found is None or str(home).startswith("keras.")


def measure_penalties(model: keras.Model, batch: Any, *, on_layers: bool = True) -> dict[str, Arrival]:
    """Takes a training step on a batch, for what it does with the penalty of every trainable weight.

    Weights, optimizers, metrics, moving averages, seeds and the model's own attributes are then as before.

    Args:
        model: A compiled model.
        batch: What the model's `train_step` takes: `(x, y)`, `(x, y, sample_weight)`, a dict.
        on_layers: Whether a loss may also read the regularizers that layers keep, as those of the variables.

    Returns:
        By the weight's path. Empty if the step moves no weight at all.
    """
    weights = [w for w in weights_of(model) if w.variable.trainable]
    scale = _Scale()
    # Out and in again: what a step draws at random may go on from where the last one ended.
    with _everything_put_back(model), _stand_ins(weights, scale, on_layers), _recorders(model) as recorders:
        stepper = _jax_stepper if keras.backend.backend() == "jax" else _eager_stepper
        step = stepper(model, batch, weights, recorders, scale)
        without, with_penalty = step(0.0), step(_SCALE)
    handed = [any(recorder.sum_of(w.variable) is not None for recorder in recorders) for w in weights]
    if not any(handed) and not any(np.any(one) for one in (*without, *with_penalty)):
        return {}
    return {
        w.path: Arrival(_factor(off, on, exact=known), known)
        for w, off, on, known in zip(weights, without, with_penalty, handed, strict=True)
    }


def _factor(without: np.ndarray, with_penalty: np.ndarray, *, exact: bool) -> float | None:
    """How often `scale * sum(w)` is in a gradient, whose every number it makes greater by `scale`."""
    factor = float(np.mean(with_penalty - without)) / _SCALE
    if exact and abs(factor) > _NOTHING:
        return factor
    clipped = _cosine_to_ones(with_penalty) > _ALIGNED > _cosine_to_ones(without)
    return None if clipped else 0.0


def _cosine_to_ones(gradient: np.ndarray) -> float:
    norm = float(np.linalg.norm(gradient)) * np.sqrt(gradient.size)
    return float(gradient.sum()) / norm if norm else 0.0


class _Scale:
    """The factor of all stand-ins: a variable where steps may be graphs, on JAX an argument of the step."""

    def __init__(self) -> None:
        on_jax = keras.backend.backend() == "jax"
        self.value: Any = (
            0.0 if on_jax else keras.Variable(0.0, trainable=False, autocast=False, name="scale")
        )


class _StandIn(keras.regularizers.Regularizer):
    """`scale * sum(w)`, in the place of a weight's own penalty."""

    def __init__(self, scale: _Scale):
        self.scale = scale

    def __call__(self, x: Any) -> Any:
        x = ops.convert_to_tensor(x)
        return ops.cast(ops.convert_to_tensor(self.scale.value), x.dtype) * ops.sum(x)


class _Recorder(keras.optimizers.Optimizer):
    """Takes the place of an optimizer and keeps the sum of the gradients of each weight; moves none."""

    def __init__(self, variables: list[Any]):
        super().__init__(learning_rate=1.0, name="recorder")
        self.handed: set[int] = set()
        self.sums: list[Any] = []
        self.build(variables)

    def build(self, variables: list) -> None:
        if not self.built:
            super().build(variables)
            self.sums = [
                self.add_variable_from_reference(variable, name="gradient_sum") for variable in variables
            ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)  # the variable may be one replica's part of it
        self.handed.add(index)
        self.assign_add(self.sums[index], gradient)

    def sum_of(self, variable: Any) -> Any:
        """The sum of the gradients that it was given for a variable; None if it was given none."""
        index = self._trainable_variables_indices.get(self._var_key(variable))
        return self.sums[index] if index in self.handed else None


@contextlib.contextmanager
def _stand_ins(weights: Sequence[Weight], scale: _Scale, on_layers: bool) -> Iterator[None]:
    """Puts a stand-in wherever a weight's penalty may be read: on the variable, and on its layers."""
    places: list[tuple[Any, str]] = [(w.variable, "regularizer") for w in weights]
    penalised = [w for w in weights if on_layers and w.variable.regularizer is not None]
    places += [place for w in penalised for place in w.config_places()]
    before = [getattr(*place) for place in places]
    try:
        for owner, name in places:
            setattr(owner, name, _StandIn(scale))
        yield
    finally:
        for (owner, name), value in zip(places, before, strict=True):
            setattr(owner, name, value)


def _optimizers(model: keras.Model) -> dict[str, Any]:
    """The optimizers that a model holds, by the names of its attributes: some have more than `optimizer`."""
    return {k: v for k, v in vars(model).items() if isinstance(v, keras.optimizers.Optimizer)}


@contextlib.contextmanager
def _recorders(model: keras.Model) -> Iterator[list[_Recorder]]:
    attributes = vars(model)  # where Keras does not follow what is put there
    before = _optimizers(model)
    strategy = getattr(model, "distribute_strategy", None)
    with strategy.scope() if strategy is not None else contextlib.nullcontext():
        replaced = {
            name: _Recorder(optimizer._trainable_variables if optimizer.built else model.trainable_variables)
            for name, optimizer in before.items()
        }
    attributes.update(replaced)
    try:
        yield list(replaced.values())
    finally:
        attributes.update(before)


@contextlib.contextmanager
def _everything_put_back(model: keras.Model) -> Iterator[None]:
    """Lets a step change what it likes, and puts it back: numbers, attributes, random generators."""
    known = [*model.variables, *(v for metric in model.metrics for v in metric.variables)]
    known += [v for v in _global_seed() if all(v is not other for other in known)]
    values = [_copy(variable) for variable in known]
    attributes, states = dict(vars(model)), (random.getstate(), np.random.get_state())
    try:
        yield
    finally:
        vars(model).clear()
        vars(model).update(attributes)
        for metric in model.metrics:  # also those that the step has made
            metric.reset_state()
        for variable, value in zip(known, values, strict=True):
            variable.assign(value)
        random.setstate(states[0])
        np.random.set_state(states[1])


def _global_seed() -> list[Any]:
    """The state from which Keras draws where it is given no seed, if it has begun to."""
    from keras.src.backend.common import global_state

    generator = global_state.get_global_attribute("global_seed_generator")
    return [] if generator is None else [generator.state]


def _eager_stepper(
    model: keras.Model,
    batch: tuple[Any, ...],
    weights: Sequence[Weight],
    recorders: list[_Recorder],
    scale: _Scale,
) -> Callable[[float], list[np.ndarray]]:
    """A function that takes a step at a scale and gives what it does to each weight, from the same start.

    Outside the graph: to trace a large model takes far longer than two steps.
    """
    tensors = keras.tree.map_structure(_tensor, batch)

    def step(number: float) -> list[np.ndarray]:
        with _everything_put_back(model), _outside_graphs(), _torch_random_put_back():
            scale.value.assign(number)
            for recorder in recorders:
                for total in recorder.sums:
                    total.assign(ops.zeros_like(total))
            before = [_numbers(w.variable) for w in weights]
            _run(model, tensors)
            return [
                old - _numbers(w.variable) + sum(map(_numbers, _sums(recorders, w.variable)))
                for w, old in zip(weights, before, strict=True)
            ]

    return step


def _run(model: keras.Model, tensors: Any) -> None:
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is not None and strategy.num_replicas_in_sync > 1:
        strategy.run(model.train_step, args=(tensors,))
    else:
        model.train_step(tensors)


@contextlib.contextmanager
def _outside_graphs() -> Iterator[None]:
    """Runs a model's own graphs in Python too: what is traced now would keep the stand-ins for ever."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextlib.contextmanager
def _torch_random_put_back() -> Iterator[None]:
    """PyTorch's global generators, from which dropout without a seed draws."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with torch.random.fork_rng():
        yield


def _jax_stepper(
    model: keras.Model,
    batch: tuple[Any, ...],
    weights: Sequence[Weight],
    recorders: list[_Recorder],
    scale: _Scale,
) -> Callable[[float], list[np.ndarray]]:
    """The same, compiled once for both scales; a step there changes nothing but what it returns."""
    import jax

    getattr(model, "jax_state_sync", lambda: None)()
    data = keras.tree.map_structure(_tensor, batch)
    model._symbolic_build(data_batch=data)  # metrics cannot make their variables in a compiled step
    parts = [model.trainable_variables, model.non_trainable_variables]
    parts += [model.optimizer.variables, model.metrics_variables]
    state = tuple([variable.value for variable in part] for part in parts)

    def train_step(number: Any, state: Any, data: Any) -> Any:
        scale.value = number
        return model.train_step(state, data)[1]

    compiled = train_step if model.run_eagerly else jax.jit(train_step)

    def step(number: float) -> list[np.ndarray]:
        after = compiled(number, state, data)
        changed = {
            id(variable): np.asarray(value, "float64")
            for part, values in zip((parts[0], parts[2]), (after[0], after[2]), strict=True)
            for variable, value in zip(part, values, strict=True)
        }
        found = []
        for w in weights:
            moved = _numbers(w.variable) - changed.get(id(w.variable), _numbers(w.variable))
            found.append(moved + sum(changed.get(id(s), 0.0) for s in _sums(recorders, w.variable)))
        return found

    return step


def _sums(recorders: list[_Recorder], variable: Any) -> list[Any]:
    found = [recorder.sum_of(variable) for recorder in recorders]
    return [one for one in found if one is not None]


def _tensor(part: Any) -> Any:
    if part is None or ops.is_tensor(part):
        return part
    return ops.convert_to_tensor(np.asarray(part))  # also what is a tensor of another library


def _numbers(variable: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(variable, "float32")), "float64")


def _copy(variable: Any) -> Any:
    return ops.copy(ops.convert_to_tensor(variable))


def _twin(optimizer: Any) -> Any:
    """An optimizer that was not built once more, with what Keras's config forgets: whom its decay spares."""
    twin = type(optimizer).from_config(optimizer.get_config())
    spared = {k: v for k, v in vars(optimizer).items() if k.startswith("_exclude_from_weight_decay")}
    vars(twin).update(copy.deepcopy(spared))
    return twin


def measure_decay(model: keras.Model) -> dict[str, float]:
    """Lets the model's optimizer take steps on gradients of 0, with its weight decay and without.

    Weights and optimizer are then as before; one that was not built stays so.

    Args:
        model: A compiled model.

    Returns:
        By the path of each trainable weight, the factor with which the optimizer's `weight_decay` arrives: 1
        where `w -= learning_rate * weight_decay * w`, 0 where the weight is spared.
    """
    own = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # that of mixed precision is around it
    weights = [w for w in weights_of(model) if w.variable.trainable]
    optimizer = own if own.built else _twin(own)
    variables = [w.variable for w in weights]
    optimizer.build(model.trainable_variables)
    decays = {name: value for name in _DECAYS if (value := getattr(optimizer, name, None))}
    start = [np.where(old, old, 1.0) if not np.any(old) else old for old in map(_numbers, variables)]
    kept = [*variables, *optimizer.variables]
    before = [_copy(variable) for variable in kept]

    def step(decay: float | None) -> list[np.ndarray]:
        for variable, value in zip(kept, before, strict=True):
            variable.assign(value)
        for variable, value in zip(variables, start, strict=True):
            variable.assign(ops.cast(value, variable.dtype))
        for name in decays:
            setattr(optimizer, name, decay)
        for _ in range(optimizer.gradient_accumulation_steps or 1):
            optimizer.apply([ops.zeros(v.shape, v.dtype) for v in variables], variables)
        return [_numbers(variable) for variable in variables]

    try:
        rate = float(ops.convert_to_numpy(optimizer.learning_rate))
        without, halved = step(None), step(_HALF / rate if rate else 0.0)
    finally:
        for name, value in decays.items():
            setattr(optimizer, name, value)
        for variable, value in zip(kept, before, strict=True):
            variable.assign(value)
    return {
        w.path: float(np.vdot(off - on, old) / (_HALF * np.vdot(old, old)))
        for w, old, off, on in zip(weights, start, without, halved, strict=True)
    }
