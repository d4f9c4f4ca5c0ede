"""`fit`: Keras's own `fit` with the penalty logged apart, a run folder, and an exact resume."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from l2zoo.data import provenance
from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.strength import Strength
from l2zoo.regularization.training_step import own_parts
from l2zoo.training import pace
from l2zoo.training.checks import (
    check_inputs,
    check_labels,
    check_optimizer,
    check_readable,
    check_targets,
    check_validation,
)
from l2zoo.training.compilation import (
    compile_for_fit,
    compile_settings,
    compiled_plainly,
    mixed_policy,
    output_losses,
    output_weights,
)
from l2zoo.training.dataset_feed import DatasetFeed
from l2zoo.training.description import facts_of_run, settings_of_run
from l2zoo.training.feed import Feed, epoch_by_epoch, feed_of
from l2zoo.training.loss_parts import LossParts
from l2zoo.training.penalty_checks import check_penalty, check_step
from l2zoo.training.run_folder import Recorder, RunFolder, epochs_in
from l2zoo.training.snapshot import Snapshot
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.storage.earlier_run import OtherRunError
from l2zoo.utils.storage.held_folder import hold_folder
from l2zoo.utils.validation import whole_number


@suggest_arguments
def fit(
    model: keras.Model,
    data: Any,
    *,
    epochs: int,
    validation: Any = None,
    batch_size: int = 32,
    optimizer: Any = None,
    loss: Any = None,
    metrics: Sequence[Any] | None = None,
    l2: float | Strength | L2Policy | None = None,
    run_dir: str | Path | None = None,
    seed: int = 0,
    resume: bool = True,
    mixed_precision: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> keras.callbacks.History:
    """Trains a model with Keras's `fit`, logs data loss and penalty apart, and may be killed at any moment.

    In the logs, and so in the history, the progress bar and every callback, stand besides Keras's own:

    - `data_loss`, `val_data_loss`: the loss without penalties. Keras's `loss` contains them.
    - `l2_penalty`: what the weights' regularizers add to the loss after the epoch, so that
      `val_loss = val_data_loss + l2_penalty`, unless layers add losses of their own. (In training,
      weights and penalty change during the epoch.)

    With `run_dir`, everything about the run is written there after every epoch: `config.json`,
    `metrics.csv`, TensorBoard events in `train/` and `validation/`, `best.weights.h5` (lowest
    `val_data_loss`, without validation lowest `data_loss`), `last.weights.h5`, and `state.npz`. The same
    call then goes on with a run that was killed, from its last whole epoch, and ends with the same
    numbers as if nothing had happened; a run that is finished is given back without training; with more
    `epochs` it is prolonged. What callbacks keep in plain attributes (`EarlyStopping` and the like) is
    resumed too. A second process that names the folder meanwhile is refused. Without `run_dir` nothing is
    written.

    On TensorFlow many steps run in one execution inside the graph, as many as take about a second,
    unless a callback wants to see every batch.

    Args:
        model: A Keras model. One that is compiled keeps its optimizer, loss and metrics.
        data: Arrays `(x, y)` or `(x, y, sample_weight)`, an `ImageData`, what a task makes of one
            (`task.prepared(data)`), or anything else that Keras's `fit` takes as a dataset. A dataset of
            your own is read from its start in every epoch: a resumed run is exact only if its order does
            not depend on how often it was read.
        epochs: Of the whole run, at least 1.
        validation: Evaluated after every epoch; what `data` may be. Images that are in `data` too are refused
            (`l2zoo.data.check_splits`), but in a dataset or a generator, into which nobody can look before.
        batch_size: Examples in a step, at least 1; the last batch of an epoch may be smaller. Datasets
            of your own have their own.
        optimizer: For `compile`. `None` is the model's own, else Adam.
        loss: For `compile`. `None` is the model's own, else sparse categorical cross-entropy.
        metrics: For `compile`. `None` is the model's own, else accuracy where `loss` is `None` too.
        l2: A strength in Keras's convention or a policy, applied to the model first. `None` leaves the
            model as it is, with the penalty it may have.
        run_dir: Folder of the run, made if missing.
        seed: Decides, with the number of the epoch, the order of the examples. Initial weights and
            dropout belong to the model: call `keras.utils.set_random_seed` before building it.
        resume: Whether to go on with the run in `run_dir`. False deletes that run and starts over.
        mixed_precision: Lets layers compute in float16 on a GPU, in bfloat16 elsewhere, for the time of
            this training; weights, penalties and the last layer stay float32.
        callbacks: Keras callbacks.
        verbose: Of Keras's `fit`: 0 is silent, 1 a progress bar, 2 a line an epoch.

    Returns:
        Keras's `History`, with all epochs of the run, also those of an earlier process.

    Raises:
        ValueError: Numbers out of range; data that is empty, not finite, or has labels that the model has
            no output for; images in both `data` and `validation`; a penalty was asked for and
            none reaches the loss; `run_dir` holds another run, or another process trains in it.
        OSError: `run_dir` cannot be written.
        FloatingPointError: The loss became NaN or infinite. The message says in which step, and what the
            penalty was.
        KeyboardInterrupt: On Ctrl-C; the message says how to go on.

    Example:
        >>> import numpy as np
        >>> x, y = np.eye(3).repeat(8, axis=0), np.arange(3).repeat(8)
        >>> softmax = keras.layers.Dense(3, activation="softmax")
        >>> model = keras.Sequential([keras.Input((3,)), softmax])
        >>> history = fit(model, (x, y), epochs=2, l2=1e-4, verbose=0)
        >>> sorted(history.history)
        ['accuracy', 'data_loss', 'l2_penalty', 'loss']
    """
    whole_number("epochs", epochs, at_least=1)
    whole_number("batch_size", batch_size, at_least=1)
    if validation is not None and validation is data:
        raise ValueError(
            "`validation` must hold other examples than `data`, got the same object twice: what a model is "
            "measured on it must never have seen. l2zoo.data.divided gives two parts of an ImageData."
        )
    room = 2 * model.count_params() if model.built else 0  # bytes: a state holds the weights at least
    with hold_folder(run_dir, argument="run_dir", room=room):
        train = feed_of(data, batch_size=batch_size, seed=seed)
        held_out = None
        if validation is not None:
            held_out = feed_of(validation, batch_size=batch_size, seed=seed, name="validation")
        feeds = {name: feed for name, feed in (("data", train), ("validation", held_out)) if feed is not None}
        for name, feed in feeds.items():
            check_readable(model, feed, epochs=epochs, name=name)
        if held_out is not None:
            check_validation(train, held_out)
        policy = None if l2 is None else L2Policy.of(l2)
        settings = _prepare(model, train, policy, optimizer=optimizer, loss=loss, metrics=metrics)
        check_inputs(model, train)
        for name, feed in feeds.items():
            check_targets(model, settings.get("loss"), feed, name=name)
            check_labels(model, settings.get("loss"), feed, name=name)
        if own_parts(model):
            with compiled_plainly(model, settings):
                check_step(model, train.first_batch(), policy)
        precision = mixed_policy() if mixed_precision else None
        run = _Run(model, settings, train, held_out, callbacks=callbacks, precision=precision)
        if run_dir is not None:
            run.open(RunFolder(run_dir), epochs=epochs, resume=resume, batch_size=batch_size, seed=seed)
        provenance.remember(model, data)
        return run.train(epochs, verbose)


def _prepare(
    model: keras.Model, train: Feed, policy: L2Policy | None, *, optimizer: Any, loss: Any, metrics: Any
) -> dict[str, Any]:
    """Builds the model if need be, puts the penalty on it, and gives the settings to compile it with."""
    if not model.built:
        zeros = train.zero_batch()
        if zeros is None:
            raise ValueError(
                f"Model {model.name!r} is not built. Call it once on a batch of your data first."
            )
        model(zeros[0])
    if policy is not None:
        policy.apply(model)
    check_penalty(model, policy)
    settings = compile_settings(model, optimizer=optimizer, loss=loss, metrics=metrics)
    if policy is not None and policy.decoupled and not hasattr(settings["optimizer"], "selection"):
        settings["optimizer"] = policy.optimizer(settings["optimizer"], model)
    check_optimizer(model, settings["optimizer"])
    return settings


class _Run:
    """One call of `fit`: a model, what it is compiled with and trained on, and perhaps a folder."""

    def __init__(
        self,
        model: keras.Model,
        settings: dict[str, Any],
        training: Feed,
        held_out: Feed | None,
        *,
        callbacks: Sequence[keras.callbacks.Callback],
        precision: str | None,
    ):
        self.model, self.settings = model, settings
        self.training, self.held_out = training, held_out
        self.callbacks, self.precision = list(callbacks), precision
        self.folder: RunFolder | None = None
        self.state: Snapshot | None = None

    def open(self, folder: RunFolder, *, epochs: int, resume: bool, **numbers: int) -> None:
        """Takes a folder for the run, and the state that is in it."""
        precision = self.precision or self.model.dtype_policy.name
        settings = settings_of_run(
            self.model, self.settings, self.training, self.held_out, precision=precision, **numbers
        )
        about = facts_of_run(self.model, self.callbacks, epochs=epochs, steps_per_epoch=self.training.steps)
        self.folder, self.state = folder, folder.open(settings, about, resume=resume)
        done = self.state.progress["epochs"] if self.state else 0
        if done > epochs:
            raise OtherRunError(
                f"`epochs` must be at least the {done} that the run in {str(folder.path)!r} has done, got "
                f"epochs={epochs}.",
                step="Use another folder, or start over with resume=False.",
            )

    def train(self, epochs: int, verbose: str | int) -> keras.callbacks.History:
        """Trains the epochs that are left, and gives the history of all."""
        recorder = Recorder(self.folder, self.state, self.callbacks)
        execution, divides = self._execution()
        with compile_for_fit(
            self.model, self.settings, steps_per_execution=execution, precision=self.precision
        ) as measures:
            if self.state:
                self.state.restore(self.model)
            parts = LossParts(
                measures,
                output_weights(self.model, self.settings),
                epochs=epochs,
                steps=self.training.steps,
                kept=str(self.folder.path) if self.folder else None,
            )
            done = epochs if recorder.stopped else epochs_in(recorder.history)
            batches, steps = self._batches(done, divides)
            try:
                history = self.model.fit(
                    batches,
                    steps_per_epoch=steps,
                    initial_epoch=done,
                    epochs=epochs,
                    validation_data=self.held_out.once() if self.held_out else None,
                    shuffle=False,  # they are shuffled, or a dataset of the caller's own
                    callbacks=[parts, *self.callbacks, recorder],
                    verbose=verbose,
                )
            except Exception as error:
                label = re.search(r"label value of (-?\d+) .* valid range of \[0, (\d+)\)", str(error))
                if label is None:
                    raise
                raise ValueError(
                    f"Labels in `data` must be in [0, {label[2]}), as the model has {label[2]} outputs, got "
                    f"{label[1]}. Build the model with more classes, or correct the labels."
                ) from error
            except KeyboardInterrupt:
                raise KeyboardInterrupt(self._how_to_go_on(epochs_in(recorder.history), epochs)) from None
            finally:
                recorder.close()
        history.history, history.epoch = recorder.history, list(range(epochs_in(recorder.history)))
        return history

    def _execution(self) -> tuple[int, bool]:
        """Steps that run in one execution, and whether they divide an epoch."""
        zeros, steps = self.training.zero_batch(), self.training.steps
        if steps is None or zeros is None or not output_losses(self.model, self.settings):
            return 1, True
        if not pace.loops_in_graph(self.model):
            return 1, True
        own = self.settings.get("steps_per_execution", 1)
        longest = own if own > 1 else pace.longest_execution(self.model, zeros[0], self.callbacks)
        return pace.divide(steps, longest)

    def _batches(self, done: int, divides: bool) -> tuple[Any, int | None]:
        """The batches from an epoch on, and after how many an epoch ends if they do not say it."""
        batches, steps = self.training.epochs_from(done), self.training.steps
        if isinstance(self.training, DatasetFeed) or steps is None:
            return batches, None
        return (batches, steps) if divides else (epoch_by_epoch(batches, steps), None)

    def _how_to_go_on(self, done: int, epochs: int) -> str:
        if self.folder is None:
            return f"Stopped in epoch {done + 1} of {epochs}. With run_dir= it could be resumed."
        return (
            f"Stopped in epoch {done + 1} of {epochs}. The {done} finished epochs are kept in "
            f"{str(self.folder.path)!r}: run the same call again to go on from there."
        )
