"""What the score of a training depends on, as hashes and JSON values: what differs is another training."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from typing import Any

import keras
import numpy as np

from l2zoo.engine.job import Job
from l2zoo.engine.live_numbers import (
    description_of_loss,
    description_of_optimizer,
    numbers_of,
    structure_of,
)
from l2zoo.engine.metric_names import metrics_of
from l2zoo.engine.warm_model import WarmModel
from l2zoo.training.compilation import compile_settings
from l2zoo.training.snapshot import callback_state


def fingerprint(*arrays: np.ndarray) -> str:
    """SHA-256 over shapes, types and values: equal if and only if the data are.

    Args:
        arrays: Numeric arrays of any shape.

    Raises:
        TypeError: An array holds Python objects.

    Example:
        >>> fingerprint(np.arange(3)) == fingerprint(np.arange(3)), fingerprint(np.arange(4))[:6]
        (True, 'cad1ae')
    """
    digest = hashlib.sha256()
    for array in arrays:
        if array.dtype.hasobject:
            raise TypeError(f"`arrays` must be numeric, got dtype={array.dtype}.")
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def identity_of_job(job: Job, warm: WarmModel, *, objective: str) -> dict[str, Any]:
    """All but the data and the numbers that a unit sets: the model of the job, and how it is trained."""
    model = warm.model
    layers = [_plain_config(layer.get_config()) for layer in model.layers]
    losses = [description_of_loss(loss) for loss in keras.tree.flatten(model.loss)]
    settings = compile_settings(model, optimizer=None, loss=None, metrics=None)
    number = getattr(job.division, "number", None)
    identity = {
        "model": fingerprint(*warm.initial_weights(0)),
        "layers": hashlib.sha256(json.dumps(layers, sort_keys=True).encode()).hexdigest(),
        "optimizer": description_of_optimizer(warm.optimizer, model.trainable_variables, rate=True),
        "loss": losses[0] if len(losses) == 1 else losses,
        "loss_weights": settings.get("loss_weights"),
        "objective": objective,
        "metric": [_description_of_metric(m) for m in metrics_of(model) if _is_behind(m, warm, objective)],
        "epochs": job.epochs,
        "batch_size": job.batch_size,
        "folds": number or fingerprint(*itertools.chain(*job.rows(0))),
        "weights": None if job.weights is None else fingerprint(*keras.tree.flatten(job.weights)),
        "weighted_scores": job.weighted_scores or None,
        "backend": keras.backend.backend(),
    }
    if job.callbacks:
        identity["callbacks"] = [
            {"class": type(c).__name__, **_plain(callback_state(c))} for c in job.callbacks
        ]
    told = {name: value for name, value in identity.items() if value not in (None, [])}
    return json.loads(json.dumps(told, default=lambda value: type(value).__name__))


def identity_of_model(model: keras.Model, *, epochs: int, batch_size: int) -> str:
    """All of one compiled model, its strengths and rates too, but its weights; as a short hash."""
    structure, _ = structure_of(model)
    numbers = dataclasses.asdict(numbers_of(model))
    rate = numbers.pop("learning_rate")
    numbers["learning_rate"] = rate if rate is None or isinstance(rate, float) else rate.get_config()
    words = [structure, numbers, epochs, batch_size]
    return hashlib.sha256(json.dumps(words, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _is_behind(metric: Any, warm: WarmModel, objective: str) -> bool:
    """Whether an objective is the result of a metric."""
    return objective.endswith(warm.names.get(metric.name, metric.name))


def _description_of_metric(metric: Any) -> list[Any]:
    return [type(metric).__name__, _plain_config(metric.get_config())]


def _plain_config(config: dict[str, Any]) -> dict[str, Any]:
    """The numbers and words of a layer's or optimizer's config; names count what was made before it."""
    if "learning_rate" in config and not isinstance(config["learning_rate"], float):
        rate = json.dumps(config["learning_rate"], sort_keys=True, default=str)
        config = {**config, "learning_rate": rate}
    return _plain({name: value for name, value in config.items() if name != "name"})


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in config.items() if isinstance(v, (bool, int, float, str))}
