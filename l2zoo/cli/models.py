"""Commands about models: what they penalise, and what the zoo has."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from l2zoo.cli import options
from l2zoo.utils.console import say, show


def audit(
    model: options.Model,
    modules: options.Imports = None,
    json: options.Json = False,
    by: Annotated[
        str, options.word(lambda: ("weight", "layer-group"), help="A row for each: weight, or layer-group.")
    ] = "weight",
    only: Annotated[
        str, options.word(lambda: ("all", "problems"), help="What to show: all, or problems and the summary.")
    ] = "all",
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if there are problems.")] = False,
) -> None:
    """Show what MODEL penalises: every weight, its lambda, its share.

    Example: l2zoo audit my.keras --by layer-group
    """
    loaded = load_model(model, modules)
    from l2zoo.regularization.audit import audit as audit_model

    found = audit_model(loaded)
    if json:
        print_json(found.to_dict())
    elif only == "problems":
        show(found.summary, *(line for line in found.lines if line.startswith("!")))
    elif by == "layer-group":
        show(found.by_group(), *found.lines)
    elif sys.stdout.isatty():
        show(found)
    else:
        say(str(found))
    if strict and found.problems:
        raise typer.Exit(1)


def apply(
    model: options.Model,
    *,
    modules: options.Imports = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write, .keras.", dir_okay=False)],
    l2: Annotated[float, typer.Option("--l2", help="The strength, in the words of --convention.")],
    convention: Annotated[
        str, options.word(options.conventions, help="What the number means: keras, pytorch or mean.")
    ] = "keras",
    multiplier: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=FACTOR", help="Factor for a role, such as depthwise=0. Repeatable."),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB=FACTOR", help="Factor for the weights of these paths. Repeatable."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take off penalties already there.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output.")] = False,
) -> None:
    """Put an L2 penalty on every kernel of MODEL.

    Its weights and its optimizer stay as they are. The file is read back, and the summary of its audit
    printed.

    Example: l2zoo apply my.keras --l2 1e-4 --convention pytorch -o l2.keras
    """
    _check_output(output, force=force)
    multipliers, overrides = _factors(multiplier, "--multiplier"), _factors(override, "--override")
    from l2zoo.artifacts.formats import keras_file
    from l2zoo.regularization.audit import audit as audit_model
    from l2zoo.regularization.policy import HOW_TO_REPLACE, L2Policy
    from l2zoo.utils.storage.files import replacing

    policy = L2Policy(l2, convention=convention, multipliers=multipliers, overrides=overrides)
    loaded = load_model(model, modules)
    try:
        changed = policy.apply(loaded, replace=replace)
    except ValueError as error:
        raise ValueError(str(error).replace(HOW_TO_REPLACE, "--replace takes it off.")) from error
    with replacing(output) as partial:
        changed.save(partial)
        written = audit_model(keras_file.load_model(partial, compiled=False))
        _compare(audit_model(changed), written)
    say(written.summary)
    say(f"wrote {output}")


def convert(
    value: Annotated[float, typer.Argument(metavar="VALUE", help="In the source's words, such as 1e-4.")],
    source: Annotated[str, options.word(options.systems, "--from", help="Whose number it is.")],
    target: Annotated[str, options.word(options.systems, "--to", help="Who shall get it.")],
    data_loss: Annotated[
        str | None, options.word(options.data_losses, help="mse or crossentropy; for glmnet.")
    ] = None,
    num_samples: Annotated[int | None, typer.Option(help="Training examples; for scikit-learn.")] = None,
    num_outputs: Annotated[int, typer.Option(help="Outputs that the Keras loss is a mean of.")] = 1,
    num_parameters: Annotated[int | None, typer.Option(help="The model's parameters; for mean.")] = None,
    target_std: Annotated[float | None, typer.Option(help="Deviation of y; for glmnet with mse.")] = None,
    optimizer: Annotated[str, typer.Option(help="Who trains; for weight decay.")] = "sgd",
    momentum: Annotated[float, typer.Option(help="SGD's momentum; for keras_weight_decay.")] = 0.0,
    json: options.Json = False,
) -> None:
    """Say an L2 strength in the words of another system.

    What has no exact conversion is refused with the reason.

    The systems: keras, pytorch, mean, sklearn_ridge (alpha), sklearn_logistic (C), glmnet (lambda),
    keras_weight_decay (of SGD).

    Example: l2zoo convert 1e-4 --from pytorch --to keras
    """
    from l2zoo.regularization.convert import convert as convert_value

    converted = convert_value(
        value,
        source=source,
        target=target,
        data_loss=data_loss,
        num_samples=num_samples,
        num_outputs=num_outputs,
        num_parameters=num_parameters,
        target_std=target_std,
        optimizer=optimizer,
        momentum=momentum,
    )
    if json:
        print_json({"value": value, "from": source, "to": target, "converted": converted})
    else:
        say(repr(converted))


def list_zoo(
    pattern: Annotated[str | None, typer.Argument(help="Only names like this, such as 'resnet*'.")] = None,
    task: Annotated[str | None, options.word(options.tasks, help="Only models for this task.")] = None,
    json: options.Json = False,
) -> None:
    """List the models of the zoo.

    Example: l2zoo list --task classification
    """
    from l2zoo import zoo

    entries = {name: zoo.find(name) for name in zoo.list_models(pattern, task=task)}
    rows = [(name, entry.task, entry.source) for name, entry in entries.items()]
    columns = ("name", "task", "source")
    if json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif sys.stdout.isatty():
        from l2zoo.reports.table import Table

        show(Table.of(columns, rows))
    else:  # a line each, for other programs
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for name, kind, source in rows:
            say(f"{name:<{widths[0]}}  {kind:<{widths[1]}}  {source}")


def print_json(value: Any) -> None:
    """Prints JSON that a person can read too."""
    from json import dumps

    say(dumps(value, indent=2))


def load_model(path: Path, modules: list[str] | None) -> Any:
    """Loads a saved model or that of an artifact, once modules that register its classes are imported."""
    from l2zoo.artifacts import load
    from l2zoo.artifacts.formats import keras_file

    sys.path.insert(0, os.getcwd())
    for module in modules or []:
        importlib.import_module(module)
    # A model that was compiled and never trained has no state of its optimizer to load; nothing is lost.
    warnings.filterwarnings("ignore", message=".*whereas the saved optimizer has 2 variables")
    return load(path) if path.is_dir() else keras_file.load_model(path, compiled=True)


def _check_output(path: Path, *, force: bool) -> None:
    problem = ""
    if path.suffix != ".keras":
        problem = f"must end in .keras, got {path}."
    elif not path.parent.is_dir():
        problem = f"there is no folder {path.parent}."
    elif path.exists() and not force:
        problem = f"{path} exists; --force overwrites it."
    if problem:
        raise typer.BadParameter(problem, param_hint="--output")


def _compare(applied: Any, written: Any) -> None:
    """Raises unless a file penalises what was applied to the model that was saved in it."""
    rows = zip(applied.rows, written.rows, strict=True)
    lost = [one.path for one, other in rows if (one.l1, one.strength) != (other.l1, other.strength)]
    if lost:
        raise ValueError(
            f"The penalty of {len(lost)} weights is not in the file that Keras wrote, so nothing is left "
            f"behind: {', '.join(lost[:5])}. Let their layers have a regularizer argument that is in their "
            "get_config(), or apply the policy in Python, after loading."
        )


def _factors(given: list[str] | None, option: str) -> dict[str, float]:
    factors = {}
    for text in given or []:
        name, equals, factor = text.rpartition("=")
        try:
            factors[name] = float(factor)
        except ValueError:
            equals = ""
        if not (name and equals):
            raise typer.BadParameter(f"must read NAME=FACTOR, got {text!r}.", param_hint=option)
    return factors
