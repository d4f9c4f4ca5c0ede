"""The search for lambda on several machines at the same time, with Ray.

Start Ray on each machine, then this on one of them; a worker that dies costs the training it was at, no more:

    ray start --head --node-ip-address=10.0.0.1 --port=6379     # on the first machine, its private address
    ray start --address=10.0.0.1:6379                           # on every other machine
    python recipes/tune_on_cluster.py --address 10.0.0.1:6379 --workers 16
    ray stop                                                    # on each machine

The same on all of them: the version of Python, l2zoo with its constraints (`pip install -c constraints.txt
"l2zoo[ray]"`), and KERAS_BACKEND. Nothing else: images and this file's functions travel to the workers, the
ledger is written here. Ray runs what anyone sends who can reach it, so use a private network only;
recipes/README.md ("Many machines") says how it asks for a token besides.

Without `--address` the workers are processes of this machine, which nobody else can reach:

    python recipes/tune_on_cluster.py --workers 2 --folds 3 --epochs 5

Those 36 trainings took 55 seconds on two cores that had other work, 15 of them until the workers were up: the
best mean accuracy was 0.001 above that of no L2, so whether it helps could not be told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import l2zoo
from l2zoo.data import load
from l2zoo.studies.options import SourceOptions
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DEFAULTS = SourceOptions()


def main(
    data: Annotated[
        str, typer.Option(help="A TFDS name, or folder:PATH with class folders.")
    ] = "l2zoo_digits",
    options: SourceOptions = DEFAULTS,
    model: Annotated[str, typer.Option(help="A name from the zoo: see l2zoo list.")] = "cnn_plain",
    address: Annotated[
        str | None, typer.Option(help="Of the Ray cluster, as in 10.0.0.1:6379; without it, this machine.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Trainings at the same time, a process each.")] = 2,
    folds: Annotated[int, typer.Option(help="Parts of the cross-validation.")] = 5,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 20,
    strategy: Annotated[str, typer.Option(help="grid, random, bayesian or hyperband.")] = "grid",
    out: Annotated[Path, typer.Option(help="Folder for the ledger and the result.")] = Path("runs/cluster"),
) -> None:
    """Chooses the strength of L2 by cross-validation, on all machines of a Ray cluster."""
    train = options.loader(load, data).train()
    shape, num_classes = train.image_shape, train.num_classes  # the function below travels without the data

    def build(l2: float) -> Any:
        return l2zoo.build(model, shape, num_classes=num_classes, l2=l2)

    result = l2zoo.tune_l2(
        build, train, strategy=strategy, folds=folds, epochs=epochs,
        workers=workers, address=address, directory=out,
    )  # fmt: skip
    show(result.table(), f"\n{result.verdict}")
    show(f"Trained on all {train.num_examples} images at {result.chosen:g}; records and table are in {out}.")


if __name__ == "__main__":
    run_script(main)
