"""Commands about artifacts: write them, check them, run them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from l2zoo.cli import values, words
from l2zoo.cli.models import Imports, dumped, load
from l2zoo.utils.console import without_chatter

EXAMPLES = 256  # of the test split, on which files are compared with the model
CALIBRATION = 200  # images from which int8 learns its ranges


def export(
    model: values.Model,
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
        values.one_of(
            words.formats, "--format", "-f", help="savedmodel, tflite, tflite_int8, ... Repeatable."
        ),
    ] = None,
    task: Annotated[
        str, values.one_of(words.tasks_of_images, help="classification, segmentation or detection.")
    ] = "classification",
    data_dir: Annotated[Path | None, typer.Option(help="Where TFDS keeps prepared data.")] = None,
    split: Annotated[str, typer.Option(help="Of --data.")] = "test",
    calibrate_split: Annotated[str, typer.Option(help="Of --calibrate.")] = "train",
    int8_io: Annotated[
        str,
        values.one_of(
            words.numbers, "--int8-io", help="What tflite_int8 takes and gives: float32, uint8 or int8."
        ),
    ] = "float32",
    allow_float: Annotated[
        bool, typer.Option("--allow-float", help="Ship quantised files of which a part stayed float.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="Title of the artifact. That of the model.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an artifact that is there.")
    ] = False,
    modules: Imports = None,
    json: values.Json = False,
) -> None:
    """Write MODEL as files to deploy, each compared with it.

    Example: l2zoo export my.keras -o out --data mnist -f savedmodel -f tflite_int8
    """
    source = data or calibrate
    if source is None:
        raise typer.BadParameter("real images are needed to compare on.", param_hint="--data")
    loaded = load(model, modules)
    choices: dict[str, Any] = {"int8_io": int8_io, "allow_float": allow_float}
    with without_chatter():
        from l2zoo.artifacts import Card, Conversion
        from l2zoo.artifacts import export as export_model
        from l2zoo.cli import examples

        found = examples.taken(loaded, task, examples.Source(source, split, data_dir), EXAMPLES)
        others = examples.Source(calibrate or source, calibrate_split, data_dir)
        calibration = examples.taken(loaded, task, others, CALIBRATION).inputs
        artifact = export_model(
            found.task.deployed(loaded),
            output,
            sample=found.inputs,
            formats=formats or ("savedmodel", "tflite"),
            measure=None if found.card is None else lambda said: found.task.scores(said, found.targets),
            conversion=Conversion(calibration=calibration, **choices),
            card=Card(name=name, **(found.card or {})),
            overwrite=overwrite,
        )
    if json:
        typer.echo(dumped(_held(artifact)))
    else:
        _print(str(artifact))


def verify(
    folder: values.Artifact,
    public_key: Annotated[
        Path | None, typer.Option(help="Also check the signature, by this key.", exists=True, dir_okay=False)
    ] = None,
    json: values.Json = False,
) -> None:
    """Check that an artifact is whole and answers like its model.

    Example: l2zoo verify runs/demo/artifact
    """
    if public_key is not None:
        from l2zoo.artifacts.signing import check_signature

        check_signature(folder, public_key)
    with without_chatter():
        from l2zoo.artifacts import verify as verify_artifact

        artifact = verify_artifact(folder)
    if json:
        typer.echo(dumped({**_held(artifact), "signed": None if public_key is None else str(public_key)}))
        return
    typer.echo(str(artifact))
    typer.echo("verified" if public_key is None else "verified, and signed by this key")


def sign(
    folder: values.Artifact,
    key: Annotated[Path, typer.Option(help="Your private key, PEM.", exists=True, dir_okay=False)],
) -> None:
    """Sign an artifact, so that others can tell that it is yours.

    Example: l2zoo sign runs/demo/artifact --key private.pem
    """
    from l2zoo.artifacts.signing import sign as sign_artifact

    typer.echo(f"wrote {sign_artifact(folder, key)}")


def predict(
    artifact: values.Artifact,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files.")],
    format: Annotated[  # noqa: A002
        str,
        values.one_of(words.runnable_or_auto, "--format", "-f", help="tflite, tflite_fp16, tflite_int8, ..."),
    ] = "auto",
    threads: Annotated[int, typer.Option(help="On which it computes.")] = 1,
    top: Annotated[int, typer.Option(help="How many classes are shown.", min=1)] = 3,
    save: Annotated[Path | None, typer.Option(help="Draw the answers, .png, .svg or .pdf.")] = None,
    json: values.Json = False,
) -> None:
    """Say what is in images, by an artifact's file, without TensorFlow.

    Example: l2zoo predict runs/demo/artifact photo.png --save said.png
    """
    from l2zoo.inference import Predictor

    with without_chatter():
        found = Predictor(artifact, format=format, threads=threads).predict(images)
    if json:
        rows = [{"image": str(path), **one.to_dict()} for path, one in zip(images, found, strict=True)]
        typer.echo(dumped(rows))
    else:
        _print(_answers(images, found, top))
    if save is not None:
        from l2zoo.inference.pictures import picture_of_results

        typer.echo(f"wrote {picture_of_results(images, found, save)}", err=json)


def bench(
    artifact: values.Artifact,
    formats: Annotated[
        list[str] | None,
        values.one_of(words.runnable, "--format", "-f", help="Only these formats. Repeatable."),
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(help="How many threads; one if not said. Repeatable.", min=1)
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long each is timed.")] = 1.0,
    save: Annotated[Path | None, typer.Option(help="Draw it, .png, .svg or .pdf.")] = None,
    json: values.Json = False,
) -> None:
    """Time an artifact's TFLite files: latency, size, metrics.

    It times what LiteRT runs, on the real inputs that the artifact keeps; not SavedModel, ONNX or .keras.

    Example: l2zoo bench runs/demo/artifact --threads 1 --threads 2 --save bench.png
    """
    from l2zoo.inference import benchmark

    with without_chatter():
        found = benchmark.latencies(artifact, formats=formats, threads=threads or (1,), seconds=seconds)
    if json:
        typer.echo(dumped([one.to_dict() for one in found]))
    else:
        _print(benchmark.table(found))
    if save is not None:
        typer.echo(f"wrote {benchmark.picture(found, save)}", err=json)


def _held(artifact: Any) -> dict[str, Any]:
    """An artifact that holds, for JSON: its formats with the figures of this check."""
    from dataclasses import asdict

    rows = artifact.manifest["formats"]
    return {
        "folder": str(artifact.folder),
        "name": artifact.manifest["name"],
        "formats": {
            name: {"path": rows[name]["path"], "bytes": rows[name]["bytes"], **asdict(parity)}
            for name, parity in artifact.parity.items()
        },
    }


def _answers(images: list[Path], found: list[Any], top: int) -> Any:
    """A row for each image and class, mask or box."""
    from rich.table import Table

    from l2zoo.inference.results import Classified, Detected

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
