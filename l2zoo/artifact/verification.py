"""`verify`: is the folder still what was written, and does it still answer like the Keras model?"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from l2zoo.artifact import figures as words
from l2zoo.artifact import manifest, parity, sample
from l2zoo.artifact.folder import Artifact
from l2zoo.artifact.formats import FORMATS


def verify(folder: str | Path) -> Artifact:
    """Checks an artifact: every file's size and SHA-256, then every format's answers on the stored inputs.

    A float file must keep the limit with which it was written. The metric of a quantised file cannot be
    measured again without labels: it must stay as close to the model as it was when it was written.

    The checksums come first, so that a file that was changed is found before anything opens it. They tell
    of damage; against somebody who rewrites files and manifest together only a signature helps.

    Args:
        folder: An artifact's folder, as `export` wrote it.

    Returns:
        The artifact with the parity figures found now, on the stored inputs. Prints as a table.

    Raises:
        FileNotFoundError: There is no artifact in `folder`.
        ValueError: Something differs; the message says what.
        ImportError: A format needs an optional package.

    Example:
        >>> verify("no/such/folder")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        FileNotFoundError: `folder` must be an artifact's folder with a manifest.json in it, got ...
    """
    folder = Path(folder)
    content = manifest.read(folder)
    manifest.check_files(folder, content.get("files"))
    limits = _limits(content)
    for name in limits:
        FORMATS[name].check_installed()
    inputs, expected = sample.read(folder / sample.FILE)
    runs = {name: FORMATS[name].open(folder / FORMATS[name].path)[0] for name in limits}
    found = parity.compare(parity.batches(inputs, expected), runs)
    figures = {name: dataclasses.replace(one, limits=limits[name]) for name, one in found.items()}
    problems = words.problems(figures)
    if problems:
        raise ValueError(
            " ".join(problems) + " The files are those that were written: compare the versions in "
            f"{manifest.FILE} with the ones installed here."
        )
    return Artifact(folder, content, figures)


def _limits(content: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The formats of an artifact and the limits of each, out of a manifest that may hold anything."""
    formats, files = content.get("formats"), content["files"]
    if sample.FILE not in files:
        raise ValueError(f"The artifact has no {sample.FILE} to compare on. Export the model again.")
    if not isinstance(formats, dict) or not formats:
        raise ValueError(f"`formats` in {manifest.FILE} must name the formats. Export the model again.")
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise ValueError(f"This l2zoo knows the formats {list(FORMATS)}, the artifact has {unknown}. Update.")
    for name in formats:
        path = FORMATS[name].path
        if not any(file == path or file.startswith(path + "/") for file in files):
            raise ValueError(f"The artifact has no {path}, which {manifest.FILE} speaks of. Export again.")
    return {name: _limits_of(name, row) for name, row in formats.items()}


def _limits_of(name: str, row: Any) -> dict[str, float]:
    given: Any = row.get("verify") if isinstance(row, dict) else None
    try:
        limits = {figure: float(limit) for figure, limit in given.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{manifest.FILE} gives no limits for {name}, got {given!r}.") from error
    if not limits or not set(limits) <= set(parity.LIMITED) or not all(map(math.isfinite, limits.values())):
        raise ValueError(f"{manifest.FILE} gives no limits for {name}, got {given!r}.")
    return limits
