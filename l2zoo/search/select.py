"""From the records of a search to its answer: best strength, strongest as good, and whether L2 helps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from l2zoo.engine.record import Record
from l2zoo.reports.numbers import format_strength
from l2zoo.search.candidates import Candidate, best, gather, one_se
from l2zoo.search.verdict import Verdict, verdict_of


@dataclass(frozen=True)
class Selection:
    """The answer of a search.

    Args:
        metric: What the scores are.
        mode: `"max"` where more is better (accuracy), `"min"` where less is (loss).
        candidates: Every strength with its trainings, in order of strength, at the best values of the other
            hyperparameters.
        best: The best mean; of equal ones the strongest.
        one_se: The strongest within one standard error of `best`.
        verdict: Whether L2 helps here.
        edge: Where to extend the grid, in a sentence; empty if the best is well inside it.
        rest: What was trained to the end with other values of the other hyperparameters.
        stopped: What was given up before the end (by Hyperband), with its last scores. These count for
            nothing but the picture: a score after few epochs cannot be compared with one after many.
    """

    metric: str
    mode: str
    candidates: tuple[Candidate, ...]
    best: Candidate
    one_se: Candidate
    verdict: Verdict
    edge: str
    rest: tuple[Candidate, ...] = ()
    stopped: tuple[Candidate, ...] = ()

    @property
    def every(self) -> tuple[Candidate, ...]:
        """All that was tried, whatever became of it."""
        return (*self.candidates, *self.rest, *self.stopped)


def choose(
    records: Iterable[Record],
    *,
    mode: str = "max",
    metric: str = "score",
    overlap: float | None = None,
    divided_anew: bool = True,
    judged: Sequence[Record] = (),
    looks: int = 1,
    until: float | None = None,
) -> Selection:
    """Chooses a strength from what came out of a search.

    Args:
        records: Those of all trainings, in any order.
        mode: `"max"` where more is better (accuracy), `"min"` where less is (loss).
        metric: What the scores are, for sentences and axes.
        overlap: Held-out over training rows of a fold; by default that of equal folds.
        divided_anew: Whether every seed divides the data otherwise.
        judged: Trainings of the winner above 0 and of 0 on divisions that chose neither; without any, the
            verdict is by the folds that are left out of the choice.
        looks: How often the verdict may be asked while trainings are added.
        until: An effect that it is asked to tell.

    Raises:
        ValueError: No training finished, or the mode is another.

    Example:
        >>> from l2zoo.engine.record import Unit
        >>> scores = {0.0: (0.80, 0.82, 0.81), 0.01: (0.90, 0.93, 0.92), 0.1: (0.20, 0.10, 0.30)}
        >>> records = [Record(Unit(s, f, 0), score=x) for s, xs in scores.items() for f, x in enumerate(xs)]
        >>> selection = choose(records, metric="accuracy")
        >>> selection.best.strength, selection.one_se.strength, selection.verdict.outcome
        (0.01, 0.01, 'helps')
    """
    records = list(records)
    whole = gather(r for r in records if r.unit.end is None)
    others = best(whole, mode=mode).others
    candidates = tuple(c for c in whole if c.others == others)
    rest = tuple(c for c in whole if c.others != others)
    stopped = _stopped(records, {(c.strength, c.others) for c in whole})
    tried = [c.strength for c in (*candidates, *rest, *stopped)]
    return Selection(
        metric=metric,
        mode=mode,
        candidates=candidates,
        best=best(candidates, mode=mode),
        one_se=one_se(candidates, mode=mode),
        verdict=verdict_of(
            gather(judged) if judged else candidates, mode=mode, metric=metric, overlap=overlap,
            divided_anew=divided_anew, tried=tried, of_winner=bool(judged), looks=looks,
            until=until,
        ),
        edge=edge(candidates, tried, mode=mode),
        rest=rest,
        stopped=stopped,
    )  # fmt: skip


def _stopped(records: Sequence[Record], whole: set[tuple]) -> tuple[Candidate, ...]:
    early = [r for r in records if r.unit.end is not None]
    early = [r for r in early if (r.unit.strength, r.unit.others) not in whole]
    return tuple(gather(sorted(early, key=lambda r: -(r.unit.end or 0))))


def edge(candidates: Sequence[Candidate], tried: Iterable[float], *, mode: str = "max") -> str:
    """Says where to extend the grid if the best strength is the largest or the smallest above 0.

    Args:
        candidates: The strengths that may be chosen.
        tried: All strengths that were tried, also with other hyperparameters or not to the end.
        mode: `"max"` where more is better (accuracy), `"min"` where less is (loss).

    Returns:
        A sentence; empty if the best is inside the grid, is 0, or is one of equals.
    """
    grid = sorted({strength for strength in tried if strength > 0})
    chosen = best(candidates, mode=mode).strength
    means = {c.mean for c in candidates if c.n}
    if chosen not in (0.0, *grid[:1], *grid[-1:]) or chosen == 0 or len(means) == 1:
        return ""
    which, targets = "the smallest tried above 0", [chosen / 10]
    if len(grid) == 1:
        which, targets = "the only one tried above 0", [chosen / 10, chosen * 10]
    elif chosen == grid[-1]:
        which, targets = "the largest tried", [chosen * 10]
    to = " and to ".join(format_strength(target) for target in targets)
    return f"The best strength, {format_strength(chosen)}, is {which}: extend the grid to {to}."
