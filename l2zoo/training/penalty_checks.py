"""Whether a penalty that was asked for will train; if not, the error says the next step."""

from __future__ import annotations

import warnings
from typing import Any

import keras

from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.saved_penalty import after_reload
from l2zoo.regularization.strength import Strength
from l2zoo.regularization.training_step import Arrival, measure_penalties, own_parts
from l2zoo.regularization.weights import coefficients, weights_of
from l2zoo.utils.caller import outside
from l2zoo.utils.validation import first_names

_MOST = 4  # weights named
_NEAR = 0.01  # how far the part of a penalty that arrives may be from the whole


def check_penalty(model: keras.Model, policy: L2Policy | None) -> None:
    """Raises if a penalty was asked for and the loss gets none; warns of weights that miss theirs.

    Args:
        model: A built model.
        policy: What `fit` applied, `None` if it was not asked to.
    """
    weights = weights_of(model)
    counted = any(w.variable.trainable and w.variable.regularizer is not None for w in weights)
    frozen = [w for w in weights if not w.variable.trainable and w.variable.regularizer is not None]
    none = coefficients(None)
    pairs = zip(weights, after_reload(weights), strict=True)
    silent = [w.path for w, after in pairs if w.variable.regularizer is None and after != none]
    no_effect = (
        "A regularizer assigned to a built layer does nothing until the model is saved and loaded: "
        "use L2Policy(strength).apply(model) instead."
    )
    if counted:
        if silent:
            warnings.warn(
                f"These weights train without the penalty of their layer: {silent}. {no_effect}",
                stacklevel=outside(),
            )
        return
    nothing = f"Model {model.name!r} was given an L2 penalty, but none reaches its loss: "
    if frozen:
        raise ValueError(
            f"{nothing}all {len(frozen)} weights that carry one are frozen. Unfreeze them (trainable=True), "
            "or take the penalty off with L2Policy.remove(model)."
        )
    if silent:
        raise ValueError(f"{nothing}it is set on the layers of {silent}, not on the weights. {no_effect}")
    if policy is not None and _penalises(policy):
        raise ValueError(
            f"{nothing}{policy!r} gives every weight the factor 0. Change its multipliers or overrides, "
            "or use l2=None."
        )


def _penalises(policy: L2Policy) -> bool:
    live = isinstance(policy.strength, Strength)
    return not policy.decoupled and (live or float(policy.strength) > 0 or policy.l1 > 0)


def check_step(
    model: keras.Model, batch: Any, policy: L2Policy | None = None, *, on_layers: bool = True
) -> None:
    """Raises if a model's own step trains none of its penalties; warns if only some, or with other numbers.

    A model that takes Keras's own step, with Keras's own loss, is proven by structure: there, the
    regularizers of all weights that train are added to the loss. Any other takes a step, which is put back.

    Args:
        model: A compiled model.
        batch: What its `train_step` takes.
        policy: What was asked for, if its penalty is not in the model: a decoupled one is the optimizer's.
        on_layers: Whether layers keep the same regularizers as their variables, for a loss that reads those.
    """
    own = own_parts(model)
    decoupled = policy is not None and policy.decoupled
    asked = [w.path for w in weights_of(model) if w.variable.trainable and w.variable.regularizer is not None]
    if not own or not (asked or decoupled):
        return
    try:
        arrivals = measure_penalties(model, batch, on_layers=on_layers)
    except Exception as error:  # the model's own code, which may fail in any way
        text = f"Whether the penalty trains could not be measured, as a step of {model.name!r} failed"
        warnings.warn(f"{text}: {type(error).__name__}: {error}", stacklevel=outside())
        return
    if not arrivals:
        warnings.warn(
            f"Whether the penalty trains cannot be told: {_step_of(model)} moves no weight.",
            stacklevel=outside(),
        )
        return
    if decoupled:
        _check_handed(model, arrivals)
    if asked:
        _check_arrivals(model, own, {path: arrivals[path] for path in asked})


def _check_handed(model: keras.Model, arrivals: dict[str, Arrival]) -> None:
    if not any(arrival.handed for arrival in arrivals.values()):
        raise ValueError(
            f"Model {model.name!r} was given a weight decay, but {_step_of(model)} gives its optimizer no "
            "gradients. Let it call self.optimizer.apply(gradients, self.trainable_variables)."
        )


def _check_arrivals(model: keras.Model, own: list[str], arrivals: dict[str, Arrival]) -> None:
    missing = [path for path, arrival in arrivals.items() if arrival.factor == 0]
    if len(missing) == len(arrivals):
        raise ValueError(
            f"Model {model.name!r} was given an L2 penalty, but none of it trains: a step on the data "
            f"moved no weight by it. {type(model).__name__} has a {own[0]} of its own: let it add "
            "sum(self.losses) to its loss, or give weight decay to the optimizer, "
            "l2=L2Policy(strength, decoupled=True)."
        )
    if missing:
        warnings.warn(
            f"The penalty of these weights does not train: {first_names(missing, _MOST)}.",
            stacklevel=outside(),
        )
    others = {
        path: arrival.factor
        for path, arrival in arrivals.items()
        if arrival.factor and abs(arrival.factor - 1) > _NEAR
    }
    if others:
        factors = sorted({f"{factor:.3g}" for factor in others.values()})
        warnings.warn(
            f"The penalty trains with {' or '.join(factors)} times its strength in "
            f"{first_names(list(others), _MOST)}: {type(model).__name__} has a {own[0]} of its own.",
            stacklevel=outside(),
        )


def _step_of(model: keras.Model) -> str:
    return f"the training step of {type(model).__name__}"
