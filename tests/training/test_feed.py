"""Any data as batches in an order that a resumed run can join."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest

from l2zoo.data import load
from l2zoo.training import fit
from l2zoo.training.feed import epoch_by_epoch, feed_of
from tests.training.conftest import eager


def numbers(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(n, dtype="float32")[:, None], np.arange(n)


def epochs(stream: Any, steps: int, count: int) -> list[list[int]]:
    """The examples of each of the next epochs, in order."""
    batches = iter(stream)
    return [
        [int(label) for _, labels in itertools.islice(batches, steps) for label in labels]
        for _ in range(count)
    ]


def test_an_epoch_holds_every_example_once_and_differs_from_the_last() -> None:
    feed = feed_of(numbers(10), batch_size=4, seed=0)
    assert feed.steps == 3
    first, second = epochs(feed.epochs_from(0), 3, 2)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert epochs(feed.once(), 3, 1) == [list(range(10))]


def test_a_stream_joined_late_goes_on_as_the_one_from_the_start() -> None:
    for data in (numbers(10), (*numbers(10), np.ones(10)), load((np.zeros((10, 8, 8)), np.arange(10)))):
        feed = feed_of(data, batch_size=4, seed=5)
        batches = [
            [tuple(part.numpy().tolist() for part in batch) for batch in feed.epochs_from(k).take(9)]
            for k in (0, 2)
        ]
        assert batches[0][6:] == batches[1][:3]


def test_parts_of_an_example_stay_together() -> None:
    x = {"one": np.arange(6), "ten": np.arange(6) * 10}
    feed = feed_of((x, np.arange(6), np.arange(6) * 100), batch_size=4, seed=1)
    inputs, labels, weights = next(iter(feed.epochs_from(0)))
    assert sorted(inputs) == ["one", "ten"]
    np.testing.assert_array_equal(inputs["one"], labels)
    np.testing.assert_array_equal(inputs["ten"], labels * 10)
    np.testing.assert_array_equal(weights, labels * 100)


def test_cut_into_epochs_a_stream_loses_nothing() -> None:
    feed = feed_of(numbers(10), batch_size=4, seed=0)
    cut = epoch_by_epoch(feed.epochs_from(0), 3)
    assert int(cut.cardinality()) == 3
    expected = epochs(feed.epochs_from(0), 3, 3)
    unused = iter(cut)  # Keras makes iterators that it never reads
    assert [epochs(cut, 3, 1)[0] for _ in range(3)] == expected
    del unused


def test_a_description_tells_other_data_apart() -> None:
    x, y = numbers(10)
    descriptions = [
        feed_of(data, batch_size=4, seed=0).describe()
        for data in (
            (x, y),
            (x.copy(), y.copy()),
            (x, y[::-1]),
            (x.astype("float64"), y),
            (x.reshape(5, 2), y[:5]),
        )
    ]
    assert descriptions[0] == descriptions[1]
    assert all(other != descriptions[0] for other in descriptions[2:])


def test_zeros_of_the_right_shape_stand_for_a_batch() -> None:
    inputs, labels = feed_of(
        (np.ones((5, 4, 4), "uint8"), np.ones(5, "int64")), batch_size=3, seed=0
    ).zero_batch()
    assert (inputs.shape, inputs.dtype, labels.shape) == ((3, 4, 4), np.uint8, (3,))
    assert not inputs.any()


@pytest.mark.parametrize("bad", [[1, 2, 3, 4], (), None, "x"])
def test_what_is_no_data_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match=r"`data` must be arrays `\(x, y\)`"):
        feed_of(bad, batch_size=2, seed=0)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `build:UserWarning")
def test_a_model_that_is_not_built_is_built() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(1, kernel_regularizer="l2")

        def call(self, x: Any) -> Any:
            return self.dense(x)

    x, y = numbers(10)
    history = fit(eager(Own()), (x, y), epochs=1, loss="mse", verbose=0).history
    assert history["l2_penalty"][0] > 0
    assert set(history) == {"loss", "data_loss", "l2_penalty"}
