"""What data a model was trained on, remembered for the model object as long as the process lives.

Whoever trains a model knows its data, and whoever exports it an hour later should not have to say again what
its classes are called. A model that is trained on something else afterwards, also on arrays that know
nothing of themselves, is remembered with that, so that nothing is said of it that is no longer true.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2zoo.data.images import ImageData
from l2zoo.data.prepared import Prepared
from l2zoo.data.videos import VideoData

_FOLDER = "folder:"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a training knows of its data.

    Attributes:
        name: Of the data set; of a folder its last part, as the paths of one machine mean nothing elsewhere.
        split: The split, such as "train[:80%]".
        task: What the model was trained for, as the tasks of `l2zoo.tasks` are called.
        class_names: Names of the classes, in their order; none where there are no classes.
        shape: Of an example, `(H, W, C)`, or `(T, H, W, C)` of clips.
        num_examples: How many there were.
        aspect: How images were fitted into their size, where the data say it.
        license: Of the data; empty where nobody says.
        parts: The split, in the data set's own terms, as `ImageData` has them.
    """

    name: str
    split: str
    task: str
    class_names: tuple[str, ...]
    shape: tuple[int, ...]
    num_examples: int
    aspect: str | None = None
    license: str = ""
    parts: tuple[tuple[str, int, int], ...] = ()

    @property
    def sentence(self) -> str:
        """The same for a card, in words.

        Example:
            >>> data = Provenance(
            ...     name="mnist", split="train", task="classification", class_names=("0", "1"),
            ...     shape=(28, 28, 1), num_examples=60000,
            ... )
            >>> data.sentence
            'Trained on mnist train, 60,000 examples of 28x28x1.'
        """
        size = "x".join(map(str, self.shape))
        said = f"Trained on {self.name} {self.split}, {self.num_examples:,} examples of {size}."
        return f"{said} License: {self.license}." if self.license else said


_KNOWN: weakref.WeakKeyDictionary[Any, Provenance] = weakref.WeakKeyDictionary()


def remember(model: Any, data: Any) -> None:
    """Keeps what a model is trained on; what was kept before is forgotten, whatever `data` is.

    Args:
        model: The model object.
        data: An `ImageData` or `VideoData`, or what a task makes of one; of anything else nothing is known.
    """
    found = provenance_of(data)
    if found is None:
        _KNOWN.pop(model, None)
    else:
        _KNOWN[model] = found


def restore(model: Any, known: Provenance) -> None:
    """Keeps what is known of a model from elsewhere, such as the artifact that it came from."""
    _KNOWN[model] = known


def recall(model: Any) -> Provenance | None:
    """What a model was trained on, if it was in this process and on data that know of themselves."""
    return _KNOWN.get(model)


def hand_on(model: Any, derived: Any) -> Any:
    """Remembers of a model what is known of the one whose weights it has, and gives it back."""
    if (found := recall(model)) is not None:
        _KNOWN[derived] = found
    return derived


def provenance_of(data: Any) -> Provenance | None:
    """What data say of themselves; None of those that say nothing."""
    examples = data.data if isinstance(data, Prepared) else data
    facts: dict[str, Any]
    if isinstance(examples, ImageData):
        facts = {"task": examples.task, "class_names": examples.class_names, "shape": examples.image_shape}
    elif isinstance(examples, VideoData):
        facts = {"task": "video", "class_names": (), "shape": examples.clip_shape}
    else:
        return None
    if isinstance(data, Prepared):  # labelled images may be there to be drawn
        facts["task"] = data.words.get("task", facts["task"])
    return Provenance(
        name=_short(examples.name),
        split=examples.split,
        num_examples=examples.num_examples,
        aspect=getattr(examples, "aspect", None),
        license=examples.license,
        parts=examples.parts,
        **facts,
    )


def _short(name: str) -> str:
    if not name.startswith(_FOLDER):
        return name
    return f"the folder {Path(name.removeprefix(_FOLDER)).expanduser().resolve().name}"
