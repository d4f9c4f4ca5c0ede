from __future__ import annotations

import numpy as np
import pytest

from l2zoo.tasks.video.psnr_ssim import psnr, ssim

RNG = np.random.default_rng(0)


def pair(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    truth = RNG.uniform(0, 255, shape)
    return truth, np.clip(truth + RNG.normal(0, 40, shape), 0, 255)


def test_psnr_by_the_formula() -> None:
    truth = np.zeros((2, 4, 4, 1))
    found = truth.copy()
    found[0, 0, 0, 0] = 100  # mean squared error 10000 / 16 = 625
    found[1] = 255
    np.testing.assert_allclose(psnr(truth, found), [20 * np.log10(255 / 25), 0.0], atol=1e-12)


def test_what_is_the_same_has_finite_scores() -> None:
    truth = pair(3, 16, 16, 1)[0]
    assert psnr(truth, truth).tolist() == [100.0] * 3
    np.testing.assert_allclose(ssim(truth, truth), 1.0, rtol=1e-12)


@pytest.mark.parametrize("shape", [(3, 16, 20, 1), (2, 32, 32, 3), (2, 11, 11, 1)])
def test_ssim_is_that_of_tensorflow(shape: tuple[int, ...]) -> None:
    import tensorflow as tf

    truth, found = pair(*shape)
    truth[0, 5:] = 0  # flat, where only the constants keep it finite
    expected = tf.image.ssim(truth, found, max_val=255.0).numpy()
    np.testing.assert_allclose(ssim(truth, found), expected, atol=1e-4)


@pytest.mark.parametrize(("sides", "window"), [((8, 9), 7), ((9, 20), 9), ((1, 4), 1)])
def test_the_window_is_cut_to_small_images(sides: tuple[int, int], window: int) -> None:
    import tensorflow as tf

    truth, found = pair(2, *sides, 1)
    expected = tf.image.ssim(truth, found, max_val=255.0, filter_size=window).numpy()
    np.testing.assert_allclose(ssim(truth, found), expected, atol=1e-4)


def test_leading_axes_stay_and_images_do_not_mix() -> None:
    truth, found = pair(2, 3, 12, 12, 1)
    for score in (psnr, ssim):
        assert score(truth, found).shape == (2, 3)
        assert score(truth, found)[1, 2] == pytest.approx(score(truth[1, 2], found[1, 2]))


def test_images_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have one shape \(..., H, W, C\), got"):
        psnr(np.zeros((2, 8, 8, 1)), np.zeros((2, 8, 9, 1)))
