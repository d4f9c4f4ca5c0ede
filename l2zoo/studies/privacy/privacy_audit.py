"""`privacy_audit`: what a classifier gives away about the images it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from l2zoo.data import ImageData, check_images, check_splits
from l2zoo.studies.privacy import attacks, reference_models
from l2zoo.studies.privacy.attacks import class_probabilities, confidences
from l2zoo.studies.privacy.findings import Attack
from l2zoo.studies.privacy.result import PrivacyReport
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.storage.held_folder import hold_folder
from l2zoo.utils.validation import whole_number

FEWEST_IMAGES = 100  # of fewer, 1 % is less than one
FEWEST_REFERENCES = 4  # two in and two out for every image, the least that has a variance


@suggest_arguments
def privacy_audit(
    model: keras.Model,
    train: Any,
    test: Any,
    *,
    build: Callable[[], keras.Model] | None = None,
    epochs: int | None = None,
    batch_size: int = 32,
    references: int = 8,
    seed: int = 0,
    directory: str | Path | None = None,
    verbose: bool = True,
) -> PrivacyReport:
    """Attacks a classifier: can one tell the images it was trained on from others?

    Always by the loss of each image (Yeom et al.). With `build` also by LiRA (Carlini et al.), which asks
    whether the model is surer of an image than models are that were trained without it, and finds more; that
    takes as long as training `references` models on half of all images.

    The members and the others should come from one source, at best divided by chance: else the attacks
    partly tell the sets apart, and not what the model remembers. With reference models, `control` shows it.
    Reference models see as many images as the audited one where both sets are of one size; so give as many
    others as members where you can.

    Args:
        model: The trained model, from images to class probabilities or logits `(B, K)`, or `(B, 1)` for two
            classes.
        train: Images it was trained on, or at least 100 of them: an `ImageData`, or arrays `(x, y)`.
        test: At least 100 images it has never seen, likewise.
        build: Gives the same model, untrained and compiled as it was trained; takes no arguments. None leaves
            LiRA out.
        epochs: How long the model was trained; needed with `build`.
        batch_size: Images in a step, as the model was trained.
        references: How many reference models, an even number, at least 4. The paper has 64 to 256: with few,
            an audit finds less than an attacker could.
        seed: Of the reference models and of the intervals.
        directory: Where finished reference models are kept, so that an audit that was stopped goes on; None
            for nowhere.
        verbose: Whether to show progress, on stderr.

    Returns:
        The attacks, with intervals. `table()` prints, `sentence` is for a model card, `plot` draws.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: `train` and `test` share images, are too few or do not fit the model; the model gives no
            class probabilities; `build` gives another model; `directory` holds another audit.
        FloatingPointError: A reference model diverged.

    Example:
        >>> import numpy as np
        >>> from l2zoo import build_cnn, privacy_audit
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.integers(0, 256, (200, 8, 8, 1)), rng.integers(0, 3, 200)
        >>> report = privacy_audit(
        ...     build_cnn((8, 8, 1), num_classes=3, filters=[4]), (x[:100], y[:100]), (x[100:], y[100:])
        ... )
        >>> 0.5 in report["loss threshold"].auc  # a model that was never trained gives nothing away
        True
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a keras.Model, got {type(model).__name__}.")
    whole_number("seed", seed, at_least=0)
    recipe = None if build is None else _recipe(build, epochs, batch_size, references, seed)
    if recipe is None and directory is not None:
        raise ValueError("`directory` is for reference models, which need `build`. Give both, or neither.")
    x, y, members = _members_and_others(train, test)
    probabilities = class_probabilities(model, x)
    _check_labels(y, probabilities.shape[1], members=members)
    phi = confidences(probabilities, y)
    scores, control = {"loss threshold": attacks.loss_threshold(phi)}, None
    if recipe is not None:
        where = None if directory is None else Path(directory)
        with hold_folder(where, argument="directory"):
            seen = reference_models.train(
                recipe, x, y, like=model, count=references, directory=where, verbose=verbose
            )
        scores |= {"LiRA": attacks.lira(phi, *seen), "LiRA offline": attacks.lira_offline(phi, *seen)}
        control = Attack.measured("control", attacks.unseen(*seen), members=members, seed=seed)
    right = probabilities.argmax(axis=1) == y
    return PrivacyReport(
        tuple(
            Attack.measured(name, one, members=members, seed=seed, attacks=len(scores))
            for name, one in scores.items()
        ),
        control=control,
        members=members,
        others=len(x) - members,
        references=0 if recipe is None else references,
        train_accuracy=float(right[:members].mean()),
        test_accuracy=float(right[members:].mean()),
    )


