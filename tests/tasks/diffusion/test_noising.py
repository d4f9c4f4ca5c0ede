from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from l2zoo.data import ImageData, load
from l2zoo.tasks import Classification
from l2zoo.tasks.diffusion import schedule
from l2zoo.tasks.diffusion.noising import AddNoise
from l2zoo.tasks.diffusion.task import Generation

N, SHAPE = 50, (6, 8, 1)
NAMES = [str(i) for i in range(10)]


@pytest.fixture(scope="module")
def data() -> ImageData:
    rng = np.random.default_rng(0)
    return load((rng.integers(0, 256, (N, *SHAPE)).astype("uint8"), np.arange(N) % 10))


def undone(inputs: dict[str, np.ndarray], v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image, in pixels, and noise, by the formulas of NumPy."""
    alpha, sigma = (
        part[:, None, None, None] for part in schedule.alpha_sigma(inputs["times"].astype("float64"))
    )
    z = schedule.scale_pixels(inputs["images"].astype("float64"))
    return schedule.to_pixels(schedule.clean_image(z, v, alpha, sigma)), sigma * z + alpha * v


def as_numpy(parts: Any) -> Any:
    return tf.nest.map_structure(lambda part: part.numpy(), parts)


def made(images: np.ndarray, labels: np.ndarray, seed: tuple[int, int], change: Any = None) -> Any:
    batch = tf.constant(images), tf.constant(labels), tf.constant(seed, tf.int64)
    return as_numpy(AddNoise(10, change)(*batch))


def test_the_image_and_noise_of_variance_one_are_in_what_a_denoiser_sees() -> None:
    images = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 1)).astype("uint8")
    inputs, v = made(images, np.arange(64) % 10, (0, 3))
    clean, added = undone(inputs, v)
    np.testing.assert_allclose(clean, images, atol=1e-3)
    assert added.mean() == pytest.approx(0, abs=4 / np.sqrt(added.size))
    assert added.std() == pytest.approx(1, abs=4 / np.sqrt(added.size))
    assert inputs["images"].min() < 0 < 255 < inputs["images"].max()
    assert (inputs["labels"].dtype, inputs["times"].dtype, v.dtype) == ("int32", "float32", "float32")


def test_times_of_a_batch_are_spread_evenly_from_a_random_one() -> None:
    images, labels = np.zeros((20, *SHAPE), "uint8"), np.zeros(20, "int64")
    firsts = []
    for number in range(3):
        times = made(images, labels, (0, number))[0]["times"]
        np.testing.assert_allclose(np.diff(np.sort(times)), 1 / 20, atol=1e-6)
        assert 0 <= times.min() < times.max() <= 1
        firsts.append(times[0])
    assert len(set(firsts)) == 3


def test_a_tenth_of_the_labels_become_any() -> None:
    labels = np.arange(4000) % 10
    found = made(np.zeros((4000, 1, 1, 1), "uint8"), labels, (0, 0))[0]["labels"]
    any_class = found == 10
    assert any_class.mean() == pytest.approx(0.1, abs=0.02)
    np.testing.assert_array_equal(found[~any_class], labels[~any_class])


def test_training_depends_on_the_seed_and_a_resumed_one_sees_the_same(data: ImageData) -> None:
    prepared = Generation(NAMES).prepared(data, augment="flip")

    def batches(seed: int, epoch: int, take: int) -> list[Any]:
        stream = prepared.training(20, seed=seed, start_epoch=epoch)
        return list(stream.take(take).as_numpy_iterator())

    whole = batches(0, 0, 6)
    for (inputs, v), (again, v_again) in zip(whole[3:], batches(0, 1, 3), strict=True):
        np.testing.assert_array_equal(v, v_again)
        for name, values in inputs.items():
            np.testing.assert_array_equal(values, again[name])
    assert (whole[0][1] != whole[3][1]).any()
    assert (whole[0][1] != batches(1, 0, 1)[0][1]).any()


def test_an_augmentation_changes_the_image_below_the_noise(data: ImageData) -> None:
    from l2zoo.tasks.augmentation import augmentation

    images, labels = data.arrays()
    flip = augmentation("flip", task="classification", image_shape=SHAPE)
    clean = undone(*made(images, labels, (0, 0), flip))[0]
    same = np.abs(clean - images).max(axis=(1, 2, 3)) < 0.1
    flipped = np.abs(clean - images[:, :, ::-1]).max(axis=(1, 2, 3)) < 0.1
    assert (same | flipped).all()
    assert 0 < flipped.sum() < N


def test_for_validation_noise_and_time_are_fixed_by_the_position(data: ImageData) -> None:
    prepared = Generation(NAMES).prepared(data)
    inputs, v = prepared.arrays()
    parts = list(prepared.once(7).as_numpy_iterator())
    for name, values in inputs.items():
        np.testing.assert_allclose(np.concatenate([part[0][name] for part in parts]), values, atol=1e-3)
    np.testing.assert_allclose(np.concatenate([part[1] for part in parts]), v, atol=1e-5)
    images, labels = data.arrays()
    clean, added = undone(inputs, v)
    np.testing.assert_allclose(clean, images, atol=1e-3)
    np.testing.assert_array_equal(inputs["labels"], labels)
    assert added.std() == pytest.approx(1, abs=4 / np.sqrt(added.size))
    assert len({part.tobytes() for part in np.round(added, 3)}) == N


@pytest.mark.parametrize("rows", [slice(0, 50), slice(13, 37), slice(0, 50, 2)])
def test_fixed_times_are_spread_evenly_over_any_part(data: ImageData, rows: slice) -> None:
    times = np.sort(Generation(NAMES).prepared(data).arrays()[0]["times"][rows])
    gaps = np.diff([0, *times, 1])
    assert gaps.max() < 3 / len(times)


def test_without_classes_there_are_no_labels(data: ImageData) -> None:
    inputs, _ = next(Generation().prepared(data).once(2).as_numpy_iterator())
    assert set(inputs) == {"images", "times"}


def test_what_cannot_be_learnt_from_is_refused(data: ImageData) -> None:
    with pytest.raises(ValueError, match="`data` must have the 2 classes of `class_names`, got 10"):
        Generation(["a", "b"]).prepared(data)
    for names in ("flip+mixup", "cutmix", "flip+erase"):
        with pytest.raises(ValueError, match="`augment` must not mix images or hide parts"):
            Generation(NAMES).prepared(data, augment=names)
    masks = load((data.arrays()[0], np.zeros((N, *SHAPE[:2]), "uint8")), task="segmentation")
    with pytest.raises(ValueError, match="`data` must have labels for 10 classes"):
        Generation(NAMES).prepared(masks)
    assert Generation().prepared(masks).arrays()[1].shape == (N, *SHAPE)
    assert Classification.name != Generation.name
