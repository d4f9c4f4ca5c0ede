"""Names of metrics that mean the same for every model that is built.

Keras counts the names it makes itself on from object to object: the third model of a process measures
`auc_2`, at an output `dense_5`. Here they are counted within a model, as they are in the first one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import keras

from l2zoo.regularization.weights import layers_of


def stable_names(model: keras.Model) -> dict[str, str]:
    """The stable name of each result of a compiled model that has been evaluated, by the name Keras gives it.

    Results that have a name of their own keep it.
    """
    outputs = _outputs(model)
    own = _counted_anew(metrics_of(model))
    return {name: _stable(name, outputs, own) for name in model.get_metrics_result()}


def metrics_of(model: keras.Model) -> list[Any]:
    """All metrics; those that `compile` was given stand together in one."""
    return [each for metric in model.metrics for each in getattr(metric, "metrics", None) or [metric]]


def _stable(name: str, outputs: dict[str, str], own: dict[str, str]) -> str:
    """A result's name: perhaps that of an output, perhaps `weighted_`, that of a metric, perhaps a number."""
    for output in sorted(outputs, key=len, reverse=True):
        if name == f"{output}_loss":
            return f"{outputs[output]}_loss"
    for output in ["", *sorted(outputs, key=len, reverse=True)]:
        before, rest = "", name
        if output:
            if not name.startswith(f"{output}_"):
                continue
            before, rest = f"{outputs[output]}_", name.removeprefix(f"{output}_")
        weighted = "weighted_" if rest.startswith("weighted_") and rest not in own else ""
        rest = rest.removeprefix(weighted)
        if rest in own:
            return f"{before}{weighted}{own[rest]}"
        if re.sub(r"_\d+$", "", rest) in own:  # the same name twice, which Keras counts within a model
            base, _, number = rest.rpartition("_")
            return f"{before}{weighted}{own[base]}_{number}"
    return name


def _outputs(model: keras.Model) -> dict[str, str]:
    """The names of the outputs, as they would be in the first model of a process."""
    stable = _counted_anew(layers_of(model))
    names = getattr(model, "output", None)
    listed = list(names) if isinstance(names, dict) else getattr(model, "output_names", None) or []
    return {name: stable.get(name, name) for name in listed}


def _counted_anew(named: Iterable[Any]) -> dict[str, str]:
    """Names by their own; what Keras has named and numbered is numbered from the first one that is there."""
    named = list(named)
    counted: dict[str, list[tuple[int, str]]] = {}
    for each in named:
        base, number = _split(each.name)
        if base.replace("_", "") == type(each).__name__.lower().replace("_", ""):
            counted.setdefault(base, []).append((number, each.name))
    names = {each.name: each.name for each in named}
    for base, found in counted.items():
        for place, (_, name) in enumerate(sorted(set(found))):
            names[name] = f"{base}_{place}" if place else base
    return names


def _split(name: str) -> tuple[str, int]:
    base, _, number = name.rpartition("_")
    return (base, int(number)) if base and number.isdigit() else (name, 0)
