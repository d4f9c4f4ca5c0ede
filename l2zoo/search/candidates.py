"""What is known of each strength after its trainings, and which strength to take.

The two choices are glmnet's: the best mean, and the strongest within one standard error of it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from l2zoo.engine.record import Record, Value
from l2zoo.stats.summary import mean, sign_of, standard_error_of_folds

SAME = 1e-12  # means that differ by less, relatively, differ by rounding


@dataclass(frozen=True)
class Candidate:
    """One strength, with the other hyperparameters it was tried with, and its trainings.

    Args:
        strength: The strength, in the convention of the search.
        done: Records with a score, in order of (seed, fold).
        failed: Records without, in order of (seed, fold).
        others: The other hyperparameters, in order of their names.
    """

    strength: float
    done: tuple[Record, ...]
    failed: tuple[Record, ...] = ()
    others: tuple[tuple[str, Value], ...] = ()

    @cached_property
    def epochs(self) -> int:
        """How many epochs its scores have behind them: the median over its trainings; 0 if none finished."""
        return round(statistics.median(r.epochs for r in self.done)) if self.done else 0

    @cached_property
    def scores(self) -> dict[tuple[int, int], float]:
        """The score of each finished (seed, fold)."""
        return {(r.unit.seed, r.unit.fold): r.score for r in self.done if r.score is not None}

    @property
    def n(self) -> int:
        """How many trainings finished with a score."""
        return len(self.done)

    @property
    def collapsed(self) -> int:
        """How many of them were stopped because their weights collapsed: they score as a constant does."""
        return sum(bool(record.reason) for record in self.done)

    @cached_property
    def mean(self) -> float:
        """Mean score; NaN if no training finished."""
        return mean(self.scores.values())

    @cached_property
    def standard_error(self) -> float:
        """That of the mean over the seeds; of one seed glmnet's `cvsd`. NaN below two scores."""
        return standard_error_of_folds(self.scores)


def gather(records: Iterable[Record]) -> list[Candidate]:
    """Sorts records into candidates.

    Args:
        records: In any order; a fold and seed that comes twice counts once, as it came first.

    Returns:
        One candidate per strength and values of other hyperparameters, in order of strength.
    """
    first: dict = {}
    for record in records:
        first.setdefault(_key(record), record)
    groups: dict[tuple, list[Record]] = {}
    for record in sorted(first.values(), key=_key):
        groups.setdefault((record.unit.strength, record.unit.others), []).append(record)
    return [
        Candidate(
            strength,
            done=tuple(r for r in group if r.status == "done"),
            failed=tuple(r for r in group if r.status == "failed"),
            others=others,
        )
        for (strength, others), group in groups.items()
    ]


def eligible(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that may be chosen: of those with the fewest failures, those with the most scores.

    So a strength with a failed training is out unless every strength has one, and one that is not through
    yet is out as soon as another is.
    """
    scored = [c for c in candidates if c.n]
    rank = min(((len(c.failed), -c.n) for c in scored), default=None)
    return [c for c in scored if (len(c.failed), -c.n) == rank]


def best(candidates: Sequence[Candidate], *, mode: str = "max") -> Candidate:
    """The eligible candidate with the best mean; of equal ones that with the largest strength.

    Args:
        candidates: At least one with a score.
        mode: `"max"` where more is better (accuracy), `"min"` where less is (loss).

    Raises:
        ValueError: No candidate has a score, or the mode is another.

    References:
        Friedman, Hastie, Tibshirani 2010, Regularization Paths for Generalized Linear Models via Coordinate
        Descent (glmnet: `lambda.min`).
    """
    pool = eligible(candidates)
    if not pool:
        reasons = [r.reason for c in candidates for r in c.failed]
        what = f"all {len(reasons)} failed, the first because {reasons[0]}" if reasons else "there are none"
        raise ValueError(f"No strength can be chosen: of the trainings, {what}.")
    sign = sign_of(mode)
    return _strongest(pool, at_least=max(sign * c.mean for c in pool), sign=sign)


def one_se(candidates: Sequence[Candidate], *, mode: str = "max") -> Candidate:
    """The strongest eligible candidate whose mean is within one standard error of the best.

    The standard error is that of the best, for folds of equal size; glmnet weights folds by their sizes,
    which differ by one image. With one score per strength there is none, and the best is taken.

    Args:
        candidates: At least one with a score.
        mode: `"max"` where more is better (accuracy), `"min"` where less is (loss).

    Raises:
        ValueError: No candidate has a score, or the mode is another.

    References:
        glmnet's `lambda.1se`; Breiman, Friedman, Olshen, Stone 1984, Classification and Regression Trees,
        section 3.4.3.
    """
    sign = sign_of(mode)
    chosen = best(candidates, mode=mode)
    margin = 0.0 if chosen.n < 2 else chosen.standard_error
    return _strongest(eligible(candidates), at_least=sign * chosen.mean - margin, sign=sign)


def _key(record: Record) -> tuple:
    unit = record.unit
    return unit.strength, repr(unit.others), unit.seed, unit.fold


def _strongest(pool: Sequence[Candidate], *, at_least: float, sign: int) -> Candidate:
    slack = SAME * max(abs(c.mean) for c in pool)
    return max((c for c in pool if sign * c.mean >= at_least - slack), key=lambda c: c.strength)
