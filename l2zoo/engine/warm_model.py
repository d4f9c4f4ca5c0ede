"""One warm model: built and traced once, then reset and trained for one unit after another."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from l2zoo.engine.live_numbers import Live, LivePenalty, Numbers, Schedule
from l2zoo.engine.loops import epoch_loop
from l2zoo.engine.record import State
from l2zoo.regularization.scale_invariance import layers_before_norms
from l2zoo.regularization.weights import Weight, weights_of


class WarmModel:
    """Trains for every configuration that differs from the one it was built for in `Numbers` alone.

    Args:
        build: Gives a compiled model, new and not traced, with the weights that belong to a seed.
        x: Images `(N, H, W, C)`.
        y: Targets of N rows, an array or a dict of arrays.
        batch_size: Images in a step.
        penalised: Which weights can get a penalty (`Numbers.penalised`).
        seed: The first seed that will be asked for.

    Attributes:
        model: The Keras model.
        penalised: As given.
        optimizer_config: That of the optimizer it was compiled with.
    """

    def __init__(
        self,
        build: Callable[[int], keras.Model],
        x: np.ndarray,
        y: Any,
        *,
        batch_size: int,
        penalised: Sequence[tuple[bool, bool]],
        seed: int,
    ):
        self._build = build
        self._batch_size = batch_size
        self.model = model = build(seed)
        self.optimizer_config = model.optimizer.get_config()
        self.penalised = tuple(penalised)
        self._live = Live(model, self.penalised)
        model.optimizer.build(model.trainable_variables)
        own = {id(variable) for variable in self._live.variables}
        self._variables = [v for v in model.variables if id(v) not in own]
        self._optimizer = _optimizer_state(model)
        self._initial = {seed: copy_values(self._variables)}
        self._initial_optimizer = copy_values(self._optimizer)
        self._loop = epoch_loop(model, x, y, batch_size=batch_size, rate=self._live.rate)
        self._schedule: Schedule | None = None
        regularized = [w.variable for w in weights_of(model) if w.variable.regularizer is not None]
        self._foreign = [v for v in regularized if not isinstance(v.regularizer, LivePenalty)]
        self._loop.evaluate(np.arange(1))  # the metrics make their variables

    @functools.cached_property
    def telling_kernels(self) -> list[Weight]:
        """The kernels whose norms tell whether the penalty has eaten the weights.

        Those before a normalisation do not count where there are others: there, a small norm is as good as a
        large one.
        """
        kernels = [w for w in weights_of(self.model) if w.role not in ("bias", "norm")]
        before = {id(layer) for layer in layers_before_norms(self.model)}
        return [w for w in kernels if id(w.layer) not in before] or kernels

    def initial_weights(self, seed: int) -> State:
        """The initial weights of a seed."""
        if seed not in self._initial:
            state = self._build(seed).variables
            if [v.shape for v in state] != [v.shape for v in self._variables]:
                raise ValueError(
                    "`build` must return the same architecture each time; the shapes of its weights differ."
                )
            self._initial[seed] = copy_values(state)
        return self._initial[seed]

    def reset(self, numbers: Numbers, *, seed: int, state: State | None = None) -> None:
        """Puts the model back to a fresh start, or to a state it once had.

        Args:
            numbers: What to train with.
            seed: Whose initial weights.
            state: What `state` gave; None starts afresh.
        """
        if keras.backend.backend() == "torch":
            # Its dropout draws from a global generator. (On TensorFlow a new global seed clears the cache of
            # compiled graphs, which would cost more than a short training.)
            keras.utils.set_random_seed(seed)
        start = state or [*self.initial_weights(seed), *self._initial_optimizer]
        for variable, value in zip([*self._variables, *self._optimizer], start, strict=True):
            variable.assign(value)
        self._live.assign(numbers)
        self._schedule = numbers.learning_rate if isinstance(numbers.learning_rate, Schedule) else None

    def state(self) -> State:
        """Weights and optimizer state as they are now."""
        return copy_values([*self._variables, *self._optimizer])

    def train_epoch(self, rows: np.ndarray, *, epoch: int) -> dict[str, float]:
        """Takes a step on each batch of rows; the results are means over the epoch, as Keras has them."""
        self._live.switch_penalty(True)
        self.model.reset_metrics()
        self._loop.train(rows, self._rates(epoch, steps=-(-len(rows) // self._batch_size)))
        return self.results()

    def evaluate(self, rows: np.ndarray) -> dict[str, float]:
        """Metrics on rows; `data_loss` is the loss without the penalty."""
        self._live.switch_penalty(False)
        self.model.reset_metrics()
        self._loop.evaluate(rows)
        results = self.results()
        return {"data_loss": results.pop("loss") - self._foreign_penalty(), **results}

    def results(self) -> dict[str, float]:
        """The metrics of the last epoch or evaluation."""
        results = self.model.get_metrics_result()
        return {name: float(ops.convert_to_numpy(value)) for name, value in results.items()}

    def penalty(self) -> float:
        """The value of the whole penalty now."""
        return self._live.penalty() + self._foreign_penalty()

    def weight_norm(self) -> float:
        """Euclidean norm of the weights that have, or could have, a penalty."""
        penalised = [w.variable for w in weights_of(self.model) if w.variable.regularizer is not None]
        return float(np.sqrt(sum(np.sum(value.astype("float64") ** 2) for value in copy_values(penalised))))

    def _foreign_penalty(self) -> float:
        counted = [v for v in self._foreign if v.trainable]
        return sum(float(ops.convert_to_numpy(v.regularizer(v))) for v in counted)

    def _rates(self, epoch: int, *, steps: int) -> np.ndarray | None:
        if self._schedule is None:
            return None
        numbers = range(epoch * steps, (epoch + 1) * steps)
        rates = [float(ops.convert_to_numpy(self._schedule(number))) for number in numbers]
        return np.array(rates, dtype="float32")


def load_state(model: keras.Model, state: State) -> keras.Model:
    """Gives a compiled model of the same structure the weights and the optimizer's state of a warm one."""
    model.optimizer.build(model.trainable_variables)  # its state too, so that training can go on
    for variable, value in zip([*model.variables, *_optimizer_state(model)], state, strict=True):
        variable.assign(value)
    return model


def copy_values(variables: Sequence[Any]) -> State:
    """Copies of the values of variables."""
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def _optimizer_state(model: keras.Model) -> list[Any]:
    # The learning rate is a setting and no state; a schedule has no variable for it at all.
    return [v for v in model.optimizer.variables if v.name != "learning_rate"]
