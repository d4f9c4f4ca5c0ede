"""Trains a U-Net to say for every pixel what it is, on digits that lie on photographs.

    python recipes/segment.py --out runs/segment
    python recipes/segment.py --filters 24,48,96,192 --epochs 30 --seeds 3 --out runs/segment_wide
    python recipes/segment.py --data oxford_iiit_pet --image-size 128 --augment flip+zoom --out runs/pets
    python recipes/segment.py --data folder:PATH --tune-l2 --out runs/mine

Ends with mean IoU and Dice on the test set, a picture of some answers, and files to deploy that were compared
with the model. What came out is in the README ("Figures"). Stopped in the middle, the same command goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import l2zoo
from l2zoo import zoo
from l2zoo.data import load
from l2zoo.studies.options import BackboneOptions, ExperimentOptions
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DEFAULTS = ExperimentOptions(
    l2=1e-6,
    tune_images=600,
    tune_epochs=8,
    epochs=15,
    batch_size=8,
    mixed_precision=True,
    out=Path("runs/segment"),
)
OWN_ENCODER = BackboneOptions()


def main(
    data: Annotated[
        str, typer.Option(help="A TFDS name, or folder:PATH with images/ and masks/.")
    ] = "l2zoo_scenes",
    model: Annotated[str, typer.Option(help="A name from the zoo: see l2zoo list.")] = "unet",
    filters: Annotated[str, typer.Option(help="Channels at stride 1, 2, 4, ...")] = "16,32,64,128",
    encoder: BackboneOptions = OWN_ENCODER,
    loss: Annotated[
        str, typer.Option(help="crossentropy, focal, squared_error, dice, tversky, or a sum: dice+focal.")
    ] = "dice",
    augment: Annotated[str, typer.Option(help="As in flip+shift+zoom+color, or none.")] = "shift",
    options: ExperimentOptions = DEFAULTS,
) -> None:
    """Trains, measures and exports a model that classifies every pixel."""
    zoo.find(model, task="segmentation")  # before the data is read
    images = options.loader(load, data, task="segmentation")
    train, test = images.train_and_test(limit=options.limit)
    channels = tuple(int(number) for number in filters.split(","))

    from l2zoo.tasks import Segmentation

    def build(policy: l2zoo.L2Policy) -> Any:
        shape, own = train.image_shape, {"filters": channels, **encoder.build(train.image_shape)}
        return l2zoo.build(model, shape, train.num_classes, l2=policy, options=own)

    outcome = options.run(
        build,
        Segmentation(train.class_names, loss=loss),
        train,
        test,
        training=options.training(augment=augment),
        searched=images.again(train, test),
    )
    show(outcome)


if __name__ == "__main__":
    run_script(main)
