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


def epoch_loop(
    model: keras.Model,
    training: tuple[Any, ...],
    held_out: tuple[Any, ...] | None = None,
    *,
    batch_size: int,
    evaluation_size: int | None = None,
    rate: Any = None,
) -> EpochLoop:
    """The loop for the backend that Keras runs on.

    Args:
        model: A compiled model; its optimizer must be built.
        training: What `train_step` takes: images `(N, H, W, C)`, targets of N rows and perhaps weights of
            them, each an array or a nest of arrays; held on the device.
        held_out: The same for `test_step`; by default what is trained on.
        batch_size: Rows in a training step; the last step of an epoch may have fewer.
        evaluation_size: Likewise for an evaluation.
        rate: The optimizer's variable for the learning rate, if that changes from step to step.
    """
    loops: dict[str, Any] = {"tensorflow": _TensorFlowLoop, "jax": _JaxLoop, "torch": _TorchLoop}
    sizes = batch_size, evaluation_size or batch_size
    return loops[keras.backend.backend()](model, training, held_out or training, sizes, rate)


class _TensorFlowLoop:
    """One graph an epoch: a while loop over slices of the given rows, gathered inside."""

    def __init__(self, model: keras.Model, training: Any, held_out: Any, sizes: tuple[int, int], rate: Any):
        import tensorflow as tf

        # XLA is slower than plain TensorFlow on the CPU and compiles for longer.
        self._xla = bool(tf.config.list_physical_devices("GPU"))
        training, held_out = _held(tf.convert_to_tensor, training, held_out)
        self._train = self._epoch(model.train_step, training, sizes[0], rate)
        self._evaluate = self._epoch(model.test_step, held_out, sizes[1], None)

    def train(self, rows: np.ndarray, rates: np.ndarray | None = None) -> None:
        self._train(rows.astype("int32"), np.zeros(0, "float32") if rates is None else rates)

    def evaluate(self, rows: np.ndarray) -> None:
        self._evaluate(rows.astype("int32"), np.zeros(0, "float32"))

    def _epoch(self, step: Any, data: Any, batch_size: int, rate: Any) -> Any:
        import tensorflow as tf

        signature = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)]

        @tf.function(autograph=False, jit_compile=self._xla)
        def one_step(rows: Any) -> None:
            step(keras.tree.map_structure(lambda part: tf.gather(part, rows), data))

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

    def __init__(self, model: keras.Model, training: Any, held_out: Any, sizes: tuple[int, int], rate: Any):
        import jax

        self._model = model
        self._sizes = sizes
        self._rate = rate
        # Metrics make their variables when first used, which must not happen in a compiled step.
        x, y, *weights = keras.tree.map_structure(lambda part: part[:1], held_out)
        model.evaluate(x, y, sample_weight=weights[0] if weights else None, verbose=0)
        self._training, self._held_out = _held(jax.numpy.asarray, training, held_out)

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
        self._run(self._train_step, self._training, parts, rows, self._sizes[0], rates)

    def evaluate(self, rows: np.ndarray) -> None:
        model = self._model
        parts = [model.trainable_variables, model.non_trainable_variables, model.metrics_variables]
        self._run(self._test_step, self._held_out, parts, rows, self._sizes[1])

    def _run(
        self,
        step: Any,
        data: Any,
        parts: list,
        rows: np.ndarray,
        batch_size: int,
        rates: np.ndarray | None = None,
    ) -> None:
        import jax

        # Copies, because a step takes the memory of the state it is given for the next one.
        state = tuple([variable.value.copy() for variable in part] for part in parts)
        held = [variable is self._rate for variable in parts[2]]
        for start in range(0, len(rows), batch_size):
            if rates is not None:
                state[2][held.index(True)] = jax.numpy.asarray(rates[start // batch_size])
            state = step(state, data, rows[start : start + batch_size])
        for part, values in zip(parts, state, strict=True):
            for variable, value in zip(part, values, strict=True):
                variable.assign(value)


class _TorchLoop:
    """A loop over batches; after a while the steps are replayed without Keras's Python."""

    def __init__(self, model: keras.Model, training: Any, held_out: Any, sizes: tuple[int, int], rate: Any):
        from l2zoo.engine.torch_replay import Replay

        self._model = model
        self._sizes = sizes
        self._rate = rate
        self._training, self._held_out = _held(keras.ops.convert_to_tensor, training, held_out)
        self._train = Replay(model.train_step, model)
        self._evaluate = Replay(model.test_step, model)

    def train(self, rows: np.ndarray, rates: np.ndarray | None = None) -> None:
        # PyTorch's own layers, wrapped in Keras's, ask their module and not the call.
        self._model.train()
        self._run(self._train, self._training, rows, self._sizes[0], rates)
        self._model.eval()

    def evaluate(self, rows: np.ndarray) -> None:
        import torch

        self._model.eval()
        with torch.no_grad():
            self._run(self._evaluate, self._held_out, rows, self._sizes[1])

    def _run(
        self, step: Any, data: Any, rows: np.ndarray, batch_size: int, rates: np.ndarray | None = None
    ) -> None:
        step.begin()
        for start in range(0, len(rows), batch_size):
            if rates is not None and self._rate is not None:
                self._rate.assign(rates[start // batch_size])
            some = rows[start : start + batch_size]
            step(keras.tree.map_structure(lambda part, some=some: part[some], data))


def _held(convert: Any, training: tuple[Any, ...], held_out: tuple[Any, ...]) -> tuple[Any, Any]:
    """Both as tensors on the device; what is the same array is one tensor."""
    tensors: dict[int, Any] = {}

    def tensor(part: np.ndarray) -> Any:
        if id(part) not in tensors:
            tensors[id(part)] = convert(part)
        return tensors[id(part)]

    return tuple(keras.tree.map_structure(tensor, one) for one in (training, held_out))
