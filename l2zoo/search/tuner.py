"""A keras-tuner `Tuner` with cross-validation: what a user of keras-tuner changes one line for."""

from __future__ import annotations

import contextlib
import inspect
import math
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from l2zoo.data import check_splits, provenance
from l2zoo.engine.examples import (
    check_order,
    concatenate,
    groups_in,
    images_and_targets,
    take_weights,
    weights_of_rows,
)
from l2zoo.engine.folds import Division, list_seeds
from l2zoo.engine.identity import fingerprint
from l2zoo.engine.job import Job
from l2zoo.engine.ledger import Ledger, States
from l2zoo.engine.objective import direction
from l2zoo.engine.run import Engine, Run
from l2zoo.engine.workers.local import engine_for
from l2zoo.search import hypermodels, strategies
from l2zoo.search import keras_tuner_scripts as scripts
from l2zoo.search.driver import Driver, split_plan, strength_and_others
from l2zoo.search.progress import SearchProgress
from l2zoo.search.ranking import rank_trials
from l2zoo.search.result import SearchResult
from l2zoo.utils.storage.earlier_run import check_kind
from l2zoo.utils.storage.held_folder import hold_folder
from l2zoo.utils.validation import check_number, one_of, whole_number

# Of a model that is not compiled, where nothing is given.
COMPILING = {
    "optimizer": "adam",
    "loss": "sparse_categorical_crossentropy",
    "metrics": ("accuracy",),
}

STATE = "keras_tuner"
"""Folder of keras-tuner's own state in that of a search."""
_OF_STATE = re.compile(r"oracle\.json|tuner\d+\.json|trial_.*")


