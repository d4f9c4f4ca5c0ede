"""How a policy's penalty travels in a model's file, and what a weight has after `save` and `load_model`.

Keras writes the regularizers of its own layers to disk in their configs. A model whose config is its
constructor's arguments, as keras-hub's are, forgets them. So a `.keras` file holds one more asset, a list of
what each weight is penalised with. Keras's own `save` and `load_model` write and read it by the hooks that
they have for assets, once l2zoo is imported; where it is not, what the configs hold is there.
"""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np

# As a module: whoever imports it first imports Keras by it, and then this, before it has any names.
from l2zoo.regularization import weights as of_model
from l2zoo.utils.storage.files import as_value_errors
from l2zoo.utils.storage.reading import read_object
from l2zoo.utils.validation import check_number, whole_number

FILE = "l2zoo_penalty.json"
"""Name of the asset. Each model in a file has its own, of the weights that no model inside it has."""


def after_reload(weights: list[of_model.Weight]) -> list[tuple[float, float] | None]:
    """`(l1, lambda)` that each weight would have after `model.save` and `load_model`.

    What a policy put there is in the file. Of the rest, Keras's own layers write down their regularizer
    arguments; what a custom layer would do is found out by making the outermost custom layer once more from
    its config.
    """
    carried = _carried(weights)
    twins: dict[int, dict[int, Any]] = {}
    found = []
    for weight in weights:
        custom = next(
            (layer for layer in (*weight.ancestors, weight.layer) if of_model.is_custom(layer)), None
        )
        if id(weight.variable) in carried:
            found.append(of_model.coefficients(weight.variable.regularizer))
        elif custom is None:
            found.append(_config_coefficients(weight))
        else:
            if id(custom) not in twins:
                twins[id(custom)] = _regularizers_after_rebuild(custom)
            found.append(of_model.coefficients(twins[id(custom)].get(id(weight.variable))))
    return found


def _carried(weights: Iterable[of_model.Weight]) -> set[int]:
    """Those weights, by `id(variable)`, of which a file's asset will say what they are penalised with."""
    by_model: dict[int, list[of_model.Weight]] = {}
    for weight in weights:
        by_model.setdefault(id(_model_of(weight)), []).append(weight)
    written = [group for group in by_model.values() if _has_asset(group) and _is_hooked(_model_of(group[0]))]
    return {id(w.variable) for group in written for w in group if _is_policys(w)}


def _model_of(weight: of_model.Weight) -> keras.Model | None:
    """The innermost model around a weight; none for a layer alone, which will be in one when it is saved."""
    around = (*weight.ancestors, weight.layer)
    return next((layer for layer in reversed(around) if isinstance(layer, keras.Model)), None)


def _has_asset(weights: list[of_model.Weight]) -> bool:
    return any(of_model.is_by_policy(weight.variable.regularizer) for weight in weights)


def _is_policys(weight: of_model.Weight) -> bool:
    """Whether a policy decided what a weight is penalised with, and nobody has put another in its config."""
    in_config = (getattr(layer, attribute) for layer, attribute in weight.config_places())
    return all(one is None or of_model.is_by_policy(one) for one in (weight.variable.regularizer, *in_config))


def _is_hooked(model: keras.Model | None) -> bool:
    """Whether a model's class leaves the hooks for assets as they are."""
    hooks = ("save_assets", "load_assets")
    return model is None or all(getattr(type(model), name) is getattr(keras.Model, name) for name in hooks)


# ---- The asset ---------------------------------------------------------------------------------------------


