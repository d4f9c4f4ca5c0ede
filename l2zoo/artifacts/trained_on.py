"""What an artifact says of the data that its model was trained on, where its card does not.

Nothing is taken that does not fit the model: one that was trained on labelled images to draw others may know
no classes, and one that gives features has none. What reads data is imported where it is used: whoever only
predicts shall not wait for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from l2zoo.artifacts import metadata, task_spec
from l2zoo.artifacts.card import Card
from l2zoo.artifacts.inputs import Outputs
from l2zoo.tasks.output_kind import OutputKind

if TYPE_CHECKING:
    import keras

ENTRY = ("name", "split", "task", "shape", "num_examples", "aspect", "parts")


def complete(card: Card, model: keras.Model, described: Mapping[str, Any], answers: Outputs) -> Card:
    """The card, with task, class names and data as they were in training, where it says nothing of them.

    Args:
        card: What was given.
        model: What is exported.
        described: What `metadata.interface` gives.
        answers: The model's outputs for some inputs, by name.
    """
    from l2zoo.data import provenance

    known = provenance.recall(model)
    if known is None:
        return card
    card = dataclasses.replace(card, data=card.data or known.sentence, aspect=card.aspect or known.aspect)
    task = "classification" if known.task == "multilabel" else known.task
    if card.task not in (None, task) or not task_spec.fits(task, described["inputs"], described["outputs"]):
        return card
    exclusive = known.task in task_spec.OF_CLASSES
    if exclusive or known.task == "multilabel":
        classes = _num_classes(card, model, answers, exclusive=exclusive)
    else:
        classes = metadata.drawn_classes(model) if task == "generation" else len(known.class_names)
    if classes is None:
        return card
    named = card.class_names is None and known.class_names and classes == len(known.class_names)
    return dataclasses.replace(card, task=task, class_names=known.class_names if named else card.class_names)


def _num_classes(card: Card, model: keras.Model, answers: Outputs, *, exclusive: bool) -> int | None:
    """How many classes the lone output tells apart; None where it has none, or what it means is not known."""
    from l2zoo.tasks.infer_output_kind import infer_output_kinds

    ((name, answer),) = answers.items()
    inferred = infer_output_kinds(model, answers, exclusive=exclusive)
    given = card.output_kind.get(name) if isinstance(card.output_kind, Mapping) else card.output_kind
    kind = given or inferred[name]
    return None if kind in (None, "values") else OutputKind(kind).num_classes(answer.shape[-1])


def entry(model: keras.Model) -> dict[str, Any]:
    """What a manifest says of the data in `trained_on`; nothing of a model of which nothing is known."""
    from l2zoo.data import provenance

    known = provenance.recall(model)
    if known is None:
        return {}
    said = dataclasses.asdict(known)
    return {"trained_on": {name: said[name] for name in ENTRY}}


def remember(model: keras.Model, content: Mapping[str, Any]) -> None:
    """Lets a model that comes out of an artifact know again what its manifest says of its data.

    Args:
        model: As it was loaded.
        content: The manifest, whose form was looked at.
    """
    said = content.get("trained_on")
    if said is None:
        return
    from l2zoo.data import provenance

    parts = tuple((name, first, last) for name, first, last in said["parts"])
    known = {**{name: said[name] for name in ENTRY}, "shape": tuple(said["shape"]), "parts": parts}
    provenance.restore(
        model, provenance.Provenance(class_names=tuple(content.get("class_names") or ()), **known)
    )
