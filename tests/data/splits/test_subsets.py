"""Laws of the stratified subset and of the label noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2zoo.data.splits import subsets

COUNTS = st.lists(st.integers(1, 30), min_size=2, max_size=6)


def shuffled_labels(counts):
    return np.random.RandomState(0).permutation(np.repeat(np.arange(len(counts)), counts))


@given(COUNTS, st.data(), st.integers(0, 5))
def test_a_subset_has_the_size_and_every_class_in_about_its_share(counts, data, seed):
    labels = shuffled_labels(counts)
    size = data.draw(st.integers(len(counts), len(labels)))
    kept = subsets.stratified_subset(labels, size, seed=seed)
    assert len(np.unique(kept)) == size
    assert (np.diff(kept) > 0).all()
    share = np.bincount(labels[kept], minlength=len(counts))
    # By hand: one each, and of what is left the proportional part, rounded down or up.
    exact = 1 + (size - len(counts)) * (np.array(counts) - 1) / max(len(labels) - len(counts), 1)
    assert (np.abs(share - exact) < 1).all()


def test_a_subset_depends_on_the_seed_alone():
    labels = shuffled_labels([50, 50])
    first = subsets.stratified_subset(labels, 20, seed=3)
    np.random.seed(1)
    np.testing.assert_array_equal(subsets.stratified_subset(labels, 20, seed=3), first)
    assert (subsets.stratified_subset(labels, 20, seed=4) != first).any()


@given(st.integers(1, 50), st.data(), st.integers(0, 5))
def test_a_random_subset_is_ascending_and_depends_on_the_seed(num_examples, data, seed):
    size = data.draw(st.integers(1, num_examples))
    kept = subsets.random_subset(num_examples, size, seed=seed)
    assert len(kept) == size
    assert set(kept) <= set(range(num_examples))
    assert (np.diff(kept) > 0).all()
    np.testing.assert_array_equal(kept, subsets.random_subset(num_examples, size, seed=seed))


def test_a_random_subset_takes_all_examples_alike():
    kept = np.concatenate([subsets.random_subset(10, 3, seed=seed) for seed in range(2000)])
    np.testing.assert_allclose(np.bincount(kept) / 600, 1, atol=0.15)


def test_a_subset_out_of_range_is_refused():
    labels = shuffled_labels([5, 5, 5])
    with pytest.raises(ValueError, match="at most the 15 examples there are, got limit=16"):
        subsets.stratified_subset(labels, 16, seed=0)
    with pytest.raises(ValueError, match=r"at least the number of classes, 3, .* got limit=2"):
        subsets.stratified_subset(labels, 2, seed=0)


@given(COUNTS, st.floats(0, 0.99), st.integers(0, 5))
def test_noise_changes_exactly_its_share_and_always_to_another_class(counts, share, seed):
    labels = shuffled_labels(counts)
    noisy = subsets.flip_labels(labels, share, num_classes=len(counts), seed=seed)
    assert (noisy != labels).sum() == round(share * len(labels))
    assert ((noisy >= 0) & (noisy < len(counts))).all()
    np.testing.assert_array_equal(
        noisy, subsets.flip_labels(labels, share, num_classes=len(counts), seed=seed)
    )


def test_noise_reaches_every_other_class_alike():
    noisy = subsets.flip_labels(np.zeros(30_000, np.int64), 0.9, num_classes=4, seed=0)
    np.testing.assert_allclose(np.bincount(noisy)[1:] / 9_000, 1, atol=0.05)


def test_noise_needs_another_class():
    with pytest.raises(ValueError, match="at least 2 classes, got num_classes=1"):
        subsets.flip_labels(np.zeros(3, np.int64), 0.5, num_classes=1, seed=0)
