"""Commands that compare: regularisers with each other, and what a model gives away at several strengths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from l2zoo.cli import options
from l2zoo.cli.models import print_json
from l2zoo.studies.options import DataOptions, SourceOptions
from l2zoo.utils.console import print_to_stderr, show

if TYPE_CHECKING:
    import keras

    from l2zoo.regularization.policy import L2Policy

DEFAULTS = DataOptions()
SOURCE = SourceOptions()


def compare(
    data: options.Data,
    source: DataOptions = DEFAULTS,
    limit: Annotated[int | None, typer.Option(help="Train on so many images only.")] = 300,
    noise: Annotated[str, typer.Option(help="Shares of labels to make wrong, as in 0,0.2.")] = "0,0.2",
    model: options.Classifier = "cnn_plain",
    augment: Annotated[
        str, typer.Option(help="The augmentation that is compared, as in shift+zoom.")
    ] = "zoom",
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 40,
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Adam's highest.")] = 2e-3,
    folds: Annotated[int, typer.Option(help="Parts of the cross-validation that chooses strengths.")] = 5,
    seeds: Annotated[int, typer.Option(help="Trainings of every variant, at least 2.")] = 5,
    workers: Annotated[int, typer.Option(help="Trainings at the same time; more than 1 needs Ray.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for everything that comes out.")] = Path("runs/compare"),
    json: options.Json = False,
) -> None:
    """Compare regularisers with each other, each at its best.

    None, L2, L1, decoupled decay, dropout, augmentation, and the objective of the textbooks: each strength is
    chosen by cross-validation on the training images, then every variant is trained with the same seeds and
    scored on the test images, once for each share of wrong labels. Stopped in the middle, the same command
    goes on.

    Example: l2zoo compare l2zoo_digits --limit 100 --noise 0 --epochs 5 --folds 2 --seeds 2
    """
    from l2zoo import zoo

    zoo.find(model, task="classification")
    shares = options.numbers(noise, "--noise")
    found = []
    with print_to_stderr(json):
        from l2zoo.data import load
        from l2zoo.studies.compare import usual_variants
        from l2zoo.studies.compare.compare import compare as compare_variants
        from l2zoo.studies.experiment import Training

        images = source.loader(load, data)
        every, test = images.train_and_test()
        few = None if limit is None else min(limit, every.num_examples)
        shape, classes = test.image_shape, test.num_classes  # `build` goes to workers without the images

        def build(policy: L2Policy, dropout: float = 0.0) -> keras.Model:
            return zoo.build(model, shape, classes, l2=policy, options={"dropout": dropout})

        variants = usual_variants(lambda policy: build(policy, dropout=0.5), augment=augment)
        training = Training(epochs, batch_size, "adam", learning_rate)
        for share in shares:
            folder = out / f"noise_{share:g}"
            train = images.again(every, test)(limit=few, label_noise=share)
            one = compare_variants(
                build, train, variants, test=test, training=training, folds=folds, seeds=seeds,
                workers=workers, directory=folder,
            )  # fmt: skip
            found.append(
                {"label_noise": share, **one.to_dict(), "files": _files(folder, report="report.html")}
            )
            heading = f"\n{train.num_examples} training images, {share:.0%} of their labels wrong"
            show(heading, one, f"Picture, table and report.html: {folder}\n")
    if json:
        print_json({"comparisons": found})


def privacy(
    data: options.Data,
    source: SourceOptions = SOURCE,
    images: Annotated[int, typer.Option(help="Train on so many; as many others are not shown.")] = 400,
    label_noise: Annotated[float, typer.Option(help="Share of labels to make wrong, 0 to 1.")] = 0.0,
    model: options.Classifier = "cnn_plain",
    strengths: Annotated[
        str, typer.Option(help="Strengths of L2, in Keras's convention.")
    ] = "0,1e-4,1e-3,3e-3,1e-2,3e-2",
    references: Annotated[int, typer.Option(help="Models to compare with, for each strength; even.")] = 8,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 40,
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Adam's.")] = 2e-3,
    seed: Annotated[int, typer.Option(help="Of the division of the images and of all trainings.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for pictures and finished models.")] = Path(
        "runs/privacy"
    ),
    json: options.Json = False,
) -> None:
    """Measure what a classifier gives away, at several strengths.

    Can one tell the images that it was trained on? A model is trained at each strength and attacked: by the
    loss of an image, and by LiRA, which compares with models that have not seen the image. Stopped in the
    middle, the same command goes on from the reference models that are finished.

    Example: l2zoo privacy l2zoo_digits --images 100 --epochs 5 --references 4 --strengths 0,1e-2
    """
    from l2zoo import zoo

    zoo.find(model, task="classification")
    numbers = options.numbers(strengths, "--strengths")
    with print_to_stderr(json):
        import keras

        from l2zoo.data import load
        from l2zoo.studies import privacy as study

        everything = source.loader(load, data).train(label_noise=label_noise)

        def build(l2: float) -> keras.Model:
            built = zoo.build(model, everything.image_shape, everything.num_classes, l2=l2)
            adam = keras.optimizers.Adam(learning_rate)
            built.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
            return built

        reports = {}
        for l2, report in study.audit_strengths(
            build, *study.members_and_others(everything, images, seed=seed), strengths=numbers,
            epochs=epochs, batch_size=batch_size, references=references, seed=seed, directory=out,
        ):  # fmt: skip
            reports[l2] = report
            show(f"l2={l2:g}: {report.sentence}\n")
        picture = study.plot_strengths(reports, out / "strengths.png")
        curves = reports[min(reports)].plot(out / "roc.png")
        show(study.table_of_strengths(reports), f"\nPicture: {picture}")
        show(f"Curves of the weakest strength: {curves}")
    if json:
        rows: list[dict[str, Any]] = [{"l2": l2, **report.to_dict()} for l2, report in reports.items()]
        print_json({"strengths": rows, "files": {"picture": str(picture), "curves": str(curves)}})


def _files(folder: Path, **names: str) -> dict[str, str]:
    return {"folder": str(folder), **{kind: str(folder / name) for kind, name in names.items()}}
