"""How many training steps run inside the graph before Python has its turn.

Keras's Python costs about two milliseconds a step, more than the step of a small model. Many steps in
one execution save that, but the progress bar and Ctrl-C wait for the end of each execution.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from l2zoo.regularization.schedule import L2Schedule

SECONDS = 1.0  # how long an execution may take
LONGEST = 200  # steps in an execution, beyond which nothing is gained
ENOUGH = 8  # steps in an execution, beyond which there is little left to gain
STEP_OVER_FORWARD = 3  # a training step is a forward pass, and a backward pass of about twice its cost
FLOOR = 0.001  # seconds that a step takes, however small the model
_KNOWN: weakref.WeakKeyDictionary[keras.Model, dict[str, int]] = weakref.WeakKeyDictionary()
SLOW = 0.1  # seconds for one example, beyond which Python's share of a step is not worth a thought


def longest_execution(model: keras.Model, inputs: Any, callbacks: Sequence[Any]) -> int:
    """The most steps that one execution should have, from the time that a forward pass takes.

    Args:
        model: A built model.
        inputs: A batch of them.
        callbacks: If one of them wants to see every batch, the answer is 1.

    Returns:
        At least 1. Always 1 on JAX and PyTorch, where Keras loops in Python either way, and under a
        distribution strategy.
    """
    if not loops_in_graph(model) or any(map(_sees_batches, callbacks)):
        return 1
    known = _KNOWN.setdefault(model, {})
    shape = repr(keras.tree.map_structure(np.shape, inputs))
    if shape not in known:  # another number, by another measurement, would have everything traced anew
        known[shape] = _measure(model, inputs)
    return known[shape]


def _measure(model: keras.Model, inputs: Any) -> int:
    batch_size = len(keras.tree.flatten(inputs)[0])
    one = _seconds(model, _rows(inputs, 1))
    if one > SLOW:
        return 1
    # Outside the graph a layer costs a small model more than its arithmetic: that is in both, and falls out.
    many = max(batch_size, 8)
    of_an_example = max(0.0, _seconds(model, _rows(inputs, many)) - one) / (many - 1)
    step = max(FLOOR, STEP_OVER_FORWARD * batch_size * of_an_example)
    return max(1, min(LONGEST, int(SECONDS / step)))


def loops_in_graph(model: keras.Model) -> bool:
    """Whether Keras can run many steps of this model in one execution without going through Python."""
    if keras.backend.backend() != "tensorflow" or model.run_eagerly:
        return False
    return bool(model.distribute_strategy.num_replicas_in_sync == 1)


def divide(steps: int, longest: int) -> tuple[int, bool]:
    """Cuts an epoch into executions.

    Args:
        steps: Of an epoch.
        longest: The most steps one execution should have.

    Returns:
        Steps of an execution, at most `longest`, and whether they divide the epoch without a rest.

    Example:
        >>> divide(45, 100), divide(1875, 100), divide(1009, 100)
        ((45, True), (75, True), (92, False))
    """
    if steps <= longest:
        return steps, True
    divisor = max(n for n in range(1, longest + 1) if steps % n == 0)
    if divisor >= ENOUGH or 2 * divisor >= longest:
        return divisor, True
    return -(-steps // -(-steps // longest)), False


def _sees_batches(callback: Any) -> bool:
    """Whether a callback does something at every batch: then it must not find many batches run at once."""
    if "epoch" in (getattr(callback, "save_freq", ""), getattr(callback, "update_freq", "")):
        return False  # Keras's ModelCheckpoint, TensorBoard: they are told to wait for the epoch
    if isinstance(callback, L2Schedule):
        return isinstance(callback.schedule, keras.optimizers.schedules.LearningRateSchedule)
    names = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
    own = [getattr(getattr(callback, name), "__func__", None) for name in names]
    return own != [getattr(keras.callbacks.Callback, name) for name in names]


def _rows(inputs: Any, number: int) -> Any:
    return keras.tree.map_structure(lambda part: np.resize(part, (number, *part.shape[1:])), inputs)


def _seconds(model: keras.Model, inputs: Any) -> float:
    """The time of a forward pass: the best of some, as the first makes kernels and others may disturb."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        keras.tree.map_structure(keras.ops.convert_to_numpy, model(inputs, training=False))
        times.append(time.perf_counter() - start)
    return min(times)