def _write(model: keras.Model, folder: str) -> None:
    weights = _own_weights(model) if model.built else []
    if _has_asset(weights):
        content = {"format": 1, "weights": [_entry(weight) for weight in weights]}
        Path(folder, FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")


def _read(model: keras.Model, folder: str | None) -> None:
    if folder is None or not Path(folder, FILE).exists():
        return
    with as_value_errors(f"{FILE} is not the list of penalties of a model"):
        entries = [_checked(entry) for entry in read_object(Path(folder, FILE))["weights"]]
    lost = []
    for entry, weight in zip(entries, _counterparts(entries, _own_weights(model)), strict=True):
        if weight is None:
            lost += [entry["path"]] if entry["l1"] or entry["l2"] else []
        elif entry["l2"] is not None:
            _restore(weight, entry["l1"], entry["l2"])
            weight.variable.exempt_from_l2 = entry["exempt"]
    if lost:
        warnings.warn(
            f"{len(lost)} weights that L2 penalises by the file are not in model {model.name!r}: {lost[:5]}. "
            "Look at `l2zoo.audit(model)`, and apply the policy again if they matter.",
            stacklevel=2,
        )


def _checked(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of the list, by how it is used; one of another form raises one error or another."""
    free = entry["l2"] is None
    return {
        "path": str(entry["path"]),
        "shape": [whole_number("shape", size, at_least=0) for size in entry["shape"]],
        "l1": None if free else check_number("l1", entry["l1"]),
        "l2": None if free else check_number("l2", entry["l2"]),
        "exempt": bool(entry.get("exempt", False)),
    }


def _own_weights(model: keras.Model) -> list[of_model.Weight]:
    return [weight for weight in of_model.weights_of(model) if _model_of(weight) is model]


def _entry(weight: of_model.Weight) -> dict[str, Any]:
    """What the file says of a weight; of another's regularizer nothing."""
    l1, l2 = (of_model.coefficients(weight.variable.regularizer) if _is_policys(weight) else None) or (
        None,
        None,
    )
    exempt = {"exempt": True} if weight.exempt else {}
    return {"path": weight.path, "shape": list(map(int, weight.variable.shape)), "l1": l1, "l2": l2, **exempt}


def _counterparts(
    entries: list[dict[str, Any]], weights: list[of_model.Weight]
) -> list[of_model.Weight | None]:
    """The weight of each entry: by order, as models may name their layers anew when made; else by path.

    There may have been more weights, as those of LoRA, which Keras merges into the kernels when it saves.
    """
    there = [(entry["path"].rpartition("/")[2], entry["shape"]) for entry in entries]
    if there == [(w.variable.name, list(w.variable.shape)) for w in weights]:
        return list(weights)
    by_path = {(weight.path, tuple(weight.variable.shape)): weight for weight in weights}
    return [by_path.get((entry["path"], tuple(entry["shape"]))) for entry in entries]


def _restore(weight: of_model.Weight, l1: float, l2: float) -> None:
    """Penalises a weight as it was; what Keras brought back itself is only known again as a policy's."""
    regularizer = weight.variable.regularizer
    if of_model.coefficients(regularizer) != (l1, l2):
        weight.set_regularizer(of_model.regularizer_of(l1, l2))
    elif regularizer is not None:
        of_model.mark(regularizer)


def _hook(name: str, act: Callable[[keras.Model, Any], None]) -> None:
    """Lets every model do one more thing in a hook that Keras calls when it saves or loads."""
    earlier = getattr(keras.Model, name, None)

    def hook(model: keras.Model, folder: Any) -> None:
        if earlier is not None:
            earlier(model, folder)
        act(model, folder)

    setattr(keras.Model, name, hook)


_hook("save_assets", _write)
_hook("load_assets", _read)


# ---- What Keras carries itself -----------------------------------------------------------------------------


def _config_coefficients(weight: of_model.Weight) -> tuple[float, float] | None:
    """`(l1, lambda)` that Keras would write to disk for a weight: the outermost of its config places."""
    places = weight.config_places()
    return of_model.coefficients(getattr(*places[-1])) if places else (0.0, 0.0)


def _regularizers_after_rebuild(layer: keras.layers.Layer) -> dict[int, Any]:
    """Regularizers that a layer's weights have in a copy made from its config, by `id(variable)`.

    The copy leaves no trace: initialisers draw their default seeds from Python's random state, and a
    custom layer may draw from NumPy's, so both are put back; Keras counts layer names and draws its own
    random numbers by thread, so it is made in a thread of its own.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        with warnings.catch_warnings(), ThreadPoolExecutor(1) as thread:
            warnings.simplefilter("ignore")
            twin = thread.submit(_rebuild, layer).result()
        pairs = zip(of_model.weights_of(layer), of_model.weights_of(twin), strict=True)
        return {id(mine.variable): its.variable.regularizer for mine, its in pairs}
    except Exception:  # a custom layer may fail in any way: then nothing of it is carried over
        return {}
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def _rebuild(layer: keras.layers.Layer) -> keras.layers.Layer:
    return keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer),
        custom_objects={type(inner).__name__: type(inner) for inner in of_model.layers_of(layer)},
    )
