"""The loop of a search, with an engine whose scores are known."""

from __future__ import annotations

import numpy as np
import pytest

from l2zoo import SearchResult, tune_l2
from l2zoo.engine.ledger import States
from l2zoo.reports.numbers import format_strength
from l2zoo.stats.paired import trainings_for
from tests.engine.known import Known
from tests.search import small

SETTINGS = {"folds": 3, "epochs": 9, "verbose": False, "strengths": [1e-5, 1e-1]}


def score(unit) -> float:
    """Best at 1e-3; folds and seeds differ a little."""
    height = 0.5 if not unit.strength else 0.9 - 0.05 * (np.log10(unit.strength) + 3) ** 2
    return height + 0.01 * unit.fold + 0.001 * unit.seed


@pytest.fixture(autouse=True)
def unsaved(monkeypatch):
    """The page and the pictures of a search are not looked at here."""
    monkeypatch.setattr(SearchResult, "save", lambda self, directory: None)


def search(folder=None, **changes):
    engines = []
    options = {name: changes.pop(name) for name in ("order", "fail", "most") if name in changes}

    def engine(job):
        engines.append(Known(job, score=score, **options))
        return engines[-1]

    settings = {"max_trials": 6, **SETTINGS, **changes}
    result = tune_l2(small.build, small.data(), engine=engine, directory=folder, **settings)
    return result, engines[0].done


# Its Gaussian process takes a second, whatever is asked of it.
BAYESIAN = pytest.param("bayesian", marks=pytest.mark.slow)


@pytest.mark.parametrize("strategy", ["grid", "random", BAYESIAN, "hyperband"])
def test_zero_is_always_trained_to_the_end_on_every_fold(strategy):
    result, _ = search(strategy=strategy)
    zero = result.candidates[0]
    assert zero.strength == 0
    assert zero.n == 3
    assert result.verdict.pairs == 3


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["random", BAYESIAN, "hyperband"])
def test_the_order_of_completion_changes_nothing(strategy):
    plain, _ = search(strategy=strategy, seeds=2)
    shuffled, _ = search(strategy=strategy, seeds=2, order=np.random.default_rng(0))
    assert plain.selection == shuffled.selection


def test_hyperband_goes_on_from_saved_weights_and_counts_its_epochs(tmp_path):
    result, done = search(tmp_path, strategy="hyperband", max_trials=9)
    begun = [(work.unit.begin, work.unit.end, work.state is not None) for work in done]
    assert begun.count((0, 1, False)) == 9 * 3
    assert begun.count((1, 3, True)) == 3 * 3
    assert begun.count((3, None, True)) == 1 * 3
    assert begun.count((0, None, False)) == 3 * 3  # strength 0; and on fresh divisions the winner and 0
    assert result.epochs == 3 * (9 * 1 + 3 * 2 + 1 * 6 + 9 + 2 * 9)
    assert len(result.selection.stopped) == 8
    assert [len(r.curves["loss"]) for c in result.candidates for r in c.done] == [9] * 6
    assert not (tmp_path / "states").exists()
    again, done = search(tmp_path, strategy="hyperband", max_trials=9)
    assert done == []
    assert again.selection == result.selection


@pytest.mark.parametrize(
    ("strategy", "fresh"), [("grid", 0), ("random", 0), ("bayesian", 2), ("hyperband", 2)]
)
def test_where_scores_decided_what_was_tried_fresh_divisions_judge(strategy, fresh):
    result, done = search(strategy=strategy, seeds=2)
    units = [work.unit for work in done if work.unit.seed >= 2]
    assert {unit.seed for unit in units} == ({2, 3} if fresh else set())
    assert {unit.strength for unit in units} == ({0.0, result.best} if fresh else set())
    assert len(units) == fresh * 3 * 2
    assert result.verdict.fresh == bool(fresh)
    assert all(seed < 2 for candidate in result.candidates for seed, _ in candidate.scores)


def test_with_other_hyperparameters_fresh_divisions_judge_the_winner_and_0_at_its_values():
    def space(hp):
        hp.Choice("rate", [1, 2])

    engines = []

    def engine(job):
        engines.append(Known(job, score=lambda unit: score(unit) + 0.1 * (dict(unit.others)["rate"] == 2)))
        return engines[-1]

    build = lambda l2, hp: small.build(l2)  # noqa: E731
    result = tune_l2(build, small.data(), engine=engine, space=space, **SETTINGS)
    fresh = [work.unit for work in engines[0].done if work.unit.seed == 1]
    assert {dict(unit.others)["rate"] for unit in fresh} == {2}
    assert {unit.strength for unit in fresh} == {0.0, result.best}
    assert (result.verdict.fresh, result.verdict.pairs) == (True, 3)


