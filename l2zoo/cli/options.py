"""What options and arguments may say: one of some words, an artifact or a model; all else is wrong usage.

The lists of words come from where they are kept, imported when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from l2zoo.utils.validation import did_you_mean


def word(list_words: Callable[[], Sequence[str]], *names: str, help: str) -> Any:  # noqa: A002
    """An option for one word of a list, which the shell completes.

    Args:
        list_words: Gives the list; called only when the option is, so that it may import what knows them.
        names: Of the option; after its parameter if none.
        help: The option's.
    """

    def parse(given: str) -> str:
        known = list_words()
        if given not in known:
            hint = did_you_mean(given, known)
            raise typer.BadParameter(f"must be one of {', '.join(known)}, got {given!r}.{hint}")
        return given

    def complete(incomplete: str) -> list[str]:
        return [one for one in list_words() if one.startswith(incomplete)]

    return typer.Option(*names, parser=parse, autocompletion=complete, metavar="WORD", help=help)


def numbers(text: str, option: str) -> list[float]:
    """The numbers of an option that takes several, as in 0,1e-4."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{option} must be numbers, as in 0,1e-4, got {option} {text!r}.") from None


# ---- Lists of words ----------------------------------------------------------------------------------------


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


def models() -> list[str]:
    """The zoo's."""
    from l2zoo import zoo

    return zoo.list_models()


def classifiers() -> list[str]:
    """Those that tell classes of images apart."""
    from l2zoo import zoo

    return zoo.list_models(task="classification")


def data_of_ours() -> tuple[str, ...]:
    """Data that need no download."""
    from l2zoo.data.sources.tfds import OURS

    return OURS


def tasks_of_images() -> tuple[str, ...]:
    """Those of them of which there are real images to compare on."""
    from l2zoo.cli.examples import TASKS

    return TASKS


def output_kinds() -> tuple[str, ...]:
    """What an output of a model may mean."""
    from l2zoo.tasks.output_kind import KINDS

    return tuple(KINDS)


def formats() -> list[str]:
    """What a model may be exported to."""
    from l2zoo.artifacts.formats.table import FORMATS

    return list(FORMATS)


def runnable() -> tuple[str, ...]:
    """The formats that LiteRT runs."""
    from l2zoo.inference.predictor import RUNNABLE

    return RUNNABLE


def runnable_or_auto() -> tuple[str, ...]:
    """The same, and the word for the first that is there."""
    return ("auto", *runnable())


def int8_numbers() -> tuple[str, ...]:
    """What may go in and out of an int8 file."""
    from l2zoo.artifacts.formats.conversion import Numbers

    return get_args(Numbers)


# ---- Artifacts and models ----------------------------------------------------------------------------------


def find_artifact(given: str) -> Path:
    """The folder of an artifact, by its path or by the name of a saved model."""
    return _find(given, "artifact's folder")


def find_model(given: str) -> Path:
    """A file of Keras's, or the folder of an artifact, which holds one."""
    path = Path(given).expanduser()
    return path if path.is_file() else _find(given, "file, no artifact's folder")


def complete_saved_model(incomplete: str) -> list[str]:
    """Names of saved models that begin so."""
    from l2zoo.artifacts.store import locations

    return [name for name in locations.saved_models() if name.startswith(incomplete)]


def _find(given: str, kinds: str) -> Path:
    from l2zoo.artifacts.store import locations

    try:
        return locations.find(given)
    except (FileNotFoundError, ValueError):  # for the command line, `name_or_folder` is no word
        known = locations.saved_models()
        none = "" if known else " None came along: give the folder of an artifact."
        hint = none or did_you_mean(given, known) or f" The saved models: {', '.join(known)}."
        raise typer.BadParameter(f"{given!r} is no {kinds} and no saved model.{hint}") from None


def _completing(list_words: Callable[[], Sequence[str]]) -> Callable[[str], list[str]]:
    """What the shell completes by a list that is not all that may be said."""
    return lambda incomplete: [one for one in list_words() if one.startswith(incomplete)]


Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="Ours, such as l2zoo_digits, which need no download; a TFDS name; or folder:PATH.",
        autocompletion=_completing(data_of_ours),
    ),
]
Classifier = Annotated[
    str,
    typer.Option(help="A classifier of the zoo: see l2zoo list.", autocompletion=_completing(classifiers)),
]
AnyModel = Annotated[
    str | None,
    typer.Option(
        help="Of the zoo: see l2zoo list. Its task is then the task.", autocompletion=_completing(models)
    ),
]
Artifact = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", help="An exported artifact, or the name of a saved model.",
        parser=find_artifact, autocompletion=complete_saved_model,
    ),
]  # fmt: skip
Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A saved Keras model, .keras; or an artifact, as for verify.",
        parser=find_model, autocompletion=complete_saved_model,
    ),
]  # fmt: skip
Imports = Annotated[
    list[str] | None,
    typer.Option("--import", metavar="MODULE", help="Import it first: it registers MODEL's own classes."),
]
Formats = Annotated[str, typer.Option(help="As in savedmodel,tflite,tflite_fp16,tflite_int8.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Threshold = Annotated[
    float | None, typer.Option(help="Probability from which on a class is there, of two or of many at once.")
]
MinScore = Annotated[float | None, typer.Option(help="Score from which on a box is there; 0.3 if not said.")]
Runnable = Annotated[
    str, word(runnable_or_auto, "--format", "-f", help="tflite, tflite_fp16, tflite_int8, ...")
]
Trusted = Annotated[
    bool, typer.Option("--trusted", help="You know whose it is: open it in this process, SavedModel too.")
]
PublicKey = Annotated[
    Path | None, typer.Option(help="Key by which it must be signed, PEM.", exists=True, dir_okay=False)
]
Threads = Annotated[int, typer.Option(help="On which it computes.")]
