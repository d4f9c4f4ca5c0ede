from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2zoo.tasks.detection.average_precision import MOST, average_precision

CLASSES = 3
Given = dict[str, np.ndarray]


def one_image(found: list, truth: list) -> tuple[Given, Given]:
    """From rows of (left, top, right, bottom, class[, score])."""
    said = np.array(found, float).reshape(1, -1, 6)
    real = np.array(truth, float).reshape(1, -1, 5)
    return (
        {"boxes_xyxy": said[..., :4], "classes": said[..., 4], "scores": said[..., 5]},
        {"boxes_xyxy": real[..., :4], "labels": real[..., 4]},
    )


def measured(found: Given, truth: Given) -> dict:
    return average_precision(found, truth, num_classes=CLASSES)


def random_boxes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    corner = rng.uniform(0, 30, (*shape, 2))
    return np.concatenate([corner, corner + rng.uniform(4, 17, (*shape, 2))], axis=-1)


def random_case(seed: int, *, images: int = 8, most: int = 6) -> tuple[Given, Given]:
    """True boxes, and for most of them a shifted copy, now and then of another class; scores are distinct."""
    rng = np.random.default_rng(seed)
    real = random_boxes(rng, images, most)
    labels = rng.integers(-1, CLASSES, (images, most))
    labels[0, 0] = 0
    said = real + rng.normal(0, 1.5, real.shape)
    classes = np.where(rng.random(labels.shape) < 0.2, rng.integers(-1, CLASSES, labels.shape), labels)
    scores = (1 + rng.permutation(images * most).reshape(images, most)) / (images * most)
    return (
        {"boxes_xyxy": said, "scores": scores, "classes": classes},
        {"boxes_xyxy": real, "labels": labels},
    )


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Of two boxes `(4,)`."""
    shared = np.prod(np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0))
    return shared / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared)


def by_the_book(found: Given, truth: Given, label: int, threshold: float) -> float:
    """Average precision of one class at one threshold: the best-scored boxes choose first."""
    order = np.argwhere((found["classes"] == label) & (found["scores"] > 0))
    order = sorted(order.tolist(), key=lambda place: -found["scores"][tuple(place)])
    taken: set = set()
    hits = []
    for image, number in order:
        rivals = [j for j in np.flatnonzero(truth["labels"][image] == label) if (image, j) not in taken]
        overlaps = [iou(found["boxes_xyxy"][image, number], truth["boxes_xyxy"][image, j]) for j in rivals]
        hit = max(overlaps, default=0) >= threshold
        if hit:
            taken.add((image, rivals[int(np.argmax(overlaps))]))
        hits.append(hit)
    right = np.cumsum(hits)
    recall = right / (truth["labels"] == label).sum()
    precision = right / np.arange(1, len(hits) + 1)
    best = [max(precision[recall >= level], default=0.0) for level in np.linspace(0, 1, 101)]
    return float(np.mean(best))


@pytest.mark.parametrize("seed", range(5))
def test_it_is_what_the_book_says(seed):
    found, truth = random_case(seed)
    result = measured(found, truth)
    there = [label for label in range(CLASSES) if (truth["labels"] == label).any()]
    for name, threshold in (("map50", 0.5), ("map75", 0.75)):
        expected = np.mean([by_the_book(found, truth, label, threshold) for label in there])
        assert 0.05 < expected < 0.99
        assert result[name] == pytest.approx(expected, abs=1e-6)
    thresholds = np.linspace(0.5, 0.95, 10)
    expected = [np.mean([by_the_book(found, truth, label, t) for t in thresholds]) for label in there]
    alone = [{**truth, "labels": np.where(truth["labels"] == label, label, -1)} for label in there]
    assert [measured(found, one)["map"] for one in alone] == pytest.approx(expected, abs=1e-6)
    assert result["map"] == pytest.approx(np.mean(expected), abs=1e-6)


def test_perfect_boxes_are_worth_1():
    _, truth = random_case(0)
    scores = np.full(truth["labels"].shape, 0.5)
    found = {"boxes_xyxy": truth["boxes_xyxy"], "scores": scores, "classes": truth["labels"]}
    result = measured(found, truth)
    assert [result["map"], result["map50"], result["map75"]] == pytest.approx([1, 1, 1])


def test_a_false_positive_between_two_right_ones_by_hand():
    """Recall 0.5 at precision 1, recall 1 at precision 2/3: 51 of the recalls 0, 0.01, ... are up to 0.5."""
    truth = [(0, 0, 10, 10, 1), (20, 20, 30, 30, 1)]
    found = [(0, 0, 10, 10, 1, 0.9), (40, 0, 50, 10, 1, 0.8), (20, 20, 30, 30, 1, 0.7)]
    result = measured(*one_image(found, truth))
    expected = (51 + 50 * 2 / 3) / 101
    assert result["map"] == pytest.approx(expected)
    assert result["map50"] == pytest.approx(expected)


def test_an_overlap_of_62_percent_counts_for_three_thresholds():
    result = measured(*one_image([(0, 0, 6.2, 10, 0, 0.9)], [(0, 0, 10, 10, 0)]))
    assert result["map"] == pytest.approx(0.3)
    assert result["map50"] == pytest.approx(1)
    assert result["map75"] == 0


def test_a_duplicate_is_a_false_positive():
    truth = [(0, 0, 10, 10, 0), (20, 20, 30, 30, 0)]
    once = [(0, 0, 10, 10, 0, 0.9), (20, 20, 30, 30, 0, 0.5)]
    twice = [*once, (0, 0, 10, 10, 0, 0.8)]
    assert measured(*one_image(once, truth))["map"] == pytest.approx(1)
    assert measured(*one_image(twice, truth))["map"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_the_right_place_with_the_wrong_class_is_worth_nothing():
    assert measured(*one_image([(0, 0, 10, 10, 1, 0.9)], [(0, 0, 10, 10, 0)]))["map"] == 0


def test_classes_that_occur_in_no_image_do_not_count():
    found = [(0, 0, 10, 10, 0, 0.9), (20, 20, 30, 30, 2, 0.95)]
    assert measured(*one_image(found, [(0, 0, 10, 10, 0)]))["map"] == pytest.approx(1)


def test_small_boxes_count_like_large_ones():
    found = [(0, 0, 2, 2, 0, 0.9)]
    assert measured(*one_image(found, [(0, 0, 2, 2, 0), (10, 10, 40, 40, 0)]))["map"] == pytest.approx(
        51 / 101
    )


def test_no_box_found_is_worth_0():
    _, truth = random_case(0)
    images = len(truth["labels"])
    found = {"boxes_xyxy": np.zeros((images, 0, 4)), "scores": np.zeros((images, 0))}
    result = measured({**found, "classes": np.zeros((images, 0), "int32")}, truth)
    assert [result[name] for name in ("map", "map50", "map75")] == [0, 0, 0]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 100), order=st.permutations(range(8)))
def test_the_order_of_the_images_does_not_matter(seed, order):
    found, truth = random_case(seed)
    turned = [{name: array[list(order)] for name, array in one.items()} for one in (found, truth)]
    assert measured(*turned) == measured(found, truth)


@pytest.mark.parametrize("padding", [{"classes": -1, "scores": 0.99}, {"classes": 0, "scores": 0}])
def test_what_fills_up_is_no_box(padding):
    found, truth = random_case(1)
    filled = {
        "boxes_xyxy": np.pad(found["boxes_xyxy"], ((0, 0), (2, 3), (0, 0)), constant_values=7),
        **{name: np.pad(found[name], ((0, 0), (2, 3)), constant_values=padding[name]) for name in padding},
    }
    more = {
        "boxes_xyxy": np.pad(truth["boxes_xyxy"], ((0, 0), (4, 0), (0, 0))),
        "labels": np.pad(truth["labels"], ((0, 0), (4, 0)), constant_values=-1),
    }
    assert measured(filled, more) == measured(found, truth)


def test_only_the_best_boxes_of_an_image_count():
    wrong = [(40, 0, 50, 10, 0, 0.9)] * (MOST - 1)
    right = (0, 0, 10, 10, 0, 0.5)
    truth = [(0, 0, 10, 10, 0)]
    assert measured(*one_image([*wrong, right], truth))["map"] == pytest.approx(1 / MOST)
    assert measured(*one_image([*wrong, wrong[0], right], truth))["map"] == 0


def test_nothing_is_printed(capsys):
    measured(*random_case(2))
    assert capsys.readouterr() == ("", "")


def changed(which: int, **entries) -> tuple[Given, Given]:
    case = list(random_case(0))
    case[which] = {**case[which], **entries}
    return tuple(case)


@pytest.mark.parametrize(
    ("case", "text"),
    [
        (changed(1, labels=np.full((8, 6), -1)), "`truth` must hold at least one box"),
        (changed(0, scores=np.zeros((8, 5))), r"`found\['scores'\]` must have the shape of its classes"),
        (changed(0, scores=np.full((8, 6), np.nan)), r"`found\['scores'\]` must be finite"),
        (changed(0, boxes_xyxy=np.full((8, 6, 4), np.inf)), r"`found\['boxes_xyxy'\]` must be finite"),
        (changed(0, boxes_xyxy=np.zeros((8, 24))), r"must have shape \(N, boxes, 4\), got shape=\(8, 24\)"),
        (changed(0, classes=np.full((8, 6), 3)), r"`found\['classes'\]` must be in \[0, 3\)"),
        (changed(1, labels=np.full((8, 6), 0.5)), r"`truth\['labels'\]` must be in \[0, 3\).* got 0.5"),
        (changed(1, labels=np.zeros((8, 2))), r"`truth\['labels'\]` must be one for each box"),
        (changed(1, boxes_xyxy=np.full((8, 6, 4), 90.0)), "with an area; box 0 of image 0"),
        ((random_case(0)[0], random_case(0, images=3)[1]), "of the same images, got 8 and 3"),
        (
            ({"scores": np.zeros((8, 6))}, random_case(0)[1]),
            r"must have the entry 'classes', got \['scores'\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused(case, text):
    with pytest.raises(ValueError, match=text):
        measured(*case)


def test_what_is_no_dict_is_refused():
    with pytest.raises(TypeError, match="`found` must be a dict of arrays, got ndarray"):
        measured(np.zeros((1, 4)), random_case(0)[1])
