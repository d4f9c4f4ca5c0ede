"""The report of a search: the verdict, pictures, every candidate, the final model, and how to repeat it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from l2zoo.engine.record import Record
from l2zoo.regularization.audit import Audit
from l2zoo.reports.numbers import decimals, format_duration, format_mean, format_strength, metric_name
from l2zoo.reports.page import Page, Picture, Section
from l2zoo.search import report
from l2zoo.search.plots import curve, learning_curves, scatter
from l2zoo.search.select import Selection


def page(
    selection: Selection,
    *,
    path: str | Path,
    settings: Mapping[str, Any],
    versions: Mapping[str, str],
    command: str,
    audit: Audit | None = None,
    chosen: float | None = None,
    convention: str = "keras",
    records: Sequence[Record] | None = None,
) -> Path:
    """Writes the report.

    Args:
        selection: The answer of a search.
        path: Where to, usually `report.html`.
        settings: What the search was given; any values, shown as text.
        versions: Packages and their versions.
        command: What repeats the search, to be typed into a shell.
        audit: What the final model penalises.
        chosen: The strength of the final model; the best by default.
        convention: That of the strengths.
        records: All records, for the seconds and epochs spent; those in `selection` by default, which lacks
            what Hyperband trained on the way to a result that was trained further.

    Returns:
        The path.
    """
    chosen = selection.best.strength if chosen is None else chosen
    metric = metric_name(selection.metric)
    hint = (
        f"Strengths in the convention {convention}; SE is one standard error of the mean; “To 0” is the "
        "mean difference to strength 0 on the same folds. A header sorts by its column."
    )
    if records is None:
        records = [record for c in selection.every for record in (*c.done, *c.failed)]
    return Page(
        kicker=f"Search for the strength of L2, scored by {metric} on held-out folds",
        heading="Does L2 help here?",
        title=f"Does L2 help here? {metric.capitalize()}",
        answer=str(selection.verdict),
        tone=selection.verdict.outcome.split()[0],
        notices=[("At the edge", selection.edge)] if selection.edge else [],
        facts=_facts(selection, chosen=chosen, records=records),
        pictures=pictures(selection, chosen=chosen, convention=convention),
        sections=[
            Section("Every candidate", report.table(selection, chosen=chosen, every=True), hint),
            *([] if audit is None else [audit.section()]),
        ],
        command=command,
        settings=settings,
        versions=versions,
    ).write(path)


def pictures(
    selection: Selection, *, chosen: float | None = None, convention: str = "keras"
) -> list[Picture]:
    """Every picture that this search has.

    Args:
        selection: The answer of a search.
        chosen: The strength of the final model; the best by default.
        convention: That of the strengths.
    """
    found = [Picture.of_plot(curve.plot(selection, convention=convention), name="curve")]
    if scatter.varying(selection):
        found.append(Picture.of_plot(scatter.plot(selection, convention=convention), name="plane"))
    if learning_curves.has_curves(selection):
        found.append(Picture.of_plot(learning_curves.plot(selection, chosen=chosen), name="learning"))
    return found


def _facts(selection: Selection, *, chosen: float, records: Sequence[Record]) -> list[tuple[str, str, str]]:
    """What stands in the row of figures: name, value, explanation."""
    best = selection.best
    score = format_mean(best.mean, best.standard_error, digits=decimals([best.mean], usual=3))
    mean = f"mean {metric_name(selection.metric)} {score}"
    failed = sum(record.status == "failed" for record in records)
    seconds = math.fsum(record.seconds for record in records if math.isfinite(record.seconds))
    return [
        ("Best strength", format_strength(best.strength), mean),
        ("One SE", format_strength(selection.one_se.strength), "strongest that is as good"),
        ("Final model", format_strength(chosen), "its strength"),
        ("Trainings", f"{len(records):,}", f"{failed:,} failed" if failed else "none failed"),
        ("Epochs in all", f"{sum(record.trained for record in records):,}", "over all trainings"),
        ("Time in all", format_duration(seconds), "over all trainings"),
    ]
