"""No fold and no validation set of a search or a comparison holds what is trained on there."""

from __future__ import annotations

import numpy as np
import pytest

from l2zoo import L2Tuner, Training, Variant, compare, tune_l2
from l2zoo.data import load
from l2zoo.studies.experiment import Search
from l2zoo.tasks import Classification
from tests.search import small

X = np.random.default_rng(0).integers(0, 256, (48, 4, 4, 1), np.uint8)
Y = np.arange(48) % 3
TWINS = np.concatenate([X[:44], X[:4]])  # the last four once more
PATIENTS = np.repeat(np.arange(12), 4)
WORDS = "4 of the 48 images are equal to one before them"


class Stop(Exception):  # noqa: N818 - it is none
    """Ends a search before its first training."""


def job_of(search, *given, **settings):
    """The job that a search would train."""
    jobs = []

    def engine(job):
        jobs.append(job)
        raise Stop

    with pytest.raises(Stop):
        search(*given, engine=engine, **settings)
    return jobs[0]


def by_tuner(data, tmp_path, **settings):
    def search(data, *, engine):
        def hypermodel(hp):
            return small.build(hp.Choice("l2", [0.0, 1e-3]))

        L2Tuner(hypermodel, folds=4, engine=engine, directory=tmp_path).search(data, **settings)

    return job_of(search, data)


def by_compare(data, **settings):
    def build(policy):
        return small.build(0.0)

    return job_of(
        compare, build, data, [Variant("a"), Variant("b", optimizer="sgd")],
        training=Training(1), folds=4, seeds=2, **settings,
    )  # fmt: skip


def on_both_sides(job, labels):
    return [set(labels[rows]) & set(labels[held]) for seed in (0, 1) for rows, held in job.division(seed)]


@pytest.mark.parametrize("prepared", [False, True])
def test_equal_images_are_on_one_side_of_every_fold(tmp_path, prepared):
    data = load((TWINS, Y))
    data = Classification(data.class_names).prepared(data) if prepared else data
    images = np.array([x.tobytes() for x in TWINS])
    with pytest.warns(UserWarning, match=WORDS):
        jobs = [job_of(tune_l2, small.build, data, folds=4)]
    with pytest.warns(UserWarning, match=WORDS):
        jobs.append(by_tuner(data, tmp_path))
    if not prepared:
        with pytest.warns(UserWarning, match=WORDS):
            jobs.append(by_compare(data))
    for job in jobs:
        assert not any(on_both_sides(job, images))


def test_the_groups_of_the_data_are_kept_together_unless_others_are_said(tmp_path):
    data, others = load((X, Y), groups=PATIENTS), np.arange(48) % 12
    prepared = Classification(data.class_names).prepared(data)
    for one in (data, prepared):
        for said in (None, others):
            jobs = [
                job_of(tune_l2, small.build, one, folds=4, groups=said),
                by_tuner(one, tmp_path, groups=said),
            ]
            jobs += [] if one is prepared else [by_compare(one, groups=said)]
            for job in jobs:
                assert not any(on_both_sides(job, PATIENTS if said is None else others))
                assert any(on_both_sides(job, others if said is None else PATIENTS))


def test_a_search_of_an_experiment_takes_the_groups_of_its_data(monkeypatch):
    from l2zoo.studies.experiment import search

    taken = {}
    monkeypatch.setattr(search, "tune_l2", lambda *given, **settings: taken.update(settings))
    data = load((X, Y), groups=PATIENTS)
    Search(data, Training(1), folds=4).run(small.build, Classification(data.class_names), directory="x")
    np.testing.assert_array_equal(taken["groups"], PATIENTS)
    Search(data, Training(1), groups=Y).run(small.build, Classification(data.class_names), directory="x")
    np.testing.assert_array_equal(taken["groups"], Y)


def test_validation_data_of_a_tuner_are_others(tmp_path):
    with pytest.raises(
        ValueError, match="`x` and `validation_data` must have nothing in common, but 2 of the 6"
    ):
        by_tuner((X[:40], Y[:40]), tmp_path, validation_data=(X[38:44], Y[38:44]))
    with pytest.raises(ValueError, match="`x` and `validation_split` must have nothing in common, but 4 of"):
        by_tuner((TWINS, Y), tmp_path, validation_split=0.25)
    by_tuner((X, Y), tmp_path, validation_split=0.25)
    by_tuner((X[:40], Y[:40]), tmp_path, validation_data=(X[40:], Y[40:]))


def test_groups_of_a_comparison_are_not_in_its_test_set():
    train, test = (
        load((X[rows], Y[rows]), groups=PATIENTS[rows]) for rows in (np.arange(0, 30), np.arange(30, 48))
    )
    with pytest.raises(ValueError, match="`data` and `test` must have no group in common, but 1 is in both"):
        by_compare(train, test=test)
