"""The model card, `README.md`: what a stranger needs to use the artifact and to judge it.

Its words and its code stand in `card.md.jinja`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from l2zoo.artifacts import task_spec
from l2zoo.artifacts.parity import table
from l2zoo.artifacts.parity.parity import Parity
from l2zoo.data.preprocessing.aspect import ASPECTS
from l2zoo.reports.table import Table
from l2zoo.tasks.output_kind import KINDS
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import one_of

FILE = "README.md"
_TEMPLATE = "card.md.jinja"
_OURS = "l2zoo>"  # begins the names under which our classes are registered
_PICTURES = (".png", ".jpg", ".jpeg", ".svg")


@suggest_arguments
@dataclass(frozen=True, kw_only=True)
class Card:
    """What a reader should know about an artifact and no file can tell.

    Args:
        name: Title of the artifact; the model's name if None.
        about: What the model does, how it was trained, where its limits are. Markdown.
        data: What it was trained and measured on, with the licence of the data.
        class_names: Names of the classes, in their order; two for an output of one number, that of 0 first.
        task: What the model is for: `"classification"`, `"segmentation"`, `"detection"`, `"generation"` or
            `"video"`, as the tasks of `l2zoo.tasks` are called, or `"regression"`. If None, it is read off
            inputs and outputs where they leave no doubt.
        output_kind: What the output means: `"probabilities"` (a softmax), `"logits"` (without it), `"binary"`
            or `"binary_logits"` (one number for two classes), `"multilabel"` or `"multilabel_logits"` (a
            number for each class on its own, any number of which may be there), `"values"` (regression). With
            several outputs, by their names. If None, the last activation, the loss and the answers tell.
        threshold: From which probability on a class is there, in (0, 1), for outputs that are binary or
            multilabel: a number, or one for each class. 0.5 if None.
        picture: An image file (PNG, JPEG, SVG) to copy into the artifact and to show in the card.
        privacy: What an audit found that the model gives away about its training data, in words:
            `privacy_audit(...).sentence`.
        aspect: How images of another aspect were brought to the model's size in training: `"stretch"`,
            `"crop"` or `"pad"`. Predictor, server and browser do the same. `None` is that of the training
            data, and `"stretch"` where they do not say.
    """

    name: str | None = None
    about: str = ""
    data: str = ""
    class_names: Sequence[str] | None = None
    task: str | None = None
    output_kind: str | Mapping[str, str] | None = None
    threshold: float | Sequence[float] | None = None
    picture: str | Path | None = None
    privacy: str = ""
    aspect: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.class_names, str):
            raise TypeError(f"`class_names` must be a list of names, got {self.class_names!r}.")
        broken = [str(name) for name in self.class_names or () if len(str(name).splitlines()) > 1]
        if broken:
            raise ValueError(f"`class_names` must be of one line each, got {broken[0]!r}.")
        if not isinstance(self.privacy, str):
            raise TypeError(
                f"`privacy` must be words, got {type(self.privacy).__name__}. Give the report's `sentence`."
            )
        if self.aspect is not None:
            one_of("aspect", self.aspect, ASPECTS)
        if self.task is not None:
            one_of("task", self.task, task_spec.TASKS)
        given = self.output_kind
        for kind in given.values() if isinstance(given, Mapping) else [given] if given is not None else []:
            one_of("output_kind", kind, tuple(KINDS))
        if self.picture is None:
            return
        path = Path(self.picture)
        if path.suffix.lower() not in _PICTURES:
            raise ValueError(f"`picture` must end in one of {_PICTURES}, got picture={str(path)!r}.")
        if not path.is_file():
            raise FileNotFoundError(f"`picture` must be an image file, got picture={str(path)!r}.")

    @property
    def picture_name(self) -> str | None:
        """The picture's name inside the artifact."""
        return None if self.picture is None else "picture" + Path(self.picture).suffix.lower()


