"""How often is what l2zoo says about data wrong, where the truth is known?

    python benchmarks/evidence_rates.py               every table, about an hour on 2 cores
    python benchmarks/evidence_rates.py --only grid   one of: grid, searches, compare, privacy, trained
    python benchmarks/evidence_rates.py --repeat 200  a rough one

Nothing is trained but for `trained`, which is not among the tables of the first line. What is drawn is kept
in `--out`: killed at any moment, the same command goes on. After a change of what is measured, take another.

Scores are drawn: the paired difference of two settings on one fold has a deviation of 0.02. `agreement` is
how much the differences on two folds of the same data have in common: the correlation that a setting's luck
with these data gives them, whatever the folds. Each row is a setting of the search, and says how often
"helps" and "hurts" came out where nothing does anything, how often the interval held the truth, and how often
a gain of 2, 3 and 5 points at the best of a dozen strengths was found.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from measured import Measured

DEVIATION = 0.02  # of a paired difference
STRENGTHS = (0.0, *np.logspace(-6.5, -1, 12).tolist())
AGREEMENTS = (0.0, 0.1, 0.2)
GAINS = (0.02, 0.03, 0.05)  # at the seventh strength; those beside it have less
Effect = Callable[[float], float]


def bump(gain: float) -> Effect:
    """What each strength does: most in the middle, less beside it."""

    def effect(strength: float) -> float:
        if not strength:
            return 0.0
        return float(gain * np.exp(-0.5 * ((np.log10(strength) - np.log10(STRENGTHS[7])) / 0.75) ** 2))

    return effect


class Scores:
    """The scores of one search: of a setting on a fold, the same whenever it is asked for."""

    def __init__(self, rng: np.random.Generator, agreement: float, effect: Effect):
        self._rng, self._agreement, self._effect = rng, agreement, effect
        self._own: dict[Any, float] = {}

    def __call__(self, strength: float, others: Any, seed: int, fold: int, end: int | None = None) -> float:
        level = self._draw((seed, fold)) * 0.03
        shared = np.sqrt(self._agreement) * self._draw((strength, others))
        own = np.sqrt(1 - self._agreement) * self._draw((strength, others, seed, fold, end))
        return 0.8 + level + self._effect(strength) + DEVIATION / np.sqrt(2) * float(shared + own)

    def _draw(self, key: Any) -> float:
        if key not in self._own:
            self._own[key] = float(self._rng.standard_normal())
        return self._own[key]


# ---- A grid ------------------------------------------------------------------------------------------------


def grid(
    seed: int, *, agreement: float, gain: float, seeds: int, folds: int, failed: bool = False, images: int = 0
) -> tuple[str, bool, float]:
    """The verdict on one grid: outcome, whether its interval holds the truth, and what it gained.

    Args:
        seed: Of the scores.
        agreement: See above.
        gain: Of the best strength.
        seeds: How often all is repeated.
        folds: Of the cross-validation.
        failed: Whether one training of 20 fails.
        images: Of a fold, so that scores are whole shares; folds differ by one. 0 for scores of any value.
    """
    from l2zoo.engine.record import Record, Unit
    from l2zoo.search.select import choose

    rng = np.random.default_rng(seed)
    effect = bump(gain)
    scores = Scores(rng, agreement, effect)
    records = []
    for strength, s, fold in itertools.product(STRENGTHS, range(seeds), range(folds)):
        score = scores(strength, (), s, fold)
        if images:
            count = images + fold % 2
            score = round(min(score, 1.0) * count) / count
        lost = failed and rng.random() < 0.05
        unit = Unit(strength, fold, s)
        records.append(Record(unit, status="failed", reason="lost") if lost else Record(unit, score=score))
    verdict = choose(records).verdict
    truth = effect(verdict.strength) if verdict.strength and gain == 0 else np.nan
    return verdict.outcome, bool(verdict.low <= truth <= verdict.high), verdict.gain


def with_others(
    seed: int, *, agreement: float, gain: float = 0.0, fresh: bool = True, count: int = 20
) -> tuple[str, bool, float]:
    """Random search of a strength and another value, then 0 at the best's other value.

    Args:
        seed: Of the scores.
        agreement: See above.
        gain: Of the best strength, in truth.
        fresh: Whether the winner and 0 are judged on divisions that chose nothing, as they are.
        count: How many configurations.
    """
    from l2zoo.engine.record import Record, Unit
    from l2zoo.search.candidates import best, gather
    from l2zoo.search.select import choose

    rng = np.random.default_rng(seed)
    scores = Scores(rng, agreement, bump(gain))

    def trained(strength: float, others: tuple, seed: int) -> list[Record]:
        units = [Unit(strength, fold, seed, others) for fold in range(5)]
        return [Record(unit, score=scores(strength, others, seed, unit.fold)) for unit in units]

    tried = [(float(10 ** rng.uniform(-6, -1)), (("lr", float(rng.uniform())),)) for _ in range(count)]
    records = list(itertools.chain.from_iterable(trained(*setting, 0) for setting in tried))
    winner = best(gather(records), mode="max")
    records += trained(0.0, winner.others, 0)
    judges = [trained(strength, winner.others, 1) for strength in (0.0, winner.strength)]
    verdict = choose(records, judged=list(itertools.chain(*judges)) if fresh else []).verdict
    return verdict.outcome, bool(verdict.low <= bump(gain)(winner.strength) <= verdict.high), verdict.gain


# ---- Whole searches ----------------------------------------------------------------------------------------


def searched(
    seed: int,
    *,
    agreement: float,
    gain: float,
    strategy: str,
    space: bool,
    folds: int = 5,
    until: float | None = None,
) -> tuple[str, bool, float]:
    """The same for a search by `tune_l2` itself, with an engine that gives simulated scores."""
    import keras

    from l2zoo import L2Policy, tune_l2
    from l2zoo.engine.record import Record

    scores = Scores(np.random.default_rng(seed), agreement, bump(gain))

    class Engine:
        """Gives scores instead of trainings."""

        workers, objective, identity = 1, "val_accuracy", {}

        def __init__(self, job: Any):
            self.job, self.waiting = job, []

        def submit(self, work: Any) -> None:
            self.waiting.append(work)

        def wait(self) -> Any:
            work = self.waiting.pop(0)
            unit = work.unit
            score = scores(unit.strength, unit.others, unit.seed, unit.fold, unit.end)
            end = unit.end or self.job.epochs
            curves = {"loss": [1.0] * (end - unit.begin), "val_accuracy": [score] * (end - unit.begin)}
            record = Record(unit, score=score, epochs=end, trained=end - unit.begin, curves=curves)
            return record, [np.array(end)] if work.keep else None

        def train_on_all(self, values: Any, *, seed: int, epochs: int) -> Any:
            model = self.job.model(values, seed=seed)
            model.optimizer.build(model.trainable_variables)
            state = [v for v in model.optimizer.variables if v.name != "learning_rate"]
            return [np.array(variable) for variable in (*model.variables, *state)]

        def close(self) -> None:
            """Nothing is held."""

    def build(l2: float, hp: Any = None) -> Any:
        model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
        return L2Policy.of(l2).apply(model)

    def values(hp: Any) -> None:
        hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")

    keras.utils.clear_session()
    x, y = np.random.default_rng(0).integers(0, 255, (100, 2, 2, 1), np.uint8), np.arange(100) % 2
    verdict = tune_l2(
        build, (x, y), strengths=STRENGTHS, strategy=strategy, space=values if space else None, folds=folds,
        epochs=9, seeds=[seed], until=until, engine=Engine, verbose=False,
    ).verdict  # fmt: skip
    return verdict.outcome, bool(verdict.low <= 0 <= verdict.high), verdict.gain


# ---- Comparisons -------------------------------------------------------------------------------------------


def compared(
    seed: int,
    *,
    agreement: float = 0.0,
    folds: int = 0,
    images: int = 360,
    share: float = 0.03,
    seeds: int = 5,
) -> tuple[str, bool, float]:
    """A comparison of five variants that are equal in truth: whether any is called different.

    Args:
        seed: Of the scores.
        agreement: See above; for folds.
        folds: Of the cross-validation; 0 for a test set.
        images: Of the test set.
        share: Of the test images that two variants answer differently, in half of the trainings.
        seeds: Of every variant.
    """
    from l2zoo.engine.folds import Division
    from l2zoo.studies.compare.findings import Findings, Standing, differences

    rng = np.random.default_rng(seed)
    names = [f"variant {number}" for number in range(5)]
    standings, division = [], None
    if folds:
        division = Division(np.arange(10 * folds) % 2, folds, None)
        scores = Scores(rng, agreement, bump(0.0))
        units = list(itertools.product(range(seeds), range(folds)))
        standings = [
            Standing(n, {u: scores(float(i + 1), (), *u) for u in units}) for i, n in enumerate(names)
        ]
    else:
        right = (rng.random(images) < 0.9).astype(float)
        for name in names:
            differs = rng.random(images) < share / 2  # of two variants, either may
            answers = np.where(differs & (rng.random((seeds, images)) < 0.5), 1 - right, right)
            parts = [[part.mean() for part in np.array_split(row, 50)] for row in answers]
            standings.append(
                Standing(
                    name,
                    {(s, 0): float(row.mean()) for s, row in enumerate(answers)},
                    parts={(s, 0): tuple(row) for s, row in enumerate(parts)},
                )
            )
    found = differences(standings, baseline=names[0], division=division)
    findings = Findings(found, names[0], "accuracy", "max", seeds, folds)
    verdicts = {findings.verdict(each) for each in findings.others}
    gap = findings.others[0].difference
    assert gap is not None
    return "helps" if verdicts & {"better", "worse"} else "unclear", gap.low <= 0 <= gap.high, gap.mean


# ---- The privacy audit -------------------------------------------------------------------------------------


def attacked(seed: int, *, members: int, others: int, shift: float, what: str) -> tuple[str, bool, float]:
    """An attack with normal scores, members above others by `shift`: whether an interval holds the truth.

    Args:
        seed: Of the scores.
        members: How many.
        others: How many.
        shift: In deviations.
        what: "auc", "rate" (at 1 % false positives), "advantage", or "told": three attacks that know nothing.
    """
    from scipy.stats import norm

    from l2zoo.stats import roc
    from l2zoo.studies.privacy.findings import Attack

    rng = np.random.default_rng(seed)
    mine, theirs = rng.normal(shift, 1, members), rng.normal(0, 1, others)
    if what == "told":
        scores = [rng.normal(0, 1, members + others) for _ in range(3)]
        measured = [Attack.measured("", one, members=members, attacks=3) for one in scores]
        return "helps" if any(one.tells for one in measured) else "unclear", True, 0.0
    truth = {
        "auc": norm.cdf(shift / np.sqrt(2)),
        "rate": norm.sf(norm.isf(roc.FALSE_POSITIVES) - shift),
        "advantage": 2 * norm.cdf(shift / 2) - 1,
    }[what]
    kinds = {"auc": roc.auc, "rate": roc.tpr_at_false_positives, "advantage": partial(roc.advantage, seed=0)}
    found = kinds[what](mine, theirs)
    return "unclear", truth in found, found.value - float(truth)


# ---- Real trainings ----------------------------------------------------------------------------------------


def trained(seed: int) -> tuple[str, bool, float]:
    """A search over strengths that are too small to do anything, on 300 digits of its own.

    Trainings part all the same, as one that is rounded otherwise does from step to step; so the scores of
    strengths differ as they do by chance.
    """
    from l2zoo import build_cnn, tune_l2
    from l2zoo.data import load

    verdict = tune_l2(
        lambda l2: build_cnn((8, 8, 1), num_classes=10, filters=(8, 16), batch_norm=False, l2=l2),
        load("l2zoo_digits", limit=300, label_noise=0.2, seed=seed),
        strengths=[0, 1e-8, 3e-8, 1e-7, 3e-7, 1e-6, 3e-6], epochs=25, seeds=[seed], verbose=False,
    ).verdict  # fmt: skip
    return verdict.outcome, bool(verdict.low <= 0 <= verdict.high), verdict.gain


# ---- The tables --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draws:
    """What was drawn, and what draws more.

    Attributes:
        pool: Processes.
        kept: What is known already.
    """

    pool: Executor
    kept: Measured

    def __call__(self, words: str, draw: Callable[..., Any], repeat: int, **settings: Any) -> list[Any]:
        """Outcome, whether the interval held the truth and the error of so many draws."""
        names = [f"{words}; {settings.get('gain', 0):g}; {seed}" for seed in range(repeat)]
        missing = [seed for seed, name in enumerate(names) if self.kept.get(name) is None]
        size = max(8, repeat // 16)
        for some in (missing[begin : begin + size] for begin in range(0, len(missing), size)):
            found = self.pool.map(partial(draw, **settings), some, chunksize=max(1, len(some) // 8))
            self.kept.add({names[seed]: value for seed, value in zip(some, found, strict=True)})
        return [self.kept.get(name) for name in names]


def row(words: str, drawn: Draws, draw: Callable[..., Any], repeat: int, **settings: Any) -> None:
    """Prints one line: how often each outcome came, and what the interval held."""
    gains = settings.pop("gains", ())
    null = drawn(words, draw, repeat, **settings)
    outcomes = [outcome for outcome, _, _ in null]
    cells = [f"{outcomes.count(name) / repeat:.1%}" for name in ("helps", "hurts")]
    cells.append(f"{np.mean([held for _, held, _ in null]):.1%}")
    errors = np.array([error for _, _, error in null])
    cells.append(f"{np.nanmean(errors) / max(np.nanstd(errors), 1e-12):+.2f}")
    for gain in gains:
        found = drawn(words, draw, repeat, **{**settings, "gain": gain})
        cells.append(f"{np.mean([outcome == 'helps' for outcome, _, _ in found]):.0%}")
    print(f"| {words} | {' | '.join(cells)} |", flush=True)


def grids(drawn: Draws, repeat: int) -> None:
    """Cross-validation of a dozen strengths."""
    for seeds, folds in ((1, 2), (1, 3), (1, 5), (1, 10), (2, 5), (5, 5), (5, 10)):
        for agreement in AGREEMENTS:
            words = f"grid, {folds} folds, {seeds} seeds, agreement {agreement:g}"
            of = {"agreement": agreement, "gain": 0.0, "seeds": seeds, "folds": folds}
            row(words, drawn, grid, repeat, gains=() if agreement else GAINS, **of)
    five = {"agreement": 0.1, "gain": 0.0, "seeds": 1, "folds": 5}
    row("grid, 5 folds, 1 in 20 fails, agreement 0.1", drawn, grid, repeat, failed=True, **five)
    row("grid, 5 folds of 60 and 61 images, agreement 0.1", drawn, grid, repeat, images=60, **five)
    two = {**five, "folds": 2}
    row("grid, 2 folds of 60 and 61 images, agreement 0.1", drawn, grid, repeat, images=60, **two)


def searches(drawn: Draws, repeat: int) -> None:
    """One winner of all folds; and `tune_l2` itself."""
    for count, agreement in itertools.product((20, 100), AGREEMENTS):
        words = f"{count} configurations, the winner judged on fresh folds, agreement {agreement:g}"
        row(words, drawn, with_others, repeat, agreement=agreement, count=count)
    kinds = (("grid", False), ("random", False), ("bayesian", False), ("hyperband", False), ("random", True))
    for (strategy, space), agreement in itertools.product((*kinds, ("bayesian", True)), AGREEMENTS):
        words = f"tune_l2, {strategy}{' and learning rate' if space else ''}, agreement {agreement:g}"
        of = {"agreement": agreement, "gain": 0.0, "strategy": strategy, "space": space}
        row(words, drawn, searched, max(repeat // 5, 1), **of)
    for agreement in AGREEMENTS:
        words = f"tune_l2, grid, until 0.04 can be told, agreement {agreement:g}"
        of = {"agreement": agreement, "gain": 0.0, "strategy": "grid", "space": False, "until": 0.04}
        row(words, drawn, searched, max(repeat // 5, 1), gains=() if agreement else GAINS, **of)


def comparisons(drawn: Draws, repeat: int) -> None:
    """Five variants that are equal; "helps" stands for any that is called different."""
    for images, share in ((360, 0.03), (360, 0.1), (10_000, 0.03)):
        words = f"compare, {images} test images, {share:.0%} answered otherwise, 5 seeds"
        row(words, drawn, compared, repeat, images=images, share=share)
    for agreement in AGREEMENTS:
        words = f"compare, 5 folds, 5 seeds, agreement {agreement:g}"
        row(words, drawn, compared, repeat, folds=5, agreement=agreement)


def attacks(drawn: Draws, repeat: int) -> None:
    """Intervals of the audit; "helps" stands for an attack that is said to tell where none knows anything."""
    for count, what in itertools.product((100, 300, 1000), ("auc", "rate", "advantage", "told")):
        words = f"privacy, {count} members and others, {what}"
        of = {"members": count, "others": count, "shift": 0.0 if what == "told" else 1.0, "what": what}
        row(words, drawn, attacked, max(repeat // 4, 1), **of)


def trainings(drawn: Draws, repeat: int) -> None:
    """What is drawn above, trained."""
    row("trained: strengths that do nothing, 5 folds", drawn, trained, max(repeat // 25, 1))


TABLES = {"grid": grids, "searches": searches, "compare": comparisons, "privacy": attacks}
LONGER = {"trained": trainings}  # if it is named


def main(
    only: Annotated[
        str, typer.Option(help=f"One of {', '.join((*TABLES, *LONGER))}; empty: all but the last.")
    ] = "",
    repeat: Annotated[int, typer.Option(help="How often each search is drawn.")] = 1000,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    out: Annotated[Path, typer.Option(help="Where draws are kept.")] = Path("runs/evidence_rates.json"),
) -> None:
    """Prints the tables in Markdown."""
    gains = " | ".join(map(str, GAINS))
    print(f"| {repeat} drawn each | helps | hurts | interval holds | error / sd | {gains} |")
    print(f"|---|{'--:|' * (4 + len(GAINS))}")
    chosen = [{**TABLES, **LONGER}[only]] if only else TABLES.values()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for table in chosen:
            table(Draws(pool, Measured(out)), repeat)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    typer.run(main)
