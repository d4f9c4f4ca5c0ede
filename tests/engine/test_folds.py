"""Folds are those of scikit-learn, and what must not be on both sides is not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import model_selection as sk

from l2zoo.engine.folds import Division

ROWS = 60
LABELS = np.repeat([0, 1, 2], [30, 20, 10])
PATIENTS = np.random.default_rng(0).integers(0, 12, ROWS)
NUMBERS = np.random.default_rng(1).normal(size=ROWS).astype("float32")
HALVES = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(20))]


def equal(ours, theirs) -> bool:
    return [[rows.tolist() for rows in pair] for pair in ours] == [
        [np.asarray(rows).tolist() for rows in pair] for pair in theirs
    ]


@pytest.mark.parametrize(
    ("splitter", "targets"),
    [
        (sk.KFold(4), NUMBERS),
        (sk.KFold(4, shuffle=True, random_state=3), NUMBERS),
        (sk.StratifiedKFold(5, shuffle=True, random_state=0), np.eye(3)[LABELS]),
        (sk.GroupKFold(3), LABELS),
        (sk.StratifiedGroupKFold(3, shuffle=True, random_state=1), LABELS),
        (sk.TimeSeriesSplit(4), NUMBERS),
        (sk.ShuffleSplit(3, test_size=0.3, random_state=2), np.stack([NUMBERS, NUMBERS], 1)),
        (sk.LeaveOneGroupOut(), LABELS),
        (sk.PredefinedSplit(PATIENTS % 3 - 1), LABELS),
        (sk.RepeatedKFold(n_splits=3, n_repeats=2, random_state=5), {"a": LABELS, "b": NUMBERS}),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_splitter_gives_its_own_rows_for_the_first_seed(splitter, targets):
    classes = targets.argmax(1) if getattr(targets, "ndim", 1) == 2 and targets.shape[1] == 3 else targets
    groups = PATIENTS if "Group" in type(splitter).__name__ else None
    division = Division(targets, splitter, groups).check([0, 1])
    y = None if isinstance(targets, dict) else classes
    theirs = list(splitter.split(np.zeros(ROWS), y, groups))
    assert equal(division(0), theirs)
    assert division.count == len(theirs)
    assert division.overlap == pytest.approx(np.mean([len(held) / len(rows) for rows, held in theirs]))
    assert division.varies == (getattr(splitter, "random_state", None) is not None)
    assert [division.examples(fold) for fold in range(len(theirs))] == [len(rows) for rows, _ in theirs]


def test_a_splitter_without_a_random_state_of_its_own_divides_by_the_seed():
    division = Division(NUMBERS, sk.KFold(4, shuffle=True))
    assert equal(division(7), sk.KFold(4, shuffle=True, random_state=7).split(NUMBERS))
    assert equal(Division(NUMBERS, sk.KFold(4, shuffle=True, random_state=3))(2),
                 sk.KFold(4, shuffle=True, random_state=5).split(NUMBERS))  # fmt: skip


def test_pairs_of_rows_or_masks_are_taken_as_they_are():
    masks = [tuple(np.isin(np.arange(ROWS), rows) for rows in pair) for pair in HALVES]
    for pairs in (HALVES, masks, iter(HALVES), sk.check_cv(iter(HALVES))):
        division = Division(LABELS, pairs).check()
        assert equal(division(0), HALVES)
        assert not division.varies
    assert Division(LABELS, HALVES).overlap == pytest.approx((30 / 30 + 20 / 30) / 2)


@pytest.mark.parametrize("targets", [LABELS, NUMBERS], ids=["labels", "numbers"])
def test_a_number_of_folds_keeps_groups_together(targets):
    division = Division(targets, 4, PATIENTS).check([0, 1])
    for seed in (0, 1):
        held_out = [held for _, held in division(seed)]
        assert sorted(np.concatenate(held_out)) == list(range(ROWS))
        for rows, held in division(seed):
            assert not set(PATIENTS[rows]) & set(PATIENTS[held])
            assert 8 <= len(held) <= 24  # of 60; older versions of scikit-learn divide less evenly
    assert division.varies
    assert division.number is None  # the number alone does not tell the rows


def test_numbers_and_several_labels_an_image_are_divided_without_classes():
    several = np.random.default_rng(2).integers(0, 2, (ROWS, 4))
    for targets in (NUMBERS, several, np.round(NUMBERS * 20), {"a": LABELS}):
        theirs = sk.KFold(4, shuffle=True, random_state=1).split(np.zeros(ROWS))
        assert equal(Division(targets, 4).check()(1), theirs)
    for targets in (LABELS, LABELS[:, None], LABELS.astype("float32"), np.eye(3)[LABELS]):
        theirs = sk.StratifiedKFold(4, shuffle=True, random_state=1).split(LABELS, LABELS)
        assert equal(Division(targets, 4).check()(1), theirs)


@pytest.mark.parametrize(
    ("targets", "folds", "groups", "error", "message"),
    [
        (LABELS, sk.KFold(3), PATIENTS, ValueError, "Pair 0 of `folds` has the group .* on both sides"),
        (LABELS, HALVES, PATIENTS, ValueError, "on both sides"),
        (LABELS, 13, PATIENTS, ValueError, "at most the 12 groups there are, got folds=13"),
        (LABELS, 3, PATIENTS[1:], ValueError, "`groups` must say of each of the 60 examples"),
        (LABELS, 11, None, ValueError, "Every fold needs every class"),
        (NUMBERS, 61, None, ValueError, "at most the 60 examples"),
        (LABELS, [(np.arange(30), np.arange(29, 60))], None, ValueError, "1 rows are on both sides"),
        (LABELS, [(np.arange(30), np.arange(30, 61))], None, ValueError, "rows from 0 to 59"),
        (LABELS, [(np.arange(30), [])], None, (TypeError, ValueError), "Pair 0 of `folds` must hold"),
        (LABELS, [np.arange(30)], None, TypeError, "a list of pairs of training and held-out rows"),
        (LABELS, "five", None, TypeError, "a splitter of scikit-learn"),
        (
            LABELS,
            sk.KFold(3, shuffle=True, random_state=np.random.RandomState(0)),
            None,
            TypeError,
            "a number",
        ),
    ],
)
def test_what_cannot_be_divided_is_refused(targets, folds, groups, error, message):
    with pytest.raises(error, match=message):
        Division(targets, folds, groups).check()


# ---- Equal images ------------------------------------------------------------------------------------------

IMAGES = np.random.default_rng(3).integers(0, 256, (ROWS, 4, 4, 1), np.uint8)
TWINS = {7: 3, 41: 3, 58: 50, 31: 30}
WITH_TWINS = IMAGES.copy()
for _row, _first in TWINS.items():
    WITH_TWINS[_row] = IMAGES[_first]
WORDS = "4 of the 60 images are equal to one before them"


@pytest.mark.parametrize("targets", [LABELS, NUMBERS], ids=["labels", "numbers"])
@pytest.mark.parametrize("groups", [None, np.arange(ROWS), PATIENTS], ids=["none", "own", "patients"])
@pytest.mark.parametrize("images", [WITH_TWINS, WITH_TWINS.astype("float32")], ids=["uint8", "float32"])
def test_a_number_of_folds_keeps_equal_images_on_one_side(targets, groups, images):
    folds = 2 if groups is PATIENTS else 4
    division = Division(targets, folds, groups, images=images)
    with pytest.warns(UserWarning, match=WORDS):
        division.check([0, 1])
    for seed in (0, 1):
        assert sorted(np.concatenate([held for _, held in division(seed)])) == list(range(ROWS))
        for rows, held in division(seed):
            assert not {x.tobytes() for x in images[rows]} & {x.tobytes() for x in images[held]}
            assert sorted([*rows, *held]) == list(range(ROWS))
            if groups is not None:
                assert not set(groups[rows]) & set(groups[held])
            elif targets is LABELS:  # still stratified
                assert all(
                    abs(np.sum(LABELS[held] == c) - np.bincount(LABELS)[c] / 4) <= 2.5 for c in range(3)
                )
    assert division.number is None  # the number alone does not tell the rows


def test_images_that_are_all_different_change_nothing():
    for groups in (None, PATIENTS):
        ours = Division(LABELS, 4, groups, images=IMAGES).check()
        assert equal(ours(1), Division(LABELS, 4, groups)(1))
        assert ours.number == (4 if groups is None else None)


def test_a_splitter_or_pairs_that_divide_equal_images_are_refused():
    pairs = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
    with pytest.raises(ValueError, match=r"has 1 equal images on both sides \(the first: rows 3 and 41\)"):
        Division(LABELS, pairs, images=WITH_TWINS).check()
    with pytest.raises(ValueError, match="equal images on both sides"):
        Division(LABELS, sk.KFold(4), images=WITH_TWINS).check()
    with pytest.warns(UserWarning, match=WORDS):  # groups that share an image are one for it
        Division(LABELS, sk.GroupKFold(4), np.arange(ROWS), images=WITH_TWINS).check()


def test_copies_do_not_make_a_class_large_enough():
    few = np.concatenate([IMAGES[:40], IMAGES[[40] * 20]])
    labels = np.repeat([0, 1], [40, 20])
    with pytest.raises(ValueError, match=r"class 1 has 1 example.*\(Of equal images, one counts.\)"):
        Division(labels, 3, images=few).check()
    with pytest.raises(ValueError, match="at most the 1 different examples there are, got folds=3"):
        Division(NUMBERS, 3, images=IMAGES[[0] * ROWS]).check()
