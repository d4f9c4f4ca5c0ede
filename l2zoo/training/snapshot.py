"""The whole state of a training between two epochs, in one file.

Weights, moving statistics, the states of dropout's random numbers, the optimizer, live strengths, what
callbacks such as `EarlyStopping` remember: with the same data from there on, the rest of the run is the same.
The file is a NumPy archive without pickles, so that reading one never runs code.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from l2zoo.regularization.strength import LiveL2, Strength
from l2zoo.utils.storage.files import as_value_errors, replacing
from l2zoo.utils.storage.reading import NUMBERS, parse_json, read_arrays
from l2zoo.utils.validation import check_number

CallbackState = dict[str, Any]
# Keras turns the sign of `min_delta` when a callback first needs it, and would turn it again.
_SETTINGS = ("min_delta",)
_KINDS = f"{NUMBERS}cmMSU"  # of arrays that a callback may keep: all that are stored without pickling


def save(
    path: Path,
    model: keras.Model,
    *,
    progress: dict[str, Any],
    callback_states: Sequence[tuple[str, CallbackState]] = (),
) -> None:
    """Writes the state, whole or not at all.

    Args:
        path: The file.
        model: A compiled model whose optimizer is built.
        progress: JSON values to go with it.
        callback_states: Class and state of each callback.
    """
    arrays: Any = {f"variable/{i:06d}": _to_numpy(variable) for i, variable in enumerate(_variables(model))}
    simple: list[tuple[str, CallbackState]] = []
    for i, (kind, state) in enumerate(callback_states):
        simple.append((kind, {}))
        for name, value in state.items():
            if isinstance(value, list):
                arrays.update({f"callback/{i}/{name}/{j:06d}": part for j, part in enumerate(value)})
            elif isinstance(value, np.ndarray):
                arrays[f"callback/{i}/{name}"] = value
            else:
                simple[i][1][name] = value
    arrays["random"] = random_state()
    strengths = [float(strength) for strength in _strengths(model)]
    about = {"progress": progress, "callbacks": simple, "strengths": strengths}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)  # numbers alone; before NumPy 2.2, `allow_pickle` would be one of the arrays


class Snapshot:
    """What `save` wrote.

    Raises:
        ValueError: The file holds something else, or is damaged.

    Attributes:
        progress: The JSON values.
        callback_states: Class and state of each callback.
        random: State of the random numbers that belong to no model.
    """

    def __init__(self, path: Path):
        found = read_arrays(path, where=str(path), kinds=_KINDS)
        with as_value_errors(f"{path} is not the state of a training"):
            self._take({name: found[name] for name in sorted(found)})

    def _take(self, arrays: dict[str, np.ndarray]) -> None:
        """Looks at the form of everything, by how it is used."""
        about = parse_json(arrays.pop("about").tobytes(), where="its text", finite=False)
        self.progress: dict[str, Any] = {**about["progress"]}
        self.callback_states: list[tuple[str, CallbackState]] = [
            (str(kind), {**state}) for kind, state in about["callbacks"]
        ]
        self._strengths = [check_number("strength", strength) for strength in about["strengths"]]
        self.random = arrays.pop("random")
        self._variables = [array for name, array in arrays.items() if name.startswith("variable/")]
        if any(array.dtype.kind not in NUMBERS for array in (self.random, *self._variables)):
            raise ValueError("it holds something else than numbers")
        for key, array in arrays.items():
            if key.startswith("callback/"):
                _, i, name, *position = key.split("/")
                state = self.callback_states[int(i)][1]
                if position:
                    state.setdefault(name, []).append(array)
                else:
                    state[name] = array

    def restore(self, model: keras.Model) -> None:
        """Puts the state into a compiled model of the same structure, and into its optimizer.

        Raises:
            ValueError: The model has other variables.
        """
        variables = _variables(model)
        shapes, strengths = [tuple(variable.shape) for variable in variables], _strengths(model)
        if shapes != [a.shape for a in self._variables] or len(strengths) != len(self._strengths):
            raise ValueError(
                f"The {len(self._variables)} variables of the saved state do not fit the {len(shapes)} of "
                f"model {model.name!r} and its optimizer. Start over with resume=False."
            )
        for variable, array in zip(variables, self._variables, strict=True):
            variable.assign(array)
        for strength, number in zip(strengths, self._strengths, strict=True):
            strength.assign(number)


def _variables(model: keras.Model) -> list[Any]:
    """Everything that a step changes, but metrics, which begin anew in every epoch."""
    return [*model.variables, *model.optimizer.variables]


def _to_numpy(variable: Any) -> np.ndarray:
    value = keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable))
    # bfloat16 and the float8 types are not NumPy's own; float32 holds each of their values.
    return value if value.dtype.kind in "fiub" else value.astype("float32")


def _strengths(model: keras.Model) -> list[Strength]:
    live = [w.regularizer.strength for w in model.trainable_weights if type(w.regularizer) is LiveL2]
    return list(dict.fromkeys(live))


def random_state() -> np.ndarray:
    """The state of PyTorch's global generator, from which dropout without a seed draws; else nothing."""
    if keras.backend.backend() != "torch":
        return np.zeros(0, dtype=np.uint8)
    import torch

    on_gpu = torch.cuda.is_available()
    return (torch.cuda.get_rng_state() if on_gpu else torch.get_rng_state()).numpy()


def set_random_state(state: np.ndarray) -> None:
    """Sets what `random_state` gave."""
    if keras.backend.backend() == "torch":
        import torch

        set_state = torch.cuda.set_rng_state if torch.cuda.is_available() else torch.set_rng_state
        with as_value_errors("The state of the random numbers does not fit this PyTorch"):
            set_state(torch.from_numpy(state.copy()))


def callback_state(callback: Any) -> CallbackState:
    """The numbers, words, arrays and lists of arrays among a callback's public attributes."""
    found: CallbackState = {}
    for name, value in vars(callback).items():
        if name.startswith("_") or name in _SETTINGS:
            continue
        if isinstance(value, np.generic):
            value = value.item()
        arrays = isinstance(value, list) and value and all(map(_is_plain, value))
        if value is None or isinstance(value, (bool, int, float, str)) or _is_plain(value) or arrays:
            found[name] = value
    return found


def _is_plain(value: Any) -> bool:
    """Whether it is an array that is stored without pickling."""
    return isinstance(value, np.ndarray) and not value.dtype.hasobject


def changed_state(callback: Any, before: CallbackState) -> CallbackState:
    """What differs from `before`, as it was when the training began: settings do not, so they stay free."""
    return {
        name: value
        for name, value in callback_state(callback).items()
        if not _same(value, before.get(name, ...))
    }


def restore_callbacks(callbacks: Sequence[Any], states: Sequence[tuple[str, CallbackState]]) -> None:
    """Gives callbacks their state back; one of another class than at that position begins as it is."""
    for callback, (kind, state) in zip(callbacks, states, strict=False):
        if type(callback).__name__ == kind:
            for name, value in state.items():
                setattr(callback, name, value)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(np.array_equal, one, other))
    if isinstance(one, (list, np.ndarray)) or isinstance(other, (list, np.ndarray)):
        return type(one) is type(other) and bool(np.array_equal(one, other))
    return bool(one == other)
