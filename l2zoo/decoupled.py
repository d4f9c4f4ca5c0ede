"""Optimizers whose weight decay reaches chosen weights only, also after saving and loading.

Keras forgets `exclude_from_weight_decay` when an optimizer is saved (its config does not hold it). The
classes here are Keras's own optimizers with that one list in their config.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import keras

# Muon has two weight decays of its own; LossScaleOptimizer wraps another optimizer.
_WITHOUT_SELECTION = {"Optimizer", "LossScaleOptimizer", "Muon"}
_ADAMW_DEFAULT = 0.004


class _Selective:
    """What `SelectiveSGD`, `SelectiveAdamW`, ... add to the Keras optimizer they are made of.

    Args:
        selection: Path of each variable -> whether weight decay reaches it.
    """

    def __init__(self, *args: Any, selection: Mapping[str, bool] | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.selection = MappingProxyType(dict(selection or {}))

    def decays(self, variable: Any) -> bool:
        """Whether weight decay reaches a variable.

        A variable of a reloaded model may have lost or won a prefix (`model/dense/kernel`,
        `dense/kernel`), so the longest path that fits from the end decides.

        Raises:
            ValueError: No path fits: the variable is not of the model that the selection was made for.
        """
        fitting = [path for path in self.selection if _same_ending(path, variable.path)]
        if not fitting:
            raise ValueError(
                f"The weight decay was chosen for another model: it knows nothing of {variable.path!r}. "
                "Make the optimizer anew with `L2Policy.optimizer(optimizer, model)`."
            )
        return self.selection[max(fitting, key=len)]

    def build(self, variables: list) -> None:
        if not self.built:  # type: ignore[attr-defined]
            spared = [variable for variable in variables if not self.decays(variable)]
            self.exclude_from_weight_decay(var_list=spared)  # type: ignore[attr-defined]
        super().build(variables)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "selection": dict(self.selection)}  # type: ignore[misc]


def _same_ending(one: str, other: str) -> bool:
    return f"/{one}".endswith(f"/{other}") or f"/{other}".endswith(f"/{one}")


def _selective_classes() -> dict[type, Any]:
    classes = {}
    for name, base in vars(keras.optimizers).items():
        if name in _WITHOUT_SELECTION or not isinstance(base, type):
            continue
        if issubclass(base, keras.optimizers.Optimizer):
            selective = type(f"Selective{name}", (_Selective, base), {"__module__": __name__})
            classes[base] = keras.saving.register_keras_serializable("l2zoo")(selective)
    return classes


_SELECTIVE = _selective_classes()


def selective(optimizer: Any, *, weight_decay: float, selection: Mapping[str, bool]) -> Any:
    """An optimizer like the given one that decays the chosen weights only.

    `w -= learning_rate * weight_decay * w` before each step, as Keras does for all its optimizers.

    Args:
        optimizer: A Keras optimizer that was not used yet, or its name.
        weight_decay: The decay of a weight in one step at learning rate 1, >= 0.
        selection: Path of each weight of the model -> whether it decays.

    Raises:
        TypeError: `optimizer` is of a class whose decay cannot be restricted.
        ValueError: `optimizer` has taken steps, or has another weight decay already.

    References:
        Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization.
    """
    optimizer = keras.optimizers.get(optimizer)
    base = next((c for c in type(optimizer).__mro__ if c in _SELECTIVE), None)
    if base is None or type(optimizer) not in (base, _SELECTIVE[base]):
        known = sorted(c.__name__ for c in _SELECTIVE)
        raise TypeError(f"`optimizer` must be one of Keras's {known}, got {type(optimizer).__name__}.")
    if optimizer.built:
        raise ValueError("`optimizer` was used already (its state is built). Give a new one.")
    own = optimizer.weight_decay
    not_chosen = (None, weight_decay) + ((_ADAMW_DEFAULT,) if base is keras.optimizers.AdamW else ())
    if own not in not_chosen:
        raise ValueError(
            f"`optimizer` has weight_decay={own} of its own, the policy asks for {weight_decay}. "
            "Leave the optimizer's weight_decay unset."
        )
    config = {**optimizer.get_config(), "weight_decay": weight_decay, "selection": dict(selection)}
    return _SELECTIVE[base].from_config(config)
