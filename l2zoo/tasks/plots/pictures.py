"""Pictures of what a model says: labels, masks or boxes beside the truth, readable without colour.

Each picture shows some of the images, chosen evenly, and holds its own description in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from l2zoo.tasks.detection.average_precision import Arrays, found_boxes, true_boxes
from l2zoo.tasks.plots.marks import Line, paint_mask
from l2zoo.tasks.plots.sheet import Panel, Sheet, save_sheet
from l2zoo.tasks.segmentation.overlap import UNLABELLED, confusion, mean_iou
from l2zoo.utils.validation import check_number, check_pixels, whole_number

MOST = 12  # images shown


def picture_of_labels(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    path: str | Path,
    *,
    most: int = MOST,
) -> Path:
    """Images with the class that each is of, and the one that the model takes it for.

    Args:
        images: `(N, H, W, C)`, pixels in [0, 255], 1 or 3 channels.
        labels: `(N,)`, the true classes in [0, K).
        probabilities: `(N, K)`, in [0, 1].
        class_names: K of them.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        most: How many images are shown, chosen evenly.

    Returns:
        The path.

    Raises:
        ValueError: The arrays do not fit each other, or the path ends in something else.
    """
    images, names = _pixels(images), _names(class_names)
    labels = _classes("labels", labels, (len(images),), len(names))
    probabilities = _shaped("probabilities", probabilities, (len(images), len(names)))
    said = probabilities.argmax(axis=1)
    answers = [
        _Answer(names[labels[i]], names[said[i]], f" {probabilities[i, said[i]]:.0%}", said[i] != labels[i])
        for i in range(len(images))
    ]
    right = int((said == labels).sum())
    about = f"Right: {right:,} of {len(images):,}. ✕ and a dashed frame: wrong."
    return _picture_of_answers(images, answers, about, path, most=most)


def picture_of_numbers(
    images: np.ndarray,
    wanted: np.ndarray,
    found: np.ndarray,
    names: Sequence[str],
    path: str | Path,
    *,
    most: int = MOST,
) -> Path:
    """Images with their numbers, and what the model says.

    Args:
        images: `(N, H, W, C)`, pixels in [0, 255], 1 or 3 channels.
        wanted: `(N, D)`, the true numbers.
        found: `(N, D)`, those of the model.
        names: D of them.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        most: How many images are shown, chosen evenly.

    Raises:
        ValueError: The arrays do not fit each other, or the path ends in something else.
    """
    images, names = _pixels(images), _names(names)
    wanted, found = (_shaped("numbers", each, (len(images), len(names))) for each in (wanted, found))
    texts = ([", ".join(f"{number:.4g}" for number in row) for row in each] for each in (wanted, found))
    error = ", ".join(
        f"{name} {value:.4g}" for name, value in zip(names, np.abs(wanted - found).mean(axis=0), strict=True)
    )
    answers = [_Answer(true, said) for true, said in zip(*texts, strict=True)]
    return _picture_of_answers(images, answers, f"Mean absolute error over all: {error}.", path, most=most)


def picture_of_several_labels(
    images: np.ndarray,
    labels: np.ndarray,
    found: np.ndarray,
    class_names: Sequence[str],
    path: str | Path,
    *,
    most: int = MOST,
) -> Path:
    """Images with the classes that are in them, and those that the model finds.

    Args:
        images: `(N, H, W, C)`, pixels in [0, 255], 1 or 3 channels.
        labels: `(N, K)`, bool.
        found: `(N, K)`, bool.
        class_names: K of them.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        most: How many images are shown, chosen evenly.

    Raises:
        ValueError: The arrays do not fit each other, or the path ends in something else.
    """
    images, names = _pixels(images), _names(class_names)
    labels, found = (_shaped("labels", each, (len(images), len(names))) for each in (labels, found))
    there = (
        [", ".join(n for n, yes in zip(names, row, strict=True) if yes) or "none" for row in each]
        for each in (labels, found)
    )
    wrong = (labels != found).any(axis=1)
    answers = [_Answer(true, said, wrong=one) for true, said, one in zip(*there, wrong, strict=True)]
    right = int((~wrong).sum())
    about = f"All right: {right:,} of {len(images):,}. ✕ and a dashed frame: not all."
    return _picture_of_answers(images, answers, about, path, most=most)


class _Answer(NamedTuple):
    """What is true of an image and what is said of it, how surely, and whether that is wrong."""

    true: str
    said: str
    share: str = ""
    wrong: bool = False


def _picture_of_answers(
    images: np.ndarray, answers: Sequence[_Answer], about: str, path: str | Path, *, most: int
) -> Path:
    """Some images, chosen evenly, each under what is true of it and what is said."""
    shown = _evenly(len(images), most)
    panels, words = [], []
    for i in shown:
        true, said, share, wrong = answers[i]
        mark = "✕ said: " if wrong else "said: "
        above = [Line(f"#{i} true: ", true), Line(mark, said, share, bold=bool(wrong))]
        panels.append(Panel(images[i], above, wrong=bool(wrong)))
        words.append(f"#{i}: true {true}, said {said}{share}.")
    about = f"{_share(shown, images)} {about}"
    return save_sheet(Sheet("Images and what the model says", about, words, panels, columns=4), path)


def picture_of_masks(
    images: np.ndarray,
    masks: np.ndarray,
    predicted: np.ndarray,
    class_names: Sequence[str],
    path: str | Path,
    *,
    ignore: int = UNLABELLED,
    most: int = MOST,
) -> Path:
    """Images, each with its true mask and the predicted one.

    Args:
        images: `(N, H, W, C)`, pixels in [0, 255], 1 or 3 channels.
        masks: `(N, H, W)`, the true classes in [0, K), or `ignore` for pixels that are not labelled.
        predicted: `(N, H, W)`, the predicted classes in [0, K).
        class_names: K of them.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        ignore: The mark of pixels that are not labelled; they are grey.
        most: How many images are shown, chosen evenly.

    Returns:
        The path.

    Raises:
        ValueError: The arrays do not fit each other, or the path ends in something else.
    """
    images, names = _pixels(images), _names(class_names)
    masks = _classes("masks", masks, images.shape[:3], len(names), also=ignore)
    predicted = _classes("predicted", predicted, images.shape[:3], len(names))
    matrix = confusion(masks, predicted, len(names), ignore=ignore)
    masks = np.where(masks == ignore, -1, masks)
    shown = _evenly(len(images), most)
    panels, words = [], []
    for i in shown:
        both = [paint_mask(masks[i]), paint_mask(predicted[i])]
        captions = ["truth", "predicted"]
        panels.append(Panel(images[i], [Line(f"#{i}")]))
        panels += [Panel(mask, [Line(caption)]) for mask, caption in zip(both, captions, strict=True)]
        words.append(
            f"#{i}: truth {_occurring(masks[i], names)}; predicted {_occurring(predicted[i], names)}."
        )
    about = _share(shown, images) + (f" Mean IoU over all: {mean_iou(matrix):.3f}." if matrix.any() else "")
    seen = np.union1d(masks[shown], predicted[shown])
    legend = [(names[k], int(k)) for k in seen if k >= 0] + [("not labelled", -1)] * bool(seen[0] < 0)
    columns = 3 if len(shown) < 4 else 6
    title = "Images, true masks and predicted masks"
    return save_sheet(Sheet(title, about, words, panels, columns, group=3, legend=legend), path)


def picture_of_boxes(
    images: np.ndarray,
    truth: Mapping[str, Any],
    found: Mapping[str, Any],
    class_names: Sequence[str],
    path: str | Path,
    *,
    min_score: float = 0.3,
    most: int = MOST,
) -> Path:
    """Images with the boxes that are there, dashed, and those that were found, with class and score.

    Args:
        images: `(N, H, W, C)`, pixels in [0, 255], 1 or 3 channels.
        truth: `"boxes_xyxy"` `(N, M, 4)` in pixels, `"labels"` `(N, M)` in [0, K), or -1 for no box.
        found: `"boxes_xyxy"` `(N, D, 4)` in pixels, `"scores"` `(N, D)` and `"classes"` `(N, D)`; a box of
            class -1 or score 0 is none.
        class_names: K of them.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        min_score: Boxes found with less are not drawn.
        most: How many images are shown, chosen evenly.

    Returns:
        The path.

    Raises:
        ValueError: The arrays do not fit each other, or the path ends in something else.
    """
    images, names = _pixels(images), _names(class_names)
    min_score = check_number("min_score", min_score)
    real = _same_number("truth", true_boxes(truth, num_classes=len(names)), images)
    said = _same_number("found", found_boxes(found, num_classes=len(names)), images)
    said["labels"] = np.where(said["scores"] >= min_score, said["labels"], -1)
    shown = _evenly(len(images), most)
    panels, words = [], []
    for i in shown:
        trues, founds = real["labels"][i] >= 0, np.flatnonzero(said["labels"][i] >= 0)
        founds = founds[np.argsort(-said["scores"][i, founds], kind="stable")]
        there = [names[k] for k in real["labels"][i, trues]]
        answers = [Line("", names[said["labels"][i, j]], f" {said['scores'][i, j]:.2f}") for j in founds]
        above = [Line(f"#{i} true: ", ", ".join(there) or "nothing")]
        boxes = real["boxes_xyxy"][i, trues], said["boxes_xyxy"][i, founds]
        panels.append(Panel(images[i], above, truth_xyxy=boxes[0], found_xyxy=boxes[1], found=answers))
        spoken = [str(line) for line in answers]
        words.append(f"#{i}: true {_listed(there, boxes[0])}; found {_listed(spoken, boxes[1])}.")
    marks = f"Dashed: true. Solid, with class and score: found with a score of {min_score:g} or more."
    about = f"{_share(shown, images)} {marks}"
    return save_sheet(Sheet("Images, true boxes and boxes found", about, words, panels, columns=3), path)


def _pixels(images: Any) -> np.ndarray:
    """`(N, H, W, 3)`, uint8."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[3] not in (1, 3) or not images.size:
        raise ValueError(f"`images` must have shape (N, H, W, 1 or 3), got shape={images.shape}.")
    check_pixels(images, where="`images`")
    return np.broadcast_to(np.rint(images).astype(np.uint8), (*images.shape[:3], 3))


