"""A word that is typed wrongly gets a suggestion: names, keyword arguments, and words out of a table."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import l2zoo
import l2zoo.data
import l2zoo.inference
import l2zoo.tasks
from l2zoo.inference.predictor import select_format
from l2zoo.utils.arguments import suggest_arguments

MODULES = (l2zoo, l2zoo.data, l2zoo.tasks)
# They come as results, are of a library's, or refuse arguments of other libraries one by one.
OTHERWISE = {"SearchResult", "ImageData", "VideoData", "Prepared", "L2zooDigits", "L2Tuner"}


def public(module: ModuleType) -> dict[str, Any]:
    """What a user calls of a module, by its name."""
    names = set(module.__all__) - OTHERWISE
    found = {f"{module.__name__}.{name}": getattr(module, name) for name in sorted(names)}
    return {name: one for name, one in found.items() if callable(one)}


CALLABLES = {name: one for module in MODULES for name, one in public(module).items()}


@pytest.mark.parametrize("name", CALLABLES)
def test_a_misspelt_argument_is_told_the_one_that_was_meant(name: str) -> None:
    one = CALLABLES[name]
    parameters = inspect.signature(one).parameters.values()
    known = [each.name for each in parameters if each.kind is not each.VAR_POSITIONAL]
    meant = max(known, key=len)
    with pytest.raises(TypeError, match=rf"has no argument `{meant[:-1]}z`\. Did you mean '"):
        one(**{f"{meant[:-1]}z": 1})


@pytest.mark.parametrize("module", [*MODULES, l2zoo.inference], ids=lambda module: module.__name__)
def test_a_misspelt_name_is_told_the_one_that_was_meant(module: ModuleType) -> None:
    meant = max(module.__all__, key=len)
    wrong = meant.lower() + "s"
    with pytest.raises(AttributeError, match=rf"has no attribute '{wrong}'\. Did you mean '{meant}'\?"):
        getattr(module, wrong)
    assert not hasattr(module, "nothing_like_it_at_all")


DIGITS = (np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), np.uint8), np.arange(20) % 2)


def small(l2: Any = None) -> Any:
    return l2zoo.build_cnn((8, 8, 1), num_classes=2, filters=(2,), l2=l2)


def data(**words: Any) -> Any:
    return l2zoo.data.load(DIGITS, **words)


def compare(**words: Any) -> Any:
    variants = [l2zoo.Variant("none"), l2zoo.Variant("dropout")]
    return l2zoo.compare(small, DIGITS, variants, training=l2zoo.Training(1), **words)


def tune(**words: Any) -> Any:
    return l2zoo.tune_l2(small, DIGITS, folds=2, epochs=1, strengths=[1e-3], verbose=False, **words)


def export(**words: Any) -> Any:
    return l2zoo.export(small(), "never", sample=DIGITS[0], **words)


def without_top(**words: Any) -> Any:
    return l2zoo.build_efficientnet_lite((32, 32, 3), include_top=False, **words)


def optimizer(name: str = "adam", **words: Any) -> Any:
    return l2zoo.tasks.optimizer(name, learning_rate=1e-3, steps=1, **words)


# What takes a word out of a table, the word with a mistake, and the one that was meant.
WORDS: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (l2zoo.L2Policy, {"convention": "kears"}, "keras"),
    (l2zoo.L2Policy, {"multipliers": {"depthwize": 0.0}}, "depthwise"),
    (lambda **w: l2zoo.convert(1e-4, target="keras", **w), {"source": "pytroch"}, "pytorch"),
    (lambda **w: l2zoo.convert(1e-4, source="keras", **w), {"target": "Pytorch"}, "pytorch"),
    (lambda **w: l2zoo.build(w["name"], (8, 8, 1), 2), {"name": "resnet21"}, "resnet20"),
    (lambda **w: l2zoo.build("cnn", (8, 8, 1), 2, **w), {"options": {"filtres": (2,)}}, "filters"),
    (lambda **w: l2zoo.build("cnn", (8, 8, 1), 10, **w), {"weights": "digts"}, "digits"),
    (l2zoo.list_models, {"task": "clasification"}, "classification"),
    (lambda **w: l2zoo.build_unet((32, 32, 3), num_classes=2, **w), {"upsampling": "rezise"}, "resize"),
    (without_top, {"pooling": "agv"}, "avg"),
    (tune, {"strategy": "grd"}, "grid"),
    (tune, {"choose": "bset"}, "best"),
    (tune, {"objective": "val_acuracy"}, "val_accuracy"),
    (compare, {"baseline": "nome"}, "none"),
    (compare, {"objective": "val_acuracy"}, "val_accuracy"),
    (export, {"formats": ["tflit"]}, "tflite"),
    (l2zoo.Conversion, {"int8_io": "unit8"}, "uint8"),
    (l2zoo.Card, {"task": "detecton"}, "detection"),
    (l2zoo.Card, {"output_kind": "logit"}, "logits"),
    (l2zoo.Card, {"aspect": "strech"}, "stretch"),
    (lambda **w: l2zoo.load(w["name"]), {"name": "cnn_digit"}, "cnn_digits"),
    (lambda **w: select_format(w["format"], ["tflite_int8"]), {"format": "tflite_in8"}, "tflite_int8"),
    (data, {"task": "clasification"}, "classification"),
    (data, {"aspect": "strech"}, "stretch"),
    (data, {"class_names": ["cat", "dog"], "classes": ["cat", "dgo"]}, "dog"),
    (lambda **w: l2zoo.data.load("l2zoo_digits", **w), {"split": "tets"}, "test"),
    (lambda **w: l2zoo.data.load(w["source"]), {"source": "minst"}, "mnist"),
    (optimizer, {"name": "adm"}, "adam"),
    (optimizer, {"schedule": "cosin"}, "cosine"),
    (lambda **w: l2zoo.tasks.Classification(["a"], **w).compiling(), {"loss": "focl"}, "focal"),
    (lambda **w: l2zoo.tasks.Segmentation(["a", "b"], **w).compiling(), {"loss": "dise"}, "dice"),
    (lambda **w: l2zoo.tasks.MultiLabel(["a", "b"], **w), {"loss": "focl"}, "focal"),
    (lambda **w: l2zoo.tasks.Regression(**w), {"loss": "sqared"}, "squared"),
    (lambda **w: l2zoo.tasks.Classification(["0", "1"]).prepared(data(), **w), {"augment": "flp"}, "flip"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "words", "meant"), WORDS, ids=lambda part: str(part) if isinstance(part, dict) else ""
)
def test_a_misspelt_word_is_told_the_one_that_was_meant(call, words, meant) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as told:
        call(**words)
    assert re.search(rf"([Dd]id you mean|[Cc]lose names:|like it:) .*\b{meant}\b", str(told.value)), (
        told.value
    )


def test_a_function_stays_what_it_is_where_it_is() -> None:
    assert pickle.loads(pickle.dumps(l2zoo.tune_l2)) is l2zoo.tune_l2
    policy = l2zoo.L2Policy(1e-3, convention="pytorch")
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert "convention" in inspect.signature(l2zoo.L2Policy).parameters


def test_an_argument_that_is_like_no_other_is_refused_without_a_suggestion() -> None:
    @suggest_arguments
    def call(*, folds: int = 1) -> int:
        return folds

    assert call(folds=2) == 2
    with pytest.raises(TypeError, match=r"^call\(\) has no argument `zzzz`\.$"):
        call(zzzz=1)
