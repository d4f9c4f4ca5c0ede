"""The report of an experiment: one page with figures, pictures, files, and what the model penalises."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from l2zoo.artifacts.folder import sizes
from l2zoo.regularization.audit import audit
from l2zoo.reports.page import Page, Picture, Section, duration, versions
from l2zoo.reports.tables import Cell, Row, Table, number, word
from l2zoo.search.page import pictures as pictures_of_search
from l2zoo.studies.experiment.figures import mean_and_error
from l2zoo.studies.experiment.settings import Training
from l2zoo.utils.scripts import script_command

if TYPE_CHECKING:
    from l2zoo.studies.experiment.result import Outcome


def write_page(outcome: Outcome, path: Path, *, kicker: str, training: Training, data: str) -> Path:
    """Writes the report of an experiment as one HTML file.

    Args:
        outcome: What was found.
        path: Where to.
        kicker: The line above the heading.
        training: How it was trained.
        data: What it was trained and measured on, in words.
    """
    search, privacy = outcome.search, outcome.privacy
    sections = [
        Section(
            "On the test set", _metrics(outcome.metrics), "The mean over the seeds and its standard error."
        ),
        Section("The files", _files(outcome), "Each was compared with the Keras model before it was kept."),
    ]
    if privacy is not None:
        sections.append(Section("What it gives away about its training images", _attacks(outcome)))
    return Page(
        kicker=kicker,
        heading="How good is the model?",
        answer=_answer(outcome),
        notices=[] if privacy is None else [("Privacy", privacy.sentence)],
        facts=[
            ("Strength of L2", f"{outcome.l2:g}", "in Keras's convention"),
            ("Seeds", str(len(outcome.seeds)), "a training each"),
            ("Parameters", f"{outcome.parameters:,}", "of the model"),
            ("Time", duration(outcome.seconds), "of the trainings in this call"),
        ],
        pictures=[*_pictures(outcome), *(pictures_of_search(search.selection) if search else ())],
        sections=sections,
        audit=audit(outcome.model),
        command=script_command() or "the same call of experiment, with the settings below",
        settings={"data": data, "l2": outcome.l2, **dataclasses.asdict(training)},
        versions=versions(),
    ).write(path)


def _answer(outcome: Outcome) -> str:
    """The metrics in a sentence, and what a search has said."""
    found = [f"{name.replace('_', ' ')} {_spread(values)}" for name, values in outcome.metrics.items()]
    seeds = f"mean ± standard error over {len(outcome.seeds)} seeds" if len(outcome.seeds) > 1 else "one seed"
    return f"On the test set, {seeds}: {', '.join(found)}. {outcome.chosen}".rstrip()


def _spread(values: tuple[float, ...]) -> str:
    mean, error = mean_and_error(values)
    return f"{mean:.4f}" if error is None else f"{mean:.4f} ± {error:.4f}"


def _pictures(outcome: Outcome) -> list[Picture]:
    words = "Images of the test set, with what they are and what the model makes of them."
    found = [Picture.of_file(outcome.picture, title="What it says of test images", words=words)]
    if outcome.watched is not None:
        words = "For each kernel and epoch, the gradient of the penalty over that of the data."
        found.append(Picture.of_file(outcome.watched, title="What L2 did to each kernel", words=words))
    if outcome.privacy is not None:
        picture = outcome.privacy.plot(outcome.picture.with_name("privacy.png"))
        words = outcome.privacy.sentence
        found.append(Picture.of_file(picture, title="Whether training images can be told", words=words))
    return found


def _metrics(metrics: Mapping[str, tuple[float, ...]]) -> Table:
    rows = []
    for name, values in metrics.items():
        mean, error = mean_and_error(values)
        spread = math.nan if error is None else error
        each = Cell(" ".join(f"{value:.4f}" for value in values), number=False)
        cells = (word(name), number(mean, f"{mean:.4f}"), number(spread, f"{spread:.4f}"), each)
        rows.append(Row("whole", cells))
    return Table((("Metric", False), ("Mean", True), ("± SE", True), ("Each seed", False)), tuple(rows))


def _files(outcome: Outcome) -> Table:
    manifest, rows = outcome.artifact.manifest, []
    for name, (path, size) in sizes(manifest["formats"]).items():
        parity = outcome.artifact.parity[name]
        agree = math.nan if parity.argmax_agreement is None else parity.argmax_agreement
        cells = (
            word(path),
            number(size, f"{size:,}"),
            number(parity.max_abs_diff, f"{parity.max_abs_diff:.2g}"),
            number(agree, f"{agree:.2%}"),
            number(parity.images, str(parity.images)),
        )
        rows.append(Row("whole", cells))
    headers = ("Bytes", "Largest difference", "Same answers", "Images compared")
    return Table((("File", False), *((header, True) for header in headers)), tuple(rows))


def _attacks(outcome: Outcome) -> Table:
    report = outcome.privacy
    assert report is not None
    found = [*report.attacks, *([report.control] if report.control else [])]
    rows = [
        Row("whole", (word(one.name), *(number(n.value, str(n)) for n in (one.auc, one.advantage, one.tpr))))
        for one in found
    ]
    headers = ("AUC", "Advantage", "Found at 1 % false alarms")
    return Table((("Attack", False), *((header, True) for header in headers)), tuple(rows))
