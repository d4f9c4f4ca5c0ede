from __future__ import annotations

import keras
import numpy as np
import pytest

from l2zoo.tasks.diffusion import schedule

TIMES = np.linspace(0, 1, 101)


def test_the_schedule_is_that_of_the_paper() -> None:
    def f(t: np.ndarray) -> np.ndarray:
        return np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2

    alpha, sigma = schedule.alpha_sigma(TIMES)
    np.testing.assert_allclose(alpha**2, f(TIMES) / f(np.zeros(())), atol=1e-12)
    np.testing.assert_allclose(alpha**2 + sigma**2, 1, atol=1e-12)
    assert (np.diff(alpha) < 0).all()
    assert (alpha[0], sigma[0], alpha[-1]) == (1.0, 0.0, 0.0)


@pytest.mark.backends
def test_the_schedule_is_the_same_in_a_graph() -> None:
    import tensorflow as tf

    times = TIMES.astype("float32")
    expected = schedule.alpha_sigma(TIMES)
    for ops in (tf.math, keras.ops):
        found = schedule.alpha_sigma(
            keras.ops.convert_to_tensor(times) if ops is keras.ops else times, ops=ops
        )
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(keras.ops.convert_to_numpy(one), other, atol=1e-6)


def test_image_noise_and_velocity_follow_from_each_other() -> None:
    rng = np.random.default_rng(0)
    clean, added = rng.uniform(-1, 1, (100, 3)), rng.normal(size=(100, 3))
    alpha, sigma = (part[:, None] for part in schedule.alpha_sigma(TIMES[1:]))
    image = schedule.add_noise(clean, added, alpha, sigma)
    v = schedule.velocity(clean, added, alpha, sigma)
    np.testing.assert_allclose(schedule.clean_image(image, v, alpha, sigma), clean, atol=1e-12)
    np.testing.assert_allclose(sigma * image + alpha * v, added, atol=1e-12)
    np.testing.assert_allclose(schedule.remaining_noise(image, clean, alpha, sigma), added, atol=1e-9)


def test_velocity_is_how_the_image_turns() -> None:
    # With alpha = cos(a) and sigma = sin(a), v is the derivative of the image by the angle.
    clean, added, angle, step = 0.3, -1.2, 0.7, 1e-6
    at = [schedule.add_noise(clean, added, np.cos(angle + d), np.sin(angle + d)) for d in (-step, step)]
    v = schedule.velocity(clean, added, np.cos(angle), np.sin(angle))
    assert (at[1] - at[0]) / (2 * step) == pytest.approx(v, rel=1e-6)


def test_pixels_are_scaled_and_back() -> None:
    pixels = np.arange(256)
    assert schedule.scale_pixels(np.array([0, 255])).tolist() == [-1, 1]
    np.testing.assert_allclose(schedule.to_pixels(schedule.scale_pixels(pixels)), pixels, atol=1e-10)
