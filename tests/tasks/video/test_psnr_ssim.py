from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

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


def by_the_paper(truth: np.ndarray, found: np.ndarray, window: int) -> np.ndarray:
    """SSIM of images `(N, H, W, C)` in double precision, from the moments in every place of the window."""
    offsets = np.arange(window) - window // 2
    gaussian = np.exp(-0.5 * (offsets / 1.5) ** 2)
    weights = np.outer(gaussian, gaussian) / gaussian.sum() ** 2

    def local(x: np.ndarray) -> np.ndarray:
        return (sliding_window_view(x, (window, window), axis=(1, 2)) * weights).sum(axis=(-2, -1))

    mean_truth, mean_found = local(truth), local(found)
    variances = local(truth**2) - mean_truth**2 + local(found**2) - mean_found**2
    covariance = local(truth * found) - mean_truth * mean_found
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    lightness = (2 * mean_truth * mean_found + c1) / (mean_truth**2 + mean_found**2 + c1)
    return (lightness * (2 * covariance + c2) / (variances + c2)).mean(axis=(1, 2, 3))


@pytest.mark.parametrize(
    ("shape", "window"),
    [
        ((3, 16, 20, 1), 11),
        ((2, 32, 32, 3), 11),
        ((2, 11, 11, 1), 11),
        # Cut to the largest odd side that fits.
        ((2, 8, 9, 1), 7),
        ((2, 9, 20, 1), 9),
        ((2, 1, 4, 1), 1),
    ],
)
def test_ssim_is_that_of_the_paper(shape: tuple[int, ...], window: int) -> None:
    truth, found = pair(*shape)
    truth[0, 5:] = 0  # flat, where only the constants keep it finite
    np.testing.assert_allclose(ssim(truth, found), by_the_paper(truth, found, window), atol=1e-5)


def test_leading_axes_stay_and_images_do_not_mix() -> None:
    truth, found = pair(2, 3, 12, 12, 1)
    for score in (psnr, ssim):
        assert score(truth, found).shape == (2, 3)
        assert score(truth, found)[1, 2] == pytest.approx(score(truth[1, 2], found[1, 2]))


def test_images_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have one shape \(..., H, W, C\), got"):
        psnr(np.zeros((2, 8, 8, 1)), np.zeros((2, 8, 9, 1)))
