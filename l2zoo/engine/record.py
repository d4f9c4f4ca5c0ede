"""What trainings are counted in: the unit of work, and the record of what came out of it."""

from __future__ import annotations

import math
import operator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

Value = bool | int | float | str
"""Of a hyperparameter."""
State = list[np.ndarray]
"""The weights and the optimizer's state of a model."""


@dataclass(frozen=True)
class Unit:
    """The unit of work: one training of one strength on one fold with one seed.

    Args:
        strength: The strength, in the convention of the search.
        fold: Which fold is held out.
        seed: Which division into folds, initial weights and order of batches.
        others: The other hyperparameters of the search, in order of their names.
        begin: How many epochs another unit has trained already; this one goes on from its weights.
        end: The epoch to stop after, before that of the search; None trains to the end.
    """

    strength: float
    fold: int
    seed: int
    others: tuple[tuple[str, Value], ...] = ()
    begin: int = 0
    end: int | None = None

    def __post_init__(self) -> None:
        strength = float(self.strength)
        if not (math.isfinite(strength) and strength >= 0):
            raise ValueError(f"`strength` must be a finite number >= 0, got strength={self.strength!r}.")
        object.__setattr__(self, "strength", strength + 0.0)  # -0.0 is 0.0
        for name in ("fold", "seed", "begin"):
            value = operator.index(getattr(self, name))
            if value < 0:
                raise ValueError(f"`{name}` must be an integer >= 0, got {name}={value}.")
            object.__setattr__(self, name, value)
        if self.end is not None and not self.begin < operator.index(self.end):
            raise ValueError(f"`end` must be above begin={self.begin}, got end={self.end}.")
        object.__setattr__(self, "others", tuple(sorted((str(n), v) for n, v in self.others)))


@dataclass(frozen=True)
class Record:
    """What came out of one training.

    Args:
        unit: Which training.
        status: `"done"`, with a finite score, or `"failed"`, with a reason and no score.
        score: The objective on the held-out fold; it never contains the penalty.
        reason: Why the training failed, in words; or why it was stopped, when it collapsed.
        seconds: How long it took.
        epochs: How many epochs the scored weights have behind them, those of earlier units included. With
            early stopping this is the epoch whose weights were restored.
        trained: How many epochs this unit itself took: those before the weights it began with do not count,
            those after the weights that were restored do.
        curves: A list per logged quantity with one number per epoch, those of earlier units included, as in
            `{"val_accuracy": [0.7, 0.8]}`.
        weight_norm: Euclidean norm of the penalised weights at the end.
        penalty: Value of the penalty at the end.
        parts: What each part of the held-out rows adds to the score, where the job asks for it.
    """

    unit: Unit
    status: str = "done"
    score: float | None = None
    reason: str = ""
    seconds: float = 0.0
    epochs: int = 0
    trained: int = 0
    curves: dict[str, list[float]] = field(default_factory=dict)
    weight_norm: float | None = None
    penalty: float | None = None
    parts: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.status not in ("done", "failed"):
            raise ValueError(f"`status` must be 'done' or 'failed', got status={self.status!r}.")
        if self.score is not None:
            object.__setattr__(self, "score", float(self.score))  # a NumPy number is read back as a float
        if self.status == "done" and (self.score is None or not math.isfinite(self.score)):
            raise ValueError(
                f"A record that is 'done' needs a finite score, got score={self.score!r} for {self.unit}. "
                "Record it with status='failed' and a reason."
            )
        if self.status == "failed" and (self.score is not None or not self.reason):
            raise ValueError(
                "A record that is 'failed' needs a reason and no score, "
                f"got reason={self.reason!r}, score={self.score!r} for {self.unit}."
            )


def encode(record: Record) -> dict[str, Any]:
    """The record as JSON values; `decode` gives back an equal one."""
    content = asdict(record)
    for name in ("seconds", "weight_norm", "penalty"):
        content[name] = _number(content[name])
    content["curves"] = {name: [_number(x) for x in values] for name, values in record.curves.items()}
    content["parts"] = [_number(part) for part in record.parts]
    if not record.parts:
        del content["parts"]
    unit = content.pop("unit")
    if not unit["others"]:
        del unit["others"]
    if not unit["begin"]:
        del unit["begin"]
    if unit["end"] is None:
        del unit["end"]
    return {**unit, **content}


def decode(content: dict[str, Any]) -> Record:
    """The record that `encode` wrote."""
    unit = Unit(
        content.pop("strength"),
        content.pop("fold"),
        content.pop("seed"),
        others=tuple((name, value) for name, value in content.pop("others", ())),
        begin=content.pop("begin", 0),
        end=content.pop("end", None),
    )
    for name in ("seconds", "weight_norm", "penalty"):
        content[name] = None if content[name] is None else float(content[name])
    content["curves"] = {name: [float(x) for x in values] for name, values in content["curves"].items()}
    content["parts"] = tuple(map(float, content.get("parts", ())))
    return Record(unit=unit, **content)


def _number(value: float | None) -> float | str | None:
    """JSON has no NaN and no infinity: they are written as the words that `float` reads."""
    if value is None:
        return None
    return float(value) if math.isfinite(value) else str(float(value))
