"""How named inputs reach a model: in batches, in the types of the exported signature, in the model's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.artifacts.inputs import Inputs, symbolic

if TYPE_CHECKING:
    import keras


def dtype(array: np.ndarray) -> str:
    """The type in which an input is exported: whole numbers stay, bytes of pixels become float32.

    Example:
        >>> dtype(np.zeros(3, np.uint8)), dtype(np.zeros(3, np.int32))
        ('float32', 'int32')
    """
    return "int32" if array.dtype == np.int32 else "float32"


def count(inputs: Inputs) -> int:
    """How many examples there are."""
    return len(next(iter(inputs.values())))


def fed(inputs: Inputs, rows: slice) -> Inputs:
    """Some examples, in the types of the exported signature."""
    return {name: array[rows].astype(dtype(array), copy=False) for name, array in inputs.items()}


def spread(inputs: Inputs, most: int) -> Inputs:
    """At most so many examples, evenly spread over all.

    Example:
        >>> spread({"times": np.arange(9)}, 3)["times"].tolist()
        [0, 4, 8]
    """
    rows = np.linspace(0, count(inputs) - 1, min(most, count(inputs))).astype(int)
    return {name: array[rows] for name, array in inputs.items()}


def signature(inputs: Inputs) -> dict[str, tuple[tuple[int | None, ...], str]]:
    """Shape, with an open batch, and dtype of every exported input."""
    return {name: ((None, *array.shape[1:]), dtype(array)) for name, array in inputs.items()}


def takes_names(model: keras.Model, inputs: Inputs) -> bool:
    """Whether the model is called with a dict, rather than with its only input."""
    taken = symbolic(model)
    return len(inputs) > 1 if taken is None else isinstance(taken, dict)


def in_form_of(model: keras.Model, inputs: dict[str, Any]) -> Any:
    """What the model is called with: a dict, or its only input."""
    return dict(inputs) if takes_names(model, inputs) else next(iter(inputs.values()))
