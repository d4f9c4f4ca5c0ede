"""Commands about artifacts: write them, check them, run them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from l2zoo.cli import options
from l2zoo.cli.models import load_model, print_json
from l2zoo.utils.console import say, show

if TYPE_CHECKING:
    from l2zoo.reports.table import Table

EXAMPLES = 256  # of the test split, on which files are compared with the model
CALIBRATION = 200  # images from which int8 learns its ranges
CLASSES = 3  # that are shown of an image
_APART = 'take slices that do not overlap, such as --calibrate-split "train[:80%]" --split "train[80%:]"'


def export(
    model: options.Model,
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
        options.word(
            options.formats, "--format", "-f", help="savedmodel, tflite, tflite_int8, ... Repeatable."
        ),
    ] = None,
    task: Annotated[
        str, options.word(options.tasks_of_images, help="classification, segmentation or detection.")
    ] = "classification",
    data_dir: Annotated[Path | None, typer.Option(help="Where TFDS keeps prepared data.")] = None,
    split: Annotated[str, typer.Option(help="Of --data.")] = "test",
    calibrate_split: Annotated[str, typer.Option(help="Of --calibrate.")] = "train",
    int8_io: Annotated[
        str,
        options.word(
            options.int8_numbers,
            "--int8-io",
            help="What tflite_int8 takes and gives: float32, uint8 or int8.",
        ),
    ] = "float32",
    allow_float: Annotated[
        bool, typer.Option("--allow-float", help="Ship quantised files of which a part stayed float.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="Title of the artifact. That of the model.")] = None,
    output_kind: Annotated[
        str | None,
        options.word(
            options.output_kinds,
            help="What the output means, if MODEL does not tell: probabilities, logits, ...",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an artifact that is there.")
    ] = False,
    modules: options.Imports = None,
    json: options.Json = False,
) -> None:
    """Write MODEL as files to deploy, each compared with it.

    Example: l2zoo export my.keras -o out --data mnist -f savedmodel -f tflite_int8
    """
    source = data or calibrate
    if source is None:
        raise typer.BadParameter("real images are needed to compare on.", param_hint="--data")
    from l2zoo.artifacts import Card, Conversion
    from l2zoo.artifacts import export as export_model
    from l2zoo.cli import examples
    from l2zoo.data import check_splits

    loaded = load_model(model, modules)
    choices: dict[str, Any] = {"int8_io": int8_io, "allow_float": allow_float}
    said = output_kind
    found = examples.load_examples(loaded, task, examples.Source(source, split, data_dir), EXAMPLES, said)
    others = examples.Source(calibrate or source, calibrate_split, data_dir)
    calibration = examples.load_examples(loaded, task, others, CALIBRATION, said).inputs
    if "tflite_int8" in (formats or ()):  # what int8 learns its ranges from is not what it is measured on
        check_splits(calibration, found.inputs, names=("--calibrate", "--data"), step=_APART)
    artifact = export_model(
        found.task.deployed(loaded),
        output,
        sample=found.inputs,
        formats=formats or ("savedmodel", "tflite"),
        measure=None if found.card is None else lambda answers: found.task.scores(answers, found.targets),
        conversion=Conversion(calibration=calibration, **choices),
        card=Card(name=name, **(found.card or {})),
        overwrite=overwrite,
    )
    if json:
        print_json(_content(artifact))
    else:
        show(artifact)


def verify(
    folder: options.Artifact,
    public_key: options.PublicKey = None,
    trusted: options.Trusted = False,
    json: options.Json = False,
) -> None:
    """Check that an artifact is whole and answers like its model.

    To open a SavedModel is to run what is in it: it is left out, unless the artifact is signed by
    --public-key or you say --trusted. Other files of strangers are run in a process of its own, with bounds
    on memory and time.

    Example: l2zoo verify runs/demo/artifact
    """
    from l2zoo.artifacts import verify as verify_artifact

    artifact = verify_artifact(folder, trusted=trusted, public_key=public_key)
    if json:
        signed = None if public_key is None else str(public_key)
        left_out = {"left_out": list(artifact.left_out), "not_run": dict(artifact.not_run)}
        print_json({**_content(artifact), **left_out, "signed": signed})
    else:
        show(repr(artifact), "", artifact.table(), *artifact.notes(trusted="--trusted"))
        show("verified" if public_key is None else "verified, and signed by this key")


def sign(
    folder: options.Artifact,
    key: Annotated[Path, typer.Option(help="Your private key, PEM.", exists=True, dir_okay=False)],
) -> None:
    """Sign an artifact, so that others can tell that it is yours.

    Example: l2zoo sign runs/demo/artifact --key private.pem
    """
    from l2zoo.artifacts.signing import sign as sign_artifact

    say(f"wrote {sign_artifact(folder, key)}")


def predict(
    artifact: options.Artifact,
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Image files, folders of them, or patterns.")
    ],
    format: options.Runnable = "auto",  # noqa: A002
    threads: options.Threads = 1,
    threshold: options.Threshold = None,
    min_score: options.MinScore = None,
    public_key: options.PublicKey = None,
    trusted: options.Trusted = False,
    top: Annotated[
        int | None, typer.Option(help="How many classes, 3 if not said, or boxes, all, are shown.", min=1)
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Draw the answers, .png, .svg or .pdf.")] = None,
    json: options.Json = False,
) -> None:
    """Say what is in images, by an artifact's file.

    Example: l2zoo predict runs/demo/artifact photo.png --save said.png
    """
    from l2zoo.inference import Predictor

    _check_pictures(save)
    predictor = Predictor(
        artifact, format=format, threads=threads, threshold=threshold, min_score=min_score,
        trusted=trusted, public_key=public_key,
    )  # fmt: skip
    found = predictor.predict(images)
    if json:
        print_json([{"image": str(one.path), **one.to_dict()} for one in found])
    else:
        show(_answers_table(found, top))
    if save is not None:
        say(f"wrote {predictor.draw([one.path for one in found], save, results=found)}", err=json)


def evaluate(
    artifact: options.Artifact,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A folder, as folder:PATH or its path, or a TFDS name.")
    ],
    split: Annotated[
        str | None, typer.Option(help="Of DATA; test if not said, or the only one that there is.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where TFDS keeps prepared data.")] = None,
    format: options.Runnable = "auto",  # noqa: A002
    threads: options.Threads = 1,
    threshold: options.Threshold = None,
    min_score: options.MinScore = None,
    public_key: options.PublicKey = None,
    trusted: options.Trusted = False,
    save: Annotated[
        Path | None,
        typer.Option(help="Draw which class is taken for which, else the worst images: .png, .svg or .pdf."),
    ] = None,
    worst: Annotated[
        Path | None, typer.Option(help="Draw the images that it gets most wrong, .png, .svg or .pdf.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Measure an artifact's file on data that came later.

    By the metrics of its task, as they are measured on the Keras model; classes are matched by their names.

    Example: l2zoo evaluate runs/demo/artifact folder:photos --save confusion.png
    """
    from l2zoo.inference import Predictor

    _check_pictures(save, worst)
    predictor = Predictor(
        artifact, format=format, threads=threads, threshold=threshold, min_score=min_score,
        trusted=trusted, public_key=public_key,
    )  # fmt: skip
    found = predictor.evaluate(data, split=split, data_dir=data_dir)
    if json:
        print_json(found.to_dict())
    else:
        show(found)
    for path, kind in ((save, "auto"), (worst, "worst")):
        if path is not None:
            say(f"wrote {found.plot(path, kind=kind)}", err=json)