def render(content: Mapping[str, Any], parity: Mapping[str, Parity], *, picture: str | None) -> str:
    """The card's text.

    Args:
        content: What goes into the manifest.
        parity: Format name to its figures.
        picture: Name of the picture in the folder, if there is one.
    """
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["shape"] = _shape
    source = resources.files("l2zoo.artifacts").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    formats, metrics = content["formats"], content["metrics"]
    classes = formats["keras"]["found"]["classes"]
    return environment.from_string(source).render(
        card=content,
        picture=picture,
        of_classes=content["task"] in task_spec.OF_CLASSES,
        meanings={name: _meaning(spec) for name, spec in content["outputs"].items()},
        own_classes=[name for name in classes if name.startswith(_OURS)],
        other_classes=[name for name in classes if not name.startswith(_OURS)],
        uses=_uses(formats),
        runs_in_litert=any(map(_is_tflite, formats)),
        metrics=Table.of(["metric", "value"], [(key, _value(value)) for key, value in metrics.items()]),
        parity=table.parity_table(parity, formats),
        explanation=table.explain(parity, formats),
        inside=_inside(formats),
        latencies=_latencies(formats),
    )


def _shape(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("B" if size is None else str(size) for size in shape) + ")"


def _meaning(spec: Mapping[str, Any]) -> str:
    """What an output means, in words that follow its shape; nothing if it is not known."""
    if "kind" not in spec:
        return ""
    threshold = spec.get("threshold")
    beyond = "" if threshold is None else f"; a class is there from {threshold} on"
    return f", {KINDS[spec['kind']]} (`{spec['kind']}`){beyond}"


def _value(value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"{value:.4g}" if isinstance(value, float) else str(value)
    rest = dict(value)
    parts = []
    if "mean" in rest and "se" in rest:
        parts.append(f"{rest.pop('mean'):.4g} ± {rest.pop('se'):.2g} (standard error)")
    return ", ".join(parts + [f"{key} {_value(one)}" for key, one in rest.items()])


def _uses(formats: Mapping[str, Any]) -> dict[str, list[str]]:
    """Paths of the files by how they are used, in words of the template's."""
    uses: dict[str, list[str]] = {}
    for name, row in formats.items():
        uses.setdefault(_use(name, row["found"]), []).append(row["path"])
    return uses


def _use(name: str, found: Mapping[str, Any]) -> str:
    if not _is_tflite(name):
        return name
    if any(spec["shape"][0] == 1 for spec in found["inputs"].values()):
        return "tflite of one example"
    scaled = any("scale" in spec for side in ("inputs", "outputs") for spec in found[side].values())
    return "tflite of whole numbers" if scaled else "tflite"


def _is_tflite(name: str) -> bool:
    return name.startswith("tflite")


def _inside(formats: Mapping[str, Any]) -> list[str]:
    """What the quantised files hold, and what of them stayed float."""
    lines = []
    for row in formats.values():
        found, words = row["found"], []
        if row["rounding"] != "float32":
            words.append(f"weights and constants {_counts(found['weights'])}")
        if found.get("float"):
            words.append(f"computed in floats: {_counts(found['float'])}")
        if found.get("float_weights"):
            names = [f"`{name}` ({numbers:,} numbers)" for name, numbers in found["float_weights"].items()]
            words.append(f"left in float32 though large: {', '.join(names)}")
        if words:
            lines.append(f"`{row['path']}`: {'; '.join(words)}")
    return lines


def _counts(tally: Mapping[str, int]) -> str:
    return ", ".join(f"{many} {name}" for name, many in tally.items())


def _latencies(formats: Mapping[str, Any]) -> list[str]:
    """How long each file took, where it was timed."""
    return [
        f"`{row['path']}` {row['latency']['p50_ms']:.2g} ms (p90 {row['latency']['p90_ms']:.2g})"
        for row in formats.values()
        if "latency" in row
    ]
