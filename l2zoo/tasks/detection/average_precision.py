"""How good a detector's boxes are: COCO's average precision, by the tool that COCO itself uses.

Boxes come as arrays that are filled up to the same number for every image, as `FinalBoxes` gives them.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from l2zoo.utils.validation import whole_number

MOST = 100  # boxes of a class in an image that count, the best first: COCO's number

Arrays = dict[str, np.ndarray]


def average_precision(
    found: Mapping[str, Any], truth: Mapping[str, Any], *, num_classes: int
) -> dict[str, float]:
    """COCO's average precision: the area under precision over recall, with 101 recalls, for ten overlaps.

    A box found is right if it overlaps a true box of its class, which no better-scored one has taken, with
    at least the threshold. Boxes of every size count, the best `MOST` of each class in an image.

    Args:
        found: `"boxes_xyxy"` `(N, D, 4)` in pixels, `"scores"` `(N, D)` and `"classes"` `(N, D)`; a box of
            class -1 or score 0 is none. What `FinalBoxes` gives.
        truth: `"boxes_xyxy"` `(N, M, 4)` in pixels and `"labels"` `(N, M)`; a box of label -1 is none.
        num_classes: K, at least 1.

    Returns:
        In [0, 1]: `"map"`, the mean over the classes that occur in the truth and the thresholds 0.5, 0.55,
        ..., 0.95; `"map50"` and `"map75"`, the same at one threshold.

    Raises:
        ValueError: There is no true box, or the arrays do not fit each other or the classes.

    References:
        Lin et al. 2014, Microsoft COCO: Common Objects in Context, and its evaluation tool, pycocotools.

    Example:
        >>> boxes = [[[2, 2, 9, 9]]]
        >>> found = {"boxes_xyxy": boxes, "scores": [[0.9]], "classes": [[1]]}
        >>> truth = {"boxes_xyxy": boxes, "labels": [[1]]}
        >>> round(average_precision(found, truth, num_classes=2)["map"], 3)
        1.0
    """
    return over_classes(precision_by_class(found, truth, num_classes=num_classes))


def precision_by_class(
    found: Mapping[str, Any], truth: Mapping[str, Any], *, num_classes: int
) -> dict[str, np.ndarray]:
    """The same for each class, `(K,)`; NaN for a class of which there is no true box."""
    num_classes = whole_number("num_classes", num_classes, at_least=1)
    said = found_boxes(found, num_classes=num_classes)
    real = true_boxes(truth, num_classes=num_classes)
    _check_together(said, real)
    images = len(real["labels"])
    curves = _precision_curves(_records(said), _records(real), images=images, num_classes=num_classes)
    precision = curves.mean(axis=1)  # (T, K): thresholds 0.5, 0.55, ..., 0.95
    precision[:, ~np.isin(np.arange(num_classes), real["labels"])] = np.nan
    return {"map": precision.mean(axis=0), "map50": precision[0], "map75": precision[5]}


def over_classes(by_class: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The means over the classes of which there are true boxes."""
    return {name: float(np.nanmean(values)) for name, values in by_class.items()}


def found_boxes(found: Mapping[str, Any], *, num_classes: int) -> Arrays:
    """What a detector found, as arrays in which only boxes with a score have a class; else a clear error."""
    boxes, classes = _boxes_and_labels("found", found, "classes", num_classes)
    scores = _entry("found", found, "scores").astype(np.float64)
    if scores.shape != classes.shape:
        raise ValueError(
            f"`found['scores']` must have the shape of its classes, {classes.shape}, got {scores.shape}."
        )
    if not (np.isfinite(scores).all() and (scores >= 0).all()):
        raise ValueError("`found['scores']` must be finite and >= 0, with 0 for a box that is none.")
    return {"boxes_xyxy": boxes, "scores": scores, "labels": np.where(scores > 0, classes, -1)}


