"""What a training is scored by, and whether more or less of it is better."""

from __future__ import annotations

from collections.abc import Iterable

_MORE_IS_BETTER = ("accuracy", "auc", "dice", "iou", "top5")  # where keras-tuner would not know


def choose_objective(metrics: Iterable[str], wanted: str | None) -> str:
    """The name of the score: the wanted one, or accuracy if it is measured, or the loss of the data.

    Args:
        metrics: What the model measures.
        wanted: The name of one of them on the held-out fold, or None.

    Raises:
        ValueError: It is not measured, or contains the penalty.
    """
    names = ["val_data_loss"] + [f"val_{name}" for name in metrics if name != "loss"]
    if wanted is None:
        return "val_accuracy" if "val_accuracy" in names else names[0]
    if wanted in ("loss", "val_loss"):
        raise ValueError(
            f"`objective`={wanted!r} contains the penalty and so favours none. Use one of {names}."
        )
    if wanted not in names:
        raise ValueError(f"`objective` must be one of {names}, got objective={wanted!r}.")
    return wanted


def direction(objective: str) -> str:
    """Whether more of a score is better, `"max"`, or less, `"min"`, as keras-tuner infers it.

    Raises:
        ValueError: It cannot be inferred from the name.
    """
    if objective.endswith("loss"):
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
