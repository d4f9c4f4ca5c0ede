"""What images and targets must be like before anything trains on them; each error says the next step."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from l2zoo.data.targets import box_checks, labels, masks
from l2zoo.data.targets.targets import TASKS


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
            - "generation": one number an image, which says nothing.
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
    _check_shape(x)
    if task == "detection":
        _check_length(x, len(box_checks.parts(y)[1]), "rows of boxes")
        box_checks.check(y, x.shape[1:3], num_classes)
    elif task == "segmentation":
        y = np.asarray(y)
        masks.check_rank(y)
        _check_length(x, len(y), "masks")
        masks.check_values(y, x.shape[1:3], num_classes)
    elif task == "generation":
        _check_length(x, len(y), "labels")
    else:
        y = np.asarray(y)
        labels.check_rank(y)
        _check_length(x, len(y), "labels")
        labels.check_values(y, num_classes, "y")
    check_pixels(x)


def check_task(task: str) -> None:
    """Raises a `ValueError` unless the task is one that data can be for."""
    if task not in TASKS:
        raise ValueError(f"`task` must be {', '.join(TASKS[:-1])} or {TASKS[-1]}, got task={task!r}.")


def _check_shape(x: np.ndarray) -> None:
    if x.dtype == object:
        raise ValueError(
            "`x` holds images of different sizes or things that are not images (dtype object): "
            "resize them to one (H, W, C) and stack them."
        )
    if x.ndim != 4:
        raise ValueError(f"`x` must have shape (N, H, W, C), got shape={x.shape}.")


def _check_length(x: np.ndarray, targets: int, words: str) -> None:
    if len(x) != targets:
        raise ValueError(f"`x` and `y` must have the same length, got {len(x)} images and {targets} {words}.")
    if not x.size:
        raise ValueError(f"There are no images: x has shape={x.shape}.")


def check_pixels(x: np.ndarray) -> None:
    """Raises, or warns, as `check_images` does where it is about pixels.

    Args:
        x: Images or clips, `(N, ...)`, N at least 1.

    Raises:
        ValueError: NaN or infinite pixels, integer pixels outside [0, 255].
        TypeError: Pixels that are not numbers.
    """
    if not np.issubdtype(x.dtype, np.integer) and not np.issubdtype(x.dtype, np.floating):
        raise TypeError(f"Pixels must be integers or floats in [0, 255], got dtype={x.dtype}.")
    low, high = x.min(), x.max()
    if not (np.isfinite(low) and np.isfinite(high)):  # the minimum of numbers with a NaN is NaN
        first = next(i for i, image in enumerate(x) if not np.isfinite(image).all())
        raise ValueError(f"Pixels must be finite, but x[{first}] holds NaN or infinity: drop or repair it.")
    if np.issubdtype(x.dtype, np.integer):
        if low < 0 or high > 255:
            raise ValueError(
                f"Pixels must be in [0, 255], got {low} to {high} (dtype={x.dtype}): rescale them."
            )
    elif low >= 0 and 0 < high <= 1:
        _warn(f"Pixels look like [0, 1] (they run from {low:g} to {high:g}), but [0, 255] is expected: "
              "multiply them by 255, or take the normalisation out of your pipeline.")  # fmt: skip
    elif low < 0 or high > 255:
        _warn(f"Pixels run from {low:g} to {high:g}, but [0, 255] is expected: "
              "take the normalisation out of your pipeline; the models normalise inside.")  # fmt: skip


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=4)


def check_apart(train: np.ndarray, test: np.ndarray, *, name: str = "train") -> None:
    """Raises a `ValueError` if images `(N, H, W, C)` to test on are among those to train on.

    Args:
        train: Those to train on.
        test: Those to test on.
        name: What the argument with those to train on is called.
    """
    seen = {image.tobytes(): row for row, image in reversed(list(enumerate(train)))}
    shared = [(seen[image.tobytes()], row) for row, image in enumerate(test) if image.tobytes() in seen]
    if shared:
        first, second = shared[0]
        raise ValueError(
            f"`{name}` and `test` must be different images, but {len(shared)} of the {len(test)} in `test` "
            f"are in `{name}` too (the first: test[{second}] is {name}[{first}]). Take them out: `test` must "
            "be what the model has never seen."
        )


def check_folds(y: ArrayLike, folds: int | ArrayLike, *, num_classes: int | None = None) -> None:
    """Raises a clear error when a class would be missing from a fold.

    Args:
        y: Labels `(N,)`, integers from 0.
        folds: The number of stratified folds, at least 2; or the fold of each example `(N,)`, integers
            from 0.
        num_classes: K; `None` takes the largest label plus one.

    Raises:
        ValueError: A class has fewer examples than there are folds, or none in one of the given folds.

    Example:
        >>> check_folds([0, 0, 0, 1, 1], 3)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: Every fold needs every class: `folds`=3, but class 1 has 2 examples. Use folds=2 ...
    """
    y, folds = np.asarray(y), np.asarray(folds)
    if y.ndim != 1 or not y.size:
        raise ValueError(f"`y` must have shape (N,) with N at least 1, got shape={y.shape}.")
    labels.check_values(y, num_classes, "y")
    if not np.issubdtype(folds.dtype, np.integer):
        raise ValueError(f"`folds` must be an integer or one integer an example, got dtype={folds.dtype}.")
    if num_classes is None:
        num_classes = int(y.max()) + 1
    if folds.ndim == 0:
        _check_counts(np.bincount(y, minlength=num_classes), int(folds))
    else:
        _check_assignment(y, folds, num_classes)


def _check_counts(counts: np.ndarray, folds: int) -> None:
    if folds < 2:
        raise ValueError(f"`folds` must be at least 2, got folds={folds}.")
    smallest = int(counts.argmin())
    count = int(counts[smallest])
    if count < folds:
        examples = "1 example" if count == 1 else f"{count} examples"
        step = f"Use folds={count} or add examples." if count >= 2 else "Add examples or leave the class out."
        raise ValueError(
            f"Every fold needs every class: `folds`={folds}, but class {smallest} has {examples}. {step}"
        )


def _check_assignment(y: np.ndarray, folds: np.ndarray, num_classes: int) -> None:
    if folds.shape != y.shape or folds.min() < 0:
        raise ValueError(
            f"`folds` must be a number or hold one fold from 0 for each of the {len(y)} labels, "
            f"got shape={folds.shape}, smallest {folds.min() if folds.size else 'none'}."
        )
    for fold in range(int(folds.max()) + 1):
        missing = np.flatnonzero(np.bincount(y[folds == fold], minlength=num_classes) == 0)
        if missing.size:
            raise ValueError(
                f"Fold {fold} has no example of class {missing[0]}: "
                "make the folds stratified, or use fewer folds."
            )
