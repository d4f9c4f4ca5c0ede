"""Signs that a training goes wrong, in words, each once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

VANISHED = 1e-3  # of the penalty's gradient: below it the data have no say
FLOOR = 1e-8  # of the data's gradient, relative to the weight
COLLAPSED = 0.05  # of the norm at the start
EXPLODED = 100.0  # times the norm at the start
DOMINATES = 3.0  # times the data loss of a model that has learnt nothing: a small one may be a good one
_MOST = 4  # layers named


@dataclass(frozen=True)
class Losses:
    """The parts of the loss in an epoch, and the largest data loss of the run so far."""

    data: float
    penalty: float
    worst: float


def warn_of_trouble(first: Sequence[Any], now: Sequence[Any], losses: Losses, *, said: str = "") -> str:
    """Warns of each kind of trouble that was not said yet.

    Args:
        first: A `KernelState` for each kernel at the start.
        now: One for each at the end of the epoch, in the same order.
        losses: Of the epoch.
        said: The kinds that were said, with spaces between them.

    Returns:
        The kinds that are said now.
    """
    kinds = said.split()
    for kind, which, what, remedy in _trouble(first, now, losses):
        if which and kind not in kinds:
            kinds.append(kind)
            names = ", ".join(one.path for one in which[:_MOST])
            more = f" and {len(which) - _MOST} more" if len(which) > _MOST else ""
            text = f"Epoch {which[0].epoch + 1}: {what} in {names}{more}. {remedy}."
            warnings.warn(text, stacklevel=3)
    return " ".join(kinds)


def _trouble(
    first: Sequence[Any], now: Sequence[Any], losses: Losses
) -> Iterator[tuple[str, Sequence[Any], str, str]]:
    """Each kind of trouble with the kernels that show it, what it is, and what to try."""
    early = now[: max(1, len(now) // 2)]
    yield (
        "vanish",
        [one for one in early if one.data_gradient < max(VANISHED * one.penalty_gradient, FLOOR * one.norm)],
        "The gradient of the data vanishes in the early layers, where the penalty alone pulls",
        "Try a smaller strength, a warm-up by L2Schedule, or a normalisation before the activations",
    )
    pairs = list(zip(first, now, strict=True))
    # Before a normalisation a small kernel is as good as a large one.
    bare = [(start, one) for start, one in pairs if one.effective_rate is None] or pairs
    small = [one for start, one in bare if one.norm < COLLAPSED * start.norm]
    yield (
        "collapse",
        small if 2 * len(small) >= len(bare) else [],
        f"The weights collapse to less than {COLLAPSED:.0%} of what they were, the model becomes a constant",
        "Try a smaller strength, or exempt these layers by overrides={'PATH': 0}",
    )
    yield (
        "explode",
        [one for start, one in pairs if not one.norm <= EXPLODED * max(start.norm, 1e-12)],
        f"Norms explode to more than {EXPLODED:g} times what they were",
        "Try a lower learning rate, clipnorm=1.0 in the optimizer, or a greater strength",
    )
    strongest = sorted(now, key=lambda one: -one.penalty_gradient)[:_MOST]
    yield (
        "dominate",
        strongest if losses.penalty > DOMINATES * losses.worst else [],
        f"The penalty, {losses.penalty:.3g}, dominates the data loss, {losses.data:.3g}; most of its pull is",
        "Try a smaller strength",
    )
