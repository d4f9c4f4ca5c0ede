"""What a user hands over is built, checked and divided in one place."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from l2zoo.engine.folds import Division, list_seeds
from l2zoo.engine.job import Job
from l2zoo.engine.record import Unit
from tests.search import small


def job(build, **changes) -> Job:
    settings = {"epochs": 1, "batch_size": 8, "optimizer": "sgd", "objective": None}
    settings |= {"loss": "sparse_categorical_crossentropy", "metrics": ("accuracy",), **changes}
    return Job(build, *small.data(), folds=3, **settings)


def test_a_builder_that_returns_no_model_is_refused():
    with pytest.raises(TypeError, match=r"`build` must return a keras\.Model, got NoneType"):
        job(lambda values: None).model({"l2": 1.0})


def test_an_error_in_the_builder_tells_what_the_model_was_built_with():
    def broken(values):
        raise RuntimeError("no such width")

    with pytest.raises(RuntimeError, match="no such width") as caught:
        job(broken).model({"l2": 1.0})
    assert caught.value.__notes__ == ["The model was built with {'l2': 1.0}."]


@pytest.mark.parametrize(
    "optimizer", ["sgd", keras.optimizers.SGD(0.5), lambda: keras.optimizers.SGD(0.5)], ids=type
)
def test_a_model_that_is_not_compiled_is_compiled_with_an_optimizer_of_its_own(optimizer):
    job_of = job(lambda values: small.build(values["l2"]), optimizer=optimizer)
    one, other = job_of.model({"l2": 0.0}), job_of.model({"l2": 0.0})
    assert one.optimizer is not other.optimizer
    assert float(one.optimizer.learning_rate) == pytest.approx(0.01 if optimizer == "sgd" else 0.5)
    assert one.loss == "sparse_categorical_crossentropy"


def test_a_model_that_build_compiled_stays_as_it_is():
    def build(values):
        model = small.build(values["l2"])
        model.compile("adamw", "mse")
        return model

    model = job(build).model({"l2": 0.0})
    assert (type(model.optimizer), model.loss) == (keras.optimizers.AdamW, "mse")


def test_a_seed_gives_the_same_weights_every_time():
    job_of = job(lambda values: small.build(values["l2"]))
    one, same, other = (job_of.model({"l2": 0.0}, seed=seed).get_weights()[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_values_of_a_unit_are_its_strength_and_the_others_by_name():
    unit = Unit(0.5, 0, 0, (("units", 4),))
    assert job(small.build, strength="decay").values(unit) == {"decay": 0.5, "units": 4}


def test_rows_are_folds_or_the_given_division_or_what_a_function_gives_for_the_seed():
    pair = np.arange(3), np.arange(3, 5)
    by_seed = Job(small.build, *small.data(), lambda seed: [pair] * seed, 1, 8, "sgd", "mse", (), None)
    assert len(job(small.build).rows(0)) == 3
    assert by_seed.rows(2) == [pair, pair]
    ((trained, held),) = Job(small.build, *small.data(), [pair], 1, 8, "sgd", "mse", (), None).rows(7)
    assert (trained.tolist(), held.tolist()) == ([0, 1, 2], [3, 4])


def test_folds_hold_every_image_once_with_the_classes_in_proportion():
    y = np.repeat([0, 1, 2], [30, 20, 10])
    parts = Division(y, 5)(3)
    assert sorted(np.concatenate([held for _, held in parts])) == list(range(60))
    for train, held in parts:
        assert np.bincount(y[held]).tolist() == [6, 4, 2]
        assert not set(train) & set(held)
    assert not np.array_equal(parts[0][1], Division(y, 5)(4)[0][1])


def test_masks_and_boxes_are_divided_without_classes_and_one_hot_labels_by_theirs():
    y = np.repeat([0, 1], [12, 6])
    for _, held in Division(np.eye(2)[y], 3)(0):
        assert np.bincount(y[held]).tolist() == [4, 2]
    boxes = {"boxes": np.zeros((18, 2, 4)), "labels": np.zeros((18, 2))}
    assert sorted(np.concatenate([held for _, held in Division(boxes, 3)(0)])) == list(range(18))


def test_seeds_are_a_number_or_a_list():
    assert (list_seeds(2), list_seeds([7, 3])) == ([0, 1], [7, 3])
    with pytest.raises(ValueError, match="different seeds"):
        list_seeds([1, 1])
