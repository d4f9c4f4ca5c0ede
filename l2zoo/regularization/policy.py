"""The one object that says where L2 goes in a model, how strong it is, and what the number means."""

from __future__ import annotations

import difflib
import fnmatch
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

import keras
from keras import ops

from l2zoo.regularization.convert import CONVENTIONS, to_lambda
from l2zoo.regularization.saved_penalty import after_reload
from l2zoo.regularization.strength import LiveL2, Strength, detach
from l2zoo.regularization.weight_decay import restrict_decay
from l2zoo.regularization.weights import (
    FREE_ROLES,
    ROLES,
    Weight,
    coefficients,
    is_by_policy,
    regularizer_of,
    weights_of,
)
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.caller import outside
from l2zoo.utils.validation import check_number, first_names, known_names, one_of

DEFAULT_MULTIPLIERS: Mapping[str, float] = MappingProxyType(
    {role: 0.0 if role in FREE_ROLES else 1.0 for role in ROLES}
)
HOW_TO_REPLACE = "Call `apply(model, replace=True)` to replace it, or `L2Policy.remove(model)` first."
_Layer = TypeVar("_Layer", bound=keras.layers.Layer)


@suggest_arguments
@dataclass(frozen=True, repr=False, eq=False)
class L2Policy:
    """Which weights of a model are penalised, and how strongly.

    `loss = data_loss + sum over weights of lambda_w * sum(w ** 2)` with
    `lambda_w = lambda(strength, convention) * factor_w`; the factor is the first override whose pattern
    matches the weight's path, else the multiplier of the weight's role.

    Args:
        strength: A finite number >= 0, or a `Strength` that can change while the model trains.
        convention: What the number means: `"keras"` lambda = s; `"pytorch"` lambda = s / 2 (PyTorch SGD's
            `weight_decay`, and the papers'); `"mean"` lambda = s / (2 m), m = `model.count_params()`.
        multipliers: Factors by role. Those not named keep their default: 1 for `kernel`, `depthwise`,
            `recurrent` and `embedding`; 0 for `token`, `position`, `scale` (of a layer), `bias` and `norm`,
            which the field exempts.
        overrides: Factors by glob over `variable.path`, in the place of the role's multiplier:
            `{"stage1_*/kernel": 0.0}`. The first match wins; a pattern that matches nothing is an error.
        l1: Coefficient of `sum(|w|)` in Keras's own form, times the same factor.
        decoupled: Leaves the loss alone; `optimizer()` gives the weights to the optimizer's weight decay,
            `w -= learning_rate * strength * w` (Loshchilov and Hutter 2019), as PyTorch's and Keras's
            AdamW do. For adaptive optimizers this is another mathematics, so nothing is converted.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: A number is negative or not finite; a convention or role is unknown; `decoupled`
            is asked together with what a weight decay cannot do.

    Example:
        >>> L2Policy(1e-4, convention="pytorch", multipliers={"depthwise": 0})
        L2Policy(0.0001, convention='pytorch', multipliers={'depthwise': 0.0})
    """

    strength: float | Strength = 1e-4
    convention: str = field(default="keras", kw_only=True)
    multipliers: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    overrides: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    l1: float = field(default=0.0, kw_only=True)
    decoupled: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        one_of("convention", self.convention, CONVENTIONS)
        if not isinstance(self.decoupled, bool):
            raise TypeError(f"`decoupled` must be True or False, got decoupled={self.decoupled!r}.")
        factors = {
            "multipliers": {**DEFAULT_MULTIPLIERS, **_factors("multipliers", self.multipliers)},
            "overrides": _factors("overrides", self.overrides),
        }
        known_names("multipliers", factors["multipliers"], ROLES)
        if not isinstance(self.strength, Strength):
            object.__setattr__(self, "strength", check_number("strength", self.strength))
        object.__setattr__(self, "l1", check_number("l1", self.l1))
        for name, value in factors.items():
            object.__setattr__(self, name, MappingProxyType(value))
        if self.decoupled:
            self._check_decoupled()

    def _check_decoupled(self) -> None:
        if isinstance(self.strength, Strength):
            raise ValueError(
                "`decoupled=True` needs a number as `strength`, got a live Strength. "
                "A weight decay follows the learning rate: schedule that instead."
            )
        if self.l1:
            raise ValueError(f"`l1` has no decoupled form, got l1={self.l1}. Leave it at 0.")
        if self.convention == "mean":
            raise ValueError(
                '`convention="mean"` divides a penalty in the loss and says nothing about weight decay. '
                'Use "keras" or "pytorch" with decoupled=True: there, both mean the optimizer\'s number.'
            )

    @classmethod
    def of(cls, l2: float | Strength | L2Policy | None) -> L2Policy:
        """The policy that a builder's `l2=` argument stands for.

        Args:
            l2: A policy (returned as it is), a strength in Keras's convention, or `None` for no penalty.

        Raises:
            TypeError: `l2` is none of these.
        """
        if isinstance(l2, L2Policy):
            return l2
        if l2 is None:
            return cls(0.0)
        if isinstance(l2, (str, Mapping, keras.regularizers.Regularizer)):
            raise TypeError(f"`l2` must be a number, a Strength, an L2Policy or None, got l2={l2!r}.")
        return cls(l2)

    def apply(self, model: _Layer, replace: bool = False) -> _Layer:
        """Puts the penalty on a model, in place, and returns the same model.

        A compiled model stays compiled, and the penalty counts from the next step. An earlier policy is
        replaced. Frozen weights carry their penalty but it counts only while they train.

        Args:
            model: A built Keras model or layer. If it is part of a larger model that is already being
                trained, apply to the larger one.
            replace: Takes off penalties that were put there by somebody else.

        Raises:
            ValueError: The model is not built; a pattern of `overrides` matches no weight; a weight already
                has a penalty that no policy put there and `replace` is False.

        Warns:
            UserWarning: Names the layers whose penalty `save` and `load_model` cannot carry: those of a model
                whose class has a `save_assets` of its own.
        """
        weights = weights_of(model)
        factors = self._factors_of(weights)
        if not replace:
            _refuse_foreign(weights)
        unit = 0.0 if self.decoupled else self._unit(model)
        detach(model)
        for weight, factor in zip(weights, factors, strict=True):
            weight.set_regularizer(self._regularizer(unit, factor), exempt=factor == 0)
        if isinstance(self.strength, Strength):
            self.strength.follow(model)
            self.strength.attach(w.layer for w in weights if type(w.variable.regularizer) is LiveL2)
        _forget_traces(model)
        with self.strength.temporarily(1.0) if isinstance(self.strength, Strength) else nullcontext():
            _warn_of_lost(weights)  # a live strength of 0 may be another number later
        return model

    @staticmethod
    def remove(model: _Layer) -> _Layer:
        """Takes every weight penalty off a model, in place, whoever put it there.

        Raises:
            ValueError: The model is not built.
        """
        weights = weights_of(model)
        detach(model)
        for weight in weights:
            weight.set_regularizer(None)
        _forget_traces(model)
        return model

    def coefficients(self, model: keras.layers.Layer) -> dict[str, float]:
        """Lambda of every weight under this policy, by path; 0 for all of them if decoupled.

        Raises:
            ValueError: The model is not built, or a pattern of `overrides` matches no weight.
        """
        weights = weights_of(model)
        unit = 0.0 if self.decoupled else self._unit(model) * float(self.strength)
        return {w.path: unit * f for w, f in zip(weights, self._factors_of(weights), strict=True)}

    def penalty(self, model: keras.layers.Layer) -> Any:
        """The penalty of the model's trainable weights under this policy, whether or not it was applied.

        Returns:
            A scalar tensor: `sum of lambda_w * sum(w ** 2)`, plus the L1 part. 0 if decoupled.

        Raises:
            ValueError: The model is not built, or a pattern of `overrides` matches no weight.
        """
        weights = weights_of(model)
        unit = 0.0 if self.decoupled else self._unit(model)
        total = ops.zeros((), dtype="float32")
        for weight, factor in zip(weights, self._factors_of(weights), strict=True):
            regularizer = self._regularizer(unit, factor)
            if regularizer is not None and weight.variable.trainable:
                total = total + ops.cast(regularizer(weight.variable), "float32")
        return total

    def optimizer(self, optimizer: Any, model: keras.layers.Layer) -> Any:
        """An optimizer that decays exactly the weights this policy reaches; for `decoupled=True`.

        Args:
            optimizer: A Keras optimizer that was not used yet, or its name; its other settings are kept.
            model: The built model that it will train.

        Returns:
            An optimizer of the same kind whose selection of weights survives saving and loading.

        Raises:
            ValueError: The policy is not decoupled; the factors of the weights differ from each other (an
                optimizer has one weight decay); the optimizer was used or has a weight decay of its own.
        """
        if not self.decoupled:
            raise ValueError(
                "`optimizer()` is for `decoupled=True`; this policy works through the loss. "
                "Use `apply(model)`, or make the policy with decoupled=True."
            )
        weights = weights_of(model)
        factors = self._factors_of(weights)
        kinds = sorted({f for f in factors if f})
        if len(kinds) > 1:
            raise ValueError(
                f"An optimizer has one weight decay, but this policy gives the weights factors {kinds}. "
                "Use factors of 0 and one other value with decoupled=True."
            )
        decay = float(self.strength) * (kinds[0] if kinds else 0.0)
        chosen = {id(w.variable): bool(f) for w, f in zip(weights, factors, strict=True)}
        return restrict_decay(
            optimizer,
            weight_decay=decay,
            selection=[(weight.path, chosen[id(weight.variable)]) for weight in weights],
            order=[(variable.name, chosen[id(variable)]) for variable in model.trainable_variables],
        )

    def get_config(self) -> dict[str, Any]:
        """Plain values, fit for JSON. A live strength is written as the number it has now."""
        return {
            "strength": float(self.strength),
            "convention": self.convention,
            "multipliers": dict(self.multipliers),
            "overrides": dict(self.overrides),
            "l1": self.l1,
            "decoupled": self.decoupled,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> L2Policy:
        """The policy that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        multipliers = {k: v for k, v in self.multipliers.items() if v != DEFAULT_MULTIPLIERS[k]}
        parts = [repr(self.strength)]
        parts += [f"convention={self.convention!r}"] if self.convention != "keras" else []
        parts += [f"multipliers={multipliers!r}"] if multipliers else []
        parts += [f"overrides={dict(self.overrides)!r}"] if self.overrides else []
        parts += [f"l1={self.l1!r}"] if self.l1 else []
        parts += ["decoupled=True"] if self.decoupled else []
        return f"L2Policy({', '.join(parts)})"

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, L2Policy) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple:
        # The order of overrides is part of their meaning; a live strength equals itself alone.
        factors = tuple(self.multipliers.items()), tuple(self.overrides.items())
        return self.strength, self.convention, factors, self.l1, self.decoupled

    def __reduce__(self) -> tuple:
        return L2Policy._rebuild, (self.strength, self.get_config())

    @classmethod
    def _rebuild(cls, strength: float | Strength, config: dict[str, Any]) -> L2Policy:
        return cls(**{**config, "strength": strength})

    def _unit(self, model: keras.layers.Layer) -> float:
        """Lambda of strength 1 at factor 1."""
        return to_lambda(1.0, convention=self.convention, num_parameters=model.count_params())

    def _factors_of(self, weights: list[Weight]) -> list[float]:
        paths = [weight.path for weight in weights]
        for pattern in self.overrides:
            if not fnmatch.filter(paths, pattern):
                near = difflib.get_close_matches(pattern, paths, n=3, cutoff=0.3) or paths[:3]
                raise ValueError(f"`overrides` pattern {pattern!r} matches no weight. Near it: {near}.")
        return [self._factor(weight) for weight in weights]

    def _factor(self, weight: Weight) -> float:
        for pattern, factor in self.overrides.items():
            if fnmatch.fnmatchcase(weight.path, pattern):
                return factor
        return self.multipliers[weight.role]

    def _regularizer(self, unit: float, factor: float) -> Any:
        if unit == 0 or factor == 0:
            return None
        l1 = self.l1 * factor
        if isinstance(self.strength, Strength):
            return LiveL2(self.strength, unit * factor, l1)
        return regularizer_of(l1, self.strength * unit * factor)


def _factors(name: str, given: Mapping[str, float] | None) -> dict[str, float]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"`{name}` must be a mapping to factors, got {name}={given!r}.")
    return {str(key): check_number(f"{name}[{key!r}]", value) for key, value in given.items()}


def _refuse_foreign(weights: list[Weight]) -> None:
    paths = [
        w.path
        for w in weights
        if w.variable.regularizer is not None and not is_by_policy(w.variable.regularizer)
    ]
    if paths:
        raise ValueError(
            f"{len(paths)} weights already have a penalty that was not put there by an L2Policy: "
            f"{first_names(paths)}. {HOW_TO_REPLACE}"
        )


def _warn_of_lost(weights: list[Weight]) -> None:
    saved = zip(weights, after_reload(weights), strict=True)
    names = sorted({w.layer.path for w, after in saved if after != coefficients(w.variable.regularizer)})
    if names:
        warnings.warn(
            f"The penalty of these layers is lost by save and load_model: {names}. The class of their model "
            "has a `save_assets` of its own, and their config does not hold it. Give them a regularizer "
            "argument that is in their get_config(), or call L2Policy.apply(model) again after loading.",
            stacklevel=outside(),
        )


def _forget_traces(model: keras.layers.Layer) -> None:
    """Makes compiled functions anew, so that what they traced before does not hide the penalty."""
    for kind in ("train", "test"):
        if getattr(model, f"{kind}_function", None) is not None:
            getattr(model, f"make_{kind}_function")(force=True)
