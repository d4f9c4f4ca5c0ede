"""`verify`: is the folder still what was written, and does it still answer like the Keras model?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.artifacts import manifest, metadata, probe, sample, trust
from l2zoo.artifacts.formats.keras_file import HOW_TO_REGISTER
from l2zoo.artifacts.formats.table import FORMATS, RUNS_CODE, formats_of
from l2zoo.artifacts.inputs import Inputs, Outputs, Predict
from l2zoo.artifacts.parity import ceilings, parity, table
from l2zoo.artifacts.parity.parity import Parity
from l2zoo.artifacts.store import locations
from l2zoo.artifacts.trust import Whole
from l2zoo.reports.table import Table
from l2zoo.tasks.output_kind import kinds_of
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.console import printable
from l2zoo.utils.packages import FULL, is_installed, needed
from l2zoo.utils.storage.files import as_value_errors

if TYPE_CHECKING:
    from rich.console import Group

# Without labels a metric cannot be measured again.
_MEASURABLE = frozenset(parity.LIMITED) - {"metric_drop"}


@dataclasses.dataclass(frozen=True, repr=False)
class Artifact:
    """A folder that holds what its manifest says and answers like its Keras model.

    Args:
        folder: Where it is.
        manifest: The content of `manifest.json`.
        parity: Format name to the figures of this check.
        versions: Name of a package to its version when the artifact was written and to that which is
            installed here, where they differ.
        left_out: The formats that were not opened, because they run what is in them.
        not_run: The formats that cannot be run here, and the package that each lacks.
    """

    folder: Path
    manifest: Mapping[str, Any]
    parity: Mapping[str, Parity]
    versions: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    left_out: Sequence[str] = ()
    not_run: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def table(self) -> Table:
        """A row for each format: how far its answers are from the model's, and its limit."""
        return table.parity_table(self.parity, self.manifest["formats"])

    def __repr__(self) -> str:
        total = sum(row["bytes"] for row in self.manifest["files"].values())
        files, name = self.manifest["files"], printable(self.manifest["name"])
        return f"{printable(self.folder)}: {name}, {len(files)} files, {total:,} bytes"

    def __str__(self) -> str:
        return "\n\n".join([repr(self), self.table().markdown(), *self.notes()])

    def __rich__(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        return Group(Text(repr(self)), "", self.table(), *map(Text, self.notes()))

    def notes(self, *, trusted: str = "trusted=True") -> list[str]:
        """What is to be said beside the table: other versions, and what was not checked, each in a line.

        Args:
            trusted: How whoever reads it says that an artifact is trusted.
        """
        moved = [f"{line[0].upper()}{line[1:]}." for line in [_in_words(self.versions)] if line]
        out = [f"{one} left out: it runs what is in it; {trusted} includes it." for one in self.left_out]
        return [*moved, *out, *(f"{one} not run: {needed(name)}" for one, name in self.not_run.items())]


@suggest_arguments
@locations.reads_whole
def verify(folder: str | Path, *, trusted: bool = False, public_key: str | Path | None = None) -> Artifact:
    """Checks an artifact: every file's size and SHA-256, then every format's answers on the stored inputs.

    A float file must keep the limit with which it was written. The metric of a quantised file cannot be
    measured again without labels: it must stay as close to the model as it was when it was written. Neither
    may be further away than `l2zoo.artifacts.parity.ceilings` allows, whatever the artifact says.

    The checksums come first, so that a file that was changed is found before anything opens it. They tell
    of damage; against somebody who rewrites files and manifest together only a signature helps.

    A SavedModel is a program: to open it is to run what is in it. It is left out unless the artifact is
    trusted. The other files of a stranger's are opened and run in a process of its own, with bounds on
    memory and time, in which classes that are registered here are not known. A stranger's is what was
    neither exported by this process nor came with l2zoo nor is signed or trusted.

    Args:
        folder: An artifact's folder, as `export` wrote it.
        trusted: Whether you vouch for it: everything is opened, here.
        public_key: A PEM file with the public key of whom you trust, by which it must be signed.

    Returns:
        The artifact with the parity figures found now, on the stored inputs, and the versions that are
        others here than where it was written. Prints as a table.

    A file whose framework is not installed, as beside `l2zoo-runtime`, is compared with its checksum alone.

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
    with trust.open_whole(folder, trusted=trusted, public_key=public_key) as whole:
        content = whole.content
        limits = _limits(content)
        left_out = [name for name in limits if name in RUNS_CODE and not whole.trusts(FORMATS[name].path)]
        not_run = {name: lacking for name in limits if (lacking := _lacking(name)) and name not in left_out}
        names = [name for name in limits if name not in (*left_out, *not_run)]
        if not names and not_run:
            name, lacking = next(iter(not_run.items()))
            raise ImportError(
                f"None of the formats of the artifact, {', '.join(limits)}, can be run here: "
                f"{name}: {needed(lacking)}"
            )
        for name in names:
            FORMATS[name].check_installed()
        found, highest = _compare(whole, names)
    figures = {name: dataclasses.replace(one, limits=limits[name]) for name, one in found.items()}
    problems = [
        *ceilings.problems({name: limits[name] for name in names}, found, highest),
        *table.problems(figures),
    ]
    others = _other_versions(content)
    if problems:
        raise ValueError(
            " ".join(problems) + f" The files are those that were written; {_cause(content, others)}."
        )
    return Artifact(folder, content, figures, others, left_out, not_run)


def _lacking(name: str) -> str | None:
    """What running a format lacks here of what `l2zoo` has and `l2zoo-runtime` has not; None if nothing."""
    return next((one for one in FORMATS[name].modules if one in FULL and not is_installed(one)), None)


def _compare(whole: Whole, names: Sequence[str]) -> tuple[dict[str, Parity], dict[str, dict[str, float]]]:
    """The figures of files, and the highest limits that they may have: found here, or elsewhere."""
    paths = [sample.FILE, *(FORMATS[name].path for name in names)]
    with whole.private_copy(paths) as copy:
        if all(map(whole.trusts, paths)):
            found = compare_files(copy, whole.content, names)
        else:
            found = _compare_elsewhere(whole, copy, names, sum(map(whole.size, paths)))
    figures, highest = found["figures"], found["highest"]
    return {name: Parity(**one) for name, one in figures.items()}, highest


def _compare_elsewhere(whole: Whole, copy: Path, names: Sequence[str], size: int) -> dict[str, Any]:
    """What `compare_files` finds in a process of its own."""
    try:
        return probe.run_bounded(
            "l2zoo.artifacts.verify:compare_files", copy, whole.content, names,
            what="The artifact cannot be verified", seconds=probe.KERAS_SECONDS,
            memory=probe.KERAS_MEMORY + probe.TIMES * size,
            modules=[one for name in names for one in FORMATS[name].modules],
        )  # fmt: skip
    except ValueError as error:
        if HOW_TO_REGISTER not in str(error):
            raise
        raise ValueError(
            f"{error} Those that are registered in this process are known with trusted=True alone."
        ) from error


def compare_files(folder: Path, content: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Opens files and compares them with the stored answers: the part of `verify` that may die.

    Args:
        folder: Holds copies of the files and of the sample.
        content: The manifest.
        names: Of the formats.

    Returns:
        `figures`, the fields of a `Parity`, and `highest`, the highest limits, each by format.
    """
    inputs, expected = sample.read(folder / sample.FILE)
    _check_sample(inputs, expected, content)
    kinds = kinds_of(content["outputs"])
    runs = {name: _open(folder, name) for name in names}
    found = parity.compare(parity.batches(inputs, expected), runs, kinds=kinds)
    return {
        "figures": {name: dataclasses.asdict(one) for name, one in found.items()},
        "highest": {name: ceilings.highest_limits(FORMATS[name].rounding, expected, kinds) for name in names},
    }


def _other_versions(content: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
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
    return printable(f"written with {written}, here {' and '.join(here for _, here in versions.values())}")


def _cause(content: Mapping[str, Any], others: dict[str, tuple[str, str]]) -> str:
    if others:
        return f"{_in_words(others)}. Install those, or export the model again here"
    if not content.get("versions"):
        return "its manifest does not say by which versions"
    return "by the versions that are here, on a machine that may compute otherwise"


def _limits(content: Mapping[str, Any]) -> dict[str, dict[str, float]]:
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


def _check_sample(inputs: Inputs, expected: Outputs, content: Mapping[str, Any]) -> None:
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