def gaining(unit) -> float:
    """About 2 points at 1e-1, with a deviation of 2 points from fold to fold, and fewer at others."""
    luck = np.random.default_rng([unit.seed, unit.fold, int(unit.strength * 1e9)]).normal(0, 0.014)
    return 0.8 + luck + 0.02 * (unit.strength == 1e-1)


def until(folder=None, *, score=gaining, folds=5, **changes):
    done = []

    def engine(job):
        known = Known(job, score=score, most=changes.get("most", 10**9))
        done.append(known.done)
        return known

    settings = {**SETTINGS, "folds": folds, **{k: v for k, v in changes.items() if k != "most"}}
    return tune_l2(small.build, small.data(), engine=engine, directory=folder, **settings), done[0]


def test_what_cannot_be_told_yet_goes_on_with_the_winner_and_0_on_fresh_divisions(tmp_path):
    plain, everything = until()
    assert plain.verdict.outcome == "unclear"
    result, done = until(tmp_path, until=0.04)
    fresh = [work.unit for work in done if work.unit.seed]
    assert {unit.strength for unit in fresh} == {0.0, plain.best}
    assert len(done) - len(fresh) == len(everything)
    # As many as it takes at a level of 1 - 0.05 / 3, half of them before the second look.
    wanted = trainings_for(
        0.04, deviation=plain.verdict.deviation, overlap=plain.verdict.overlap, confidence=1 - 0.05 / 3
    )
    second = -(-wanted // 10)
    assert len({unit.seed for unit in fresh}) >= second
    assert result.verdict.fresh
    assert result.verdict.pairs == 5 * len({unit.seed for unit in fresh})
    assert "98.3 % interval" in str(result.verdict)
    assert result.selection.candidates == plain.selection.candidates  # what chose is what it was
    again, nothing = until(tmp_path, until=0.04)
    assert (nothing, again.selection) == ([], result.selection)


def test_fresh_divisions_are_shown_as_such_and_lead_no_table(capfd):
    until(until=0.04, verbose=True)
    shown = capfd.readouterr().err.splitlines()
    searched = [line for line in shown if line.startswith("[")]
    assert [line.partition("]")[0] for line in searched] == ["[1/3", "[2/3", "[3/3"]
    assert any(line.startswith("On fresh divisions, l2=0: val_accuracy 0.") for line in shown)
    assert "already" not in "".join(shown)


def test_a_search_that_is_asked_for_more_afterwards_trains_that_alone(tmp_path):
    until(tmp_path)
    result, done = until(tmp_path, until=0.04)
    assert done
    assert all(work.unit.seed for work in done)
    assert result.selection == until(until=0.04)[0].selection


@pytest.mark.slow
@pytest.mark.parametrize("most", [20, 23])
def test_stopped_between_looks_it_goes_on_where_it_was(most, tmp_path):
    whole, everything = until(until=0.04)
    assert len(everything) > most
    with pytest.raises(KeyboardInterrupt):
        until(tmp_path, until=0.04, most=most)
    result, rest = until(tmp_path, until=0.04)
    assert len(rest) == len(everything) - most
    assert result.selection == whole.selection


def test_no_more_seeds_are_spent_than_there_may_be():
    result, done = until(until=0.04, max_seeds=2)
    assert {work.unit.seed for work in done} == {0, 1}
    assert result.verdict.pairs == 5


def test_nothing_more_is_trained_where_it_is_told_or_cannot_be():
    told, done = until(until=0.04, score=lambda unit: gaining(unit) + 0.2 * (unit.strength > 0))
    assert told.verdict.outcome == "helps"
    assert {work.unit.seed for work in done} == {0}
    hopeless, done = until(until=0.001)
    assert {work.unit.seed for work in done} == {0}
    assert "No number of folds of these data tells 0.001: it takes more data." in str(hopeless.verdict)
    small_effect, done = until(until=0.5)
    assert {work.unit.seed for work in done} == {0}
    assert "An effect of 0.5, either way, there is not." in str(small_effect.verdict)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"until": 0}, "`until` must be above 0"),
        ({"until": 0.1, "seeds": 3, "max_seeds": 3}, "`max_seeds` must be above the 3 of `seeds`"),
        ({"until": 0.1, "folds": [(range(20), range(20, 30))] * 2}, "every seed divides anew"),
    ],
)
def test_until_is_refused_where_no_fresh_division_can_be_had(changes, message):
    with pytest.raises(ValueError, match=message):
        until(**changes)


