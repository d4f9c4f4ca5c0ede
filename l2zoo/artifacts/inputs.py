"""What goes into a model: named arrays of one length, checked against what the model takes, and fed to it.

A lone batch of images is called `images`. Whole numbers that the model takes as such are int32; everything
else is fed as float32, and bytes only save memory until then.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from l2zoo.utils.validation import check_pixels

if TYPE_CHECKING:
    import keras

Inputs = dict[str, np.ndarray]
Outputs = dict[str, np.ndarray]
Predict = Callable[[Inputs], Outputs]
"""Named inputs, float32 or int32, to named outputs of as many rows."""
Given = ArrayLike | Mapping[str, ArrayLike]

IMAGES = "images"
RESERVED = "expected_"  # begins the names of the answers beside which inputs are stored
_INT32 = np.iinfo(np.int32)


def check_inputs(given: Given | None, model: keras.Model, *, argument: str = "sample") -> Inputs:
    """Real inputs of a model by name, each `(B, ...)`, as uint8, float32 or int32.

    Args:
        given: Images `(B, H, W, C)` in [0, 255] (videos `(B, T, H, W, C)`), or a dict with an array for each
            input of the model. Only a lone `images` is held to the range of pixels.
        model: A built model.
        argument: What the caller calls `given`.

    Raises:
        TypeError: Something holds no numbers, or fractions where the model takes whole numbers.
        ValueError: There are no inputs, or they are not what the model takes.
    """
    if given is None:
        raise ValueError(
            f"`{argument}` must hold real images to compare the exported files with the model, got "
            f"{argument}=None. Pass some of the test set, raw pixels in [0, 255]: "
            f"export(model, folder, {argument}=test_images)."
        )
    taken = symbolic(model)
    arrays = _by_name(given, taken, argument)
    inputs = {}
    for name, array in arrays.items():
        where = argument if len(arrays) == 1 else f"{argument}[{name!r}]"
        one = taken[name] if isinstance(taken, dict) else taken
        _check_array(array, one, where)
        inputs[name] = _as_int32(array, where) if _whole(name, array, one) else _as_floats(array, where)
    if list(inputs) == [IMAGES] and inputs[IMAGES].dtype != np.int32:
        check_pixels(arrays[IMAGES], where=f"`{argument}`")
    counts = {name: len(array) for name, array in inputs.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"`{argument}` must hold equally many of every input, got {counts}.")
    return inputs


def _by_name(given: Given, taken: Any, argument: str) -> dict[str, np.ndarray]:
    named = given if isinstance(given, Mapping) else {IMAGES: given}
    names = sorted(named, key=str)
    if isinstance(taken, dict) and names != sorted(taken):
        got = names if isinstance(given, Mapping) else f"one {type(given).__name__}"
        raise ValueError(f"`{argument}` must be a dict of the model's inputs {sorted(taken)}, got {got}.")
    if not names or (len(names) > 1 and not isinstance(taken, dict | None)):
        raise ValueError(f"`{argument}` must hold the one input that `model` takes, got {names}.")
    for name in names:
        fits = isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
        if not fits or name.startswith(RESERVED):
            raise ValueError(
                f"`{argument}` must name inputs like Python's variables, not {RESERVED}..., got {name!r}."
            )
    return {name: np.asarray(named[name]) for name in names}


def _check_array(array: np.ndarray, taken: Any, argument: str) -> None:
    if array.dtype.kind not in "uif":
        raise TypeError(f"`{argument}` must hold numbers, got dtype={array.dtype}.")
    if not array.ndim or not array.size:
        raise ValueError(f"`{argument}` must hold images of shape (B, H, W, C), got shape={array.shape}.")
    if taken is None:
        return
    shape = tuple(taken.shape)
    fits = len(shape) == array.ndim and all(
        want in (None, size) for want, size in zip(shape[1:], array.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(f"`{argument}` must have the model's input shape {shape}, got shape={array.shape}.")


def _whole(name: str, array: np.ndarray, taken: Any) -> bool:
    """Whether an input is exported as int32. Of a subclassed model the array tells, but for images."""
    if taken is None:
        return name != IMAGES and array.dtype.kind in "iu" and array.dtype != np.uint8
    dtype = np.dtype(taken.dtype)
    return dtype.kind in "iu" and dtype != np.uint8


def _as_int32(array: np.ndarray, argument: str) -> np.ndarray:
    if array.dtype.kind == "f":
        raise TypeError(f"`{argument}` must hold whole numbers, as the model takes, got dtype={array.dtype}.")
    low, high = int(array.min()), int(array.max())
    if low < _INT32.min or high > _INT32.max:
        raise ValueError(f"`{argument}` must fit into int32, got numbers in [{low}, {high}].")
    return array.astype(np.int32)


def _as_floats(array: np.ndarray, argument: str) -> np.ndarray:
    if not np.isfinite(array).all():
        index = int(np.argmax(~np.isfinite(array.reshape(len(array), -1)).all(axis=1)))
        raise ValueError(f"`{argument}` must hold finite numbers, got NaN or infinity in image {index}.")
    return array if array.dtype == np.uint8 else array.astype(np.float32)


def exported_dtype(array: np.ndarray) -> str:
    """The type in which an input is exported: whole numbers stay, bytes of pixels become float32.

    Example:
        >>> exported_dtype(np.zeros(3, np.uint8)), exported_dtype(np.zeros(3, np.int32))
        ('float32', 'int32')
    """
    return "int32" if array.dtype == np.int32 else "float32"


def num_examples(inputs: Inputs) -> int:
    """How many examples there are."""
    return len(next(iter(inputs.values())))


def take_rows(inputs: Inputs, rows: slice) -> Inputs:
    """Some examples, in the types of the exported signature."""
    return {name: array[rows].astype(exported_dtype(array), copy=False) for name, array in inputs.items()}


def subsample(inputs: Inputs, most: int) -> Inputs:
    """At most so many examples, evenly spread over all.

    Example:
        >>> subsample({"times": np.arange(9)}, 3)["times"].tolist()
        [0, 4, 8]
    """
    rows = np.linspace(0, num_examples(inputs) - 1, min(most, num_examples(inputs))).astype(int)
    return {name: array[rows] for name, array in inputs.items()}


def input_signature(inputs: Inputs) -> dict[str, tuple[tuple[int | None, ...], str]]:
    """Shape, with an open batch, and dtype of every exported input."""
    return {name: ((None, *array.shape[1:]), exported_dtype(array)) for name, array in inputs.items()}


def symbolic(model: keras.Model) -> Any:
    """The model's symbolic inputs: one, or a dict, or None of a subclassed model, which tells nothing.

    Raises:
        ValueError: They are a list of several.
    """
    import keras

    if not getattr(model, "inputs", None):
        return None
    taken = model.inputs if isinstance(model, keras.Sequential) else model.input
    if not isinstance(taken, list | tuple):
        return taken
    if len(taken) > 1:
        raise ValueError(
            f"`model` must take one array or a dict of arrays, got a list of {len(taken)} inputs. Build it "
            'with names: keras.Model({"images": images, "times": times}, outputs).'
        )
    return taken[0]


def takes_names(model: keras.Model, inputs: Inputs) -> bool:
    """Whether the model is called with a dict, rather than with its only input."""
    taken = symbolic(model)
    return len(inputs) > 1 if taken is None else isinstance(taken, dict)


def as_model_input(model: keras.Model, inputs: dict[str, Any]) -> Any:
    """What the model is called with: a dict, or its only input."""
    return dict(inputs) if takes_names(model, inputs) else next(iter(inputs.values()))
