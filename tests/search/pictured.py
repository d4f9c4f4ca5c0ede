"""Searches made up by hand, whose pictures and pages can be checked: numbers by formula, no training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np

from l2zoo.engine.record import Record, Unit, Value
from l2zoo.search.select import Selection, choose

GRID = (0.0, *(10 ** (exponent / 2) for exponent in range(-12, -1)))
Others = tuple[tuple[str, Value], ...]


def quality(strength: float, others: Others = ()) -> float:
    """A hill over the strength, highest at 1e-3, that falls off a cliff above 0.025, highest at 64 units."""
    place = math.log10(strength) if strength else -8.0
    hill = 0.80 + 0.09 * math.exp(-((place + 3) ** 2) / 3) - (0.5 if place > -1.6 else 0.0)
    values = dict(others)
    units, rate = values.get("units", 64), values.get("rate", 1e-3)
    hill -= 0.02 * abs(math.log2(float(units) / 64)) + 0.03 * abs(math.log10(float(rate) / 1e-3))
    return hill - (0.03 if values.get("activation") == "tanh" else 0.0)


def record(unit: Unit, *, epochs: int = 20, metric: str = "val_accuracy") -> Record:
    """A training whose curve rises towards the quality of its strength, fold and seed."""
    noise = np.random.default_rng([int(unit.strength * 1e9), unit.fold, unit.seed])
    level = quality(unit.strength, unit.others) + 0.012 * noise.standard_normal()
    last = unit.end or epochs
    epoch = np.arange(1, last + 1)
    curve = level - 0.5 * np.exp(-epoch / 3) + 0.004 * noise.standard_normal(last)
    curves = {metric: curve.tolist(), "loss": (1 - curve).tolist(), "val_data_loss": (1.1 - curve).tolist()}
    norm = 14 / (1 + (unit.strength / 3e-3) ** 0.5)
    return Record(
        unit,
        score=float(curve[-1]),
        seconds=1.5 * (last - unit.begin),
        epochs=last,
        trained=last - unit.begin,
        curves=curves,
        weight_norm=norm,
        penalty=unit.strength * norm**2,
    )


def failed(unit: Unit) -> Record:
    reason = "the loss became NaN in epoch 2"
    return Record(unit, status="failed", reason=reason, seconds=0.5, epochs=2, trained=2)


def records(
    places: Iterable[tuple[float, Others]], *, folds: int = 5, end: int | None = None, epochs: int = 20
) -> list[Record]:
    units = [Unit(s, fold, 0, others=o, end=end) for (s, o), fold in itertools.product(places, range(folds))]
    return [record(unit, epochs=epochs) for unit in units]


def plain() -> list[Record]:
    """A grid of strengths alone; the strongest failed."""
    return [*records((s, ()) for s in GRID[:-1]), *(failed(Unit(GRID[-1], fold, 0)) for fold in range(5))]


def two_ways() -> list[Record]:
    """A full grid of strengths and units."""
    strengths = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 0.1)
    pairs = itertools.product(strengths, (16, 32, 64, 128))
    return records((strength, (("units", units),)) for strength, units in pairs)


def hyperband(count: int = 24) -> list[Record]:
    """A random search over two others whose worse half was stopped after 4 epochs; 0 at the best values."""
    rng = np.random.default_rng(7)
    places = [
        (float(10 ** rng.uniform(-6, -1.5)), (("rate", float(10 ** rng.uniform(-4, -2))), ("units", units)))
        for units in rng.choice([32, 64, 128], count).tolist()
    ]
    ranked = sorted(places, key=lambda place: -quality(*place))
    whole = records([*ranked[: count // 2], (0.0, ranked[0][1])])
    strengths = (ranked[0][0] / 10, ranked[0][0] / 3, ranked[0][0] * 3)
    return [*whole, *records((s, ranked[0][1]) for s in strengths), *records(ranked[count // 2 :], end=4)]


def selection(of: list[Record]) -> Selection:
    return choose(of, metric="val_accuracy")