def _names(class_names: Any) -> list[str]:
    names = list(class_names) if not isinstance(class_names, str) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"`class_names` must be a sequence of strings, got class_names={class_names!r}.")
    return names


def _shaped(name: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    values = np.asarray(values)
    if values.shape != shape:
        raise ValueError(
            f"`{name}` must have shape {shape} to fit `images` and `class_names`, got shape={values.shape}."
        )
    return values


def _classes(
    name: str, values: Any, shape: tuple[int, ...], num_classes: int, *, also: int | None = None
) -> np.ndarray:
    values = _shaped(name, values, shape)
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be integers, got dtype={values.dtype}: use argmax or astype('int64')."
        )
    wrong = values[((values < 0) | (values >= num_classes)) & (also is None or values != also)]
    if len(wrong):
        raise ValueError(f"`{name}` must be in [0, {num_classes}), one for each class name, got {wrong[0]}.")
    return values.astype(np.int64)


def _same_number(name: str, given: Arrays, images: np.ndarray) -> Arrays:
    if len(given["labels"]) != len(images):
        raise ValueError(
            f"`{name}` must be of as many images as `images`, {len(images)}, got {len(given['labels'])}."
        )
    return given


def _evenly(count: int, most: int) -> np.ndarray:
    """Which of `count` images are shown, `(min(count, most),)`."""
    return np.linspace(0, count - 1, min(count, whole_number("most", most, at_least=1))).round().astype(int)


def _share(shown: np.ndarray, images: np.ndarray) -> str:
    if len(shown) < len(images):
        return f"{len(shown)} of {len(images):,} images."
    return f"All {len(images)} images." if len(images) > 1 else "One image."


def _occurring(mask: np.ndarray, names: Sequence[str]) -> str:
    return ", ".join(names[k] for k in np.unique(mask) if k >= 0) or "not labelled"


def _listed(names: Sequence[str], boxes_xyxy: np.ndarray) -> str:
    corners = (", ".join(f"{side:.0f}" for side in box) for box in boxes_xyxy)
    return ", ".join(f"{name} at ({box})" for name, box in zip(names, corners, strict=True)) or "nothing"