def test_a_lost_state_costs_a_training_from_the_first_epoch(tmp_path, monkeypatch):
    whole, _ = search(strategy="hyperband", max_trials=9)
    monkeypatch.setattr(States, "load", lambda self, unit: None)
    result, done = search(tmp_path, strategy="hyperband", max_trials=9)
    assert [w.state for w in done if w.unit.begin] == [None] * 12
    assert [c.scores for c in result.candidates] == [c.scores for c in whole.candidates]
    assert [len(r.curves["loss"]) for c in result.candidates for r in c.done] == [9] * 6


@pytest.mark.parametrize(
    ("strategy", "most"),
    [
        ("grid", 20),
        ("hyperband", 41),
        pytest.param("hyperband", 1, marks=pytest.mark.slow),
        pytest.param("random", 1, marks=pytest.mark.slow),
        pytest.param("bayesian", 10, marks=pytest.mark.slow),
    ],
)
def test_stopped_anywhere_it_goes_on_where_it_was(strategy, most, tmp_path):
    settings = {"strategy": strategy, "strengths": np.geomspace(1e-5, 1e-1, 11).tolist()}
    settings["max_trials"] = 5 if strategy == "bayesian" else 9  # its Gaussian process is slow
    whole, everything = search(**settings)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, most=most, **settings)
    result, rest = search(tmp_path, **settings)
    assert len(rest) == len(everything) - most
    assert result.selection == whole.selection
    assert result.epochs == whole.epochs


def test_another_strategy_in_the_same_directory_takes_over_what_fits(tmp_path):
    search(tmp_path, strategy="random", max_trials=4)
    result, done = search(tmp_path, strategy="random", max_trials=6)
    assert len(done) == 2 * 3
    assert len(result.candidates) == 7


@pytest.mark.parametrize("strategy", ["grid", "random", BAYESIAN, "hyperband"])
def test_failed_trainings_do_not_end_a_search(strategy):
    result, _ = search(
        strategy=strategy, max_trials=9, strengths=[1e-5, 1e-3, 1e-1], fail=lambda unit: unit.strength > 2e-3
    )
    assert 0 < result.best <= 2e-3
    assert result.verdict.outcome == "helps"


def test_what_failed_early_is_not_trained_on(tmp_path):
    result, done = search(strategy="hyperband", max_trials=3, fail=lambda unit: unit.strength > 0)
    assert [work.unit.begin for work in done if work.unit.strength] == [0] * 9
    assert result.best == 0
    assert "cannot be told" in str(result.verdict)


def test_a_second_hyperparameter_keeps_the_curve_at_its_best_value():
    def space(hp):
        hp.Choice("learning_rate", [1e-3, 1e-2])

    def build(l2, hp):
        return small.build(l2)

    engines = []

    def engine(job):
        engines.append(Known(job, score=score))
        return engines[-1]

    result = tune_l2(build, small.data(), space=space, engine=engine, **{**SETTINGS, "strengths": [1e-3]})
    assert {work.unit.others for work in engines[0].done} == {
        (("learning_rate", 1e-3),),
        (("learning_rate", 1e-2),),
    }
    assert [c.strength for c in result.candidates] == [0.0, 1e-3]
    assert len({c.others for c in result.candidates}) == 1
    assert [c.strength for c in result.selection.rest] == [0.0, 1e-3]
    assert result.values == {"l2": 1e-3, **dict(result.candidates[0].others)}


def test_a_loss_as_objective_is_minimised():
    result, _ = search(objective="val_data_loss", fail=lambda unit: False)
    means = {c.strength: c.mean for c in result.candidates}
    assert result.best == min(means, key=means.get)


def test_a_result_prints_as_its_answer(tmp_path):
    result, _ = search(tmp_path)
    assert repr(result).splitlines()[0] == str(result.verdict)
    assert f"The model has {format_strength(result.chosen)}." in str(result)
    assert f"Kept in {tmp_path}." in str(result)
    assert len(repr(result)) < 1000
    assert "Kept in" not in str(search()[0])  # where nothing is kept
    assert str(result.table()).split()[0] in result._repr_html_()


def test_progress_says_what_is_done_and_what_is_best(capfd, tmp_path):
    settings = {"verbose": True, "strengths": [1e-2], "max_trials": None}
    search(tmp_path, **settings)
    shown = capfd.readouterr().err
    assert "[1/2] l2=0: val_accuracy" in shown
    assert "[2/2] l2=0.01" in shown
    search(tmp_path, **settings)
    assert "6 of 6 trainings are finished already" in capfd.readouterr().err