class L2Tuner(keras_tuner.Tuner):
    """Searches like any keras-tuner tuner, but scores every configuration by cross-validation.

    In place of `keras_tuner.GridSearch(hypermodel, objective="val_accuracy", ...)` write
    `L2Tuner(hypermodel, objective="val_accuracy", ...)`; the hypermodel stays as it is. One of its
    hyperparameters is the strength of L2; 0 is always tried, and the objective never contains the penalty.
    The other strategies try what keras-tuner's tuner of that name tries, for the same `seed` and scores, but
    for Hyperband, of which there is one bracket here. Afterwards `result` holds the whole answer.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, or a function `build(hp)`, that returns a model; its penalty
            follows the hyperparameter `strength`, by `L2Policy` or by Keras's regularizers.
        objective: A metric on the held-out fold, `"val_data_loss"` (the loss without the penalty), or a
            `keras_tuner.Objective` that says its direction too; by default that of the oracle, or accuracy if
            it is measured.
        strategy: `"grid"`, `"random"`, `"bayesian"`, `"hyperband"`, or an oracle of keras-tuner's.
        strength: Name of the hyperparameter that is the strength of L2.
        folds: A number of folds, at least 2, stratified by class where an image has one; a splitter of
            scikit-learn; or pairs of training and held-out rows.
        seeds: How often all is repeated with other folds and other initial weights; or the seeds.
        max_trials: How many configurations; by default all of a grid, 20, and 9 for Hyperband.
        max_epochs: Epochs of a whole training for Hyperband, which stops most earlier.
        choose: Which strength the final model gets, `"best"` or `"one_se"`.
        until: An effect, in the units of the score: the best strength above 0 and 0 are trained on fresh
            divisions until the verdict can tell it, no number of folds can, or `max_seeds` are used up.
        max_seeds: Of all together, those of `until` included.
        workers: How many trainings run at the same time, on Ray if more than 1.
        address: Of a Ray cluster that is running.
        engine: Makes another engine of a `Job`.
        optimizer: In the place of what the hypermodel compiles with, as in keras-tuner. A model that is not
            compiled gets Adam, sparse categorical cross-entropy and accuracy by default.
        loss: Likewise.
        metrics: Likewise.
        hyperparameters: As in keras-tuner: overrides or adds to what the hypermodel asks for.
        tune_new_entries: As in keras-tuner: whether what is not in `hyperparameters` is searched too.
        allow_new_entries: As in keras-tuner: whether the hypermodel may ask for it at all.
        executions_per_trial: keras-tuner's name for `seeds`, if that is a number.
        seed: Of what a strategy draws, as in keras-tuner; by default it follows from the first of `seeds`.
        directory: Where `project_name` is, with the ledger of finished trainings in it.
        project_name: The same name again goes on where a search was stopped.
        overwrite: Starts over, and keeps the old ledger under another name.
        **elsewhere: Other arguments of keras-tuner's tuners are refused with what to write instead.

    Raises:
        ValueError: The hypermodel has no hyperparameter `strength`, or it is declared with something else
            than numbers >= 0; an argument is out of range; or another process searches in the folder.
        TypeError: The hypermodel has a `fit` of its own, which whole epochs inside the graph cannot call; or
            an argument is of another type or has no place here.
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
        until: float | None = None,
        max_seeds: int = 20,
        workers: int = 1,
        address: str | None = None,
        engine: Callable[[Job], Engine] | None = None,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Sequence[Any] | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        executions_per_trial: int = 1,
        seed: int | None = None,
        directory: str | Path | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
        **elsewhere: Any,
    ):
        scripts.refuse_arguments(
            "L2Tuner", elsewhere, scripts.OF_TUNERS, inspect.signature(L2Tuner).parameters
        )
        scripts.refuse_hooks(type(self), L2Tuner)
        scripts.refuse_chief_and_workers()
        self._folds = folds
        self._seeds = _seeds(seeds, executions_per_trial)
        self._epochs = whole_number("max_epochs", max_epochs, at_least=1)
        self._choose = one_of("choose", choose, ("best", "one_se"))
        self._until = _effect(until, seeds=self._seeds, max_seeds=max_seeds)
        self._max_seeds = max_seeds
        self._strength = strength
        self._objective = scripts.single_objective(objective)
        self._engine_factory = engine_for(engine, workers=workers, address=address)
        given = {"optimizer": optimizer, "loss": loss, "metrics": metrics and tuple(metrics)}
        self._compiling = {name: value for name, value in given.items() if value is not None}
        self._resume = not overwrite
        self.folder = Path(directory or ".") / (project_name or "untitled_project")
        self.result: SearchResult | None = None
        self._job: Job | None = None
        self._ranking: list[Any] = []
        settings = {
            "max_trials": max_trials and whole_number("max_trials", max_trials, at_least=1),
            "hyperparameters": hyperparameters,
            "tune_new_entries": tune_new_entries,
            "allow_new_entries": allow_new_entries,
            "seed": seed and whole_number("seed", seed, at_least=0),
        }
        # keras-tuner's own state is made anew: the ledger, which lies beside it, is what is resumed.
        with self._hold():
            _check_own(self.folder / STATE)
            super().__init__(
                self._oracle(strategy, settings),
                hypermodels.check(hypermodel),
                directory=str(self.folder),
                project_name=STATE,
                overwrite=True,
            )
        self._largest = hypermodels.largest_strength(self.oracle.get_space(), strength)

    def search(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int | None = None,
        batch_size: int = 32,
        validation_data: tuple[Any, Any] | None = None,
        validation_split: float = 0.0,
        groups: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        weighted_scores: bool = False,
        callbacks: Sequence[keras.callbacks.Callback] | None = (),
        verbose: bool | int | str = True,
        **elsewhere: Any,
    ) -> SearchResult:
        """Searches; `result`, `get_best_hyperparameters` and `get_best_models` have the answer afterwards.

        Args:
            x: Images `(N, H, W, C)` with pixels in [0, 255], or an `ImageData`.
            y: Targets in the form that the loss takes, N rows.
            epochs: Passes over the training part of a fold; by default, and for Hyperband, `max_epochs`.
            batch_size: Images in a step.
            validation_data: Scores are taken on these instead of on folds. Then there is one training for
                each configuration, and no standard error.
            validation_split: Likewise on this share of `x` and `y`, the last rows, as in Keras's `fit`.
            groups: What each image belongs to `(N,)`, such as a patient: none is on both sides of a fold. By
                default the `groups` of an `ImageData`. Equal images are kept on one side anyway.
            sample_weight: What each image weighs in the loss of a training `(N,)`.
            class_weight: Likewise by the number of its class.
            weighted_scores: Whether held-out images weigh as much in the loss and in `weighted_metrics`.
            callbacks: Keras callbacks that act between epochs, such as `EarlyStopping`; each training gets
                its own copies. The final model is trained for the median of the epochs that its folds used.
            verbose: Whether to show progress, on stderr.
            **elsewhere: Other arguments of Keras's `fit` are refused with what to write instead.
        """
        known = inspect.signature(L2Tuner.search).parameters
        scripts.refuse_arguments("L2Tuner.search", elsewhere, scripts.OF_FIT, known)
        hyperband = isinstance(self.oracle, keras_tuner.oracles.HyperbandOracle)
        if epochs is None or hyperband:
            epochs = self.oracle.max_epochs if hyperband else self._epochs
        objective, space = self._objective, self.oracle.get_space()
        data, sample_weight = take_weights(x if y is None else (x, y), sample_weight)
        if validation_data is None and not validation_split:
            groups = groups_in(data, groups)
            check_order(data, self._folds)
        arrays = self._arrays_and_folds(data, validation_data, validation_split, groups)
        weights = weights_of_rows(arrays[1], sample_weight=sample_weight, class_weight=class_weight)
        self._job = job = Job(
            hypermodels.build_from_values(self.hypermodel, space, self._compiling),
            *arrays,
            epochs=whole_number("epochs", epochs, at_least=1),
            batch_size=whole_number("batch_size", batch_size, at_least=1),
            **{**COMPILING, **self._compiling},
            objective=objective if objective is None or isinstance(objective, str) else objective.name,
            reference=hypermodels.reference_values(space, self._strength, self._largest),
            strength=self._strength,
            callbacks=tuple(callbacks or ()),
            groups=groups,
            weights=weights,
            weighted_scores=weighted_scores,
        )
        if self._until is not None and not job.division.varies:
            raise ValueError(
                "`until` needs folds that every seed divides anew, but these are the same for all: give a "
                "number of folds, or a splitter that shuffles; or leave `until` out."
            )
        with self._hold(), contextlib.closing(self._engine_factory(job)) as engine:
            self.result = self._run(job, engine, visible=bool(verbose))
        provenance.remember(self.result.model, x if y is None else None)
        return self.result

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[keras_tuner.HyperParameters]:
        """The hyperparameters of the best configurations, first those of the final model, `result.values`."""
        return [trial.hyperparameters for trial in self._best_trials(num_trials)]

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """The models of the best configurations, trained on all data; the first is `result.model`."""
        return [self.load_model(trial) for trial in self._best_trials(num_models)]

    def results_summary(self, num_trials: int = 10) -> None:
        """Prints the best configurations as keras-tuner does, and what the search says about L2."""
        best = self._best_trials(num_trials)
        print(f"Results summary\nResults in {self.folder}\nShowing {num_trials} best trials")
        print(self.oracle.objective)
        for trial in best:
            print()
            trial.summary()
        assert self.result is not None
        print(f"\n{self.result.verdict}")

    def load_model(self, trial: Any) -> keras.Model:
        """The model of a trial, trained on all data: cross-validation leaves one in every fold, and none."""
        if self._job is None or self.result is None:
            raise ValueError(self._no_answer_yet)
        strength, others = strength_and_others(split_plan(trial.hyperparameters.values)[0], self._strength)
        values = {self._strength: strength, **dict(others)}
        if values == self.result.values:
            return self.result.model
        candidates = [c for c in self.result.selection.every if (c.strength, c.others) == (strength, others)]
        epochs = [c.epochs for c in candidates if c.epochs and c not in self.result.selection.stopped]
        with contextlib.closing(self._engine_factory(self._job)) as engine:
            state = engine.train_on_all(
                values, seed=self._seeds[0], epochs=epochs[0] if epochs else self._job.epochs
            )
        model = self._job.final_model(values, seed=self._seeds[0], state=state)
        return provenance.hand_on(self.result.model, model)

    def reload(self) -> None:
        """keras-tuner's way back to a search that was stopped; here it is the ledger's.

        Raises:
            ValueError: Always; it says what to call.
        """
        raise ValueError(
            f"There is nothing to reload: call `search` as before. What {self.folder} has is not trained "
            "again, so a search that had ended answers at once."
        )

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("A trial is many trainings here; `search` runs them, several at a time.")

    def _hold(self) -> contextlib.AbstractContextManager[None]:
        """Keeps other processes out of the folder, and this search out of that of another kind of run."""
        check_kind(self.folder, "a search or a comparison", argument="directory")
        return hold_folder(self.folder, argument="directory")

    def _oracle(self, strategy: Any, settings: dict[str, Any]) -> keras_tuner.Oracle:
        """The oracle that was given, or that of a strategy."""
        if isinstance(strategy, keras_tuner.Oracle):
            scripts.refuse_beside_an_oracle(settings)
            if self._objective is None:
                self._objective = scripts.objective_of(strategy)
            return strategy
        if not isinstance(strategy, str):
            raise TypeError(
                f"`strategy` must be one of {list(strategies.STRATEGIES)}, or an oracle such as "
                f"keras_tuner.oracles.RandomSearchOracle(max_trials=10), got {strategy!r}."
            )
        return strategies.oracle(
            one_of("strategy", strategy, strategies.STRATEGIES),
            objective=keras_tuner.Objective("score", "max"),  # until it is known what is measured
            epochs=self._epochs,
            **{**settings, "seed": settings["seed"] or self._seeds[0] + 1},
        )

    def _best_trials(self, count: int) -> list[Any]:
        if self.result is None:
            raise ValueError(self._no_answer_yet)
        return self._ranking[:count]

    def _arrays_and_folds(
        self, data: Any, validation_data: Any, validation_split: float, groups: Any
    ) -> tuple[np.ndarray, Any, Any]:
        """Images, targets, and the folds or the one division into training and held-out rows."""
        x, y = images_and_targets("x", data)
        elsewhere = validation_data is not None or bool(validation_split)
        if elsewhere and not (isinstance(self._folds, int) and groups is None):
            raise ValueError(
                "A splitter as `folds` and `groups` divide `x`, but `validation_data` or `validation_split` "
                "says what scores are taken on. Give one or the other."
            )
        if validation_data is None and validation_split:
            rows, last = _last_rows(len(x), validation_split)
            check_splits(x[rows], x[last], names=("x", "validation_split"))
            return x, y, [(rows, last)]
        if validation_data is None:
            Division(y, self._folds, groups, images=x).check(self._seeds)
            return x, y, self._folds
        held_out = images_and_targets("validation_data", validation_data)
        check_splits(x, held_out[0], names=("x", "validation_data"))
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
            declare=self.hypermodel.build,
            seeds=self._seeds,
            batch=strategies.batch(self.oracle),
            progress=progress,
            until=self._until,
            max_seeds=self._max_seeds,
        )
        started = time.perf_counter()
        with progress:
            selection = driver.run()
            chosen = getattr(selection, self._choose)
            values = {job.strength: chosen.strength, **dict(chosen.others)}
            states.clear()
            state = engine.train_on_all(values, seed=self._seeds[0], epochs=chosen.epochs)
        self._ranking = rank_trials(selection, self.oracle, strength=job.strength, first=chosen)
        return SearchResult(
            selection,
            values=values,
            strength=job.strength,
            model=job.final_model(values, seed=self._seeds[0], state=state),
            epochs=sum(record.trained for record in driver.records),
            records=driver.records,
            seconds=time.perf_counter() - started,
            settings={**settings, "seeds": self._seeds, "strategy": type(self.oracle).__name__},
            folder=self.folder,
        )

    @property
    def _how_to_go_on(self) -> str:
        return f"What is finished is kept in {self.folder}: the same call goes on from there."

    @property
    def _no_answer_yet(self) -> str:
        return (
            f"There is no answer before `search` has ended. If it had, call it as before: what {self.folder} "
            "has is not trained again."
        )


def _check_own(folder: Path) -> None:
    """Raises if a folder holds something else than keras-tuner's state, which is made anew."""
    foreign = sorted(path.name for path in folder.glob("*") if not _OF_STATE.fullmatch(path.name))
    if foreign or folder.is_symlink():
        raise ValueError(
            f"`directory` holds {folder.name}, which a search would replace and which is not a search's, got "
            f"directory={str(folder.parent)!r} with {foreign[:3]} in it. Choose another directory."
        )


