"""One warm model: built and traced once, then reset and trained for one unit after another."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from l2zoo.engine.checks import check_model, check_targets
from l2zoo.engine.live_numbers import Live, LivePenalty, Numbers, Schedule, is_around_others, optimizers_in
from l2zoo.engine.loops import epoch_loop
from l2zoo.engine.metric_names import stable_names
from l2zoo.engine.record import State
from l2zoo.regularization.scale_invariance import scale_free_kernels
from l2zoo.regularization.weights import FREE_ROLES, Weight, weights_of
from l2zoo.training.compilation import compile_settings
from l2zoo.training.penalty_checks import check_step

AT_ONCE = 4  # batches of a training that an evaluation takes together, where that changes nothing
_OF_A_BATCH = (keras.losses.Dice, keras.losses.Tversky)  # of all its rows together, not their mean


class WarmModel:
    """Trains for every configuration that differs from the one it was built for in `Numbers` alone.

    Args:
        build: Gives a compiled model, new and not traced, with the weights that belong to a seed.
        training: Images `(N, H, W, C)`, their targets and perhaps weights of N rows, arrays or nests of them.
        held_out: The same for evaluations, of the same rows.
        batch_size: Images in a step.
        penalised: Which weights can get a penalty (`Numbers.penalised`).
        seed: The first seed that will be asked for.

    Raises:
        ValueError: The model computes its step itself, and none of its penalties trains.

    Attributes:
        model: The Keras model.
        penalised: As given.
        optimizer: The one it was compiled with.
        names: The name of each result by the one that Keras gives it.
        averages: Whether averages take the place of the weights in `finish`.
    """

    def __init__(
        self,
        build: Callable[[int], keras.Model],
        training: tuple[Any, ...],
        held_out: tuple[Any, ...],
        *,
        batch_size: int,
        penalised: Sequence[tuple[bool, bool]],
        seed: int,
    ):
        self._build = build
        self._batch_size = batch_size
        self.model = model = build(seed)
        check_model(model)
        check_targets(model, training[1])
        self.optimizer = model.optimizer
        self.penalised = tuple(penalised)
        self._live = Live(model, self.penalised)
        model.optimizer.build(model.trainable_variables)
        self.averages = any(one.use_ema for one in optimizers_in(model.optimizer))
        own = {id(variable) for variable in self._live.variables}
        self._variables = [v for v in model.variables if id(v) not in own]
        self._optimizer = _optimizer_state(model)
        self._initial = {seed: (copy_values(self._variables), copy_values(self._optimizer))}
        first = np.arange(min(batch_size, len(training[0])))
        batch = keras.tree.map_structure(lambda part: part[first], training[:2])
        check_step(model, batch, on_layers=False)  # the live penalties are on the variables alone
        self._loop = epoch_loop(
            model,
            training,
            held_out,
            batch_size=batch_size,
            evaluation_size=AT_ONCE * batch_size if _scores_rows(model) else batch_size,
            rate=self._live.rate,
        )
        self._schedule: Schedule | None = None
        regularized = [w.variable for w in weights_of(model) if w.variable.regularizer is not None]
        self._foreign = [v for v in regularized if not isinstance(v.regularizer, LivePenalty)]
        self._loop.evaluate(np.arange(1))  # the metrics make their variables
        self.names = stable_names(model)

    @functools.cached_property
    def telling_kernels(self) -> list[Weight]:
        """The kernels whose norms tell whether the penalty has eaten the weights.

        Those before a normalisation do not count where there are others: there, a small norm is as good as a
        large one.
        """
        kernels = [w for w in weights_of(self.model) if w.role not in FREE_ROLES]
        scale_free = {id(w.variable) for w in scale_free_kernels(self.model)}
        return [w for w in kernels if id(w.variable) not in scale_free] or kernels

    def initial_weights(self, seed: int) -> State:
        """The initial weights of a seed."""
        return self._initial_state(seed)[0]

    def _initial_state(self, seed: int) -> tuple[State, State]:
        """The initial weights of a seed, and the optimizer's state, which may begin with copies of them."""
        if seed not in self._initial:
            model = self._build(seed)
            if [v.shape for v in model.variables] != [v.shape for v in self._variables]:
                raise ValueError(
                    "`build` must return the same architecture each time; the shapes of its weights differ."
                )
            model.optimizer.build(model.trainable_variables)
            self._initial[seed] = copy_values(model.variables), copy_values(_optimizer_state(model))
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
        weights, optimizer = self._initial_state(seed)
        start = state or [*weights, *optimizer]
        for variable, value in zip([*self._variables, *self._optimizer], start, strict=True):
            variable.assign(value)
        self._live.assign(numbers)
        self._schedule = numbers.learning_rate if isinstance(numbers.learning_rate, Schedule) else None

    def state(self) -> State:
        """Weights and optimizer state as they are now."""
        return copy_values([*self._variables, *self._optimizer])

    @property
    def follows_schedule(self) -> bool:
        """Whether a schedule decides the learning rate."""
        return self._schedule is not None

    def train_epoch(self, rows: np.ndarray, *, epoch: int) -> dict[str, float]:
        """Takes a step on each batch of rows; the results are means over the epoch, as Keras has them."""
        self._live.switch_penalty(True)
        self.model.reset_metrics()
        self._loop.train(rows, self._rates(epoch, steps=self.steps(len(rows))))
        return self.results()

    def finish(self) -> None:
        """Ends a training as Keras's `fit` does: averages of the weights, if there are, take their place."""
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)

    def steps(self, count: int) -> int:
        """Steps in an epoch of so many rows."""
        return -(-count // self._batch_size)

    def evaluate(self, rows: np.ndarray) -> dict[str, float]:
        """Metrics on rows; `data_loss` is the loss without the penalty."""
        self._live.switch_penalty(False)
        self.model.reset_metrics()
        self._loop.evaluate(rows)
        return self._without_penalty(self.results())

    def pseudo_values(self, parts: Sequence[np.ndarray], name: str, *, whole: float) -> list[float]:
        """What each part of some rows adds to a metric on all of them, whose mean is about that metric.

        Of n parts, n times the metric on all rows less n - 1 times that on all but the part. Of a mean over
        rows, such as accuracy, it is the mean over the part; it stands as well for what is none, such as the
        area under a curve, a rank correlation or an intersection over union, of which a part alone says
        little.

        Args:
            parts: Rows of each part, two at least.
            name: Of the metric, as in `evaluate`.
            whole: What it is on all of these rows, as they were evaluated before.

        References:
            Miller 1974, The Jackknife: A Review.
        """
        count, states = len(parts), []
        for part in parts:
            self.evaluate(part)
            states.append(copy_values(self.model.metrics_variables))
        total = [sum(values) for values in zip(*states, strict=True)]
        without = [self._evaluated(total, less=state)[name] for state in states]
        # What metrics keep are sums nearly always; one that keeps something else is asked again.
        if not np.isclose(self._evaluated(total)[name], whole, rtol=1e-4, atol=1e-6):
            rest = [np.concatenate([p for p in parts if p is not part]) for part in parts]
            without = [self.evaluate(rows)[name] for rows in rest]
        return [count * whole - (count - 1) * other for other in without]

    def _evaluated(self, sums: State, less: State | None = None) -> dict[str, float]:
        """What `evaluate` would give if the metrics had come to hold these values, less others."""
        self.model.reset_metrics()
        for index, variable in enumerate(self.model.metrics_variables):
            variable.assign(sums[index] if less is None else sums[index] - less[index])
        return self._without_penalty(self.results())

    def _without_penalty(self, results: dict[str, float]) -> dict[str, float]:
        return {"data_loss": results.pop("loss") - self._foreign_penalty(), **results}

    def results(self) -> dict[str, float]:
        """The metrics of the last epoch or evaluation, by their stable names."""
        results = self.model.get_metrics_result()
        return {self.names.get(n, n): float(ops.convert_to_numpy(value)) for n, value in results.items()}

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
    optimizer = model.optimizer
    if is_around_others(optimizer):
        return optimizer.variables
    # The learning rate is a setting and no state; a schedule has no variable for it at all.
    return [v for v in optimizer.variables if v.name != "learning_rate"]


def _scores_rows(model: keras.Model) -> bool:
    """Whether results on several batches are those on their rows together, whatever the size of a batch."""
    settings = compile_settings(model, optimizer=None, loss=None, metrics=None)
    losses = [keras.losses.get(loss) for loss in keras.tree.flatten(settings["loss"]) if loss is not None]
    metrics = keras.tree.flatten([settings.get("metrics"), settings.get("weighted_metrics")])
    return all(map(_is_mean_over_rows, losses)) and all(map(_is_known_metric, metrics))


def _is_mean_over_rows(loss: Any) -> bool:
    if not isinstance(loss, keras.losses.Loss):
        return _is_keras_own(loss)
    mean = getattr(loss, "reduction", "") in ("sum_over_batch_size", "mean")
    return mean and _is_keras_own(type(loss)) and not isinstance(loss, _OF_A_BATCH)


def _is_known_metric(metric: Any) -> bool:
    if metric is None or isinstance(metric, str):
        return True
    if not isinstance(metric, keras.metrics.Metric):
        return _is_keras_own(metric)
    return _is_keras_own(type(metric)) and type(metric) is not keras.metrics.MeanMetricWrapper


def _is_keras_own(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).startswith("keras.")