def bench(
    artifact: options.Artifact,
    formats: Annotated[
        list[str] | None,
        options.word(options.runnable, "--format", "-f", help="Only these formats. Repeatable."),
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(help="How many threads; one if not said. Repeatable.", min=1)
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long each is timed.")] = 1.0,
    public_key: options.PublicKey = None,
    trusted: options.Trusted = False,
    save: Annotated[Path | None, typer.Option(help="Draw it, .png, .svg or .pdf.")] = None,
    json: options.Json = False,
) -> None:
    """Time an artifact's TFLite files: latency, size, metrics.

    It times what LiteRT runs, on the real inputs that the artifact keeps; not SavedModel, ONNX or .keras.

    Example: l2zoo bench runs/demo/artifact --threads 1 --threads 2 --save bench.png
    """
    from l2zoo.inference import benchmark

    _check_pictures(save)
    found = benchmark.measure_latency(
        artifact, formats=formats, threads=threads or (1,), seconds=seconds,
        trusted=trusted, public_key=public_key,
    )  # fmt: skip
    if json:
        print_json([one.to_dict() for one in found])
    else:
        show(benchmark.latency_table(found))
    if save is not None:
        from l2zoo.inference.latency_plot import plot_latency

        say(f"wrote {plot_latency(found, save)}", err=json)


def _check_pictures(*paths: Path | None) -> None:
    """Raises before any work where a picture could not be drawn after it."""
    from l2zoo.utils.packages import require
    from l2zoo.utils.validation import picture_path

    for path in filter(None, paths):
        picture_path(path)
        require("matplotlib")


def _content(artifact: Any) -> dict[str, Any]:
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


def _answers_table(found: list[Any], top: int | None) -> Table:
    """A row for each image and class, mask, box or value."""
    from l2zoo.inference.results import Classified, Detected, Estimated, Labelled
    from l2zoo.reports.table import Column, Table

    columns: list[Column | str]
    if isinstance(found[0], Detected):
        columns = ["image", "class", Column("score"), Column("box")]
    elif isinstance(found[0], Estimated):
        columns = ["image", Column("value")]
    elif isinstance(found[0], Labelled):
        columns = ["image", "class", Column("probability"), "there"]
    else:
        columns = ["image", "class", Column("probability" if isinstance(found[0], Classified) else "share")]
    rows = []
    for one in found:
        empty = ("nothing", *[""] * (len(columns) - 2))
        lines = _lines(one, top) or [empty]
        rows += [("" if number else str(one.path), *line) for number, line in enumerate(lines)]
    return Table.of(columns, rows)


def _lines(one: Any, most: int | None) -> list[tuple[Any, ...]]:
    """What is said of an image, without its name."""
    from l2zoo.inference.plots import describe
    from l2zoo.inference.results import Classified, Detected, Estimated, Labelled
    from l2zoo.reports.table import cell

    if isinstance(one, Detected):
        parts = zip(one.names, one.scores.tolist(), one.boxes_xyxy, strict=True)
        lines = [(name, cell(s, "{:.3f}"), " ".join(f"{x:.0f}" for x in box)) for name, s, box in parts]
        return lines[:most]
    if isinstance(one, Estimated):
        return [(describe(one),)]
    top = most or CLASSES
    if isinstance(one, Labelled):
        there = one.labels
        shown = one.top(max(top, len(there)))
        return [(name, cell(p, "{:.4f}"), "yes" if name in there else "no") for name, p in shown]
    if isinstance(one, Classified):
        said = one.class_name  # which the threshold may have decided for
        pairs = sorted(one.top(len(one.class_names)), key=lambda pair: pair[0] != said)
        return [(name, cell(share, "{:.4f}")) for name, share in pairs[:top]]
    return [(name, cell(share, "{:.4f}")) for name, share in one.shares.items()]
