"""A keras-tuner `Tuner` with cross-validation: what a user of keras-tuner changes one line for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from l2zoo.engine.examples import concatenate, images_and_targets, take_weights, weights_of_rows
from l2zoo.engine.folds import Division, list_seeds
from l2zoo.engine.identity import fingerprint
from l2zoo.engine.job import Job
from l2zoo.engine.ledger import Ledger, States
from l2zoo.engine.local import engine_for
from l2zoo.engine.objective import direction
from l2zoo.engine.record import Value
from l2zoo.engine.run import Engine, Run
from l2zoo.search import strategies
from l2zoo.search.driver import Driver, split_plan
from l2zoo.search.progress import SearchProgress
from l2zoo.search.result import SearchResult
from l2zoo.utils.validation import one_of, whole_number


class L2Tuner(keras_tuner.Tuner):
    """Searches like any keras-tuner tuner, but scores every configuration by cross-validation.

    In place of `keras_tuner.GridSearch(hypermodel, objective="val_accuracy", ...)` write
    `L2Tuner(hypermodel, objective="val_accuracy", ...)`; the hypermodel stays as it is. One of its
    hyperparameters is the strength of L2; 0 is always tried, and the objective never contains the penalty.
    Afterwards `result` holds the whole answer.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, or a function `build(hp)`, that returns a model; its penalty
            follows the hyperparameter `strength`, by `L2Policy` or by Keras's regularizers.
        objective: A metric on the held-out fold, `"val_data_loss"` (the loss without the penalty), or a
            `keras_tuner.Objective` that says its direction too; by default accuracy if it is measured.
        strategy: `"grid"`, `"random"`, `"bayesian"`, `"hyperband"`, or an oracle of keras-tuner's.
        strength: Name of the hyperparameter that is the strength of L2.
        folds: A number of folds, at least 2, stratified by class where an image has one; a splitter of
            scikit-learn; or pairs of training and held-out rows.
        seeds: How often all is repeated with other folds and other initial weights; or the seeds.
        max_trials: How many configurations; by default all of a grid, 20, and 9 for Hyperband.
        max_epochs: Epochs of a whole training for Hyperband, which stops most earlier.
        choose: Which strength the final model gets, `"best"` or `"one_se"`.
        workers: How many trainings run at the same time, on Ray if more than 1.
        address: Of a Ray cluster that is running.
        engine: Makes another engine of a `Job`.
        optimizer: For a model that is not compiled.
        loss: Likewise.
        metrics: Likewise.
        hyperparameters: As in keras-tuner: overrides or adds to what the hypermodel asks for.
        directory: Where `project_name` is, with the ledger of finished trainings in it.
        project_name: The same name again goes on where a search was stopped.
        overwrite: Starts over, and keeps the old ledger under another name.

    Raises:
        ValueError: The hypermodel has no hyperparameter `strength`, or an argument is out of range.
        TypeError: The hypermodel has a `fit` of its own, which whole epochs inside the graph cannot call.
    """

    def __init__(
        self,
        hypermodel: Any,
        objective: str | keras_tuner.Objective | None = None,
        *,
        strategy: str | keras_tuner.Oracle = "grid",
        strength: str = "l2",
        folds: Any = 5,
        seeds: int | Sequence[int] = 1,
        max_trials: int | None = None,
        max_epochs: int = 20,
        choose: str = "best",
        workers: int = 1,
        address: str | None = None,
        engine: Callable[[Job], Engine] | None = None,
        optimizer: Any = "adam",
        loss: Any = "sparse_categorical_crossentropy",
        metrics: Sequence[Any] = ("accuracy",),
        hyperparameters: keras_tuner.HyperParameters | None = None,
        directory: str | Path | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
    ):
        self._folds = folds
        self._seeds = list_seeds(seeds)
        self._epochs = whole_number("max_epochs", max_epochs, at_least=1)
        self._choose = one_of("choose", choose, ("best", "one_se"))
        self._strength = strength
        self._objective = objective
        self._engine_factory = engine_for(engine, workers=workers, address=address)
        self._compiling = {"optimizer": optimizer, "loss": loss, "metrics": tuple(metrics)}
        self._resume = not overwrite
        self.folder = Path(directory or ".") / (project_name or "untitled_project")
        self.result: SearchResult | None = None
        self._job: Job | None = None
        if isinstance(strategy, str):
            strategy = strategies.oracle(
                one_of("strategy", strategy, strategies.STRATEGIES),
                objective=keras_tuner.Objective("score", "max"),  # until it is known what is measured
                space=hyperparameters or keras_tuner.HyperParameters(),
                epochs=self._epochs,
                max_trials=max_trials and whole_number("max_trials", max_trials, at_least=1),
                seed=self._seeds[0],
            )
        # keras-tuner's own state is made anew: the ledger, which lies beside it, is what is resumed.
        super().__init__(
            strategy, hypermodel, directory=str(self.folder), project_name="keras_tuner", overwrite=True
        )
        if type(self.hypermodel).fit is not keras_tuner.HyperModel.fit:
            raise TypeError(
                f"{type(self.hypermodel).__name__} has a `fit` of its own, but here whole epochs run inside "
                "the graph. Give what it does to `build` (the loss, the optimizer) or to callbacks."
            )
        if strength not in self.oracle.get_space().values:
            raise ValueError(
                f"`strength`={strength!r} is no hyperparameter of the hypermodel, which has "
                f"{sorted(self.oracle.get_space().values)}. Ask for it in `build(hp)`, as in "
                "`L2Policy(hp.Float('l2', 1e-6, 1e-1, sampling='log'))`, or say which one it is."
            )

    def search(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int | None = None,
        batch_size: int = 32,
        validation_data: tuple[Any, Any] | None = None,
        groups: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        weighted_scores: bool = False,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: bool | int = True,
    ) -> SearchResult:
        """Searches; `result`, `get_best_hyperparameters` and `get_best_models` have the answer afterwards.

        Args:
            x: Images `(N, H, W, C)` with pixels in [0, 255], or an `ImageData`.
            y: Integer labels `(N,)`.
            epochs: Passes over the training part of a fold; by default, and for Hyperband, `max_epochs`.
            batch_size: Images in a step.
            validation_data: Scores are taken on these instead of on folds. Then there is one training for
                each configuration, and no standard error.
            groups: What each image belongs to `(N,)`, such as a patient: none is on both sides of a fold.
            sample_weight: What each image weighs in the loss of a training `(N,)`.
            class_weight: Likewise by the number of its class.
            weighted_scores: Whether held-out images weigh as much in the loss and in `weighted_metrics`.
            callbacks: Keras callbacks that act between epochs, such as `EarlyStopping`; each training gets
                its own copies. The final model is trained for the median of the epochs that its folds used.
            verbose: Whether to show progress, on stderr.
        """
        hyperband = isinstance(self.oracle, keras_tuner.oracles.HyperbandOracle)
        epochs = self._epochs if epochs is None or hyperband else epochs
        objective, space = self._objective, self.oracle.get_space()
        data, sample_weight = take_weights(x if y is None else (x, y), sample_weight)
        arrays = self._arrays_and_folds(data, validation_data, groups)
        weights = weights_of_rows(arrays[1], sample_weight=sample_weight, class_weight=class_weight)
        self._job = job = Job(
            _build_from_values(self.hypermodel, space),
            *arrays,
            epochs=whole_number("epochs", epochs, at_least=1),
            batch_size=whole_number("batch_size", batch_size, at_least=1),
            **self._compiling,
            objective=objective if objective is None or isinstance(objective, str) else objective.name,
            reference={**space.values, self._strength: _largest_strength(space, self._strength)},
            strength=self._strength,
            callbacks=tuple(callbacks),
            groups=groups,
            weights=weights,
            weighted_scores=weighted_scores,
        )
        with contextlib.closing(self._engine_factory(job)) as engine:
            self.result = self._run(job, engine, visible=bool(verbose))
        return self.result

    def load_model(self, trial: Any) -> keras.Model:
        """The model of a trial, trained on all data: cross-validation leaves one in every fold, and none."""
        if self._job is None or self.result is None:
            raise ValueError("There are no models before `search` has ended.")
        values, _ = split_plan(trial.hyperparameters.values)
        if values == self.result.values:
            return self.result.model
        with contextlib.closing(self._engine_factory(self._job)) as engine:
            state = engine.train_on_all(values, seed=self._seeds[0], epochs=self._job.epochs)
        return self._job.final_model(values, seed=self._seeds[0], state=state)

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("A trial is many trainings here; `search` runs them, several at a time.")

    def _arrays_and_folds(self, data: Any, validation_data: Any, groups: Any) -> tuple[np.ndarray, Any, Any]:
        """Images, targets, and the folds or the one division into training and held-out rows."""
        x, y = images_and_targets("x", data)
        if validation_data is None:
            Division(y, self._folds, groups).check(self._seeds)
            return x, y, self._folds
        held_out = images_and_targets("validation_data", validation_data)
        rows = np.arange(len(x) + len(held_out[0]))
        return *concatenate((x, y), held_out), [(rows[: len(x)], rows[len(x) :])]

    def _run(self, job: Job, engine: Engine, *, visible: bool) -> SearchResult:
        """Searches, and trains the chosen configuration on all data."""
        mode = getattr(self._objective, "direction", None) or direction(engine.objective)
        self.oracle.objective = keras_tuner.Objective(engine.objective, mode)
        self.oracle.verbose = 0
        settings = {**engine.identity, "data": fingerprint(*keras.tree.flatten((job.x, job.y)))}
        ledger = Ledger(self.folder / "ledger.jsonl", settings=settings, resume=self._resume)
        progress = SearchProgress(
            metric=engine.objective, mode=mode, stopped=self._how_to_go_on, visible=visible
        )
        states = States(self.folder / "states")
        driver = Driver(
            job,
            Run(engine, ledger, progress, states),
            self.oracle,
            seeds=self._seeds,
            batch=strategies.batch(self.oracle),
            progress=progress,
        )
        started = time.perf_counter()
        with progress:
            selection = driver.run()
            chosen = getattr(selection, self._choose)
            values = {job.strength: chosen.strength, **dict(chosen.others)}
            states.clear()
            state = engine.train_on_all(values, seed=self._seeds[0], epochs=chosen.epochs)
        return SearchResult(
            selection,
            values=values,
            strength=job.strength,
            model=job.final_model(values, seed=self._seeds[0], state=state),
            epochs=sum(record.trained for record in driver.records),
            records=driver.records,
            seconds=time.perf_counter() - started,
            settings={**settings, "seeds": self._seeds, "strategy": type(self.oracle).__name__},
        )

    @property
    def _how_to_go_on(self) -> str:
        return f"What is finished is kept in {self.folder}: the same call goes on from there."


def _build_from_values(
    hypermodel: keras_tuner.HyperModel, space: keras_tuner.HyperParameters
) -> Callable[[dict[str, Value]], keras.Model]:
    """A hypermodel's `build(hp)` as the `build` of a `Job`; goes to workers, which have no oracle."""
    config = space.get_config()

    def build(values: dict[str, Value]) -> keras.Model:
        hp = keras_tuner.HyperParameters.from_config(config)
        hp.values = dict(values)
        return hypermodel.build(hp)

    return build


def _largest_strength(space: keras_tuner.HyperParameters, name: str) -> float:
    """The largest strength of a space: a model at 0 would not tell which weights have a penalty."""
    (parameter,) = [parameter for parameter in space.space if parameter.name == name][:1]
    largest = max(float(value) for value in parameter.values)
    if not largest > 0:
        raise ValueError(f"`{name}` must be able to be above 0, got values {list(parameter.values)}.")
    return largest
