from __future__ import annotations

import itertools

import keras_tuner
import numpy as np
import pytest

from l2zoo.search import strategies

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")


def space(*, grid: bool = False) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    if grid:
        hp.Choice("l2", [0.0, 1e-3, 1e-2, 1e-1])
        hp.Choice("learning_rate", [1e-3, 1e-2])
    else:
        hp.Float("l2", 1e-6, 1e-1, sampling="log")
    return hp


def ready(name: str, folder, **options):
    """An oracle with a folder, as keras-tuner's tuners give it one."""
    oracle = strategies.oracle(
        name, objective=OBJECTIVE, hyperparameters=options.pop("space", space()), epochs=40, **options
    )
    keras_tuner.Tuner(oracle, lambda hp: None, directory=str(folder), project_name=name, overwrite=True)
    oracle.verbose = 0
    return oracle


def asked(oracle, score) -> list[dict]:
    """Asks and tells until the oracle has no more to ask; all at a time that it will name."""
    found = []
    while True:
        trials = []
        while (
            trial := strategies.ask(oracle, str(len(found) + len(trials)), declare=lambda hp: None)
        ).status == "RUNNING":
            trials.append(trial)
            if len(trials) == strategies.batch(oracle):
                break
        if not trials:
            return found
        for trial in trials:
            values = dict(trial.hyperparameters.values)
            oracle.update_trial(trial.trial_id, {"val_accuracy": score(values["l2"])})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
            found.append({**values, "batch": len(trials), "id": trial.trial_id})


def peak(strength: float) -> float:
    """A score with its top at 1e-3."""
    return 1 - 0.01 * (np.log10(strength) + 3) ** 2


def test_a_grid_is_named_whole_without_waiting_for_a_score(tmp_path):
    found = asked(ready("grid", tmp_path, space=space(grid=True)), lambda strength: 0.5)
    assert {(f["l2"], f["learning_rate"]) for f in found} == {
        (l2, rate) for l2 in (0.0, 1e-3, 1e-2, 1e-1) for rate in (1e-3, 1e-2)
    }
    assert [f["batch"] for f in found] == [8] * 8


@pytest.mark.parametrize(("name", "count"), [("random", 12), ("bayesian", 6)])
def test_a_strength_is_drawn_on_the_logarithmic_scale(name, count, tmp_path):
    found = asked(ready(name, tmp_path, seed=3, max_trials=count), peak)
    strengths = np.array([f["l2"] for f in found])
    assert len(strengths) == count
    assert ((strengths >= 1e-6) & (strengths <= 1e-1)).all()
    assert (strengths < 1e-3).sum() >= count // 4  # on a linear scale less than one in 100 would be


@pytest.mark.slow
def test_the_gaussian_process_closes_in_on_the_top(tmp_path):
    found = asked(ready("bayesian", tmp_path, seed=1, max_trials=15), peak)
    first, last = ([peak(f["l2"]) for f in part] for part in (found[:5], found[-5:]))
    assert max(f["batch"] for f in found) == 1
    assert max(peak(f["l2"]) for f in found) > 0.999
    assert np.mean(last) > np.mean(first)


def test_hyperband_trains_the_better_third_on_from_where_they_were(tmp_path):
    found = asked(ready("hyperband", tmp_path), peak)
    rungs = [[f for f in found if f["tuner/epochs"] == epochs] for epochs in (5, 14, 40)]
    assert [len(rung) for rung in rungs] == [9, 3, 1]
    assert [rung[0]["tuner/initial_epoch"] for rung in rungs] == [0, 5, 14]
    for rung, survivors in itertools.pairwise(rungs):
        best = sorted(rung, key=lambda f: -peak(f["l2"]))[: len(survivors)]
        assert {f["tuner/trial_id"] for f in survivors} == {f["id"] for f in best}


@pytest.mark.parametrize(("epochs", "rungs"), [(1, 1), (2, 1), (3, 2), (9, 3), (100, 3)])
def test_hyperband_has_no_more_rungs_than_the_epochs_allow(epochs, rungs):
    oracle = strategies.oracle(
        "hyperband", objective=OBJECTIVE, hyperparameters=space(), epochs=epochs, max_trials=9
    )
    assert oracle.max_trials == sum([9, 3, 1][:rungs])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["random", "bayesian", "hyperband"])
def test_the_same_seed_and_scores_ask_for_the_same(name, tmp_path):
    one, same, other = (
        [f["l2"] for f in asked(ready(name, tmp_path / str(i), seed=seed, max_trials=5), peak)]
        for i, seed in enumerate((1, 1, 2))
    )
    assert one == same
    assert one != other
