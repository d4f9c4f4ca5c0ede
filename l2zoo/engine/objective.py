"""What a training is scored by, and whether more or less of it is better."""

from __future__ import annotations

from collections.abc import Mapping

from l2zoo.utils.validation import one_of

# Where keras-tuner would not know: it goes by the names of some of Keras's metrics alone.
_MORE_IS_BETTER: tuple[str, ...] = ("accuracy", "auc", "dice", "iou", "io_u", "top5", "precision", "recall")
_MORE_IS_BETTER += ("f1_score", "fbeta_score", "r2_score", "r2", "correlation", "cosine_similarity")
_LESS_IS_BETTER = ("loss", "error", "mae", "mse", "rmse", "mape", "msle", "crossentropy", "divergence")


def choose_objective(metrics: Mapping[str, str], wanted: str | None) -> str:
    """The name of the score: the wanted one, or accuracy if it is measured, or the loss of the data.

    Args:
        metrics: What the model measures: the name of each of its results by the one that Keras gives it
            (`stable_names`). Both may be asked for.
        wanted: The name of one of them on the held-out fold, or None.

    Raises:
        ValueError: It is not measured, contains the penalty, or could be two of them.
    """
    names = ["val_data_loss"] + [f"val_{name}" for name in metrics.values() if name != "loss"]
    if wanted is None:
        return "val_accuracy" if "val_accuracy" in names else names[0]
    if wanted in ("loss", "val_loss"):
        raise ValueError(
            f"`objective`={wanted!r} contains the penalty and so favours none. Use one of {names}."
        )
    stable = metrics.get(wanted.removeprefix("val_"))
    meant = {name for name in (wanted, f"val_{stable}" if stable else "") if name in names}
    if len(meant) > 1:
        raise ValueError(
            f"`objective`={wanted!r} could be two of the metrics, whose names Keras has counted: give each a "
            "name without a number, as in keras.metrics.AUC(name='auc_of_cats')."
        )
    if not meant:
        one_of("objective", wanted, names)
    return meant.pop()


def direction(objective: str) -> str:
    """Whether more of a score is better, `"max"`, or less, `"min"`, as keras-tuner infers it.

    Raises:
        ValueError: It cannot be inferred from the name.
    """
    if objective.endswith(_LESS_IS_BETTER):
        return "min"
    if objective.endswith(_MORE_IS_BETTER):
        return "max"
    import keras_tuner

    try:
        return keras_tuner.oracles.GridSearchOracle(objective=objective).objective.direction
    except (ValueError, TypeError) as error:  # a metric whose class needs arguments ends in a TypeError
        raise ValueError(
            f"Is more or less of `objective`={objective!r} better? Say so: "
            f"objective=keras_tuner.Objective({objective!r}, 'max'), or 'min'."
        ) from error
