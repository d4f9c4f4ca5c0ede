"""A strength that can change while a model trains, and the regularizer that reads it.

The number lives in a Keras variable, so an already traced or compiled step sees the new value.
"""

from __future__ import annotations

import math
import weakref
from typing import Any

import keras
from keras import ops


def check_number(name: str, value: Any) -> float:
    """Returns `value` as a float if it is a finite number >= 0, else raises naming the argument."""
    number = not isinstance(value, (bool, str, bytes)) and hasattr(value, "__float__")
    if not number:
        raise TypeError(f"`{name}` must be a number, got {name}={value!r} of type {type(value).__name__}.")
    value = float(value)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"`{name}` must be a finite number >= 0, got {name}={value}.")
    return value


class Strength:
    """A strength that can be assigned between two steps of an already compiled `fit`.

    Use it in place of a number: `L2Policy(Strength(1e-4))`. A model saved while it carries a live
    strength is saved with a plain Keras L2 at the number it has then.

    Args:
        value: The strength at the start, a finite number >= 0, in the convention of the policy.

    Raises:
        TypeError: `value` is not a number.
        ValueError: `value` is negative, infinite or NaN.

    Example:
        >>> strength = Strength(1e-4)
        >>> strength.assign(1e-3)
        >>> strength
        Strength(0.001)
    """

    def __init__(self, value: float = 1e-4):
        self._value = check_number("value", value)
        self.variable = keras.Variable(self._value, dtype="float32", trainable=False, name="l2_strength")
        self._models: weakref.WeakSet = weakref.WeakSet()

    @property
    def value(self) -> float:
        """The number it has now."""
        return self._value

    def assign(self, value: float) -> None:
        """Sets the strength; it counts from the next step, and nothing is traced or compiled again.

        Args:
            value: The new strength, a finite number >= 0.

        Raises:
            TypeError: `value` is not a number.
            ValueError: `value` is negative, infinite or NaN.
        """
        self._value = check_number("value", value)
        for model in self._models:
            # On JAX the variables are out of reach in the middle of an epoch until their state is
            # brought back; Keras gives callbacks this method for it.
            getattr(model, "jax_state_sync", lambda: None)()
        self.variable.assign(self._value)

    def follow(self, model: keras.layers.Layer) -> None:
        """Makes the strength part of a model's state, without which JAX compiles it in as a constant.

        A layer's seed generators are the one place for state that is neither a weight (so it is not
        counted, saved or loaded) nor a metric; Keras reads nothing of them but `state`.
        """
        self._models.add(model)
        if keras.backend.backend() == "jax" and self not in _strengths_of(model):
            model._seed_generators.append(_State(self))

    def unfollow(self, model: keras.layers.Layer) -> None:
        """Undoes `follow`."""
        self._models.discard(model)
        for state in [s for s in model._seed_generators if isinstance(s, _State) and s.strength is self]:
            model._seed_generators.remove(state)

    def __float__(self) -> float:
        return self._value

    def __repr__(self) -> str:
        return f"Strength({self._value!r})"

    def __reduce__(self) -> tuple:
        return Strength, (self._value,)


class _State:
    """Stands among a layer's seed generators and hands out the strength's variable as its state."""

    def __init__(self, strength: Strength):
        self.strength = strength
        self.state = strength.variable


def _strengths_of(model: keras.layers.Layer) -> list[Strength]:
    return [state.strength for state in model._seed_generators if isinstance(state, _State)]


class LiveL2(keras.regularizers.Regularizer):
    """`l1 * sum(|w|) + strength * factor * sum(w ** 2)` with a strength that is read at every step.

    To everybody who asks for its class it is Keras's own `L2` (or `L1L2`) with the coefficients of
    the moment: so it is saved as one, and loads where l2zoo is not installed.

    Args:
        strength: The strength to follow.
        factor: What makes it lambda: convention times multiplier.
        l1: Coefficient of the absolute values, in Keras's form.
    """

    def __init__(self, strength: Strength, factor: float, l1: float = 0.0):
        self.strength = strength
        self.factor = factor
        self.l1 = l1

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return keras.regularizers.L1L2 if self.l1 else keras.regularizers.L2

    @property
    def l2(self) -> float:
        """Lambda at this moment."""
        return self.strength.value * self.factor

    def __call__(self, x: Any) -> Any:
        coefficient = ops.cast(ops.convert_to_tensor(self.strength.variable) * self.factor, x.dtype)
        penalty = coefficient * ops.sum(ops.square(x))
        return penalty + self.l1 * ops.sum(ops.absolute(x)) if self.l1 else penalty

    def get_config(self) -> dict[str, float]:
        return {"l1": self.l1, "l2": self.l2} if self.l1 else {"l2": self.l2}

    def __reduce__(self) -> tuple:
        return self.__class__, tuple(self.get_config().values())
