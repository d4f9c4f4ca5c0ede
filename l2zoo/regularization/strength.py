"""A strength that can change while a model trains, and the regularizer that reads it.

The number lives in a Keras variable, so an already traced or compiled step sees the new value.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import keras
from keras import ops

from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import check_number


@suggest_arguments
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
        # Not cast with a mixed precision's layers: 1e-8 is 0 in float16.
        self.variable = keras.Variable(
            self._value, dtype="float32", trainable=False, autocast=False, name="l2_strength"
        )
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
            RuntimeError: On JAX, in the middle of an epoch of a model that the strength does not follow.
        """
        value = check_number("value", value)
        for model in list(self._models):
            # On JAX the variables are out of reach in the middle of an epoch until their state is
            # brought back; Keras gives callbacks this method for it.
            getattr(model, "jax_state_sync", lambda: None)()
        if _out_of_reach(self.variable):
            raise RuntimeError(
                "On JAX a strength can be assigned in the middle of an epoch only if it follows the model "
                "that is being trained. Call `strength.follow(model)` before fit, or apply the policy to it."
            )
        self._value = value
        self.variable.assign(value)

    def follow(self, model: keras.layers.Layer) -> None:
        """Lets the strength be assigned at any time while a model trains.

        `L2Policy.apply(model)` sees to it, and a callback that has asked for its `self.model`. Call it when
        another model that shares the layers, such as one around the model, is trained.

        Args:
            model: The model whose `fit` is running when the strength is assigned.
        """
        self._models.add(model)

    def attach(self, layers: Iterable[keras.layers.Layer]) -> None:
        """Makes the strength part of the state of layers, without which JAX compiles it in as a constant.

        A layer's seed generators are the one place for state that is neither a weight (so it is not
        counted, saved or loaded) nor a metric; Keras reads nothing of them but `state`. The strength is
        with the layers that own the weights, so that every model made of them has it; of layers inside
        each other only the innermost gets it, for Keras would list it twice.

        Args:
            layers: The owners of the weights that the strength penalises.
        """
        if keras.backend.backend() != "jax":
            return
        owners = {id(layer): layer for layer in layers}
        for layer in owners.values():
            inside = layer._flatten_layers(include_self=False)
            if not any(id(inner) in owners for inner in inside):
                layer._seed_generators.append(_State(self))

    @contextlib.contextmanager
    def temporarily(self, value: float) -> Iterator[None]:
        """Says another number to whoever asks for it inside the `with`; a step still sees the real one."""
        real, self._value = self._value, value
        try:
            yield
        finally:
            self._value = real

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


def detach(model: keras.layers.Layer) -> None:
    """Takes every strength out of the state of a model's layers: undoes `Strength.attach`."""
    for layer in model._flatten_layers():
        generators = layer._seed_generators
        generators[:] = [generator for generator in generators if not isinstance(generator, _State)]


def _out_of_reach(variable: keras.Variable) -> bool:
    """Whether JAX's training loop has taken a variable's value away, which Keras tells in no other way."""
    try:
        return variable.value is None
    except TypeError:
        return True


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
