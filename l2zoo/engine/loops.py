"""Whole epochs of a compiled model without Keras's Python between the steps, on each backend.

A step of a small model costs less than the bookkeeping around it in `fit`. The loops call the model's own
`train_step` and `test_step`, so they compute what `fit` computes, in the order they are given.
"""

from __future__ import annotations

from typing import Any, Protocol

import keras
import numpy as np


class EpochLoop(Protocol):
    """Runs a model over rows of data that are held in memory; results are in the model's metrics."""

    def train(self, rows: np.ndarray, rates: np.ndarray | None = None) -> None:
        """Takes a training step on each batch of `rows` `(n,)`, in their order.

        Args:
            rows: Which rows of the data.
            rates: The learning rate of each step, if the loop was made with a place for it.
        """

    def evaluate(self, rows: np.ndarray) -> None:
        """Updates the model's metrics on `rows` `(n,)`; the weights stay as they are."""


def epoch_loop(model: keras.Model, x: np.ndarray, y: Any, *, batch_size: int, rate: Any = None) -> EpochLoop:
    """The loop for the backend that Keras runs on.

    Args:
        model: A compiled model; its optimizer must be built.
        x: Images `(N, H, W, C)`, held on the device.
        y: Targets of N rows, an array or a dict of arrays.
        batch_size: Rows in a training step; the last step of an epoch may have fewer.
        rate: The optimizer's variable for the learning rate, if that changes from step to step.
    """
    loops: dict[str, Any] = {"tensorflow": _TensorFlowLoop, "jax": _JaxLoop, "torch": _TorchLoop}
    return loops[keras.backend.backend()](model, x, y, batch_size, rate)


class _TensorFlowLoop:
    """One graph an epoch: a while loop over slices of the given rows, gathered inside."""

    def __init__(self, model: keras.Model, x: np.ndarray, y: Any, batch_size: int, rate: Any):
        import tensorflow as tf

        self._data = keras.tree.map_structure(tf.convert_to_tensor, (x, y))
        # XLA is slower than plain TensorFlow on the CPU and compiles for longer.
        self._xla = bool(tf.config.list_physical_devices("GPU"))
        self._train = self._epoch(model.train_step, batch_size, rate)
        self._evaluate = self._epoch(model.test_step, 4 * batch_size, None)

    def train(self, rows: np.ndarray, rates: np.ndarray | None = None) -> None:
        self._train(rows.astype("int32"), np.zeros(0, "float32") if rates is None else rates)

    def evaluate(self, rows: np.ndarray) -> None:
        self._evaluate(rows.astype("int32"), np.zeros(0, "float32"))

    def _epoch(self, step: Any, batch_size: int, rate: Any) -> Any:
        import tensorflow as tf

        signature = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)]

        @tf.function(autograph=False, jit_compile=self._xla)
        def one_step(rows: Any) -> None:
            step(keras.tree.map_structure(lambda part: tf.gather(part, rows), self._data))

        @tf.function(autograph=False, input_signature=signature)
        def epoch(rows: Any, rates: Any) -> None:
            def body(start: Any) -> tuple:
                if rate is not None:
                    rate.assign(rates[start // batch_size])
                one_step(rows[start : start + batch_size])
                return (start + batch_size,)

            tf.while_loop(lambda start: start < tf.size(rows), body, (tf.constant(0),))

        return epoch


class _JaxLoop:
    """One compiled step, called from Python: in a scan, XLA's convolutions lose their threads on the CPU."""

    def __init__(self, model: keras.Model, x: np.ndarray, y: Any, batch_size: int, rate: Any):
        import jax

        self._model = model
        self._batch_size = batch_size
        self._rate = rate
        self._data = keras.tree.map_structure(jax.numpy.asarray, (x, y))
        # Metrics make their variables when first used, which must not happen in a compiled step.
        model.evaluate(*keras.tree.map_structure(lambda part: part[:1], (x, y)), verbose=0)

        def stepper(step: Any) -> Any:
            def one_step(state: Any, data: Any, rows: Any) -> Any:
                return step(state, keras.tree.map_structure(lambda part: part[rows], data))[1]

            return jax.jit(one_step, donate_argnums=0)

        self._train_step = stepper(model.train_step)
        self._test_step = stepper(model.test_step)

    def train(self, rows: np.ndarray, rates: np.ndarray | None = None) -> None:
        model = self._model
        parts = [model.trainable_variables, model.non_trainable_variables]
        parts += [model.optimizer.variables, model.metrics_variables]
        self._run(self._train_step, parts, rows, self._batch_size, rates)

    def evaluate(self, rows: np.ndarray) -> None:
        model = self._model
        parts = [model.trainable_variables, model.non_trainable_variables, model.metrics_variables]
        self._run(self._test_step, parts, rows, 4 * self._batch_size)

    def _run(
        self, step: Any, parts: list, rows: np.ndarray, batch_size: int, rates: np.ndarray | None = None
    ) -> None:
        import jax

        # Copies, because a step takes the memory of the state it is given for the next one.
        state = tuple([variable.value.copy() for variable in part] for part in parts)
        held = [variable is self._rate for variable in parts[2]]
        for start in range(0, len(rows), batch_size):
            if rates is not None:
                state[2][held.index(True)] = jax.numpy.asarray(rates[start // batch_size])
            state = step(state, self._data, rows[start : start + batch_size])
        for part, values in zip(parts, state, strict=True):
            for variable, value in zip(part, values, strict=True):
                variable.assign(value)


class _TorchLoop:
    """A loop over batches; after a while the steps are replayed without Keras's Python."""

    def __init__(self, model: keras.Model, x: np.ndarray, y: Any, batch_size: int, rate: Any):
        from l2zoo.engine.torch_replay import Replay

        self._batch_size = batch_size
        self._rate = rate
        self._data = keras.tree.map_structure(keras.ops.convert_to_tensor, (x, y))
        self._train = Replay(model.train_step, model)
        self._evaluate = Replay(model.test_step, model)

    def train(self, rows: np.ndarray, rates: np.ndarray | None = None) -> None:
        self._run(self._train, rows, self._batch_size, rates)

    def evaluate(self, rows: np.ndarray) -> None:
        import torch

        with torch.no_grad():
            self._run(self._evaluate, rows, 4 * self._batch_size)

    def _run(self, step: Any, rows: np.ndarray, batch_size: int, rates: np.ndarray | None = None) -> None:
        step.begin()
        for start in range(0, len(rows), batch_size):
            if rates is not None and self._rate is not None:
                self._rate.assign(rates[start // batch_size])
            step(self._gathered(rows[start : start + batch_size]))

    def _gathered(self, rows: np.ndarray) -> Any:
        return keras.tree.map_structure(lambda part: part[rows], self._data)
