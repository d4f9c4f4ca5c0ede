"""Sampling with denoisers that are right by a formula."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from l2zoo.tasks.diffusion import sampling, schedule
from tests.processes import output_of

SHAPE = (4, 6, 1)


def parts(images: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    alpha, sigma = (part.astype("float64")[:, None, None, None] for part in schedule.alpha_sigma(times))
    return schedule.scale_pixels(images.astype("float64")), alpha, sigma


def knowing(one: np.ndarray) -> sampling.Denoise:
    """The best denoiser where all images are this one, in pixels."""

    def denoise(images: np.ndarray, times: np.ndarray, labels: Any) -> np.ndarray:
        z, alpha, sigma = parts(images, times)
        x = schedule.scale_pixels(one.astype("float64"))
        return schedule.velocity(x, schedule.remaining_noise(z, x, alpha, sigma), alpha, sigma)

    return denoise


def gaussian(mean: float, std: float) -> sampling.Denoise:
    """The best denoiser where pixels, scaled to [-1, 1], are independent and normal."""

    def denoise(images: np.ndarray, times: np.ndarray, labels: Any) -> np.ndarray:
        z, alpha, sigma = parts(images, times)
        gain = alpha * std**2 / (alpha**2 * std**2 + sigma**2)
        x = mean + gain * (z - alpha * mean)
        return schedule.velocity(x, schedule.remaining_noise(z, x, alpha, sigma), alpha, sigma)

    return denoise


@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_where_there_is_one_image_it_is_drawn_exactly(steps: int) -> None:
    one = np.random.default_rng(0).integers(0, 256, SHAPE).astype("uint8")
    drawn = sampling.draw(knowing(one), SHAPE, 3, steps=steps, batch_size=2)
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, np.stack([one] * 3))


def test_normal_pixels_come_out_with_their_mean_and_deviation() -> None:
    drawn = sampling.draw(gaussian(0.1, 0.2), SHAPE, 400, steps=100, batch_size=400)
    numbers = schedule.scale_pixels(drawn.astype("float64"))
    error = 0.2 / np.sqrt(numbers.size)
    assert numbers.mean() == pytest.approx(0.1, abs=4 * error)
    assert numbers.std() == pytest.approx(0.2, abs=4 * error + 0.002)  # and of 100 steps


@pytest.mark.parametrize("steps", [1, 3, 20])
def test_every_step_of_normal_pixels_is_the_one_of_the_paper(steps: int) -> None:
    # With x ~ N(0, s^2), a step multiplies by (alpha alpha' s^2 + sigma sigma') / (alpha^2 s^2 + sigma^2).
    std = 0.2
    first = sampling.initial_noise(0, 0, 5, SHAPE)
    alpha, sigma = schedule.alpha_sigma(np.linspace(1, 0, steps + 1))
    expected = first.astype("float64")
    for i, (z, _) in enumerate(sampling.ddim_steps(gaussian(0, std), first, steps=steps)):
        shrink = alpha[i] * alpha[i + 1] * std**2 + sigma[i] * sigma[i + 1]
        expected = expected * shrink / (alpha[i] ** 2 * std**2 + sigma[i] ** 2)
        np.testing.assert_allclose(z, expected, atol=1e-5)


def test_clean_images_stay_in_the_range_of_pixels() -> None:
    def wild(images: np.ndarray, times: np.ndarray, labels: Any) -> np.ndarray:
        return np.full_like(images, -30.0)

    for _, clean in sampling.ddim_steps(wild, sampling.initial_noise(0, 0, 2, SHAPE), steps=4):
        assert np.abs(clean).max() <= 1


def test_an_image_depends_on_seed_and_position_alone() -> None:
    def drawn(**changes: int) -> np.ndarray:
        return sampling.draw(gaussian(0, 0.3), SHAPE, **{"n": 5, "steps": 5, "batch_size": 2, **changes})

    five = drawn()
    np.testing.assert_array_equal(drawn(batch_size=64), five)
    np.testing.assert_array_equal(drawn(n=3), five[:3])
    assert (drawn(seed=1) != five).any()
    assert (five[0] != five[1]).any()


def test_the_first_noise_is_numpys() -> None:
    expected = np.random.default_rng([7, 3]).standard_normal(SHAPE).astype("float32")
    np.testing.assert_array_equal(sampling.initial_noise(7, 3, 4, SHAPE)[0], expected)


def by_label(images: np.ndarray, times: np.ndarray, labels: Any) -> np.ndarray:
    return np.broadcast_to(np.asarray(labels, "float32")[:, None, None, None], images.shape) ** 2


def test_guidance_goes_on_from_any_to_the_class() -> None:
    images, times = np.zeros((2, *SHAPE), "float32"), np.ones(2, "float32")
    labels = np.array([1, 2], "int32")
    for weight in (0.0, 1.0, 3.0):
        v = sampling.guide(by_label, weight, num_classes=4)(images, times, labels)
        np.testing.assert_allclose(v[:, 0, 0, 0], 16 + weight * (labels**2 - 16))


def test_images_without_labels_are_of_any_class() -> None:
    assert sampling.broadcast_labels(None, 2, 10).tolist() == [10, 10]
    assert sampling.broadcast_labels(3, 2, 10).tolist() == [3, 3]
    assert sampling.broadcast_labels([3, 9], 2, 10).tolist() == [3, 9]
    assert sampling.broadcast_labels(None, 2, None) is None


def test_steps_are_told_over_all_batches() -> None:
    told: list[tuple[int, int]] = []
    sampling.draw(
        gaussian(0, 1), SHAPE, 3, steps=2, batch_size=2, watch=lambda done, total: told.append((done, total))
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"n": 0}, ValueError, "`n` must be a whole number >= 1, got n=0"),
        ({"steps": 0}, ValueError, "`steps` must be a whole number >= 1, got steps=0"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be"),
        ({"seed": -1}, ValueError, "`seed` must be"),
        ({"labels": 10}, ValueError, r"`labels` must be in \[0, 10\), got 10"),
        ({"labels": [0, -1]}, ValueError, r"`labels` must be in \[0, 10\), got -1"),
        ({"labels": [0, 1, 2]}, ValueError, r"`labels` must be one number, or n=2 of them, got shape=\(3,\)"),
        ({"labels": 1.0}, TypeError, "`labels` must be whole numbers"),
        ({"labels": 1, "num_classes": None}, ValueError, "`labels` must be None for a model without classes"),
        ({"guidance": 2.0}, ValueError, "`guidance` must be 1 without `labels`, got guidance=2.0"),
        ({"guidance": -1.0, "labels": 1}, ValueError, "`guidance` must be a finite number >= 0"),
    ],
)
def test_bad_arguments_are_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"n": 2, "num_classes": 10, **changes}
    draw: Callable[..., np.ndarray] = sampling.draw
    with pytest.raises(error, match=message):
        draw(gaussian(0, 1), SHAPE, arguments.pop("n"), **arguments)


def test_no_framework_is_loaded() -> None:
    heavy = "{'keras', 'tensorflow', 'jax', 'torch', 'scipy', 'sklearn', 'matplotlib', 'rich', 'PIL'}"
    code = f"import sys, l2zoo.tasks.diffusion.sampling; print(sorted({heavy} & set(sys.modules)))"
    assert output_of([sys.executable, "-c", code]) == "[]\n"
