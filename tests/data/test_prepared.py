"""Data as a task trains on it: repeatable batches, and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from l2zoo.data import load
from l2zoo.data.prepared import Prepared
from l2zoo.training.feed import feed_of


def doubled(images: Any, labels: Any, seed: Any) -> tuple[Any, Any]:
    """Labels times ten, plus the number of the batch in training."""
    return images, 10 * labels + (0 if seed is None else seed[1])


DATA = load((np.zeros((5, 8, 8, 1), "uint8"), np.arange(5)))


def test_batches_are_numbered_through_all_epochs() -> None:
    stream = Prepared(DATA, doubled, {}).training(2, seed=7, start_epoch=0)
    numbers = [labels.numpy() % 10 for _, labels in stream.take(6)]
    assert [set(batch) for batch in numbers] == [{n} for n in range(6)]  # 3 batches an epoch


def test_the_seed_of_the_run_is_part_of_that_of_every_batch() -> None:
    prepared = Prepared(DATA, lambda images, labels, seed: (images, labels * 0 + seed[0]), {})
    assert next(iter(prepared.training(2, seed=7, start_epoch=3)))[1].numpy().tolist() == [7, 7]


def test_validation_is_in_order_and_gets_no_seed() -> None:
    labels = [part.numpy().tolist() for _, part in Prepared(DATA, doubled, {}).once(2)]
    assert labels == [[0, 10], [20, 30], [40]]


def test_arrays_are_all_examples_also_of_several_targets() -> None:
    prepared = Prepared(DATA, lambda images, labels, seed: (images, {"a": labels, "b": labels + 1}), {})
    x, y = prepared.arrays()
    assert x.shape == (5, 8, 8, 1)
    assert y["a"].tolist() == [0, 1, 2, 3, 4]
    assert y["b"].tolist() == [1, 2, 3, 4, 5]
    assert prepared.arrays()[0] is x


def test_a_run_is_not_resumed_on_data_prepared_otherwise() -> None:
    one, other = (feed_of(Prepared(DATA, doubled, {"augment": name}), batch_size=2, seed=0) for name in "ab")
    assert one.describe() != other.describe()
    assert one.describe()["checksum"] == other.describe()["checksum"]
