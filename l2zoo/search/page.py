"""The report of a search: the verdict, pictures, every candidate, the final model, and how to repeat it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.engine.record import Record
from l2zoo.reports.numbers import format_duration, format_strength
from l2zoo.reports.page import Page, Picture, Section, picture
from l2zoo.search import pagetable
from l2zoo.search.plots import curve, learning_curves, scatter
from l2zoo.search.plots.averages import every, has_curves
from l2zoo.search.select import Selection

if TYPE_CHECKING:
    from l2zoo.regularization.audit import Audit


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
    records: Iterable[Record] | None = None,
) -> Path:
    """Writes the report: the verdict, pictures, every candidate, the final model, and how to repeat it.

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
    strength = selection.best.strength if chosen is None else chosen
    metric = curve.name(selection)
    hint = (
        f"Strengths in the convention {convention}; ± SE is one standard error of the mean; “To 0” is the "
        "mean difference to strength 0 on the same folds. A header sorts by its column."
    )
    return Page(
        kicker=f"Search for the strength of L2, scored by {metric.lower()} on held-out folds",
        heading="Does L2 help here?",
        title=f"Does L2 help here? {metric}",
        answer=str(selection.verdict),
        tone=selection.verdict.outcome.split()[0],
        notices=[("At the edge", selection.edge)] if selection.edge else [],
        facts=_facts(selection, chosen=strength, records=_all_records(selection, records)),
        pictures=pictures(selection, chosen=strength, convention=convention),
        sections=[
            Section("Every candidate", pagetable.of(selection, chosen=strength), hint),
            *([] if audit is None else [audit.section()]),
        ],
        command=command,
        settings=settings,
        versions=versions,
    ).write(path)


def _all_records(selection: Selection, records: Iterable[Record] | None) -> list[Record]:
    if records is not None:
        return list(records)
    return [record for c in every(selection) for record in (*c.done, *c.failed)]


def _facts(selection: Selection, *, chosen: float, records: list[Record]) -> list[tuple[str, str, str]]:
    """What stands in the row of figures: name, value, explanation."""
    best = selection.best
    spread = f" ± {best.standard_error:.3f}" if best.n > 1 else ""
    failed = sum(record.status == "failed" for record in records)
    seconds = math.fsum(record.seconds for record in records if math.isfinite(record.seconds))
    what = curve.name(selection).lower()
    return [
        ("Best strength", format_strength(best.strength), f"mean {what} {best.mean:.3f}{spread}"),
        ("One SE", format_strength(selection.one_se.strength), "strongest that is as good"),
        ("Final model", format_strength(chosen), "its strength"),
        ("Trainings", f"{len(records):,}", f"{failed:,} failed" if failed else "none failed"),
        ("Epochs in all", f"{sum(record.trained for record in records):,}", "over all trainings"),
        ("Time in all", format_duration(seconds), "over all trainings"),
    ]


def pictures(
    selection: Selection, *, chosen: float | None = None, convention: str = "keras"
) -> list[Picture]:
    """Title, alternative text and both drawings of every picture that this search has.

    Args:
        selection: The answer of a search.
        chosen: The strength of the final model; the best by default.
        convention: That of the strengths.
    """
    chosen = selection.best.strength if chosen is None else chosen
    draw = partial(curve.draw, selection, title="", convention=convention)
    words = f"{curve.name(selection)} against the strength of L2"
    found = [picture("curve", words, curve.alt_text(selection), draw)]
    other = scatter.varying(selection)
    if other is not None:
        draw = partial(scatter.draw, selection, convention=convention)
        found.append(picture("plane", f"{words} and {other}", scatter.alt_text(selection), draw))
    if has_curves(selection):
        draw = partial(learning_curves.draw, selection, chosen=chosen)
        words = f"{curve.name(selection)} while training"
        found.append(picture("learning", words, learning_curves.alt_text(selection, chosen=chosen), draw))
    return found
