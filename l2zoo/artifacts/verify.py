"""`verify`: is the folder still what was written, and does it still answer like the Keras model?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from l2zoo.artifacts import manifest, metadata, sample
from l2zoo.artifacts.formats.table import FORMATS, formats_of
from l2zoo.artifacts.inputs import Inputs, Outputs, Predict
from l2zoo.artifacts.parity import parity, table
from l2zoo.artifacts.parity.parity import Parity
from l2zoo.artifacts.store import locations
from l2zoo.tasks.output_kind import kinds_of
from l2zoo.utils.files import as_value_errors

# Without labels a metric cannot be measured again.
_MEASURABLE = frozenset(parity.LIMITED) - {"metric_drop"}


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A folder that holds what its manifest says and answers like its Keras model.

    Args:
        folder: Where it is.
        manifest: The content of `manifest.json`.
        parity: Format name to the figures of this check.
        versions: Name of a package to its version when the artifact was written and to that which is
            installed here, where they differ.
    """

    folder: Path
    manifest: Mapping[str, Any]
    parity: Mapping[str, Parity]
    versions: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        total = sum(row["bytes"] for row in self.manifest["files"].values())
        head = f"{self.folder}: {self.manifest['name']}, {len(self.manifest['files'])} files, {total:,} bytes"
        moved = [f"{line[0].upper()}{line[1:]}." for line in [_in_words(self.versions)] if line]
        return "\n\n".join(
            [head, table.parity_table(self.parity, self.manifest["formats"]).markdown(), *moved]
        )


@locations.reads_whole
def verify(folder: str | Path) -> Artifact:
    """Checks an artifact: every file's size and SHA-256, then every format's answers on the stored inputs.

    A float file must keep the limit with which it was written. The metric of a quantised file cannot be
    measured again without labels: it must stay as close to the model as it was when it was written.

    The checksums come first, so that a file that was changed is found before anything opens it. They tell
    of damage; against somebody who rewrites files and manifest together only a signature helps.

    Args:
        folder: An artifact's folder, as `export` wrote it.

    Returns:
        The artifact with the parity figures found now, on the stored inputs, and the versions that are
        others here than where it was written. Prints as a table.

    Raises:
        FileNotFoundError: There is no artifact in `folder`.
        ValueError: Something differs; the message says what, and which versions are others here.
        ImportError: A format needs an optional package.

    Example:
        >>> verify("no/such/folder")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        FileNotFoundError: `folder` must be an artifact's folder with a manifest.json in it, got ...
    """
    folder = Path(folder)
    content = manifest.read_and_check(folder)
    limits = _limits(content)
    for name in limits:
        FORMATS[name].check_installed()
    inputs, expected = sample.read(folder / sample.FILE)
    _check_sample(inputs, expected, content)
    runs = {name: _open(folder, name) for name in limits}
    found = parity.compare(parity.batches(inputs, expected), runs, kinds=kinds_of(content["outputs"]))
    figures = {name: dataclasses.replace(one, limits=limits[name]) for name, one in found.items()}
    problems = table.problems(figures)
    others = _other_versions(content)
    if problems:
        raise ValueError(
            " ".join(problems) + f" The files are those that were written; {_cause(content, others)}."
        )
    return Artifact(folder, content, figures, others)


def _other_versions(content: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Packages of which another version wrote the artifact than is installed here: both."""
    here = metadata.versions()
    then = content.get("versions") or {}
    return {name: (then[name], here[name]) for name in here if then.get(name, here[name]) != here[name]}


def _in_words(versions: Mapping[str, tuple[str, str]]) -> str:
    """Versions then and here, in words; nothing if there are none.

    Example:
        >>> _in_words({"keras": ("3.15.1", "3.16.0"), "numpy": ("2.0.0", "2.1.0")})
        'written with keras 3.15.1 and numpy 2.0.0, here 3.16.0 and 2.1.0'
    """
    if not versions:
        return ""
    written = " and ".join(f"{name} {then}" for name, (then, _) in versions.items())
    return f"written with {written}, here {' and '.join(here for _, here in versions.values())}"


def _cause(content: dict[str, Any], others: dict[str, tuple[str, str]]) -> str:
    if others:
        return f"{_in_words(others)}. Install those, or export the model again here"
    if not content.get("versions"):
        return "its manifest does not say by which versions"
    return "by the versions that are here, on a machine that may compute otherwise"


def _limits(content: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The formats of an artifact and the limits of each, out of a manifest that may hold anything."""
    if sample.FILE not in content["files"]:
        raise ValueError(f"The artifact has no {sample.FILE} to compare on. Export the model again.")
    return {name: _limits_of(name, row) for name, row in formats_of(content).items()}


def _limits_of(name: str, row: Any) -> dict[str, float]:
    given: Any = row.get("verify") if isinstance(row, dict) else None
    try:
        limits = {figure: float(limit) for figure, limit in given.items()}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{manifest.FILE} gives no limits for {name}, got {given!r}.") from error
    if not limits or not set(limits) <= _MEASURABLE or not all(map(math.isfinite, limits.values())):
        raise ValueError(f"{manifest.FILE} gives no limits for {name}, got {given!r}.")
    if row.get("path") != FORMATS[name].path or type(row.get("bytes")) is not int:
        raise ValueError(f"{manifest.FILE} gives no path and size for {name}. Export the model again.")
    return limits


def _check_sample(inputs: Inputs, expected: Outputs, content: dict[str, Any]) -> None:
    """Compares the stored inputs and answers with what the manifest says of the model's."""
    for side, arrays in (("inputs", inputs), ("outputs", expected)):
        said = {name: spec["shape"][1:] for name, spec in content.get(side, {}).items()}
        found = {name: list(array.shape[1:]) for name, array in arrays.items()}
        if said != found:
            raise ValueError(
                f"{sample.FILE} must hold the {side} of {manifest.FILE}, {said}, it holds {found}. "
                "Export the model again."
            )


def _open(folder: Path, name: str) -> Predict:
    """What runs a file; whatever goes wrong is a clear error."""
    path = FORMATS[name].path
    with as_value_errors(f"{path} cannot be opened"):
        predict, _ = FORMATS[name].open(folder / path)

    def run(batch: Inputs) -> Outputs:
        with as_value_errors(f"{path} cannot be run"):
            return predict(batch)

    return run
