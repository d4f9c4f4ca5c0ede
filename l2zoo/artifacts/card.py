"""The model card, `README.md`: what a stranger needs to use the artifact and to judge it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2zoo.artifacts import task_spec, usage
from l2zoo.artifacts.folder import sizes
from l2zoo.artifacts.parity import table
from l2zoo.artifacts.parity.parity import Parity
from l2zoo.utils.validation import one_of

FILE = "README.md"
_PICTURES = (".png", ".jpg", ".jpeg", ".svg")


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a reader should know about an artifact and no file can tell.

    Args:
        name: Title of the artifact; the model's name if None.
        about: What the model does, how it was trained, where its limits are. Markdown.
        data: What it was trained and measured on, with the licence of the data.
        class_names: Names of the classes, in their order.
        task: What the model is for: `"classification"`, `"segmentation"`, `"detection"`, `"generation"` or
            `"video"`, as the tasks of `l2zoo.tasks` are called. If None, it is read off inputs and outputs
            where they leave no doubt.
        picture: An image file (PNG, JPEG, SVG) to copy into the artifact and to show in the card.
        privacy: What an audit found that the model gives away about its training data, in words:
            `privacy_audit(...).sentence`.
    """

    name: str | None = None
    about: str = ""
    data: str = ""
    class_names: Sequence[str] | None = None
    task: str | None = None
    picture: str | Path | None = None
    privacy: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.class_names, str):
            raise TypeError(f"`class_names` must be a list of names, got {self.class_names!r}.")
        if not isinstance(self.privacy, str):
            raise TypeError(
                f"`privacy` must be words, got {type(self.privacy).__name__}. Give the report's `sentence`."
            )
        if self.task is not None:
            one_of("task", self.task, task_spec.TASKS)
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
    parts = [
        f"# {content['name']}",
        content["about"],
        f"![{content['name']}]({picture})" if picture else "",
        _interface(content),
        usage.section(content),
        f"## Metrics\n\n{_metrics(content['metrics'])}" if content["metrics"] else "",
        _parity(content, parity),
        f"## L2\n\n{content['l2']['summary']}",
        f"## Data\n\n{content['data']}" if content["data"] else "",
        f"## Privacy\n\n{content['privacy']}" if content["privacy"] else "",
        _origin(content),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _interface(content: Mapping[str, Any]) -> str:
    lines = []
    for name, spec in content["inputs"].items():
        pixels = ", raw pixels in [0, 255]; any scaling is inside the model" if "range" in spec else ""
        lines.append(f"- input `{name}`: {spec['dtype']} {_shape(spec['shape'])}{pixels}")
    lines += [
        f"- output `{name}`: {spec['dtype']} {_shape(spec['shape'])}"
        for name, spec in content["outputs"].items()
    ]
    if content["class_names"]:
        order = "the output" if content["task"] in task_spec.OF_CLASSES else "their numbers"
        lines.append(f"- classes, in the order of {order}: {', '.join(content['class_names'])}")
    return "## Input and output\n\n" + "\n".join(lines)


def _shape(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("B" if size is None else str(size) for size in shape) + ")"


def _metrics(metrics: Mapping[str, Any]) -> str:
    rows = [f"| {name} | {_value(value)} |" for name, value in metrics.items()]
    return "\n".join(["| metric | value |", "|---|---|", *rows])


def _value(value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"{value:.4g}" if isinstance(value, float) else str(value)
    rest = dict(value)
    parts = []
    if "mean" in rest and "se" in rest:
        parts.append(f"{rest.pop('mean'):.4g} ± {rest.pop('se'):.2g} (standard error)")
    return ", ".join(parts + [f"{key} {_value(one)}" for key, one in rest.items()])


def _parity(content: Mapping[str, Any], parity: Mapping[str, Parity]) -> str:
    parts = [
        "## Checked against the Keras model",
        "Every file was run on real images and its outputs compared with the model's, number by number:",
        table.table(parity, sizes(content["formats"])),
        table.decided(parity, sizes(content["formats"])),
        *_inside(content["formats"]),
        *_latency(content["formats"]),
        '`l2zoo.verify(".")` repeats this on the images kept here, and the checksums of all files.',
    ]
    return "\n\n".join(part for part in parts if part)


def _inside(formats: Mapping[str, Any]) -> list[str]:
    """What the quantised files hold, what of them stayed float, and which operators are not builtin."""
    lines = []
    for row in formats.values():
        found, words = row["found"], []
        if row["rounding"] != "float32":
            words.append(f"weights and constants {_counted(found['weights'])}")
        if found.get("float"):
            words.append(f"computed in floats: {_counted(found['float'])}")
        if found.get("float_weights"):
            names = [f"`{name}` ({numbers:,} numbers)" for name, numbers in found["float_weights"].items()]
            words.append(f"left in float32 though large: {', '.join(names)}")
        if found.get("custom_operators"):
            words.append(f"operators that not every runtime has: {_counted(found['custom_operators'])}")
        if words:
            lines.append(f"- `{row['path']}`: {'; '.join(words)}")
    return ["\n".join(lines)] if lines else []


def _counted(tally: Mapping[str, int]) -> str:
    return ", ".join(f"{many} {name}" for name, many in tally.items())


def _latency(formats: Mapping[str, Any]) -> list[str]:
    """How long each file took, where it was timed."""
    timed = [
        f"`{row['path']}` {row['latency']['p50_ms']:.2g} ms (p90 {row['latency']['p90_ms']:.2g})"
        for row in formats.values()
        if "latency" in row
    ]
    if not timed:
        return []
    return [
        f"Time for one image, on the machine that wrote this: {', '.join(timed)}. `l2zoo bench .` takes it "
        "on yours."
    ]


def _origin(content: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    return f"Written {content['created']} by {versions}."
