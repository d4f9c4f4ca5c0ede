"""A step of a Keras model on PyTorch, replayed without the Python of Keras.

PyTorch runs eagerly, so Keras's Python between the operations comes again in every step; for a small model it
takes longer than they do. Here the operations of a step, its gradients and updates among them, are written
down once, and then run from the list. The state of a Keras model on PyTorch is tensors that change in place,
so the list reads and writes what Keras does.

What is not an operation is not on the list: a value that Python takes out of a tensor, a random number of
NumPy's. So a step that looks into its tensors is not replayed, and every list is compared with Keras's own
step on three batches before it is used, from where the training is and from where the first one was after a
step.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Hashable
from typing import Any

import keras
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from l2zoo.regularization.weights import layers_of

AFTER = 64  # steps of a shape before it is worth it: writing down takes about as long as they save
COMPARED = 3  # batches on which the list must do what Keras does


class Replay:
    """Calls a step, and after a while the list of its operations.

    Args:
        step: Takes a batch, a structure of tensors.
        model: Whose variables the step changes.
    """

    def __init__(self, step: Callable[[Any], Any], model: keras.Model):
        self._step = step
        self._model = model
        self._seen: Hashable = None
        self._early: list[torch.Tensor] = []  # the state after the first step, which makes the metrics'
        self._used: collections.Counter[Hashable] = collections.Counter()
        self._lists: dict[Hashable, Any] = {}  # None for a step that cannot be replayed

    def begin(self) -> None:
        """Before the steps of an epoch: drops what was written down if anything but tensors has changed."""
        seen = _python_state(self._model)
        if seen != self._seen:
            self._seen = seen
            self._used.clear()
            self._lists.clear()

    def __call__(self, batch: Any) -> None:
        """Takes a step on a batch."""
        if self._used and not self._early:
            self._early = self._state()
        tensors = keras.tree.flatten(batch)
        shape = tuple((tuple(t.shape), t.dtype) for t in tensors)
        self._used[shape] += 1
        past = self._used[shape] - AFTER
        if past == 0:
            self._lists[shape] = self._write_down(batch, tensors)
        operations = self._lists.get(shape)
        if operations is None:
            self._step(batch)
        elif past < COMPARED:
            self._lists[shape] = operations if self._is_same(operations, batch, tensors) else None
        else:
            with torch.no_grad():
                operations(*tensors)

    def _write_down(self, batch: Any, tensors: list[torch.Tensor]) -> Callable | None:
        def call(*given: torch.Tensor) -> tuple:
            self._step(keras.tree.pack_sequence_as(batch, given))
            return ()

        if _python_state(self._model) != self._seen:
            return None  # something counts its steps
        start = self._state()
        try:
            with _NoValues(), _NoLooking():
                return make_fx(call)(*tensors).forward
        except Exception:  # whatever a step does that is no list of operations: Keras's own step goes on
            return None
        finally:
            self._put_back(start)

    def _is_same(self, operations: Callable, batch: Any, tensors: list[torch.Tensor]) -> bool:
        """Whether the operations do what Keras's step does; Keras's, from here, is what is kept."""
        now = self._state()
        if len(self._early) != len(now):
            return False
        same = []
        for start in (self._early, now):
            self._put_back(start)
            with torch.no_grad():
                operations(*tensors)
            done = self._state()
            self._put_back(start)
            self._step(batch)
            same.append(all(map(_equal, done, self._state())))
        return all(same)

    def _state(self) -> list[torch.Tensor]:
        return [tensor.detach().clone() for tensor in self._tensors()] + _noise()

    def _put_back(self, state: list[torch.Tensor]) -> None:
        tensors = self._tensors()
        with torch.no_grad():
            for tensor, value in zip(tensors, state, strict=False):
                tensor.copy_(value)
        _set_noise(state[len(tensors) :])
        self._model.zero_grad()

    def _tensors(self) -> list[torch.Tensor]:
        """All that a step changes: Keras's variables, and buffers of a module that Keras wraps."""
        model = self._model
        variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
        return [*(variable.value for variable in variables), *model.buffers()]


class _NoValues(TorchFunctionMode):
    """Gives no tensor to NumPy or to Python's lists: they could hold other values in another step."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in ("numpy", "__array__", "tolist", "__dlpack__", "data_ptr"):
            raise RuntimeError(f"{func} gives values to Python.")
        return func(*args, **(kwargs or {}))


class _NoLooking(TorchDispatchMode):
    """The same of a single number, as `float(x)` and `if x:` take it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.data_dependent_output in func.tags:
            raise RuntimeError(f"{func} gives a value to Python.")
        return func(*args, **(kwargs or {}))


def _python_state(model: keras.Model) -> Hashable:
    """The plain attributes of all layers, of the optimizer too: numbers and words that a step may read."""
    owners = [*layers_of(model), model.optimizer]
    return tuple(
        (name, value)
        for owner in owners
        for name, value in vars(owner).items()
        if isinstance(value, (bool, int, float, str))
    )


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """To the last bit on the CPU; elsewhere the same operations add up in another order each time."""
    if not one.is_floating_point():
        return torch.equal(one, other)
    close = {"rtol": 0.0, "atol": 0.0} if one.device.type == "cpu" else {"rtol": 1e-4, "atol": 1e-6}
    return torch.allclose(one, other, **close, equal_nan=True)


def _noise() -> list[torch.Tensor]:
    """The states of PyTorch's generators."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else ())]


def _set_noise(states: list[torch.Tensor]) -> None:
    torch.set_rng_state(states[0])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states[1:])
