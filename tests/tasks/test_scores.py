"""How far the confidence of a classifier can be believed, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from l2zoo.tasks.output_kind import OutputKind
from l2zoo.tasks.scores import calibration_error

PROBABILITIES = OutputKind("probabilities")


def test_calibration_error_weighs_the_gap_of_each_bin_by_its_images() -> None:
    # Two bins: three answers of 0.9, one of them right; and one of 0.6, which is right.
    outputs = np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.4, 0.6]])
    labels = np.array([0, 0, 1, 1])
    by_hand = 3 / 4 * abs(1 / 3 - 0.9) + 1 / 4 * abs(1 - 0.6)
    assert calibration_error(outputs, labels, PROBABILITIES) == pytest.approx(by_hand)


def test_calibration_error_agrees_with_a_loop_over_the_bins_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    outputs, labels = rng.dirichlet(np.full(4, 0.4), 500), rng.integers(0, 4, 500)
    confidence, right = outputs.max(axis=1), outputs.argmax(axis=1) == labels
    by_hand = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            by_hand += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration_error(outputs, labels, PROBABILITIES) == pytest.approx(by_hand)


@pytest.mark.parametrize("sure", [0.0, 1.0])
def test_who_is_sure_is_off_by_the_share_that_is_wrong_and_who_is_right_by_what_is_missing(sure) -> None:
    labels = np.array([0, 0, 0, 1])
    outputs = np.repeat([[0.75 + sure / 4, 0.25 - sure / 4]], 4, axis=0)
    assert calibration_error(outputs, labels, PROBABILITIES) == pytest.approx(sure / 4)


def test_logits_and_one_sigmoid_are_calibrated_as_the_probabilities_made_of_them() -> None:
    rng = np.random.default_rng(1)
    p, labels = rng.uniform(0.01, 0.99, 200), rng.integers(0, 2, 200)
    expected = calibration_error(np.stack([1 - p, p], axis=1), labels, PROBABILITIES)
    logits = np.log(np.stack([1 - p, p], axis=1))
    assert calibration_error(logits, labels, OutputKind("logits")) == pytest.approx(expected)
    assert calibration_error(p[:, None], labels, OutputKind("binary")) == pytest.approx(expected)
    unlike = calibration_error(p[:, None], labels, OutputKind("binary", threshold=0.9))
    assert unlike > expected  # who says no at 0.8 says it with a confidence of 0.2
