"""The order contract: an epoch's order depends on the seed and its number, so a run can resume."""

import itertools
import pickle

import numpy as np
import pytest
import tensorflow as tf

from l2zoo.data import batching, load

N = 23


def make(kind, monkeypatch, root):
    """23 examples with the labels 0 to 22, held in memory or streamed from TFDS records."""
    if kind == "memory":
        return load((np.arange(N * 4, dtype="uint8").reshape(N, 2, 2, 1), np.arange(N)))
    monkeypatch.setattr(batching, "MEMORY_LIMIT", 0)
    return load("l2zoo_digits", f"test[:{N}]", data_dir=root)


@pytest.fixture(params=["memory", "streamed"])
def data(request, monkeypatch, tfds_root):
    return make(request.param, monkeypatch, tfds_root)


def read(batches, count=None):
    """What the batches hold: for each example its pixels and label as bytes; one list a batch."""
    return [
        [image.tobytes() + bytes([label]) for image, label in zip(*batch, strict=True)]
        for batch in itertools.islice(batches.as_numpy_iterator(), count)
    ]


def flat(batches):
    return [example for batch in batches for example in batch]


def test_without_shuffle_the_order_is_that_of_the_data(tfds_root, monkeypatch):
    data = make("memory", monkeypatch, tfds_root)
    x, y = data.arrays()
    for start, (some_x, some_y) in zip(range(0, N, 4), data.batches(4, start_epoch=2), strict=True):
        np.testing.assert_array_equal(some_x, x[start : start + 4])
        np.testing.assert_array_equal(some_y, y[start : start + 4])
        assert some_y.dtype == tf.int64


def test_a_stream_gives_what_memory_gives(tfds_root, monkeypatch):
    expected = load("l2zoo_digits", f"test[:{N}]", data_dir=tfds_root).batches(5)
    assert read(make("streamed", monkeypatch, tfds_root).batches(5)) == read(expected)


def test_an_epoch_holds_every_example_once_and_keeps_the_last_batch(data):
    batches = data.batches(5, shuffle=True)
    assert [len(batch) for batch in read(batches)] == [5, 5, 5, 5, 3]
    assert sorted(flat(read(batches))) == sorted(flat(read(data.batches(5))))
    assert batches.cardinality() == data.steps_per_epoch(5) == 5
    dropped = data.batches(5, shuffle=True, drop_remainder=True)
    assert [len(batch) for batch in read(dropped)] == [5, 5, 5, 5]
    assert dropped.cardinality() == data.steps_per_epoch(5, drop_remainder=True) == 4


def test_a_stream_joined_at_epoch_two_is_the_rest_of_the_uninterrupted_one(data):
    whole = read(data.batches(5, shuffle=True, seed=1, repeat=True), 4 * 5)
    late = read(data.batches(5, shuffle=True, seed=1, repeat=True, start_epoch=2), 2 * 5)
    assert late == whole[10:]
    assert read(data.batches(5, shuffle=True, seed=1, start_epoch=2)) == whole[10:15]
    assert data.batches(5, repeat=True).cardinality() == tf.data.INFINITE_CARDINALITY


def test_epochs_and_seeds_have_orders_of_their_own(data):
    orders = [
        flat(read(data.batches(5, shuffle=True, seed=seed, start_epoch=epoch)))
        for seed, epoch in itertools.product([-1, 1], range(2))
    ]
    assert len({tuple(order) for order in orders}) == len(orders)


def test_the_order_depends_on_nothing_else(data):
    tf.random.set_seed(98)
    expected = flat(read(data.batches(5, shuffle=True, seed=1, start_epoch=3)))
    tf.random.set_seed(99)
    assert flat(read(data.batches(7, shuffle=True, seed=1, start_epoch=3))) == expected
    loose = data.batches(5, shuffle=True, seed=1, start_epoch=3, deterministic=False)
    assert sorted(flat(read(loose))) == sorted(expected)


def test_reading_batches_leaves_the_global_random_numbers_alone(data):
    tf.random.set_seed(5)
    expected = tf.random.uniform(()).numpy()
    tf.random.set_seed(5)
    read(data.batches(5, shuffle=True))
    assert tf.random.uniform(()).numpy() == expected


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_keras_fits_on_the_endless_stream(tfds_root, monkeypatch):
    import keras

    data = make("memory", monkeypatch, tfds_root)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(N, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(
        data.batches(5, shuffle=True, repeat=True),
        steps_per_epoch=data.steps_per_epoch(5),
        epochs=2,
        shuffle=False,  # Keras warns that it leaves shuffling to the dataset
        verbose=0,
    )
    assert len(history.history["loss"]) == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1, got batch_size=0"),
        ({"batch_size": 2.0}, "got batch_size=2.0"),
        ({"batch_size": 2, "start_epoch": -1}, "`start_epoch` .* at least 0, got start_epoch=-1"),
        ({"batch_size": 24, "drop_remainder": True}, "at most the 23 examples .* got batch_size=24"),
    ],
)
def test_an_order_out_of_range_is_refused(tfds_root, monkeypatch, arguments, text):
    with pytest.raises(ValueError, match=text):
        make("memory", monkeypatch, tfds_root).batches(**arguments)


def test_data_too_large_for_memory_is_streamed_and_says_so(tfds_root, monkeypatch):
    data = make("streamed", monkeypatch, tfds_root)
    assert not data.in_memory
    with pytest.raises(ValueError, match=r"more than the 0 GiB .* use batches\(\), or load it with `limit=`"):
        data.arrays()


def test_arrays_are_read_once(tfds_root):
    data = load("l2zoo_digits", "test", data_dir=tfds_root)
    assert data.arrays()[0] is data.arrays()[0]


def test_pickled_data_takes_its_arrays_along(image_folder):
    data = load(f"folder:{image_folder}")
    expected = data.arrays()
    copy = pickle.loads(pickle.dumps(data))
    (image_folder / "train" / "cat" / "0.png").unlink()
    np.testing.assert_array_equal(copy.arrays()[0], expected[0])
    np.testing.assert_array_equal(copy.arrays()[1], expected[1])
    assert (copy.name, copy.class_names) == (data.name, ("cat", "dog"))
