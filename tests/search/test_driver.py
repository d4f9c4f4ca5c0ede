"""The loop of a search, with an engine whose scores are known."""

from __future__ import annotations

import numpy as np
import pytest

from l2zoo import tune_l2
from l2zoo.engine.record import Record
from tests.search import small

SETTINGS = {"folds": 3, "epochs": 9, "verbose": False, "strengths": [1e-5, 1e-1]}


def score(unit) -> float:
    """Best at 1e-3; folds and seeds differ a little."""
    height = 0.5 if not unit.strength else 0.9 - 0.05 * (np.log10(unit.strength) + 3) ** 2
    return height + 0.01 * unit.fold + 0.001 * unit.seed


class Known:
    """An engine that trains nothing: the state of a unit is the number of epochs behind it."""

    objective = "val_accuracy"
    workers = 3

    def __init__(self, job, *, order=None, fail=lambda unit: False, most=10**9):
        self.identity = {"epochs": job.epochs}
        self.epochs, self.order, self.fail, self.most = job.epochs, order, fail, most
        self.queue, self.done = [], []
        self.train_on_all = lambda values, *, seed, epochs: _weights(values)

    def submit(self, work):
        self.queue.append(work)

    def wait(self):
        if len(self.done) == self.most:
            raise KeyboardInterrupt
        at = 0 if self.order is None else int(self.order.integers(len(self.queue)))
        work = self.queue.pop(at)
        self.done.append(work)
        begin = int(work.state[0]) if work.state else 0
        end = work.unit.end or self.epochs
        curve = [score(work.unit)] * (end - begin)
        failed = self.fail(work.unit)
        record = Record(
            work.unit,
            status="failed" if failed else "done",
            reason="it was told to" if failed else "",
            score=None if failed else score(work.unit),
            epochs=end,
            trained=end - begin,
            curves={"loss": curve, "val_accuracy": curve},
        )
        return record, [np.array(end)] if work.keep and not failed else None

    def close(self):
        pass


def _weights(values):
    from l2zoo.engine.warm_model import copy_values

    model = small.build(values["l2"])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    state = [v for v in model.optimizer.variables if v.name != "learning_rate"]
    return copy_values([*model.variables, *state])


def search(folder=None, **changes):
    engines = []
    options = {name: changes.pop(name) for name in ("order", "fail", "most") if name in changes}

    def engine(job):
        engines.append(Known(job, **options))
        return engines[-1]

    settings = {"max_trials": 6, **SETTINGS, **changes}
    result = tune_l2(small.build, small.data(), engine=engine, directory=folder, **settings)
    return result, engines[0].done


@pytest.mark.parametrize("strategy", ["grid", "random", "bayesian", "hyperband"])
def test_zero_is_always_trained_to_the_end_on_every_fold(strategy):
    result, _ = search(strategy=strategy)
    zero = result.candidates[0]
    assert zero.strength == 0
    assert zero.n == 3
    assert result.verdict.pairs == 3


@pytest.mark.parametrize("strategy", ["random", "bayesian", "hyperband"])
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
    assert begun.count((0, None, False)) == 3  # strength 0
    assert result.epochs == 3 * (9 * 1 + 3 * 2 + 1 * 6 + 9)
    assert len(result.selection.stopped) == 8
    assert [len(r.curves["loss"]) for c in result.candidates for r in c.done] == [9] * 6
    assert not (tmp_path / "states").exists()
    again, done = search(tmp_path, strategy="hyperband", max_trials=9)
    assert done == []
    assert again.selection == result.selection


def test_a_lost_state_costs_a_training_from_the_first_epoch(tmp_path, monkeypatch):
    from l2zoo.engine.ledger import States

    whole, _ = search(strategy="hyperband", max_trials=9)
    monkeypatch.setattr(States, "load", lambda self, unit: None)
    result, done = search(tmp_path, strategy="hyperband", max_trials=9)
    assert [w.state for w in done if w.unit.begin] == [None] * 12
    assert [c.scores for c in result.candidates] == [c.scores for c in whole.candidates]
    assert [len(r.curves["loss"]) for c in result.candidates for r in c.done] == [9] * 6


@pytest.mark.parametrize("strategy", ["grid", "random", "bayesian", "hyperband"])
@pytest.mark.parametrize("most", [1, 20])
def test_stopped_anywhere_it_goes_on_where_it_was(strategy, most, tmp_path):
    settings = {"strategy": strategy, "strengths": np.geomspace(1e-5, 1e-1, 11).tolist(), "max_trials": 9}
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


@pytest.mark.parametrize("strategy", ["grid", "random", "bayesian", "hyperband"])
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
        engines.append(Known(job))
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
