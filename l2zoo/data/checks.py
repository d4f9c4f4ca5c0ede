"""What images and targets must be like before anything trains on them; each error says the next step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from l2zoo.data.targets import boxes, labels, masks, values
from l2zoo.data.targets.kind import TASKS
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import check_pixels, one_of


@suggest_arguments
def check_images(
    x: ArrayLike, y: Any, *, task: str = "classification", num_classes: int | None = None
) -> None:
    """Raises a clear error when images or their targets could not train a model.

    Warns where nothing is provably wrong but most likely is: float pixels outside `[0, 255]`, or all
    within `[0, 1]`. The models of the zoo take raw pixels and normalise inside.

    Args:
        x: Images `(N, H, W, C)`, integers or floats, pixels in [0, 255].
        y: What `task` says:

            - "classification": labels `(N,)`, integers in `[0, num_classes)`;
            - "segmentation": masks `(N, H, W)`, the same, or 255 for a pixel that is not labelled;
            - "detection": a dict of `boxes_xyxy` `(N, M, 4)` in pixels (left, top, right, bottom; the last
              two exclusive) and `labels` `(N, M)`. Images with fewer than M objects end in rows of zeros
              with the label -1. A box may overshoot its image by a pixel;
            - "generation": one number an image, which says nothing;
            - "regression": finite numbers `(N,)` or `(N, D)`;
            - "multilabel": `(N, K)`, each 0 or 1.
        task: See `y`.
        num_classes: K, at least 1; `None` leaves the upper end open.

    Raises:
        ValueError: No images, a wrong rank, x and y of different length, labels that are not integers
            or outside the classes, NaN or infinite pixels, integer pixels outside [0, 255]; masks of
            another size than the images; boxes that are not finite, lie outside or have no area.
        TypeError: Pixels that are not numbers.

    Example:
        >>> check_images(np.zeros((2, 8, 8, 1), "uint8"), np.array([0, 3]), num_classes=3)
        Traceback (most recent call last):
        ValueError: Labels must be in [0, 3) for num_classes=3, got y[1]=3.
    """
    check_task(task)
    x = np.asarray(x)
    check_images_or_clips(x)
    if task == "detection":
        _check_length(x, len(boxes.parts(y)[1]), "rows of boxes")
        boxes.check(y, x.shape[1:3], num_classes)
    elif task == "segmentation":
        y = np.asarray(y)
        masks.check_rank(y)
        _check_length(x, len(y), "masks")
        masks.check_values(y, x.shape[1:3], num_classes)
    elif task in values.TASKS:
        _check_length(x, len(y), "targets")
        values.check(y, task)
    elif task == "generation":
        _check_length(x, len(y), "labels")
    else:
        y = np.asarray(y)
        labels.check_rank(y)
        _check_length(x, len(y), "labels")
        labels.check_values(y, num_classes, "y")


def _check_length(x: np.ndarray, targets: int, words: str) -> None:
    if len(x) != targets:
        raise ValueError(f"`x` and `y` must have the same length, got {len(x)} images and {targets} {words}.")


def check_images_or_clips(x: np.ndarray, *, clips: bool = False) -> None:
    """Raises, or warns, as `check_images` does where it is about pixels.

    Args:
        x: Images `(N, H, W, C)`.
        clips: Whether they are clips `(N, T, H, W, C)`.

    Raises:
        ValueError: Another rank, nothing in it, NaN or infinite pixels, integer pixels outside [0, 255].
        TypeError: Pixels that are not numbers.
    """
    words, name, shape = ("clips", "Clips", "(N, T, H, W, C)") if clips else ("images", "`x`", "(N, H, W, C)")
    if x.dtype == object:
        raise ValueError(
            f"`x` holds {words} of different sizes or things that are not {words} (dtype object): "
            f"resize them to one {shape.replace('N, ', '')} and stack them."
        )
    if x.ndim != shape.count(",") + 1:
        raise ValueError(f"{name} must have shape {shape}, got shape={x.shape}.")
    if not x.size:
        raise ValueError(f"There are no {words}: x has shape={x.shape}.")
    check_pixels(x, where="`x`", warn=True)


def as_pixels(x: np.ndarray) -> np.ndarray:
    """Images or clips that `check_images_or_clips` has let pass: integers as uint8, floats as float32."""
    return x.astype(np.uint8 if np.issubdtype(x.dtype, np.integer) else np.float32, copy=False)


@suggest_arguments
def check_folds(y: ArrayLike, folds: int, *, num_classes: int | None = None) -> None:
    """Raises a clear error when a class would be missing from a fold.

    Args:
        y: Labels `(N,)`, integers from 0.
        folds: The number of stratified folds, at least 2.
        num_classes: K; `None` takes the largest label plus one.

    Raises:
        ValueError: A class has fewer examples than there are folds.

    Example:
        >>> check_folds([0, 0, 0, 1, 1], 3)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: Every fold needs every class: `folds`=3, but class 1 has 2 examples. Use folds=2 ...
    """
    y = np.asarray(y)
    if y.ndim != 1 or not y.size:
        raise ValueError(f"`y` must have shape (N,) with N at least 1, got shape={y.shape}.")
    labels.check_values(y, num_classes, "y")
    if not isinstance(folds, int | np.integer) or isinstance(folds, bool) or folds < 2:
        raise ValueError(f"`folds` must be an integer of at least 2, got folds={folds}.")
    counts = np.bincount(y, minlength=num_classes or 0)
    smallest = int(counts.argmin())
    count = int(counts[smallest])
    if count < folds:
        examples = "1 example" if count == 1 else f"{count} examples"
        step = f"Use folds={count} or add examples." if count >= 2 else "Add examples or leave the class out."
        raise ValueError(
            f"Every fold needs every class: `folds`={folds}, but class {smallest} has {examples}. {step}"
        )


def check_task(task: str) -> None:
    """Raises a `ValueError` unless the task is one that data can be for."""
    one_of("task", task, TASKS)


def check_size(image_size: Any) -> tuple[int, int] | None:
    """An `image_size` that somebody gave, as two ints or None.

    Raises:
        ValueError: It is something else.
    """
    if image_size is None:
        return None
    if not (
        isinstance(image_size, Sequence)
        and len(image_size) == 2
        and all(isinstance(side, int | np.integer) and side >= 1 for side in image_size)
    ):
        raise ValueError(
            f"`image_size` must be (H, W), two integers of at least 1, got image_size={image_size!r}."
        )
    return int(image_size[0]), int(image_size[1])


def source_error(source: Any, wanted: str) -> TypeError:
    """What to raise for a `source` that is none of those wanted."""
    hint = f"; for a folder, write 'folder:{source}'" if isinstance(source, os.PathLike) else ""
    return TypeError(f"`source` must be {wanted}, got {type(source).__name__}{hint}.")
