"""A report as one HTML file that needs nothing else: no network, no server, no other file.

Everything that comes from outside passes through Jinja's escaping; only the pictures, which are made here, go
in as they are.
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from l2zoo.reports.plot_style import NARROW, WIDE, Plot
from l2zoo.reports.table import Table
from l2zoo.utils.storage.files import replacing


@dataclass(frozen=True)
class Picture:
    """A picture with a title and with its content in words.

    Args:
        title: Above it.
        words: For those who do not see it.
        drawings: HTML by size: `"wide"`, and `"narrow"` for phones; or `"any"`.
    """

    title: str
    words: str
    drawings: Mapping[str, str]

    @classmethod
    def of_plot(cls, plot: Plot, *, name: str) -> Picture:
        """A plot, drawn wide and narrow; the name tells its parts from those of others in the page."""
        sizes = {"wide": WIDE, "narrow": NARROW}
        drawings = {size: plot.inline(f"{name}-{size}", width=width) for size, width in sizes.items()}
        return cls(plot.title, plot.words, drawings)

    @classmethod
    def of_file(cls, path: str | Path, *, title: str, words: str) -> Picture:
        """A PNG or GIF file, which becomes a part of the page."""
        path = Path(path)
        data = base64.b64encode(path.read_bytes()).decode()
        return cls(title, words, {"any": f'<img src="data:image/{path.suffix[1:]};base64,{data}" alt="">'})


@dataclass(frozen=True)
class Section:
    """A table with a heading.

    Args:
        title: The heading.
        table: The table.
        hint: A line below it.
        summary: A line above it.
        problems: What is likely not meant, above it too.
    """

    title: str
    table: Table
    hint: str = ""
    summary: str = ""
    problems: Sequence[str] = ()


@dataclass(frozen=True)
class Page:
    """What a report says.

    Args:
        kicker: The line above the heading.
        heading: The question.
        answer: The answer, in a sentence or two.
        command: What repeats it, to be typed into a shell.
        settings: What was given; any values, shown as text.
        versions: Packages and their versions.
        title: In the window's title, if that says more than the heading.
        tone: `"helps"`, `"hurts"` or nothing: the color beside the answer.
        notices: What must not be overlooked: a word or two, and a sentence.
        facts: The row of figures: name, value, explanation.
        pictures: In their order.
        sections: Tables.
    """

    kicker: str
    heading: str
    answer: str
    command: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    title: str = ""
    tone: str = ""
    notices: Sequence[tuple[str, str]] = ()
    facts: Sequence[tuple[str, str, str]] = ()
    pictures: Sequence[Picture] = ()
    sections: Sequence[Section] = ()

    @property
    def text(self) -> dict[str, str]:
        """The settings as text."""
        return {name: _text(value) for name, value in self.settings.items()}

    def write(self, path: str | Path) -> Path:
        """Writes the page, whole or not at all."""
        import jinja2

        environment = jinja2.Environment(
            autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        source = resources.files("l2zoo.reports").joinpath("page.html.jinja").read_text(encoding="utf-8")
        with replacing(path) as temporary:
            temporary.write_text(environment.from_string(source).render(page=self), encoding="utf-8")
        return Path(path)


def versions() -> dict[str, str]:
    """The packages that results depend on, and what Keras runs on."""
    import keras

    packages = ("l2zoo", "keras", "keras-tuner", "tensorflow", "numpy", "scikit-learn")
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **found, "backend": keras.backend.backend()}


def _text(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)
