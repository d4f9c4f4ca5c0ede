"""A run in plain values: what its numbers depend on, and what else is good to know later."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import keras

import l2zoo
from l2zoo.regularization.audit import audit
from l2zoo.regularization.strength import LiveL2
from l2zoo.regularization.weights import coefficients, weights_of
from l2zoo.training.feed import Feed
from l2zoo.training.run_folder import UNKNOWN


def settings_of_run(
    model: keras.Model,
    settings: dict[str, Any],
    data: Feed,
    validation: Feed | None,
    *,
    batch_size: int,
    seed: int,
    precision: str,
) -> dict[str, Any]:
    """All on which the numbers of a run depend, as JSON values. Epochs do not: a run may be prolonged."""
    return {
        "model": _model(model),
        "l2": _penalties(model),
        "data": data.describe(),
        "validation": validation.describe() if validation else None,
        "batch_size": batch_size,
        "seed": seed,
        "optimizer": _optimizer(model, settings["optimizer"]),
        "loss": _to_json(settings.get("loss")),
        "loss_weights": _to_json(settings.get("loss_weights")),
        "metrics": _to_json([settings.get("metrics"), settings.get("weighted_metrics")]),
        "precision": precision,
        "backend": keras.backend.backend(),
    }


def facts_of_run(model: keras.Model, callbacks: Sequence[Any], **values: Any) -> dict[str, Any]:
    """What a reader of `config.json` wants to know besides."""
    found = audit(model)
    return {
        "model": model.name,
        "l2": found.summary,
        "l2_problems": list(found.problems),
        "callbacks": [type(callback).__name__ for callback in callbacks],
        **values,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "l2zoo": l2zoo.__version__,
            "keras": keras.__version__,
            "python": platform.python_version(),
        },
        "machine": f"{platform.system()} {platform.machine()}",
    }


def _model(model: keras.Model) -> dict[str, Any]:
    # No names: Keras numbers them anew with every model that a process builds.
    layers = Counter(type(layer).__name__ for layer in model.layers)
    return {
        "layers": dict(sorted(layers.items())),
        "parameters": model.count_params(),
        "trainable_weights": len(model.trainable_weights),
        "shapes": Counter("x".join(map(str, w.shape)) or "scalar" for w in model.weights),
    }


def _penalties(model: keras.Model) -> str:
    """How many weights have which penalty. A live strength has no number of its own: it changes."""
    kinds: Counter[str] = Counter()
    for weight in weights_of(model):
        regularizer = weight.variable.regularizer
        if type(regularizer) is LiveL2:
            kinds[f"a live strength times {regularizer.factor:g}, l1={regularizer.l1:g}"] += 1
        elif regularizer is not None:
            l1, l2 = coefficients(regularizer) or (None, None)
            kinds[type(regularizer).__name__ if l2 is None else f"l2={l2:g}, l1={l1:g}"] += 1
    return "; ".join(f"{n} weights at {kind}" for kind, n in sorted(kinds.items())) or "none"


def _optimizer(model: keras.Model, optimizer: Any) -> Any:
    optimizer = keras.optimizers.get(optimizer)
    try:
        config = optimizer.get_config()
    except NotImplementedError:  # a learning rate schedule of the caller's own need not have a config
        config = {}
    if optimizer.built:
        # A second call in the same process finds the learning rate that callbacks left behind.
        config["learning_rate"] = UNKNOWN
    return {"class": type(optimizer).__name__, **_to_json({k: v for k, v in config.items() if k != "name"})}


def _to_json(value: Any) -> Any:
    """JSON values for what a Keras user passes to `compile`."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): _to_json(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(part) for part in value]
    if hasattr(value, "get_config"):
        try:
            return {"class": type(value).__name__, **_to_json(value.get_config())}
        except NotImplementedError:
            return type(value).__name__
    if hasattr(value, "tolist"):
        return value.tolist()
    return getattr(value, "__qualname__", type(value).__name__)
