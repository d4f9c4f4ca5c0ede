"""Commands about artifacts: write them, check them, run them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from l2zoo.cli.models import Imports, Model, load
from l2zoo.quiet import without_chatter

EXAMPLES = 256  # of the test split, on which files are compared with the model
CALIBRATION = 200  # images from which int8 learns its ranges

_Artifact = Annotated[
    Path, typer.Argument(metavar="DIR", help="An exported artifact, or the name of a saved model.")
]
_Format = Annotated[str, typer.Option("--format", "-f", help="tflite, tflite_fp16, tflite_int8, ...")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def export(
    model: Model,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the artifact.")],
    data: Annotated[
        str | None,
        typer.Option(help="Real images to compare on: a TFDS name or folder:PATH. That of --calibrate."),
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Images from which int8 learns its ranges. That of --data."),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help="savedmodel, tflite, tflite_int8, ... Repeatable."),
    ] = None,
    task: Annotated[str, typer.Option(help="classification, segmentation or detection.")] = "classification",
    data_dir: Annotated[Path | None, typer.Option(help="Where TFDS keeps prepared data.")] = None,
    split: Annotated[str, typer.Option(help="Of --data.")] = "test",
    calibrate_split: Annotated[str, typer.Option(help="Of --calibrate.")] = "train",
    name: Annotated[str | None, typer.Option(help="Title of the artifact. That of the model.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an artifact that is there.")
    ] = False,
    modules: Imports = None,
) -> None:
    """Write MODEL as files to deploy, each compared with it.

    Example: l2zoo export my.keras -o out --data mnist -f savedmodel -f tflite_int8
    """
    source = data or calibrate
    if source is None:
        raise typer.BadParameter("real images are needed to compare on.", param_hint="--data")
    loaded = load(model, modules)
    from l2zoo.artifact import Card, Conversion
    from l2zoo.artifact import export as export_model

    taken, chosen, card = _examples(loaded, task, source, split, data_dir, EXAMPLES)
    calibration = _examples(loaded, task, calibrate or source, calibrate_split, data_dir, CALIBRATION)[0][0]
    artifact = export_model(
        chosen.deployed(loaded),
        output,
        sample=taken[0],
        formats=formats or ("savedmodel", "tflite"),
        measure=None if card is None else lambda outputs: chosen.scores(outputs, taken[1]),
        conversion=Conversion(calibration=calibration),
        card=Card(name=name, **(card or {})),
        overwrite=overwrite,
    )
    _print(str(artifact))


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An exported artifact.", exists=True)],
    public_key: Annotated[
        Path | None, typer.Option(help="Also check the signature, by this key.", exists=True, dir_okay=False)
    ] = None,
) -> None:
    """Check that an artifact is whole and answers like its model.

    Example: l2zoo verify runs/demo/artifact
    """
    if public_key is not None:
        from l2zoo.artifact.signing import check_signature

        check_signature(folder, public_key)
    with without_chatter():
        from l2zoo.artifact import verify as verify_artifact

    typer.echo(str(verify_artifact(folder)))
    typer.echo("verified" if public_key is None else "verified, and signed by this key")


def sign(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An exported artifact.", exists=True)],
    key: Annotated[Path, typer.Option(help="Your private key, PEM.", exists=True, dir_okay=False)],
) -> None:
    """Sign an artifact, so that others can tell that it is yours.

    Example: l2zoo sign runs/demo/artifact --key private.pem
    """
    from l2zoo.artifact.signing import sign as sign_artifact

    typer.echo(f"wrote {sign_artifact(folder, key)}")


def predict(
    artifact: _Artifact,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files.")],
    format: _Format = "auto",  # noqa: A002
    threads: Annotated[int, typer.Option(help="On which it computes.")] = 1,
    top: Annotated[int, typer.Option(help="How many classes are shown.", min=1)] = 3,
    save: Annotated[Path | None, typer.Option(help="Draw the answers, .png, .svg or .pdf.")] = None,
    json: _Json = False,
) -> None:
    """Say what is in images, by an artifact's file, without TensorFlow.

    Example: l2zoo predict runs/demo/artifact photo.png --save said.png
    """
    from l2zoo.runtime import Predictor

    with without_chatter():
        predictor = Predictor(artifact, format=format, threads=threads)
    found = predictor.predict(images)
    if json:
        from json import dumps

        rows = [{"image": str(path), **one.to_dict()} for path, one in zip(images, found, strict=True)]
        typer.echo(dumps(rows, indent=2))
    else:
        _print(_answers(images, found, top))
    if save is not None:
        from l2zoo.runtime.pictures import picture_of_results

        typer.echo(f"wrote {picture_of_results(images, found, save)}", err=json)


def bench(
    artifact: _Artifact,
    formats: Annotated[
        list[str] | None, typer.Option("--format", "-f", help="Only these formats. Repeatable.")
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(help="How many threads; one if not said. Repeatable.", min=1)
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long each is timed.")] = 1.0,
    save: Annotated[Path | None, typer.Option(help="Draw it, .png, .svg or .pdf.")] = None,
    json: _Json = False,
) -> None:
    """Time an artifact's files: latency, size and metrics side by side.

    Example: l2zoo bench runs/demo/artifact --threads 1 --threads 2 --save bench.png
    """
    from l2zoo.runtime import latency

    with without_chatter():
        found = latency.latencies(artifact, formats=formats, threads=threads or (1,), seconds=seconds)
    if json:
        from json import dumps

        typer.echo(dumps([one.to_dict() for one in found], indent=2))
    else:
        _print(latency.table(found))
    if save is not None:
        typer.echo(f"wrote {latency.picture(found, save)}", err=json)


def _examples(
    model: Any, task: str, source: str, split: str, data_dir: Path | None, most: int
) -> tuple[tuple[Any, Any], Any, dict[str, Any] | None]:
    """Inputs with targets, the task, and what a card says of it if the classes of data and model agree."""
    from l2zoo import tasks
    from l2zoo.arguments import one_of
    from l2zoo.data import load as load_data

    kinds = {
        "classification": tasks.Classification,
        "segmentation": tasks.Segmentation,
        "detection": tasks.Detection,
    }
    one_of("task", task, tuple(kinds))
    size = tuple(model.inputs[0].shape[1:3])
    data = load_data(source, split, task=task, data_dir=data_dir, image_size=None if None in size else size)
    chosen = kinds[task](data.class_names)
    if task != "detection":
        same = model.outputs[0].shape[-1] == data.num_classes
    else:  # final boxes do not tell how many classes there are
        logits = model.output.get("class_logits")
        same = logits is None or logits.shape[-1] == data.num_classes
    card = {"task": task, "class_names": data.class_names, "data": f"Compared on {data.name} {data.split}."}
    return chosen.examples(model, data, most), chosen, card if same else None


def _answers(images: list[Path], found: list[Any], top: int) -> Any:
    """A row for each image and class, mask or box."""
    from rich.table import Table

    from l2zoo.runtime.results import Classified, Detected

    table = Table()
    boxes = isinstance(found[0], Detected)
    kinds = {
        True: ("score", "box"),
        False: ("probability",) if isinstance(found[0], Classified) else ("share",),
    }
    for heading in ("image", "class", *kinds[boxes]):
        table.add_column(heading, justify="left" if heading in ("image", "class") else "right")
    for path, one in zip(images, found, strict=True):
        rows: list[tuple[str, ...]]
        if isinstance(one, Classified):
            rows = [(name, f"{share:.4f}") for name, share in one.top(top)]
        elif isinstance(one, Detected):
            parts = zip(one.names, one.scores, one.boxes_xyxy, strict=True)
            rows = [(name, f"{s:.3f}", " ".join(f"{x:.0f}" for x in box)) for name, s, box in parts]
        else:
            rows = [(name, f"{share:.4f}") for name, share in one.shares.items()]
        for number, row in enumerate(rows or [("nothing",)]):
            table.add_row("" if number else str(path), *row)
    return table


def _print(shown: Any) -> None:
    from rich.console import Console

    Console(soft_wrap=isinstance(shown, str)).print(shown, markup=False, highlight=False)