def _seeds(seeds: int | Sequence[int], executions_per_trial: int) -> list[int]:
    """The seeds, from whichever of the two says something."""
    executions = whole_number("executions_per_trial", executions_per_trial, at_least=1)
    if executions > 1 and seeds != 1:
        raise ValueError(
            f"`executions_per_trial` and `seeds` say the same, got executions_per_trial={executions} and "
            f"seeds={seeds!r}: give one of them."
        )
    return list_seeds(executions if executions > 1 else seeds)


def _effect(until: float | None, *, seeds: Sequence[int], max_seeds: int) -> float | None:
    """The effect that is to be told, checked, and that there is a seed left for it."""
    if until is None:
        return None
    if whole_number("max_seeds", max_seeds, at_least=1) <= len(seeds):
        raise ValueError(
            f"`until` goes on with fresh seeds, so `max_seeds` must be above the {len(seeds)} of `seeds`, "
            f"got max_seeds={max_seeds}."
        )
    if not check_number("until", until):
        raise ValueError("`until` must be above 0: no number of trainings tells an effect of 0.")
    return float(until)


def _last_rows(count: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Training and held-out rows as Keras's `fit` divides them: the last share is held out."""
    first = math.floor(count * (1 - check_number("validation_split", share)))
    if not 0 < first < count:
        raise ValueError(
            f"`validation_split` must leave rows on both sides of {count}, got validation_split={share}."
        )
    return np.arange(first), np.arange(first, count)
