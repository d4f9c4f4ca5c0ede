"""Optimizers whose weight decay reaches chosen weights only, also after saving and loading.

Keras forgets `exclude_from_weight_decay` when an optimizer is saved (its config does not hold it). The
classes here are Keras's own optimizers with that one list in their config.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

# Muon has two weight decays of its own; Ftrl and ScheduleFreeAdamW compute the weights from their own state,
# which undoes a decay; LossScaleOptimizer and MultiOptimizer wrap other optimizers.
_WITHOUT_SELECTION = (
    "Optimizer",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "Muon",
    "Ftrl",
    "ScheduleFreeAdamW",
)
_ADAMW_DEFAULT = 0.004

Choices = Iterable[tuple[str, bool]]


class _Selective:
    """What `SelectiveSGD`, `SelectiveAdamW`, ... add to the Keras optimizer they are made of.

    Args:
        selection: `(path, whether weight decay reaches it)` of each weight, in the model's order.
        order: `(name, whether weight decay reaches it)` of those that train, in the model's order.
    """

    def __init__(
        self,
        *args: Any,
        selection: Choices = (),
        order: Choices = (),
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        self.selection = tuple((path, decays) for path, decays in selection)
        self.order = tuple((name, decays) for name, decays in order)

    def build(self, variables: list) -> None:
        if self.selection and not variables:
            return  # as Keras calls it when it loads an HDF5 file; the first step calls it with the weights
        if not self.built:  # type: ignore[attr-defined]
            choices = self.choices(variables)
            self.order = tuple((v.name, decays) for v, decays in zip(variables, choices, strict=True))
            spared = [v for v, decays in zip(variables, choices, strict=True) if not decays]
            self.exclude_from_weight_decay(var_list=spared)  # type: ignore[attr-defined]
            if not any(choices):
                self.weight_decay = None  # PyTorch cannot decay an empty list
        super().build(variables)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        chosen = {
            "selection": [list(pair) for pair in self.selection],
            "order": [list(p) for p in self.order],
        }
        return {**super().get_config(), "weight_decay": self.weight_decay or 0.0, **chosen}  # type: ignore[misc]

    def choices(self, variables: list) -> list[bool]:
        """Whether weight decay reaches each variable.

        Raises:
            ValueError: The variables are not those of the model that the selection was made for.
        """
        choices = [self._by_path(variable.path) for variable in variables]
        if None not in choices:
            return choices  # type: ignore[return-value]
        # Some models name their layers anew whenever they are made, and some forget which were frozen; the
        # order of the weights stays.
        everything = [(path.rpartition("/")[2], decays) for path, decays in self.selection]
        for known in (self.order, everything):
            if [variable.name for variable in variables] == [name for name, _ in known]:
                return [decays for _, decays in known]
        unknown = variables[choices.index(None)].path
        raise ValueError(
            f"The weight decay was chosen for another model: it knows nothing of {unknown!r}. "
            "Make the optimizer anew with `L2Policy.optimizer(optimizer, model)`."
        )

    def _by_path(self, path: str) -> bool | None:
        """The choice for a path, or `None` if there is none, or more than one.

        A reloaded model may have lost the beginning of its paths (`model/dense/kernel` is `dense/kernel`
        then), or won one.
        """
        same = {decays for known, decays in self.selection if f"/{known}".endswith(f"/{path}")}
        if same:
            return same.pop() if len(same) == 1 else None
        shorter = [(len(known), decays) for known, decays in self.selection if path.endswith(f"/{known}")]
        return max(shorter)[1] if shorter else None


def _selective_classes() -> dict[type, Any]:
    classes = {}
    for name, public in _keras_optimizers():
        base = type(public.__new__(public))  # PyTorch gets a faster class in the place of the public one
        selective = type(f"Selective{name}", (_Selective, base), {"__module__": __name__})
        classes[base] = keras.saving.register_keras_serializable("l2zoo")(selective)
    return classes


def _keras_optimizers() -> list[tuple[str, Any]]:
    classes = [(name, kind) for name, kind in vars(keras.optimizers).items() if isinstance(kind, type)]
    optimizers = [(name, kind) for name, kind in classes if issubclass(kind, keras.optimizers.Optimizer)]
    return [(name, kind) for name, kind in optimizers if name not in _WITHOUT_SELECTION]


_SELECTIVE = _selective_classes()


def restrict_decay(
    optimizer: Any,
    *,
    weight_decay: float,
    selection: Choices,
    order: Choices,
) -> Any:
    """An optimizer like the given one that decays the chosen weights only.

    `w -= learning_rate * weight_decay * w` before each step, as Keras does for all its optimizers.

    Args:
        optimizer: A Keras optimizer that was not used yet, or its name.
        weight_decay: The decay of a weight in one step at learning rate 1, >= 0.
        selection: `(path, whether it decays)` of each weight, in the model's order.
        order: `(name, whether it decays)` of each weight that trains now, in the model's order.

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
    _check_own_decay(optimizer, weight_decay)
    chosen = {"weight_decay": weight_decay, "selection": selection, "order": order}
    return _SELECTIVE[base].from_config({**optimizer.get_config(), **chosen})


def decays(optimizer: Any, variables: Iterable[Any]) -> list[bool]:
    """Whether an optimizer's weight decay, if it has one, reaches each of some variables."""
    variables = list(variables)
    if isinstance(optimizer, _Selective):
        return optimizer.choices(variables)
    # Whoever called Keras's `exclude_from_weight_decay` is asked in the one way that Keras has.
    return [getattr(optimizer, "_use_weight_decay", lambda _: True)(variable) for variable in variables]


def _check_own_decay(optimizer: Any, weight_decay: float) -> None:
    own = optimizer.weight_decay
    default = _ADAMW_DEFAULT if isinstance(optimizer, keras.optimizers.AdamW) else None
    if own and own not in (weight_decay, default) and not isinstance(optimizer, _Selective):
        raise ValueError(
            f"`optimizer` has weight_decay={own} of its own, the policy asks for {weight_decay}. "
            "Leave the optimizer's weight_decay unset."
        )