def true_boxes(truth: Mapping[str, Any], *, num_classes: int) -> Arrays:
    """What there is to find, as arrays of which the boxes have an area; else a clear error."""
    boxes, labels = _boxes_and_labels("truth", truth, "labels", num_classes)
    empty = np.argwhere((labels >= 0) & ~(boxes[..., 2:] > boxes[..., :2]).all(axis=-1))
    if len(empty):
        image, box = empty[0]
        raise ValueError(
            f"`truth['boxes_xyxy']` must be (left, top, right, bottom) with an area; box {box} of image "
            f"{image} is {boxes[image, box].tolist()}. Give it label -1, or see whether the format is "
            "(x, y, width, height)."
        )
    return {"boxes_xyxy": boxes, "labels": labels}


def _boxes_and_labels(
    name: str, given: Mapping[str, Any], labels_name: str, num_classes: int
) -> tuple[Any, Any]:
    """Boxes `(N, D, 4)`, float64, and their labels `(N, D)`, int64, in [-1, K)."""
    labels = _entry(name, given, labels_name)
    boxes = _entry(name, given, "boxes_xyxy").astype(np.float64)
    if boxes.ndim != 3 or boxes.shape[2] != 4:
        raise ValueError(f"`{name}['boxes_xyxy']` must have shape (N, boxes, 4), got shape={boxes.shape}.")
    if labels.shape != boxes.shape[:2]:
        raise ValueError(
            f"`{name}['{labels_name}']` must be one for each box, shape {boxes.shape[:2]}, "
            f"got shape={labels.shape}."
        )
    wrong = (labels != np.floor(labels)) | (labels < -1) | (labels >= num_classes)
    if wrong.any():
        raise ValueError(
            f"`{name}['{labels_name}']` must be in [0, {num_classes}) for num_classes={num_classes}, "
            f"or -1 for a box that is none, got {labels[wrong][0]}."
        )
    labels = labels.astype(np.int64)
    if not np.isfinite(boxes[labels >= 0]).all():
        raise ValueError(f"`{name}['boxes_xyxy']` must be finite: give what is no box the class -1.")
    return boxes, labels


def _entry(name: str, given: Mapping[str, Any], key: str) -> np.ndarray:
    if not isinstance(given, Mapping):
        raise TypeError(f"`{name}` must be a dict of arrays, got {type(given).__name__}.")
    if key not in given:
        raise ValueError(f"`{name}` must have the entry {key!r}, got {sorted(given)}.")
    return np.asarray(given[key])


def _check_together(found: Arrays, truth: Arrays) -> None:
    if len(found["labels"]) != len(truth["labels"]):
        raise ValueError(
            "`found` and `truth` must be of the same images, "
            f"got {len(found['labels'])} and {len(truth['labels'])}."
        )
    if not (truth["labels"] >= 0).any():
        raise ValueError("`truth` must hold at least one box: without one, precision has no meaning.")


def _records(given: Arrays) -> list[dict[str, Any]]:
    """COCO's annotations; all its ids count from 1, as it takes the id 0 for "matched to nothing"."""
    there = given["labels"] >= 0
    images, _ = np.nonzero(there)  # (boxes,)
    scores = given.get("scores", given["labels"])[there]  # COCO wants none for true boxes and reads none
    rows = zip(images, given["labels"][there], given["boxes_xyxy"][there], scores, strict=True)
    return [
        {
            "id": number,
            "image_id": int(image) + 1,
            "category_id": int(label) + 1,
            "bbox": [left, top, right - left, bottom - top],
            "area": (right - left) * (bottom - top),
            "iscrowd": 0,
            "score": float(score),
        }
        for number, (image, label, (left, top, right, bottom), score) in enumerate(rows, start=1)
    ]


def _precision_curves(found: list, truth: list, *, images: int, num_classes: int) -> np.ndarray:
    """`(T, R, K)`: precision for every threshold, recall and class, -1 for a class without true boxes."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    sets = []
    with contextlib.redirect_stdout(io.StringIO()):  # it reports every step
        for records in (truth, found):
            coco = COCO()
            coco.dataset = {
                "images": [{"id": number + 1} for number in range(images)],
                "categories": [{"id": label + 1} for label in range(num_classes)],
                "annotations": records,
            }
            coco.createIndex()
            sets.append(coco)
        evaluation = COCOeval(*sets, iouType="bbox")
        evaluation.params.areaRng = [[-np.inf, np.inf]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.params.maxDets = [MOST]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][..., 0, 0]
