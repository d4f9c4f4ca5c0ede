"""Reference models: trained like the audited one, each on another half of all images.

One model is built and traced; for each reference it is reset and trained anew. What comes out of one depends
on the seed and its number alone, so that an audit goes on where it was stopped, and may ask for more of them.
"""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from l2zoo.engine.ledger import fingerprint
from l2zoo.engine.live_numbers import Numbers, numbers_of, structure_of
from l2zoo.engine.warm_model import WarmModel, values
from l2zoo.studies.privacy.checks import check_build
from l2zoo.studies.privacy.confidence import answers, confidences
from l2zoo.utils.files import replacing
from l2zoo.utils.progress import Progress


@dataclass(frozen=True, eq=False)
class Recipe:
    """How reference models are trained.

    Attributes:
        build: Gives the model, new and compiled.
        epochs: Passes over a half.
        batch_size: Images in a step.
        seed: Of halves, initial weights and order.
    """

    build: Callable[[], keras.Model]
    epochs: int
    batch_size: int
    seed: int

    def model(self, seed: int) -> keras.Model:
        """A model with the initial weights of a seed."""
        keras.utils.set_random_seed(seed)
        return self.build()

    def seed_of(self, number: int) -> int:
        """Of the initial weights of a reference model."""
        return int(np.random.default_rng((self.seed, number, 1)).integers(2**31))

    def half(self, number: int, of: int) -> np.ndarray:
        """Which of all images a reference model is trained on, bool `(of,)`.

        An even one gets half of them by chance, the odd one after it the others: each image is in exactly
        one of the two.
        """
        order = np.random.default_rng((self.seed, number // 2)).permutation(of)
        inside = np.zeros(of, bool)
        inside[order[: of // 2]] = True
        return inside if number % 2 == 0 else ~inside


def train(
    recipe: Recipe,
    x: np.ndarray,
    y: np.ndarray,
    *,
    like: keras.Model,
    count: int,
    directory: Path | None,
    verbose: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Trains reference models, or reads those that are finished.

    Args:
        recipe: How.
        x: All images `(N, H, W, C)`.
        y: Their labels `(N,)`.
        like: The audited model, whose architecture they must have.
        count: R, how many.
        directory: Where each is kept when it is finished; None for nowhere.
        verbose: Whether to show progress.

    Returns:
        How sure each is of each image, `log(p / (1 - p))`, `(R, N)`; and which images it was trained on, bool
        `(R, N)`.

    Raises:
        TypeError: `build` gives no model.
        ValueError: `build` gives another model; the directory holds those of another audit.
        FloatingPointError: A training diverged.
    """
    first = recipe.model(recipe.seed_of(0))
    check_build(first, like)
    identity = "" if directory is None else _identity(recipe, first, x, y)
    numbers = numbers_of(first)
    paths = [
        None if directory is None else directory / f"reference_{number:03d}.npz" for number in range(count)
    ]
    kept = {number: phi for number, path in enumerate(paths) if (phi := _read(path, identity)) is not None}
    warm: WarmModel | None = None

    def stopped() -> str:
        where = f"the same call goes on from {directory}" if directory else "give `directory` to keep them"
        return f"{len(kept)} of {count} are finished; {where}."

    with Progress("privacy audit", unit="reference models", stopped=stopped, visible=verbose) as progress:
        progress.expect(count)
        if kept:
            progress.skip(len(kept), of=count)
        for number in sorted(set(range(count)) - set(kept)):
            started = time.perf_counter()
            warm = warm or _warm(recipe, numbers, x, y, first)
            kept[number] = _train_one(recipe, warm, numbers, number, x, y)
            path = paths[number]
            if path is not None:
                with replacing(path) as temporary:
                    np.savez(temporary, phi=kept[number], identity=identity)
            progress.advance()
            if not progress.on_terminal:
                progress.write(
                    f"[{len(kept)}/{count}] reference model: {time.perf_counter() - started:.1f} s"
                )
    found = [kept[number] for number in range(count)]
    return np.stack(found), np.stack([recipe.half(number, len(x)) for number in range(count)])


def _warm(recipe: Recipe, numbers: Numbers, x: np.ndarray, y: np.ndarray, model: keras.Model) -> WarmModel:
    return WarmModel(
        recipe.model,
        x,
        _targets(model, y),
        batch_size=recipe.batch_size,
        penalised=numbers.penalised,
        seed=recipe.seed_of(0),
    )


def _train_one(
    recipe: Recipe, warm: WarmModel, numbers: Numbers, number: int, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    warm.reset(numbers, seed=recipe.seed_of(number))
    rows = np.flatnonzero(recipe.half(number, len(x)))
    for epoch in range(recipe.epochs):
        rng = np.random.default_rng((recipe.seed, number, 2, epoch))
        results = warm.train_epoch(rng.permutation(rows), epoch=epoch)
        if not np.isfinite(results["loss"]):
            raise FloatingPointError(
                f"Reference model {number} diverged in epoch {epoch + 1} of {recipe.epochs}. Choose a "
                "smaller learning rate, for the audited model too."
            )
    return confidences(answers(warm.model, x), y)


def _targets(model: keras.Model, y: np.ndarray) -> np.ndarray:
    """Labels as the model's loss takes them: as they are for a sparse one, else one-hot."""
    loss: Any = keras.losses.get(model.loss)
    name = str(getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__))
    return y if "sparse" in name else np.eye(model.output_shape[-1], dtype="float32")[y]


def _identity(recipe: Recipe, model: keras.Model, x: np.ndarray, y: np.ndarray) -> str:
    """What a reference model depends on besides its number, as text."""
    structure, _ = structure_of(model)
    numbers = numbers_of(model)
    settings = {
        "data": fingerprint(x, y),
        "weights": fingerprint(*values(model.variables)),
        "model": [structure, numbers.l2, numbers.l1, numbers.dropout],
        "learning_rate": model.optimizer.get_config().get("learning_rate"),
        "training": [recipe.epochs, recipe.batch_size, recipe.seed],
        "backend": keras.backend.backend(),
    }
    return fingerprint(np.frombuffer(json.dumps(settings, sort_keys=True, default=str).encode(), np.uint8))


def _read(path: Path | None, identity: str) -> np.ndarray | None:
    """What a finished reference model left; None if it is not there."""
    if path is None or not path.exists():
        return None
    try:
        with np.load(path) as kept:
            phi, of = kept["phi"], str(kept["identity"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read ({error}). Delete it, and it is made anew.") from None
    if of != identity:
        raise ValueError(
            f"`directory` holds reference models of other images, another model or another training, got "
            f"directory={str(path.parent)!r}. Choose another one, or delete it."
        )
    return phi
