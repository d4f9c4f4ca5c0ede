"""A comparison in words: the table, what may be said of it, and what may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l2zoo.reports.numbers import format_strength, metric_name
from l2zoo.stats.summary import sign_of

if TYPE_CHECKING:
    from rich.table import Table

    from l2zoo.studies.compare.result import Comparison, Standing

LEVEL = 0.05


def table(comparison: Comparison) -> Table:
    """A Rich table, a row for each variant."""
    from rich.table import Table

    out = Table(box=None, pad_edge=False, header_style="bold")
    out.add_column("variant")
    metric = metric_name(comparison.metric)
    chooses = any(each.strength is not None for each in comparison.standings)
    headings = [f"{metric} ± se", f"to {comparison.baseline}", "95 % interval", "p (Holm)"]
    for heading in headings + (["strength"] if chooses else []):
        out.add_column(heading, justify="right")
    out.add_column("")
    for each in comparison.standings:
        gap = each.difference
        strength = [] if not chooses else ["" if each.strength is None else format_strength(each.strength)]
        failed = f" ({each.failed} failed)" if each.failed else ""
        out.add_row(
            each.name,
            _score(each),
            "" if gap is None else f"{gap.mean:+.3f}",
            "" if gap is None else f"{gap.low:+.3f} {gap.high:+.3f}",
            "" if each.p_holm is None else f"{each.p_holm:.3f}",
            *strength,
            f"{verdict(comparison, each)}{failed}",
        )
    return out


def verdict(comparison: Comparison, standing: Standing) -> str:
    """`"baseline"`, `"better"`, `"worse"`, `"unclear"` (it may be chance), or `"not compared"`."""
    if standing.name == comparison.baseline:
        return "baseline"
    if standing.difference is None or standing.p_holm is None:
        return "not compared"
    if standing.p_holm >= LEVEL:
        return "unclear"
    return "better" if sign_of(comparison.mode) * standing.difference.mean > 0 else "worse"


def may_be_said(comparison: Comparison) -> str:
    """What the trainings show."""
    others = [each for each in comparison.standings if each.name != comparison.baseline]
    metric = metric_name(comparison.metric)
    where = f"folds of {comparison.seeds} divisions of the data" if comparison.folds else "the test set"
    found = [
        f"In {metric}, on {where}, against {comparison.baseline} ({_score(comparison[comparison.baseline])})"
    ]
    told = [kind for kind in ("better", "worse") if any(verdict(comparison, each) == kind for each in others)]
    found[0] += ", with 95 % intervals and p by Holm:" if told else ":"
    for kind in told:
        named = [_with_numbers(each) for each in others if verdict(comparison, each) == kind]
        found.append(f"{kind} {_and(named)}{'.' if kind == told[-1] else ';'}")
    same = [each.name for each in others if verdict(comparison, each) == "unclear"]
    if same:
        found.append(f"{'T' if told else 't'}he difference of {_and(same)} cannot be told from chance.")
    lost = [each.name for each in others if verdict(comparison, each) == "not compared"]
    if lost:
        found.append(f"Too few trainings of {_and(lost)} finished to compare.")
    return " ".join(found)


def may_not_be_said(comparison: Comparison) -> str:
    """What one might read into the table, and would be wrong to."""
    baseline, others = comparison.baseline, len(comparison.standings) - 1
    found = [f"Not shown: that what cannot be told from {baseline} is equal to it."]
    if others > 1:
        found.append(
            f"That one of the others is better than another: each is compared with {baseline} alone."
        )
    if comparison.folds:
        found.append("That it is so for other data, other models or longer training.")
    else:
        found.append(
            f"That it would be so with other training images: the {comparison.seeds} seeds vary the initial "
            "weights and the order of the batches alone. Nor for other models or longer training."
        )
    return " ".join(found)


def _with_numbers(standing: Standing) -> str:
    gap = standing.difference
    assert gap is not None
    return f"{standing.name} {gap.mean:+.3f} ({gap.low:+.3f} to {gap.high:+.3f}, p = {standing.p_holm:.3f})"


def _score(standing: Standing) -> str:
    if not standing.scores:
        return "-"
    spread = f" ± {standing.standard_error:.3f}" if len(standing.scores) > 1 else ""
    return f"{standing.mean:.3f}{spread}"


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
