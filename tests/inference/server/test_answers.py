"""Answers in JSON: those of the results, as large as was agreed and no larger."""

from __future__ import annotations

import json
import math
import types

import numpy as np
import pytest

from l2zoo.inference.results import Classified, Detected, Estimated, Labelled, OverlappingMasks, Segmented
from l2zoo.inference.server import answers
from l2zoo.inference.server.decoding import Decoded, Takes
from l2zoo.tasks.output_kind import OutputKind

RNG = np.random.default_rng(0)
MANY = [str(number) for number in range(120)]
NAMES = ['the "first"', "zwölf", "\x1b[2J"]


@pytest.mark.parametrize(
    "result",
    [
        Segmented(RNG.integers(0, 3, (5, 7)).astype(np.uint8), NAMES),
        Segmented(np.full((1, 1), 2, np.uint8), NAMES),
        Segmented(RNG.choice([0, 7, 34, 119, 255], (40, 30)).astype(np.uint8), MANY),
        Segmented(RNG.integers(-1, 1200, (40, 30)).astype(np.int32), MANY * 10),
        OverlappingMasks(RNG.random((6, 4, 3)) < 0.5, NAMES),
        OverlappingMasks(np.zeros((6, 4, 3), bool), NAMES),
        Classified(np.array([0.2, 0.5, 0.3], np.float32), NAMES),
        Labelled(np.array([0.2, 0.5, 0.3], np.float32), NAMES, np.array([0.5] * 3)),
        Estimated(RNG.random((3, 4, 2)).astype(np.float32)),
        Detected(np.ones((2, 4), np.float32), np.ones(2, np.float32), np.array([0, 2]), NAMES),
    ],
    ids=lambda result: type(result).__name__,
)  # fmt: skip
def test_what_is_written_is_what_the_result_says(result):
    assert json.loads(answers.encode(result)) == result.to_dict()


def test_a_mask_that_was_halved_says_the_size_of_the_image():
    result = Segmented(np.zeros((2, 3), np.uint8), NAMES)
    assert json.loads(answers.encode(result, (4000, 6001)))["image_size"] == {"height": 4000, "width": 6001}


@pytest.mark.parametrize("aspect", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(
    "size", [(1, 1), (1024, 1024), (1025, 1024), (4000, 4000), (1, 10**6), (9000, 3), (1, 10**9)]
)
def test_a_mask_has_the_size_of_its_image_or_as_often_halved_as_it_must(size, aspect):
    takes = Takes((64, 64), 3, aspect)
    view = answers.view_of(size, takes, masks=True)
    assert math.prod(view.given) <= answers.MASK_PIXELS
    assert math.prod(view.frame.size) <= answers.MASK_PIXELS
    halvings = round(math.log2(max(size) / max(view.given)))
    assert view.given == tuple(max(1, side >> halvings) for side in size)
    small = max(math.prod(size), math.prod(answers.View.of(size, takes.size, aspect).frame.size))
    assert (halvings == 0) == (small <= answers.MASK_PIXELS)
    assert answers.view_of(size, takes, masks=False).given == size


@pytest.mark.parametrize("aspect", ["stretch", "crop"])
@pytest.mark.parametrize(
    ("kind", "classes"), [("probabilities", 3), ("probabilities", 11), ("multilabel", 3)]
)
def test_what_masks_take_is_known_before_they_are_there(kind, classes, aspect):
    names = [f"class {number}" for number in range(classes)]
    takes = Takes((8, 8), 3, aspect)
    predictor = types.SimpleNamespace(task="segmentation", output_kind=OutputKind(kind), class_names=names)
    views = [answers.view_of(size, takes, masks=True) for size in ((300, 300), (700, 200))]
    most = answers.mask_bytes(predictor, views, takes)
    made = 0
    for view in views:
        if kind == "multilabel":
            result = OverlappingMasks(RNG.random((*view.given, classes)) < 0.5, names)
        else:
            mask = RNG.integers(0, classes, view.given).astype(np.uint8)
            result = Segmented(
                np.where(mask == 1, 255, mask).astype(np.uint8) if aspect == "crop" else mask, names
            )
        made += len(answers.encode(result))
    assert made < most + 10_000  # and what stands around the numbers
    assert most < 2 * made
    predictor.task = "classification"
    assert answers.mask_bytes(predictor, views, takes) == 0


def test_requests_that_are_computed_together_get_their_own_answers():
    takes = Takes((4, 4), 1, "stretch")

    def predict_resized(images, views):
        return [Estimated(one.mean(axis=(0, 1))) for one in images]

    predictor = types.SimpleNamespace(task="regression", predict_resized=predict_resized)
    images = [Decoded(np.full((4, 4, 1), value, np.uint8), (9, 9)) for value in range(5)]
    found = answers.predict_requests(predictor, [images[:2], [], images[2:]], takes)
    told = [[json.loads(one)["values"][0] for one in part] for part in found]
    assert told == [[0, 1], [], [2, 3, 4]]
    assert answers.predict_requests(predictor, [[]], takes) == [[]]