def _recipe(
    build: Callable[[], keras.Model], epochs: int | None, batch_size: int, references: int, seed: int
) -> reference_models.Recipe:
    """How reference models are trained, checked."""
    if not callable(build) or isinstance(build, keras.Model):
        raise TypeError(f"`build` must be a function that returns a model, got {type(build).__name__}.")
    if epochs is None:
        raise ValueError("`epochs` must say how long the model was trained: reference models need it too.")
    if whole_number("references", references, at_least=FEWEST_REFERENCES) % 2:
        raise ValueError(
            f"`references` must be even, got references={references}: they are trained in pairs, on one half "
            "of the images and on the other."
        )
    whole_number("epochs", epochs, at_least=1)
    whole_number("batch_size", batch_size, at_least=1)
    return reference_models.Recipe(build, epochs, batch_size, seed)


def _members_and_others(train: Any, test: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """Images and labels of both together, members first, and how many are members.

    Raises:
        TypeError: One of them is neither images with labels nor a pair of arrays.
        ValueError: They are no images and labels, too few, of different shapes, or share images.
    """
    (x, y), (other_x, other_y) = _arrays("train", train), _arrays("test", test)
    if x.shape[1:] != other_x.shape[1:]:
        raise ValueError(
            f"`train` and `test` must hold images of one shape, got {x.shape[1:]} and {other_x.shape[1:]}. "
            "Resize both as the model takes them."
        )
    if x.dtype != other_x.dtype:
        x, other_x = x.astype("float32"), other_x.astype("float32")
    is_data = isinstance(train, ImageData) and isinstance(test, ImageData)
    check_splits(*((train, test) if is_data else (x, other_x)))
    return np.concatenate([x, other_x]), np.concatenate([y, other_y]).astype(np.int64), len(x)


def _check_labels(y: np.ndarray, num_classes: int, *, members: int) -> None:
    """Raises a `ValueError` if the model has no such class."""
    wrong = np.flatnonzero(y >= num_classes)
    if len(wrong):
        name, row = ("train", wrong[0]) if wrong[0] < members else ("test", wrong[0] - members)
        raise ValueError(
            f"Labels of `{name}` must be in [0, {num_classes}), the classes of `model`, got "
            f"y[{row}]={y[wrong[0]]}. Audit the model on the data it was made for."
        )


def _arrays(name: str, data: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(data, ImageData):
        if data.task != "classification":
            raise TypeError(f"`{name}` must hold images with a class each, got an ImageData for {data.task}.")
        x, y = data.arrays()
    elif isinstance(data, tuple) and len(data) == 2:
        x, y = (np.asarray(part) for part in data)
        try:
            check_images(x, y)
        except (TypeError, ValueError) as error:
            raise type(error)(f"`{name}`: {error}") from None
    else:
        raise TypeError(
            f"`{name}` must be an ImageData from l2zoo.data.load, or a tuple (x, y) of arrays, got "
            f"{type(data).__name__}."
        )
    if len(x) < FEWEST_IMAGES:
        raise ValueError(
            f"`{name}` must hold at least {FEWEST_IMAGES} images, got {len(x)}: a rate at 1 % false "
            "positives says nothing about fewer. Give more of them."
        )
    return x, y
