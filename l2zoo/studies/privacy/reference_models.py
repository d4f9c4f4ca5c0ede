"""Reference models: trained like the audited one, each on another half of all images.

What comes out of one depends on the seed and its number alone, so that an audit goes on where it was stopped,
and may ask for more of them.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from l2zoo.engine.identity import fingerprint, identity_of_model
from l2zoo.engine.job import Job
from l2zoo.engine.record import Value
from l2zoo.engine.trainer import Trainer
from l2zoo.engine.warm_model import copy_values, load_state
from l2zoo.studies.privacy.attacks import class_probabilities, confidences
from l2zoo.utils.progress import Progress
from l2zoo.utils.storage.earlier_run import OtherRunError
from l2zoo.utils.storage.files import replacing
from l2zoo.utils.storage.reading import NUMBERS, read_arrays


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
    """Trains reference models, or reads those that are kept.

    Args:
        recipe: How.
        x: All images `(N, H, W, C)`.
        y: Their labels `(N,)`.
        like: The audited model, whose architecture they must have.
        count: R, how many.
        directory: Where each is kept when it is trained; None for nowhere.
        verbose: Whether to show progress.

    Returns:
        How sure each is of each image, `log(p / (1 - p))`, `(R, N)`; and which images it was trained on, bool
        `(R, N)`.

    Raises:
        TypeError: `build` gives no model.
        ValueError: `build` gives another model; the directory holds those of another audit.
        FloatingPointError: A training diverged.
    """
    references = ReferenceModels(recipe, x, y, like=like)
    identity = "" if directory is None else references.identity()
    paths = [
        None if directory is None else directory / f"reference_{number:03d}.npz" for number in range(count)
    ]
    found = [_read(path, identity, count=len(x)) for path in paths]
    kept = {number: phi for number, phi in enumerate(found) if phi is not None}

    def stopped() -> str:
        where = f"the same call goes on from {directory}" if directory else "give `directory` to keep them"
        return f"{len(kept)} of {count} are finished; {where}."

    with Progress("privacy audit", unit="reference models", stopped=stopped, visible=verbose) as progress:
        progress.expect(count)
        if kept:
            progress.skip(len(kept), of=count)
        for number in sorted(set(range(count)) - set(kept)):
            started = time.perf_counter()
            kept[number] = references.train(number)
            path = paths[number]
            if path is not None:
                with replacing(path) as temporary:
                    np.savez(temporary, phi=kept[number], identity=identity)
            progress.advance()
            if not progress.on_terminal:
                progress.write(
                    f"[{len(kept)}/{count}] reference model: {time.perf_counter() - started:.1f} s"
                )
    phi = np.stack([kept[number] for number in range(count)])
    return phi, np.stack([recipe.half(number, len(x)) for number in range(count)])


class ReferenceModels:
    """Trains reference models one after another; one model is traced for all of them.

    Args:
        recipe: How.
        x: All images `(N, H, W, C)`.
        y: Their labels `(N,)`.
        like: The audited model.
    """

    def __init__(self, recipe: Recipe, x: np.ndarray, y: np.ndarray, *, like: keras.Model):
        def build(values: dict[str, Value]) -> keras.Model:
            model = recipe.build()
            if isinstance(model, keras.Model):  # what else there is, the job refuses
                _check_alike(model, like)
            return model

        everything = np.arange(len(x))
        job = Job(
            build, x, y, [(everything, everything[:0])], epochs=recipe.epochs, batch_size=recipe.batch_size,
            optimizer=None, loss=None, metrics=(), objective=None, reference={},
        )  # fmt: skip
        self._recipe, self._y = recipe, y
        self._model = job.model({}, seed=recipe.seed_of(0))
        self._job = dataclasses.replace(job, y=_targets(self._model, y))
        self._trainer: Trainer | None = None

    def identity(self) -> str:
        """What a reference model depends on besides its number, as text; before the first is trained."""
        recipe = self._recipe
        settings = {
            "data": fingerprint(self._job.x, self._y),
            "weights": fingerprint(*copy_values(self._model.variables)),
            "model": identity_of_model(self._model, epochs=recipe.epochs, batch_size=recipe.batch_size),
            "seed": recipe.seed,
            "backend": keras.backend.backend(),
        }
        return fingerprint(np.frombuffer(json.dumps(settings, sort_keys=True).encode(), np.uint8))

    def train(self, number: int) -> np.ndarray:
        """How sure a reference model is of each image when it is trained, `(N,)`."""
        recipe, x = self._recipe, self._job.x
        self._trainer = self._trainer or Trainer(self._job)
        rows, seed = np.flatnonzero(recipe.half(number, len(x))), recipe.seed_of(number)
        try:
            state = self._trainer.train_on(
                rows, {}, seed=seed, order=(recipe.seed, number, 2), epochs=recipe.epochs
            )
        except FloatingPointError as error:
            raise FloatingPointError(
                f"Reference model {number} {error}. Choose a smaller learning rate, for the audited model "
                "too."
            ) from None
        return confidences(class_probabilities(load_state(self._model, state), x), self._y)


def _targets(model: keras.Model, y: np.ndarray) -> np.ndarray:
    """Labels as the model's loss takes them: as they are for a sparse one or one number, else one-hot."""
    if model.output_shape[-1] == 1:
        return y.astype("float32")[:, None]
    loss: Any = keras.losses.get(model.loss)
    name = str(getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__))
    return y if "sparse" in name else np.eye(model.output_shape[-1], dtype="float32")[y]


def _read(path: Path | None, identity: str, *, count: int) -> np.ndarray | None:
    """What is kept of a reference model for so many images; None if there is nothing."""
    if path is None or not path.exists():
        return None
    try:
        kept = read_arrays(path, where=str(path), kinds=f"{NUMBERS}U")
        of = str(kept.get("identity"))
        phi = kept.get("phi", np.zeros(0))
        if (
            set(kept) != {"phi", "identity"}
            or phi.dtype.kind != "f"
            or (of == identity and phi.shape != (count,))
        ):
            raise ValueError(f"{path} is not of a reference model")
    except ValueError as error:
        raise ValueError(f"{str(error).rstrip('.')}. Delete it, and it is made anew.") from None
    if of != identity:
        raise OtherRunError(
            f"`directory` holds reference models of other images, another model or another training, got "
            f"directory={str(path.parent)!r}.",
            step="Choose another one, or delete it.",
        )
    return phi


def _check_alike(built: keras.Model, model: keras.Model) -> None:
    """Raises a clear error if `build` has not given a compiled model of the audited one's architecture."""
    if not built.compiled:
        raise ValueError(
            "`build` must return a compiled model, with the optimizer and the loss that `model` was trained "
            "with. End it with model.compile(...)."
        )
    shapes, wanted = ([tuple(v.shape) for v in one.weights] for one in (built, model))
    if shapes != wanted:
        raise ValueError(
            f"`build` must return the architecture of `model`, got {len(shapes)} weights with "
            f"{built.count_params():,} numbers instead of {len(wanted)} with {model.count_params():,}: "
            "reference models say nothing about a model of another kind."
        )
