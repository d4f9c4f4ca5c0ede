"""What a model computes, step by step: Keras's own graph, with inner models and custom layers opened.

Keras has no public way to read its graph: `_keras_history` of a tensor and `_inbound_nodes` of an operation
are read here and nowhere else. A custom layer has no graph until its `call` is given symbolic tensors; that
leaves nodes behind in the layers inside it, which are taken away again, and changes no variable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

import keras

from l2zoo.regularization.weights import FREE_ROLES, is_custom, layers_of, weights_of


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a layer or of one of Keras's operations.

    Attributes:
        operation: What is called.
        args: Its positional arguments, with symbolic tensors.
        kwargs: Its other arguments.
        inputs: A number for each symbolic tensor among the arguments, in order; the same for the same tensor.
        outputs: A number for each tensor that comes out.
        shapes: Of the tensors that come out.
        opaque: Whether it is a layer of which nobody can tell what it does inside.
    """

    operation: Any
    args: tuple
    kwargs: dict[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: tuple[tuple, ...]
    opaque: bool = False

    @cached_property
    def tensors(self) -> list[Any]:
        """The symbolic tensors among the arguments, in the order of `inputs`."""
        return [one for one in self._operands() if isinstance(one, keras.KerasTensor)]

    @cached_property
    def constants(self) -> list[Any]:
        """Variables, numbers and whatever else there is among the arguments."""
        return [one for one in self._operands() if not isinstance(one, keras.KerasTensor)]

    def _operands(self) -> list[Any]:
        return [one for one in keras.tree.flatten((self.args, self.kwargs)) if one is not None]


@dataclass(frozen=True, eq=False)
class Graph:
    """The steps of a model in an order in which they can be computed, and the numbers of what it answers."""

    steps: tuple[Step, ...]
    outputs: frozenset[int]


def graph_of(model: keras.layers.Layer) -> Graph | None:
    """The graph of a model, or None if it cannot be told.

    Args:
        model: A model of layers, functional or sequential; or one with a `call` of its own that was built on
            one input.
    """
    numbers = count()
    inputs, outputs = ends_of(model)
    if inputs is None:
        config: Any = getattr(model, "get_build_config", dict)() or {}
        shape = config.get("input_shape")
        if not isinstance(shape, tuple | list) or not all(n is None or isinstance(n, int) for n in shape):
            return None
        inputs = [keras.KerasTensor(tuple(shape), dtype=getattr(model, "compute_dtype", "float32"))]
        outputs, nodes = _open(model, tuple(inputs), {})
        if nodes is None:
            return None
    else:
        nodes = _nodes_between(inputs, outputs)
    known = {id(tensor): next(numbers) for tensor in inputs}
    steps = tuple(_steps(nodes, known, numbers))
    return Graph(steps, frozenset(known[id(tensor)] for tensor in outputs))


def _steps(nodes: list[Any], known: dict[int, int], numbers: Iterator[int]) -> Iterator[Step]:
    """The steps of some nodes; `known` are the numbers of tensors by `id`, and gets those that come out."""
    for node in nodes:
        arguments, operation = node.arguments, node.operation
        tensors = arguments.keras_tensors
        inputs, outputs = ends_of(operation)
        as_built = len(arguments.args) == 1 and arguments.kwargs.get("training") is None
        opened = None
        if inputs is not None and len(inputs) == len(tensors) and as_built:
            opened = _nodes_between(inputs, outputs)
        elif _is_to_open(operation):
            inputs, outputs, opened = _open_anew(operation, arguments)
        if opened is None or inputs is None or len(outputs) != len(node.outputs):
            known.update({id(tensor): next(numbers) for tensor in node.outputs})
            yield _step(node, known, opaque=inputs is not None or _is_to_open(operation))
            continue
        inner = {id(mine): known[id(tensor)] for mine, tensor in zip(inputs or (), tensors, strict=True)}
        yield from _steps(opened, inner, numbers)
        for tensor, mine in zip(node.outputs, outputs, strict=True):
            known[id(tensor)] = inner[id(mine)]


def _step(node: Any, known: dict[int, int], *, opaque: bool) -> Step:
    arguments = node.arguments
    return Step(
        node.operation,
        arguments.args,
        arguments.kwargs,
        tuple(known[id(tensor)] for tensor in arguments.keras_tensors),
        tuple(known[id(tensor)] for tensor in node.outputs),
        tuple(tuple(tensor.shape) for tensor in node.outputs),
        opaque,
    )


def ends_of(operation: Any) -> tuple[list[Any] | None, list[Any]]:
    """The inputs and outputs of a model that computes what its graph says; None and nothing of all else."""
    if not isinstance(operation, keras.Model) or not type(operation).call.__module__.startswith("keras."):
        return None, []
    try:
        return keras.tree.flatten(operation.inputs), keras.tree.flatten(operation.outputs)
    except (AttributeError, ValueError):  # a model with a `call` of its own
        return None, []


def _is_to_open(operation: Any) -> bool:
    """Whether an operation is a layer made of others, or somebody's own, that has weights."""
    if not isinstance(operation, keras.layers.Layer) or isinstance(operation, keras.layers.Wrapper):
        return False
    return bool(operation.weights) and (is_custom(operation) or len(layers_of(operation)) > 1)


def _open_anew(layer: keras.layers.Layer, arguments: Any) -> tuple[list[Any], list[Any], list[Any] | None]:
    """Inputs, outputs and nodes of a layer that is given new symbolic tensors like those of a call."""
    fresh = {id(tensor): keras.KerasTensor(tensor.shape, tensor.dtype) for tensor in arguments.keras_tensors}

    def renew(value: Any) -> Any:
        return keras.tree.map_structure(lambda one: fresh.get(id(one), one), value)

    outputs, nodes = _open(layer, renew(arguments.args), renew(arguments.kwargs))
    return [fresh[id(tensor)] for tensor in arguments.keras_tensors], outputs, nodes


def _open(layer: keras.layers.Layer, args: tuple, kwargs: dict) -> tuple[list[Any], list[Any] | None]:
    """The outputs of a layer's own `call` for symbolic tensors, and its nodes; None if it cannot be told."""
    inside = layers_of(layer)
    lengths = [len(one._inbound_nodes) for one in inside]
    inputs = [one for one in keras.tree.flatten((args, kwargs)) if isinstance(one, keras.KerasTensor)]
    try:
        with _Unread(w.variable for w in weights_of(layer) if w.role not in FREE_ROLES):
            outputs = keras.tree.flatten(layer.call(*args, **kwargs))
        return outputs, _nodes_between(inputs, outputs)
    except Exception:  # somebody's own layer may do whatever it likes with a tensor: then nobody can tell
        return [], None
    finally:
        for one, length in zip(inside, lengths, strict=True):
            del one._inbound_nodes[length:]


class _Unread(keras.StatelessScope):
    """Lets nothing assign a variable, and nothing read one of these, for no graph would show it."""

    def __init__(self, forbidden: Iterable[Any]):
        super().__init__()
        self._forbidden = {id(variable) for variable in forbidden}

    def get_current_value(self, variable: Any) -> Any:
        if id(variable) in self._forbidden:
            raise RuntimeError(f"{variable.path} is read")
        return super().get_current_value(variable)


def _nodes_between(inputs: list[Any], outputs: list[Any]) -> list[Any]:
    """The nodes from some tensors to others, each after those that it needs."""
    known = {id(tensor) for tensor in inputs}
    done: dict[int, Any] = {}
    waiting = [(node_of(tensor), False) for tensor in reversed(outputs) if id(tensor) not in known]
    while waiting:
        node, ready = waiting.pop()
        if ready:
            done.setdefault(id(node), node)
        elif id(node) not in done:
            waiting.append((node, True))
            needed = [tensor for tensor in node.arguments.keras_tensors if id(tensor) not in known]
            waiting += [(node_of(tensor), False) for tensor in reversed(needed)]
    return list(done.values())


def node_of(tensor: Any) -> Any:
    """The call that a symbolic tensor comes out of.

    Raises:
        ValueError: It comes out of none, so it is an input that was not named.
    """
    history = getattr(tensor, "_keras_history", None)
    if history is None:
        raise ValueError("A symbolic tensor without a history.")
    return history.operation._inbound_nodes[history.node_index]
