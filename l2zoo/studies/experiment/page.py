"""The report of an experiment: one page with figures, pictures, files, and what the model penalises."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from l2zoo.regularization.audit import audit
from l2zoo.reports.numbers import decimals, format_duration, format_mean, metric_name
from l2zoo.reports.page import Page, Picture, Section, versions
from l2zoo.reports.table import Column, Table, cell
from l2zoo.search.page import pictures as pictures_of_search
from l2zoo.stats.summary import mean_and_error
from l2zoo.studies.experiment.result import Outcome, metrics_table
from l2zoo.studies.experiment.settings import Training
from l2zoo.utils.scripts import script_command


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
            "On the test set",
            metrics_table(outcome.metrics),
            "The mean over the seeds and its standard error.",
        ),
        Section("The files", _files(outcome), "Each was compared with the Keras model before it was kept."),
    ]
    if privacy is not None:
        sections.append(Section("What it gives away about its training images", privacy.table()))
    return Page(
        kicker=kicker,
        heading="How good is the model?",
        answer=_answer(outcome),
        notices=[] if privacy is None else [("Privacy", privacy.sentence)],
        facts=[
            ("Strength of L2", f"{outcome.l2:g}", "in Keras's convention"),
            ("Seeds", str(len(outcome.seeds)), "a training each"),
            ("Parameters", f"{outcome.parameters:,}", "of the model"),
            ("Time", format_duration(outcome.seconds), "of the trainings in this call"),
        ],
        pictures=[*_pictures(outcome), *(pictures_of_search(search.selection) if search else ())],
        sections=[*sections, audit(outcome.model).section()],
        command=script_command() or "the same call of experiment, with the settings below",
        settings={"data": data, "l2": outcome.l2, **dataclasses.asdict(training)},
        versions=versions(),
    ).write(path)


def _answer(outcome: Outcome) -> str:
    """The metrics in a sentence, and what a search has said."""
    found = [
        f"{metric_name(name)} {format_mean(*mean_and_error(values), digits=decimals(values, usual=4))}"
        for name, values in outcome.metrics.items()
    ]
    seeds = f"mean ± standard error over {len(outcome.seeds)} seeds" if len(outcome.seeds) > 1 else "one seed"
    return f"On the test set, {seeds}: {', '.join(found)}. {outcome.chosen}".rstrip()


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


def _files(outcome: Outcome) -> Table:
    rows = []
    for name, row in outcome.artifact.manifest["formats"].items():
        parity = outcome.artifact.parity[name]
        differs, agrees = cell(parity.max_abs_diff, "{:.2g}"), cell(parity.argmax_agreement, "{:.2%}")
        rows.append((row["path"], cell(row["bytes"], "{:,}"), differs, agrees, parity.images))
    columns = map(Column, ("Bytes", "Largest difference", "Same answers", "Images compared"))
    return Table.of(["File", *columns], rows)
