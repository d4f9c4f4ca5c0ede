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

    python recipes/tune_on_cluster.py --workers 2
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import l2zoo
from l2zoo.data import load
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DATA = "l2zoo_digits"  # or a TFDS name, or folder:PATH with class folders
FOLDS = 5
STRATEGY = "grid"  # random, bayesian or hyperband


def main(
    address: Annotated[str | None, typer.Option(help="Of the Ray cluster, as in 10.0.0.1:6379.")] = None,
    workers: Annotated[int, typer.Option(help="Trainings at the same time, a process each.")] = 2,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 20,
    out: Annotated[Path, typer.Option(help="Folder for the ledger and the result.")] = Path("runs/cluster"),
) -> None:
    """Chooses the strength of L2 by cross-validation, on all machines of a Ray cluster."""
    train = load(DATA, "train")
    shape, num_classes = train.image_shape, train.num_classes  # `build` travels without the images

    def build(l2: float) -> Any:
        return l2zoo.build("cnn_plain", shape, num_classes=num_classes, l2=l2)

    result = l2zoo.tune_l2(
        build, train, strategy=STRATEGY, folds=FOLDS, epochs=epochs, workers=workers, address=address,
        directory=out,
    )  # fmt: skip
    show(result)


if __name__ == "__main__":
    run_script(main)
