"""What a step takes off each weight, beside what its regularizer and the optimizer claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from l2zoo.regularization.training_step import Arrival, measure_decay, measure_penalties
from l2zoo.reports.table import Cell

_NEAR = 0.01  # how far a part that arrives may be from what is claimed, relatively
COLUMNS = ("in a step", "decay", "in a step")


@dataclass(frozen=True)
class StepPart:
    """What a step does to one weight.

    Attributes:
        factor: How often the penalty is in the gradient: 1 as it should be, 0 if it does not train, None if
            it trains and nobody can tell how often.
        decay: The weight decay that the optimizer claims for it, 0 for none.
        decay_factor: How much of the optimizer's weight decay a step really takes off, as a factor.
    """

    factor: float | None
    decay: float
    decay_factor: float


def measure_step(model: keras.Model, batch: Any, decays: Mapping[str, float]) -> dict[str, StepPart]:
    """Takes a step on a batch and puts everything back.

    Args:
        model: A compiled model.
        batch: What its `train_step` takes: `(x, y)` or `(x, y, sample_weight)`.
        decays: The weight decay that the optimizer claims for each trainable weight, by path.

    Returns:
        By path; empty if the step moves no weight.

    Raises:
        ValueError: The model is not compiled.
    """
    if not getattr(model, "compiled", False):
        raise ValueError(f"`step` needs a compiled model: call compile on {model.name!r} first.")
    arrivals = measure_penalties(model, tuple(batch) if isinstance(batch, list) else batch)
    factors = measure_decay(model) if any(decays.values()) else {}
    return {
        path: StepPart(arrival.factor, decays.get(path, 0.0), _decay_factor(arrival, factors.get(path, 0.0)))
        for path, arrival in arrivals.items()
    }


def _decay_factor(arrival: Arrival, factor: float) -> float:
    """An optimizer decays only what it is given a gradient for."""
    return round(factor, 4) if arrival.handed else 0.0


def step_cells(part: StepPart | None, strength: float | None, *, penalised: bool) -> tuple[Cell, ...]:
    """The cells of `COLUMNS` for a weight: lambda and weight decay as they arrive, beside what is claimed.

    Args:
        part: What was measured; None for a weight that does not train.
        strength: The lambda that is claimed; None for a regularizer that has none.
        penalised: Whether the weight carries a regularizer.
    """
    if part is None:
        return (Cell("-"),) * len(COLUMNS)
    penalty = Cell("-")
    if penalised and part.factor is None:
        penalty = Cell("some")
    elif penalised and part.factor:
        penalty = _cell(part.factor * strength) if strength else Cell(f"x{part.factor:.3g}")
    return penalty, _cell(part.decay), _cell(part.decay * part.decay_factor)


def _cell(value: float) -> Cell:
    return Cell(f"{value:.4g}", value) if abs(value) > 1e-30 else Cell("-")


def step_problems(parts: Mapping[str, StepPart], penalised: Sequence[str]) -> Iterator[tuple[list[str], str]]:
    """Paths and what is wrong with them.

    Args:
        parts: What was measured.
        penalised: Paths of the weights that train and carry a regularizer.
    """
    factors = {path: parts[path].factor for path in penalised if path in parts}
    missing = [path for path, factor in factors.items() if factor == 0]
    yield missing, "with a penalty that a step does not train"
    others = {path: f for path, f in factors.items() if f and abs(f - 1) > _NEAR}
    for times in sorted({f"{factor:.3g}" for factor in others.values()}):
        paths = [path for path, factor in others.items() if f"{factor:.3g}" == times]
        yield paths, f"with {times} times the penalty in a step"
    lost = [path for path, part in parts.items() if part.decay and part.decay_factor < 1 - _NEAR]
    yield lost, "with less weight decay in a step than the optimizer claims"
