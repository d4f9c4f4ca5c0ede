"""The words that options take, each list from where it is kept; imported when it is asked for."""

from __future__ import annotations

from typing import get_args


def conventions() -> tuple[str, ...]:
    """What a strength may mean."""
    from l2zoo.regularization.convert import CONVENTIONS

    return CONVENTIONS


def systems() -> tuple[str, ...]:
    """Whose numbers are converted."""
    from l2zoo.regularization.convert import SYSTEMS

    return SYSTEMS


def data_losses() -> tuple[str, ...]:
    """To which a strength is added."""
    from l2zoo.regularization.convert import DATA_LOSSES

    return DATA_LOSSES


def tasks() -> list[str]:
    """What the models of the zoo are for."""
    from l2zoo import zoo

    return zoo.tasks()


def tasks_of_images() -> tuple[str, ...]:
    """Those of them of which there are real images to compare on."""
    from l2zoo.cli.examples import TASKS

    return TASKS


def formats() -> list[str]:
    """What a model may be exported to."""
    from l2zoo.artifacts.formats.table import FORMATS

    return list(FORMATS)


def runnable() -> tuple[str, ...]:
    """The formats that LiteRT runs."""
    from l2zoo.inference.interface import RUNNABLE

    return RUNNABLE


def runnable_or_auto() -> tuple[str, ...]:
    """The same, and the word for the first that is there."""
    return ("auto", *runnable())


def numbers() -> tuple[str, ...]:
    """What may go in and out of an int8 file."""
    from l2zoo.artifacts.formats.conversion import Numbers

    return get_args(Numbers)
