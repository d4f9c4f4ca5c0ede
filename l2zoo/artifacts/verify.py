"""`verify`: is the folder still what was written, and does it still answer like the Keras model?"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from l2zoo.artifacts import manifest, metadata, sample
from l2zoo.artifacts.failures import as_value_errors
from l2zoo.artifacts.folder import Artifact, differing
from l2zoo.artifacts.formats.table import FORMATS, formats_of
from l2zoo.artifacts.inputs import Inputs
from l2zoo.artifacts.parity import parity
from l2zoo.artifacts.parity import table as words
from l2zoo.artifacts.sample import Outputs
from l2zoo.artifacts.store import integrity

# Without labels a metric cannot be measured again.
_MEASURABLE = frozenset(parity.LIMITED) - {"metric_drop"}


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
    content = integrity.checked(folder)
    limits = _limits(content)
    for name in limits:
        FORMATS[name].check_installed()
    inputs, expected = sample.read(folder / sample.FILE)
    _check_sample(inputs, expected, content)
    runs = {name: _opened(folder, name) for name in limits}
    found = parity.compare(parity.batches(inputs, expected), runs)
    figures = {name: dataclasses.replace(one, limits=limits[name]) for name, one in found.items()}
    problems = words.problems(figures)
    elsewhere = _elsewhere(content)
    if problems:
        raise ValueError(
            " ".join(problems) + f" The files are those that were written; {_compared(content, elsewhere)}."
        )
    return Artifact(folder, content, figures, elsewhere)


def _elsewhere(content: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Packages of which another version wrote the artifact than is installed here: both."""
    here = metadata.versions()
    then = content.get("versions") or {}
    return {name: (then[name], here[name]) for name in here if then.get(name, here[name]) != here[name]}


def _compared(content: dict[str, Any], elsewhere: dict[str, tuple[str, str]]) -> str:
    if elsewhere:
        return f"{differing(elsewhere)}. Install those, or export the model again here"
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


def _opened(folder: Path, name: str) -> parity.Predict:
    """What runs a file; whatever goes wrong is a clear error."""
    path = FORMATS[name].path
    with as_value_errors(f"{path} cannot be opened"):
        predict, _ = FORMATS[name].open(folder / path)

    def run(batch: Inputs) -> Outputs:
        with as_value_errors(f"{path} cannot be run"):
            return predict(batch)

    return run
