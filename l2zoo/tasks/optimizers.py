"""Optimizers and learning rate schedules by name, as recipes and papers speak of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import keras

from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import check_number, one_of, whole_number

OPTIMIZERS: Mapping[str, Callable[..., keras.optimizers.Optimizer]] = MappingProxyType(
    {
        "sgd": lambda rate, **more: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, **more),
        "adam": lambda rate, **more: keras.optimizers.Adam(rate, **more),
        # Without Keras's weight decay of 0.004: `L2Policy(..., decoupled=True)` says how much, and of what.
        "adamw": lambda rate, **more: keras.optimizers.AdamW(rate, weight_decay=0.0, **more),
    }
)
SCHEDULES = ("cosine", "step", "constant")
DROPS = (0.5, 0.75)  # parts of the training after which "step" divides the rate by ten (He et al. 2015)
WARM_UP = 0.05  # part of the training in which "cosine" climbs to its rate


@suggest_arguments
def optimizer(
    name: str, *, learning_rate: float, schedule: str = "cosine", steps: int = 0, average: float = 0.0
) -> keras.optimizers.Optimizer:
    """An optimizer that knows how long the training is.

    Args:
        name: `"sgd"` (momentum 0.9, Nesterov), `"adam"` or `"adamw"`. Give the last one a decoupled
            `L2Policy`: by itself it decays nothing.
        learning_rate: The highest, above 0.
        schedule: `"cosine"` (up in the first twentieth of the steps, then down to 0: Loshchilov, Hutter
            2017), `"step"` (a tenth from the half on, a hundredth from three quarters on) or `"constant"`.
        steps: Of the whole training; not needed for `"constant"`.
        average: Momentum in [0, 1) of a moving average of the weights, which takes their place when the
            training ends; 0 for none.

    Raises:
        ValueError: An unknown name; a rate that is not above 0; no steps.

    Example:
        >>> optimizer("sgd", learning_rate=0.1, schedule="constant").nesterov
        True
    """
    one_of("optimizer", name, tuple(OPTIMIZERS))
    if not check_number("learning_rate", learning_rate):
        raise ValueError(f"`learning_rate` must be above 0, got learning_rate={learning_rate}.")
    if not check_number("average", average) < 1:
        raise ValueError(f"`average` must be in [0, 1), got average={average}.")
    more = {"use_ema": True, "ema_momentum": float(average)} if average else {}
    return OPTIMIZERS[name](_schedule(schedule, float(learning_rate), steps), **more)


def _schedule(name: str, rate: float, steps: int) -> Any:
    one_of("schedule", name, SCHEDULES)
    if name == "constant":
        return rate
    whole_number("steps", steps, at_least=1)
    if name == "step":
        return keras.optimizers.schedules.PiecewiseConstantDecay(
            [int(share * steps) for share in DROPS], [rate, rate / 10, rate / 100]
        )
    warm = int(WARM_UP * steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warm else rate, max(1, steps - warm), warmup_target=rate if warm else None, warmup_steps=warm
    )
